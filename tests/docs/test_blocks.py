"""Every Python block of README and docs runs, and prints what the page says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, Block, blocks_of, outputs_of, shown

LANGUAGES = frozenset({"python", "output", "sh", "text"})
MARK = "=== end of the block that closes at line "
PAGE_S_MAX = 60

WITH_CODE = [page for page in PAGES if any(block.language == "python" for block in blocks_of(page))]


def program_of(page: Path) -> str:
    """All Python blocks of a page as one program whose line numbers are those of the page.

    Where a block closes, the program prints a mark, so that the output of each block can be told.
    """
    lines = [""] * len(page.read_text("utf-8").splitlines())
    for block in blocks_of(page):
        if block.language == "python":
            lines[block.first : block.last - 1] = block.text.splitlines()
            lines[block.last - 1] = f"print({MARK + str(block.last)!r})"
    return "\n".join(lines) + "\n"


def run(program: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a program in a fresh interpreter that starts in an empty folder, warnings being errors."""
    folder.mkdir()
    return subprocess.run(
        [sys.executable, "-W", "error", str(program)],
        cwd=folder,
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        text=True,
        timeout=PAGE_S_MAX,
        check=False,
    )


def printed_by(block: Block, output: str) -> str:
    """What one block printed."""
    before = output.partition(MARK + str(block.last) + "\n")[0]
    return before.rpartition(MARK)[2].partition("\n")[2] if MARK in before else before


@pytest.mark.parametrize("page", WITH_CODE, ids=shown)
def test_blocks_run_and_print_what_the_page_says(page: Path, tmp_path: Path) -> None:
    """The Python blocks of a page run in order as one program, and each prints what stands below it."""
    program = tmp_path / f"{page.stem}.py"
    program.write_text(program_of(page), "utf-8")
    ended = run(program, tmp_path / "folder")
    assert ended.returncode == 0, f"{shown(page)} (the lines are those of the page):\n{ended.stderr}"
    for block, output in outputs_of(page):
        assert printed_by(block, ended.stdout) == output.text, f"{shown(page)}:{block.first}"


@pytest.mark.parametrize("page", PAGES, ids=shown)
def test_blocks_say_their_language(page: Path) -> None:
    """Every block is python, output, sh or text, and an output stands right below the block that prints it."""
    blocks = blocks_of(page)
    assert {block.language for block in blocks} <= LANGUAGES
    paired = {output.first for _, output in outputs_of(page)}
    assert [block.first for block in blocks if block.language == "output" and block.first not in paired] == []


def test_the_checks_see_a_difference(tmp_path: Path) -> None:
    """A block that prints something else than its output block, or that raises, is found."""
    page = tmp_path / "page.md"
    page.write_text("```python\nprint(1)\n```\n\n```output\n1\n```\n\n```python\nprint(2)\n```\n", "utf-8")
    program = tmp_path / "page.py"
    program.write_text(program_of(page), "utf-8")
    ended = run(program, tmp_path / "one")
    code, last = (block for block in blocks_of(page) if block.language == "python")
    assert (printed_by(code, ended.stdout), printed_by(last, ended.stdout)) == ("1\n", "2\n")
    program.write_text("\n\nraise ValueError\n", "utf-8")
    assert "line 3" in run(program, tmp_path / "two").stderr
