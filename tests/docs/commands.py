"""The commands of `durio` as rows of docs/cli.md, read from the command line itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from cyclopts import App, Argument

from durio.hosting.cli import command_line
from tests.docs.pages import PROJECT

PAGE: Final[Path] = PROJECT / "docs" / "cli.md"
COMMON: Final = ("--hub", "--app", "--json", "--traceback")
_TABLE: Final = re.compile(r"(?<=\| command \| options \| what it does \|\n\|---\|---\|---\|\n)(?:\|.*\n)*")


def commands(app: App, path: tuple[str, ...] = ("durio",)) -> Iterator[tuple[str, App]]:
    """Every command with the words that call it."""
    for name in app:
        if not name.startswith("-"):
            yield " ".join((*path, name)), app[name]
            yield from commands(app[name], (*path, name))


def rows() -> list[str]:
    """A row for each command: how it is called, its options, the first paragraph of its help."""
    found = []
    for words, command in commands(command_line()):
        arguments = [one for one in command.assemble_argument_collection() if one.show]
        named = [one for one in arguments if one.names[0].startswith("-")]
        placed = " ".join(one.names[0] for one in arguments if one not in named)
        options = ", ".join(f"`{_shown(one)}`" for one in named if one.names[0] not in COMMON)
        summary = " ".join(command.help.split("\n\n")[0].split())
        found.append(f"| `{words}{' ' + placed if placed else ''}` | {options} | {summary} |")
    return found


def _shown(option: Argument) -> str:
    metavar = option.parameter.metavar
    return option.names[0] + (f" {metavar}" if metavar else "")


def refreshed(text: str) -> str:
    """The page with the table as the command line has it."""
    return _TABLE.sub(lambda _: "".join(row + "\n" for row in rows()), text)
