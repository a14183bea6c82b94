"""docs/failure-modes.md: every row says what durio does, what the user does, and which test shows it."""

from __future__ import annotations

import re

from tests.docs.facts import errors
from tests.docs.pages import PROJECT, rows_of

PAGE = PROJECT / "docs" / "failure-modes.md"
TEST_FILE = re.compile(r"\]\(\.\./(tests/[\w/]+\.py)\)")


def test_every_failure_has_an_answer_and_a_test() -> None:
    """G32: no row is left open, and each names a file of tests."""
    head, *rows = (row for row in rows_of(PAGE) if not row[0].startswith("---"))
    assert head == ["what happens", "what durio does", "what you do", "shown by"]
    assert len(rows) > 20
    for row in rows:
        assert len(row) == len(head), row
        assert all(row), row
        assert TEST_FILE.search(row[-1]), row


def test_every_error_of_the_disk_is_in_the_table() -> None:
    """Whoever gets one of these errors finds its row."""
    text = PAGE.read_text("utf-8")
    wanted = {
        "HubInUse",
        "HubReadOnly",
        "HubBroken",
        "Ambiguous",
        "HubDamaged",
        "CorruptRecord",
        "NoSpace",
        "FormatMismatch",
        "NotAHub",
    }
    assert wanted <= errors().keys()
    assert [name for name in sorted(wanted) if f"`{name}`" not in text] == []
