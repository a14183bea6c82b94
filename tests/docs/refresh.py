"""Writes into the pages what the code knows: `python -m tests.docs.refresh`, from the project's root.

README.md and docs/guarantees.md get, for each guarantee, the test files that name it most often; docs/errors.md gets
the table of errors, docs/cli.md that of commands, docs/http-api.md that of routes, docs/limits.md all of its tables but
the last column; pages that are followed with pytest get what pytest says. The tests beside this file check all of it,
and say so when it has to run again.
"""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from tests.docs import commands, http_routes, limits, tutorial
from tests.docs.facts import error_rows, files_naming
from tests.docs.pages import PROJECT

IN_README, IN_PAGE = 3, 6


def main() -> None:
    """Refresh the pages."""
    _rewrite(PROJECT / "README.md", r"^(\| \[G(\d+)\].*\| )(?!not yet)[^|]*\|$", IN_README, "", " |")
    _rewrite(PROJECT / "docs" / "guarantees.md", r"^(Tests of G(\d+): ).*$", IN_PAGE, "../", ".")
    page = PROJECT / "docs" / "errors.md"
    rows = "\n".join("| " + " | ".join(row) + " |" for row in error_rows())
    text = page.read_text("utf-8")
    page.write_text(re.sub(r"(?<=\|---\|---\|---\|---\|\n)(?:\|.*\n)+", lambda _: rows + "\n", text), "utf-8")
    limits.PAGE.write_text(limits.refreshed(limits.PAGE.read_text("utf-8")), "utf-8")
    http_routes.PAGE.write_text(http_routes.refreshed(http_routes.PAGE.read_text("utf-8")), "utf-8")
    commands.PAGE.write_text(commands.refreshed(commands.PAGE.read_text("utf-8")), "utf-8")
    for followed in tutorial.FOLLOWED:
        with tempfile.TemporaryDirectory() as folder:
            tutorial.refresh(followed, Path(folder))


def _rewrite(page: Path, pattern: str, most: int, prefix: str, end: str) -> None:
    def line(found: re.Match[str]) -> str:
        return found[1] + (_links(int(found[2]), most, prefix) or "no test names it") + end

    text = re.sub(pattern, line, page.read_text("utf-8"), flags=re.MULTILINE)
    page.write_text(text, "utf-8")


def _links(number: int, most: int, prefix: str) -> str:
    shown = (
        (path.removeprefix("tests/").removesuffix(".py").replace("/test_", "/"), path)
        for path in sorted(files_naming(number)[:most])
    )
    return ", ".join(f"[{name}]({prefix}{path})" for name, path in shown)


if __name__ == "__main__":
    main()
