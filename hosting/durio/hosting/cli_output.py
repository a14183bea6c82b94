"""What commands print: tables for people, JSON for programs; everything that is no result goes to standard error."""

from __future__ import annotations

import io
import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final

from rich import box
from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from durio.hosting.cli_settings import Common

Far = Callable[[str, int, int], None]
"""Is told what is being done, how much of it is done, and of how much."""

PLAIN_WIDTH: Final = 100_000
"""Into a pipe or a file nothing is cut to a width."""
VALUE_CHARS_MAX: Final = 2000

NAMES: Final = ("instance", "orchestration", "entity", "locked entity", "held by", "for", "stands still", "no code for")
NAME_CHARS_MIN: Final = 8
GAP: Final = 2
_STEERING: Final = re.compile("[\x7f-\x9f\ud800-\udfff]")

STYLES: Final = (
    ("Pending", "cyan"),
    ("Running", "bold blue"),
    ("Suspended", "yellow"),
    ("Completed", "green"),
    ("Failed", "bold red"),
    ("Terminated", "magenta"),
    ("Canceled", "magenta"),
    ("ContinuedAsNew", "blue"),
)


class Out:
    """Standard output and standard error of one command."""

    def __init__(self, common: Common) -> None:
        self.json = common.json
        self.console = _console(sys.stdout)
        self.notes = _console(sys.stderr, stderr=True)

    def document(self, value: object) -> None:
        """One JSON document."""
        sys.stdout.write(written(value, indent=2) + "\n")

    def line(self, value: object) -> None:
        """One line of JSON lines."""
        sys.stdout.write(written(value) + "\n")

    def show(self, *renderables: RenderableType) -> None:
        """Something for people."""
        for renderable in renderables:
            if isinstance(renderable, Table):
                fit(renderable, self.console.width)
            if self.console.is_terminal:
                self.console.print(renderable)
                continue
            with self.console.capture() as captured:
                self.console.print(renderable)
            sys.stdout.write("".join(line.rstrip() + "\n" for line in captured.get().splitlines()))

    def note(self, text: str) -> None:
        """Something that is no result."""
        self.notes.print(Text(clean(text)), soft_wrap=True)

    def ask(self, question: str) -> str:
        """Ask whoever sits at the terminal; the line that was typed."""
        self.notes.print(question, end="")
        return sys.stdin.readline()

    @contextmanager
    def working(self, what: str) -> Iterator[Far | None]:
        """A sign of life while something takes long, and a way to say how far it is; None if nobody looks."""
        if not self.notes.is_terminal:
            yield None
            return
        columns = SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn()
        with Progress(*columns, console=self.notes, transient=True) as progress:
            task = progress.add_task(clean(what), total=None)

            def tell(what: str, done: int, total: int) -> None:
                progress.update(task, description=how_far(what, done, total))

            yield tell


def how_far(what: str, done: int, total: int) -> str:
    """How far something is that takes long; `what` begins with the unit. `total` is 0 if it is not known."""
    unit, _, verb = what.partition(" ")
    so_far, all_of_it = f"{done:,}", f"{total:,} {unit}"
    if unit == "bytes":
        so_far, all_of_it = f"{done / 1e6:,.1f}", f"{total / 1e6:,.1f} MB"
    if not total:
        return f"{so_far} {unit} {verb}"
    return f"{so_far} of {all_of_it} {verb}, {100 * done // total} %"


def _console(file: Any, *, stderr: bool = False) -> Console:
    if isinstance(file, io.TextIOWrapper):
        file.reconfigure(errors="backslashreplace")  # what the encoding of the terminal does not have
    wide = None if file.isatty() or os.environ.get("COLUMNS", "").isdigit() else PLAIN_WIDTH
    return Console(file=file, stderr=stderr, width=wide, highlight=False, markup=False, emoji=False)


