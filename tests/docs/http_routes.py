"""The routes of the HTTP API as rows of docs/http-api.md, read from the table that requests are looked up in."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from durio.hosting.http import MANAGEMENT, STARTERS
from durio.hosting.table import EVERYWHERE, Table
from tests.docs.pages import PROJECT

PAGE: Final[Path] = PROJECT / "docs" / "http-api.md"
_ROUTES: Final = r"(?<=\| route \| query \| answers \|\n\|---\|---\|---\|\n)(?:\|.*\n)*"
_EVERYWHERE: Final = r"(?<=\| any route \| when \|\n\|---\|---\|\n)(?:\|.*\n)*"


def rows(table: Table) -> Iterator[str]:
    """A row for each route: what is asked, with which query, and what may be answered."""
    for route in table:
        query = ", ".join(f"`{one.name}`{' (needed)' if one.required else ''}" for one in route.query)
        answers = "; ".join(f"**{code}** {words.rstrip('.')}" for code, words in sorted(route.answers.items()))
        body = f" Body: {route.body[0].lower()}{route.body[1:]}" if route.body else ""
        yield f"| `{route.method} {route.path}` {route.what}{body} | {query} | {answers} |\n"


def refreshed(text: str) -> str:
    """The page with the routes of the code."""
    tables = iter(("".join(rows(MANAGEMENT)), "".join(rows(STARTERS))))
    text = re.sub(_ROUTES, lambda _: next(tables), text)
    everywhere = "".join(f"| {code} | {words} |\n" for code, words in EVERYWHERE.items())
    return re.sub(_EVERYWHERE, lambda _: everywhere, text)
