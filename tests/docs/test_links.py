"""What README and docs name is there: files, headings, tests, commands."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, PROJECT, anchors_of, blocks_of, links_of, prose_of, shown
from tests.project.style import functions

OUTSIDE = ("https://", "http://", "mailto:")
NAMED = re.compile(r"`((?:\./)?[\w.-]+(?:/[\w.-]+)+/?)`")
TEST = re.compile(r"\b(test_\w+)\b")
ROOTS = frozenset(path.name for path in PROJECT.iterdir())


@cache
def files_of_tests() -> dict[str, str]:
    """The file of every test."""
    return {
        function.name: str(path.relative_to(PROJECT))
        for path in (PROJECT / "tests").rglob("test_*.py")
        for function in functions(ast.parse(path.read_text("utf-8")))
        if function.name.startswith("test_")
    }


def is_there(page: Path, target: str) -> bool:
    """Whether a link of a page leads somewhere inside the project."""
    path, _, anchor = target.partition("#")
    found = (page.parent / path).resolve() if path else page
    if not found.exists() or not found.is_relative_to(PROJECT):
        return False
    return not anchor or (found.suffix == ".md" and anchor in anchors_of(found))


@pytest.mark.parametrize("page", PAGES, ids=shown)
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link leads to a file of the project, and to a heading of it if it names one."""
    broken = [
        f"{shown(page)}:{number}: {target}"
        for number, target in links_of(page)
        if not target.startswith(OUTSIDE) and not is_there(page, target)
    ]
    assert not broken, "\n".join(broken)


@pytest.mark.parametrize("page", PAGES, ids=shown)
def test_named_files_exist(page: Path) -> None:
    """Every path in the prose that begins with a folder of the project exists."""
    missing = [
        f"{shown(page)}:{number}: {path}"
        for number, line in prose_of(page)
        for path in NAMED.findall(line)
        if path.removeprefix("./").split("/")[0] in ROOTS and not (PROJECT / path).exists()
    ]
    assert not missing, "\n".join(missing)


@pytest.mark.parametrize("page", PAGES, ids=shown)
def test_named_tests_exist(page: Path) -> None:
    """Every test that a page names exists."""
    stems = {Path(path).stem for path in files_of_tests().values()}
    missing = [
        f"{shown(page)}:{number}: {name}"
        for number, line in prose_of(page)
        for name in TEST.findall(line)
        if name not in files_of_tests() and name not in stems
    ]
    assert not missing, "\n".join(missing)


@pytest.mark.parametrize("page", PAGES, ids=shown)
def test_named_scripts_exist(page: Path) -> None:
    """Every script that a shell block starts exists."""
    words = [word for block in blocks_of(page) if block.language == "sh" for word in block.text.split()]
    scripts = {word for word in words if word.startswith("scripts/")}
    assert {script for script in scripts if not (PROJECT / script).is_file()} == set()


def test_index_names_every_page() -> None:
    """docs/README.md has a link to every page beside it."""
    index = PROJECT / "docs" / "README.md"
    linked = {target.partition("#")[0] for _, target in links_of(index)}
    assert {path.name for path in index.parent.glob("*.md")} - linked == {"README.md"}


def test_reading_list_is_complete() -> None:
    """README's way through the source names every file of the layers, each once."""
    linked = [target for _, target in links_of(PROJECT / "README.md") if "/durio/" in target]
    files = {
        str(path.relative_to(PROJECT))
        for layer in ("storage", "entities", "orchestration", "hosting", "simulation")
        for path in (PROJECT / layer).rglob("*.py")
        if path.name != "__init__.py"
    }
    assert (files - set(linked), set(linked) - files) == (set(), set()), "not listed; not there"
    assert len(linked) == len(files)
