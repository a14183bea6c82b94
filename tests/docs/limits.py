"""The limits of the code as rows of docs/limits.md: all but what happens beyond them is read from the sources."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from types import ModuleType
from typing import Final

import durio.entities.limits
import durio.hosting.limits
import durio.orchestration.limits
import durio.storage.limits
from tests.docs.facts import written
from tests.docs.pages import PROJECT

PAGE: Final = PROJECT / "docs" / "limits.md"
LAYERS: Final[tuple[tuple[str, ModuleType], ...]] = (
    ("Storage", durio.storage.limits),
    ("Actors", durio.entities.limits),
    ("Orchestrations", durio.orchestration.limits),
    ("The HTTP API", durio.hosting.limits),
)
UNITS: Final = {"BYTES": "bytes", "S": "s", "MS": "ms", "US": "µs", "VERSION": "version"}
NEW: Final = "?"
"""What `refresh` writes in the last column of a limit that the page does not have yet: a person must say it."""

_TABLE: Final = re.compile(r"(?<=\|---\|---\|---\|---\|---\|\n)(?:\|.*\n)+")


def layer_rows(module: ModuleType, beyond: dict[str, str]) -> list[list[str]]:
    """A row for each limit of a layer: name, value, unit, reason, and what is beyond it."""
    assert module.__file__ is not None, "a file of the project"
    body = ast.parse(Path(module.__file__).read_text("utf-8")).body
    rows: list[list[str]] = []
    for at, line in enumerate(body):
        if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name):
            name, reason = line.target.id, _said(body[at + 1] if at + 1 < len(body) else line)
            cells = (written(name, getattr(module, name)), _unit(name), reason.replace("|", "\\|"))
            rows.append([f"`{name}`", *cells, beyond.get(name, NEW)])
    return rows


def beyond_in(text: str) -> list[dict[str, str]]:
    """The last column of each table of the page, by the name of the limit."""
    tables = [table.splitlines() for table in _TABLE.findall(text)]
    return [{cells[0].strip("`"): cells[-1] for cells in map(_cells, lines)} for lines in tables]


def refreshed(text: str) -> str:
    """The page with all columns but the last as the code has them."""
    tables = iter(zip(LAYERS, beyond_in(text), strict=True))

    def table(_: re.Match[str]) -> str:
        (_title, module), beyond = next(tables)
        return "".join(f"| {' | '.join(row)} |\n" for row in layer_rows(module, beyond))

    return _TABLE.sub(table, text)


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def _unit(name: str) -> str:
    return next((unit for word, unit in UNITS.items() if word in name.split("_")), "number")


def _said(line: ast.stmt) -> str:
    if isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant) and isinstance(line.value.value, str):
        return " ".join(line.value.value.split())
    return ""
