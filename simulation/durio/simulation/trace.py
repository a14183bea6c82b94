"""The trace of a run: numbered steps, and under each what came of it."""

from __future__ import annotations

import attrs

_WIDTH = 110


@attrs.define(eq=False)
class Step:
    """One step that was chosen, and what came of it."""

    number: int
    kind: str
    label: str
    notes: list[str] = attrs.Factory(list)


class Trace:
    """What happened, in order. Two runs of one plan have equal text."""

    def __init__(self) -> None:
        self.steps: list[Step] = []

    @property
    def now(self) -> int:
        """The number of the step that goes on: the time of a trace."""
        return len(self.steps)

    def step(self, kind: str, label: str) -> None:
        """A step begins."""
        self.steps.append(Step(len(self.steps) + 1, kind, label))

    def note(self, text: str) -> None:
        """Something came of the step that runs."""
        if not self.steps:
            self.step("open", "")
        self.steps[-1].notes.append(text)

    def lines(self) -> list[str]:
        """All of it, a line for each step and for each thing that came of it."""
        lines: list[str] = []
        for step in self.steps:
            lines.append(f"{step.number:>4}  {step.kind:<9} {step.label}".rstrip())
            lines.extend(f"{'':>16}{note}" for note in step.notes)
        return lines

    def tail(self, lines: int = 30) -> str:
        """The last lines."""
        return "\n".join(map(_cut, self.lines()[-lines:]))

    def __str__(self) -> str:
        return "\n".join(map(_cut, self.lines()))


def _cut(line: str) -> str:
    return line if len(line) <= _WIDTH else line[: _WIDTH - 1] + "…"
