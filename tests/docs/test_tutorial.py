"""Who follows a page with pytest sees what the page says."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.tutorial import FOLLOWED, Command, commands_of, kind_of, steps_in

COMMANDS = [command for page in FOLLOWED for command in commands_of(page)]
FAILING = [command for command in COMMANDS if command.replay is not None]
REFRESH = "run: python -m tests.docs.refresh"


@pytest.mark.parametrize("command", FAILING, ids=str)
def test_replay_gives_the_failure_of_the_page(command: Command, tmp_path: Path) -> None:
    """The replay that a page prints gives the assertion and the trace of the page, and that replay, to the letter."""
    assert command.run(tmp_path / "again", f"--sim-replay={command.replay}") == command.output.text, REFRESH


@pytest.mark.parametrize("command", COMMANDS, ids=str)
def test_command_does_what_the_page_says(command: Command, tmp_path: Path) -> None:
    """A command of a page passes where the page says so; else it finds a failure, no larger than that of the page."""
    told, shown = command.run(tmp_path / "found"), command.output.text
    if command.replay is None:
        assert told == shown
    else:
        assert "what happened" in told
        assert steps_in(told) <= steps_in(shown)
        assert kind_of(told) == kind_of(shown)


def test_pages_show_failures_and_repairs() -> None:
    """What is followed has at least two commands that fail and two that pass."""
    assert len(FAILING) >= 2
    assert len(COMMANDS) - len(FAILING) >= 2
