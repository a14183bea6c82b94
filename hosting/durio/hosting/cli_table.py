"""A table that is written as it is read: of many rows the first ones are there at once."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Final

from rich.cells import cell_len, set_cell_size
from rich.color import ColorSystem
from rich.style import Style
from rich.text import Text

from durio.hosting.cli_output import GAP, Out, clean, narrowed

SYSTEMS: Final = (
    ("standard", ColorSystem.STANDARD),
    ("256", ColorSystem.EIGHT_BIT),
    ("truecolor", ColorSystem.TRUECOLOR),
)


class Listing:
    """Columns whose widths grow with what comes.

    Where the terminal is too narrow, columns of names are cut with …; all others keep what is in them.
    """

    def __init__(self, out: Out, *columns: str) -> None:
        console = out.console
        self.empty = True
        self._columns = columns
        self._widths = [len(column) for column in columns]
        self._width = console.width
        self._colors = dict(SYSTEMS).get(console.color_system or "") if console.is_terminal else None
        self._no_color = console.no_color
        plain = console.options.ascii_only
        self._rule, self._cut = ("-", ".") if plain else ("─", "…")

    def write(self, rows: Iterable[Sequence[str | Text]]) -> None:
        """Write some more rows, at once."""
        cells = [[cell if isinstance(cell, Text) else Text(clean(cell)) for cell in row] for row in rows]
        if not cells:
            return
        for number, column in enumerate(zip(*cells, strict=True)):
            self._widths[number] = max(self._widths[number], *(_len(cell.plain) for cell in column))
        widths = narrowed(dict(zip(self._columns, self._widths, strict=True)), self._width)
        lines = [self._line(row, [*widths.values()]) for row in cells]
        if self.empty:
            self.empty = False
            header = self._line([Text(column, "bold") for column in self._columns], [*widths.values()])
            lines[:0] = [header, self._rule * (sum(widths.values()) + GAP * (len(widths) - 1))]
        sys.stdout.write("\n".join(lines) + "\n")
        sys.stdout.flush()

    def _line(self, cells: Iterable[Text], widths: Sequence[int]) -> str:
        written, behind = [], 0
        for cell, width in zip(cells, widths, strict=True):
            text, length = cell.plain, _len(cell.plain)
            if length > width:
                text, length = set_cell_size(text, width - 1) + self._cut, width
            written.append(" " * behind + self._styled(text, str(cell.style)))
            behind = width - length + GAP
        return "".join(written)

    def _styled(self, text: str, style: str) -> str:
        if self._colors is None or not style:
            return text
        found = Style.parse(style)
        return (found.without_color if self._no_color else found).render(text, color_system=self._colors)


def _len(text: str) -> int:
    return len(text) if text.isascii() else cell_len(text)
