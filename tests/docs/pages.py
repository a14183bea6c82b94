"""The pages for people, taken apart: code blocks, links, tables."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import attrs

PROJECT = Path(__file__).resolve().parents[2]
PAGES = [PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md"))]

_FENCE = re.compile(r"^```(\w*)\s*$")
_LINK = re.compile(r"\[[^\]\[]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$")


@attrs.frozen
class Block:
    """A fenced block: its language, its text, and the lines of the two fences (from 1)."""

    language: str
    text: str
    first: int
    last: int


def blocks_of(page: Path) -> list[Block]:
    """All fenced blocks of a page. Raises `ValueError` for a fence that is not closed."""
    blocks: list[Block] = []
    opened: tuple[str, int] | None = None
    lines = page.read_text("utf-8").splitlines()
    for number, line in enumerate(lines, 1):
        fence = _FENCE.match(line)
        if fence is None:
            continue
        if opened is None:
            opened = fence[1], number
        else:
            language, first = opened
            text = "".join(inner + "\n" for inner in lines[first : number - 1])
            blocks.append(Block(language, text, first, number))
            opened = None
    if opened is not None:
        raise ValueError(f"{page}:{opened[1]}: the block is not closed")
    return blocks


def outputs_of(page: Path) -> Iterator[tuple[Block, Block]]:
    """Each Python block of a page with the `output` block that follows it, only blank lines between them."""
    lines = page.read_text("utf-8").splitlines()
    blocks = blocks_of(page)
    for code, output in pairwise(blocks):
        between = lines[code.last : output.first - 1]
        if code.language == "python" and output.language == "output" and not any(map(str.strip, between)):
            yield code, output


def prose_of(page: Path) -> list[tuple[int, str]]:
    """The lines outside of fenced blocks, with their numbers."""
    inside = {number for block in blocks_of(page) for number in range(block.first, block.last + 1)}
    lines = page.read_text("utf-8").splitlines()
    return [(number, line) for number, line in enumerate(lines, 1) if number not in inside]


def links_of(page: Path) -> list[tuple[int, str]]:
    """The targets of all links of a page, with their lines."""
    return [(number, target) for number, line in prose_of(page) for target in _LINK.findall(line)]


def anchors_of(page: Path) -> set[str]:
    """What a link may name behind `#`: the headings, in the way of the usual renderers."""
    headings = [found[1] for _, line in prose_of(page) if (found := _HEADING.match(line))]
    return {re.sub(r"[^\w\- ]", "", heading.replace("`", "")).strip().lower().replace(" ", "-") for heading in headings}


def rows_of(page: Path) -> list[list[str]]:
    """The cells of all rows of all tables of a page, without the lines under the heads."""
    rows = [line for _, line in prose_of(page) if line.startswith("|")]
    cells = [[cell.strip() for cell in row.strip("|").split(" |")] for row in rows]
    return [row for row in cells if not set("".join(row)) <= set("-: ")]


def shown(page: Path) -> str:
    """The name of a page for people."""
    return str(page.relative_to(PROJECT))