def table(*columns: str, right: Sequence[str] = (), wide: Sequence[str] = ()) -> Table:
    """An empty table. `right`: columns of numbers. `wide`: columns that may be folded.

    Where the terminal is too narrow, columns of names are cut with …; all others keep what is in them.
    """
    found = Table(box=box.SIMPLE_HEAD, header_style="bold", padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    for name in columns:
        found.add_column(
            name,
            justify="right" if name in right else "left",
            no_wrap=name not in wide,
            overflow="fold" if name in wide else "ellipsis",
        )
    return found


def fit(found: Table, width: int) -> None:
    """Let names give way, the longest first, so that all other columns keep what is in them."""
    if any(not column.no_wrap for column in found.columns):
        return  # what may be folded gives way
    widths = {}
    for column in found.columns:
        cells = (cell.plain if isinstance(cell, Text) else str(cell) for cell in (column.header, *column.cells))
        widths[str(column.header)] = max(map(cell_len, cells))
    widths = narrowed(widths, width)
    for column in found.columns:
        column.width = widths[str(column.header)]


def narrowed(widths: Mapping[str, int], width: int) -> dict[str, int]:
    """Widths of columns by their names, so that all of them fit, if names are cut that far."""
    found = dict(widths)
    names = [name for name in found if name in NAMES]
    excess = sum(found.values()) + GAP * (len(found) - 1) - width
    while excess > 0 and names and max(found[name] for name in names) > NAME_CHARS_MIN:
        found[max(names, key=found.__getitem__)] -= 1
        excess -= 1
    return found


def facts(rows: Iterable[tuple[str, RenderableType | None]]) -> Table:
    """Names and values, one below the other; what is None is left out."""
    found = Table.grid(padding=(0, 2))
    found.add_column(style="bold", no_wrap=True)
    found.add_column(overflow="fold")
    for name, value in rows:
        if value is not None:
            found.add_row(name, value)
    return found


def status_text(status: object) -> Text:
    """A status in its colour."""
    text = str(status) if status is not None else "gone"
    return Text(text, style=dict(STYLES).get(text, ""))


def value_text(value: object, chars_max: int = VALUE_CHARS_MAX) -> Text:
    """A JSON value in one line, not longer than people read."""
    shown = written(value)
    return Text(clean(shown if len(shown) <= chars_max else shown[: chars_max - 1] + "…"))


def written(value: object, indent: int | None = None) -> str:
    """A value as JSON, without what could steer a terminal."""
    encoding = (sys.stdout.encoding or "ascii").lower().replace("-", "")
    text = json.dumps(value, ensure_ascii=encoding != "utf8", indent=indent, default=plain)
    return _STEERING.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def clean(text: str) -> str:
    """Text without what could steer a terminal."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode() for c in text)


def local(moment: datetime | None) -> str:
    """A moment in local time, for tables."""
    return "" if moment is None else moment.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def short(moment: datetime | None, now: datetime) -> str:
    """A moment in local time: of today only the time of day."""
    if moment is None:
        return ""
    here, today = moment.astimezone(), now.astimezone().date()
    return here.strftime("%H:%M:%S" if here.date() == today else "%Y-%m-%d %H:%M")


def local_with_zone(moment: datetime | None) -> str | None:
    """A moment in local time, with its distance from UTC."""
    return None if moment is None else moment.astimezone().strftime("%Y-%m-%d %H:%M:%S %z")


def ago(moment: datetime | None, now: datetime) -> str:
    """How long ago a moment was."""
    return "" if moment is None else f"{age(max((now - moment).total_seconds(), 0))} ago"


def age(seconds: float) -> str:
    """How long, in the unit that people would use."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 120:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h" if seconds < 172800 else f"{seconds / 86400:.0f} d"


def plain(value: object) -> object:
    """What JSON has no word for: moments are ISO 8601 in UTC."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    if isinstance(value, set | frozenset):
        return sorted(value)
    return str(value)
