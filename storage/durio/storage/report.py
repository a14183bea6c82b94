"""What a check of a hub found, and how far something is that takes long."""

from collections.abc import Callable, Iterator
from typing import Final

import attrs

Progress = Callable[[str, int, int], None]
"""Told now and then what is being done, how much of it is done, and of how much; 0: that is not known."""

WHOLE: Final = "whole"
IN_USE: Final = "in use"
"""What a checker is told: nobody has the hub open, or somebody has."""

FAR: Final = "[null"
"""How a line of a checker begins that says how far it is."""

COPIED: Final = "bytes copied"
CHECKED: Final = "records checked"
STRUCTURE: Final = "bytes of structure checked"
UPGRADED: Final = "records upgraded"
"""What is being done, for `Progress`."""


@attrs.frozen
class Finding:
    """One thing that is wrong: where (a file, the structure of one, a record by its key), and what."""

    where: str
    why: str

    def __str__(self) -> str:
        return f"{self.where}: {self.why}"


@attrs.frozen
class Report:
    """What a check found in the hub at `path`: how many `records` it read, and what is wrong.

    `findings` holds the first ones; `hidden` counts the others. `in_use`: an owner had the hub open, so the check saw
    its last commit, and the free pages of the file were not looked at.
    """

    path: str
    records: int
    findings: tuple[Finding, ...] = ()
    hidden: int = 0
    in_use: bool = False

    @property
    def ok(self) -> bool:
        """Nothing is wrong."""
        return not self.findings

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        if self.ok:
            yield f"{self.path}: {self.records:,} records, nothing is wrong"
        else:
            yield f"{self.path}: {self.records:,} records read, {len(self.findings) + self.hidden:,} findings"
        for finding in self.findings:
            yield f"- {finding}"
        if self.hidden:
            yield f"- and {self.hidden:,} more"
