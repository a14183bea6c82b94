"""docs/cli.md has every command, with its options and an example that the command line can read."""

from __future__ import annotations

import shlex

import pytest
from cyclopts import CycloptsError

from durio.hosting.cli import command_line
from tests.docs.commands import PAGE, commands, refreshed
from tests.docs.pages import blocks_of


def test_the_page_has_the_commands_of_the_command_line() -> None:
    """Commands, arguments, options and what they do are those of `durio --help`."""
    text = PAGE.read_text("utf-8")
    assert refreshed(text) == text, "run: python -m tests.docs.refresh"


def examples() -> list[str]:
    """The commands in the blocks of the page."""
    lines = [line for block in blocks_of(PAGE) if block.language == "sh" for line in block.text.splitlines()]
    return [line.partition("  #")[0].partition(" | ")[0] for line in lines if line.startswith("durio ")]


@pytest.mark.parametrize("example", examples())
def test_examples_can_be_read(example: str) -> None:
    """The command line understands every example."""
    try:
        command_line().parse_args(shlex.split(example)[1:], exit_on_error=False, print_error=False)
    except CycloptsError as error:
        pytest.fail(f"{example}: {error}")


def test_every_command_has_an_example() -> None:
    """The page shows each command at work."""
    shown = examples()
    missing = [
        words for words, _ in commands(command_line()) if not any(f"{line} ".startswith(f"{words} ") for line in shown)
    ]
    assert missing == []
