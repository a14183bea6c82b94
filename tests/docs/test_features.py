"""docs/features.md: every thing that the original pages name has its row, and the test that shows it."""

from __future__ import annotations

import re
from typing import Final

from tests.docs.pages import PROJECT, rows_of

PAGE: Final = PROJECT / "docs" / "features.md"
COUNT: Final = 143
REMARKS: Final = ("140", "142")
"""Rows that say nothing that could be shown."""

LINK: Final = re.compile(r"\[([^\]]+)\]\(\.\./(tests/[\w/]+\.py)\)")


def features() -> list[list[str]]:
    return [row for row in rows_of(PAGE) if row[0].isdecimal()]


def test_every_row_is_there_once() -> None:
    """No number is missing, none comes twice, and no row is left open."""
    assert [row[0] for row in features()] == [str(number) for number in range(1, COUNT + 1)]
    for row in features():
        assert len(row) == 4, row
        assert all(row), row


def test_every_row_names_tests_that_exist() -> None:
    """Each link names a file and a test function in it; only remarks have none."""
    without = []
    for number, _, _, shown in features():
        links = LINK.findall(shown)
        if not links:
            without.append(number)
        for words, path in links:
            source = (PROJECT / path).read_text("utf-8")
            assert re.search(rf"def test_{words.replace(' ', '_')}\b", source), (
                f"row {number}: {words} is not in {path}"
            )
    assert tuple(without) == REMARKS
