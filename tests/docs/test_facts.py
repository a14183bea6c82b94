"""Facts that stand in README and docs are those of the code: errors, limits, guarantees."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.facts import LIMITS, error_rows, errors, files_naming, guarantee_rows, written
from tests.docs.pages import PAGES, PROJECT, prose_of, rows_of, shown

NAMED_LIMIT = re.compile(r"`([A-Z][A-Z_]+)`(?: \(([^)]+)\)| \| ([^|]+?) \|)")
TEST_FILE = re.compile(r"\((?:\.\./)?(tests/[\w/.]+)\)")
GUARANTEES = 33
REFRESH = "run: python -m tests.docs.refresh"


def test_errors_table_is_that_of_the_classes() -> None:
    """docs/errors.md lists every public error with its attributes and its docstring."""
    listed = [row for row in rows_of(PROJECT / "docs" / "errors.md") if row[0].strip("`") in errors()]
    assert listed == error_rows(), REFRESH


@pytest.mark.parametrize("page", PAGES, ids=shown)
def test_limits_are_those_of_the_code(page: Path) -> None:
    """Where a page names a limit, the value behind the name is that of the constant."""
    for number, line in prose_of(page):
        for name, in_brackets, in_cell in NAMED_LIMIT.findall(line):
            assert name in LIMITS, f"{shown(page)}:{number}: there is no limit {name}"
            wanted, value = written(name, LIMITS[name]), in_brackets or in_cell
            assert re.match(re.escape(wanted) + r"(?![\d,.])", value), f"{shown(page)}:{number}: {name} is {wanted}"


def test_every_guarantee_has_a_row_and_a_section() -> None:
    """README has a row for every guarantee, with tests or as not yet there; docs/guarantees.md has a heading for it."""
    rows = guarantee_rows(PROJECT / "README.md")
    assert sorted(rows) == list(range(1, GUARANTEES + 1))
    bare = [number for number, row in rows.items() if "not yet" not in row[-1] and not TEST_FILE.search(row[-1])]
    assert bare == [], REFRESH
    headings = re.findall(r"^### G(\d+)", (PROJECT / "docs" / "guarantees.md").read_text("utf-8"), re.MULTILINE)
    assert [int(number) for number in headings] == sorted(rows)


def test_guarantees_are_tested_where_the_pages_say() -> None:
    """Each test file that the pages name for a guarantee has a test whose docstring names that guarantee."""
    named = [(number, row[-1]) for number, row in guarantee_rows(PROJECT / "README.md").items()]
    page = (PROJECT / "docs" / "guarantees.md").read_text("utf-8")
    named += [(int(number), line) for number, line in re.findall(r"^Tests of G(\d+): (.*)$", page, re.MULTILINE)]
    wrong = [
        f"G{number}: {path}"
        for number, line in named
        for path in TEST_FILE.findall(line)
        if path not in files_naming(number)
    ]
    assert wrong == [], REFRESH


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [("X_BYTES_MAX", 256, "256"), ("X_BYTES_MAX", 1 << 22, "4 MiB"), ("X_MAX", 10_000, "10,000"), ("X_MS", 2.5, "2.5")],
)
def test_limits_are_written_for_people(name: str, value: float, text: str) -> None:
    """Bytes are written in whole KiB, MiB or TiB, large numbers with commas."""
    assert written(name, value) == text
