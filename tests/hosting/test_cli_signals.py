"""Ctrl-C and SIGTERM end commands where they can be ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from durio.hosting import cli_instances
from durio.hosting.cli_errors import Exit
from tests.hosting.cli_helpers import Cli, Owner
from tests.hosting.test_cli_process import DURIO, S_MAX, environment

COPYING = sys.modules["durio.storage.backup"]


@pytest.fixture(autouse=True)
def hears() -> Iterator[None]:
    """Ctrl-C is heard, also where these tests run in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, Exit.INTERRUPTED), (signal.SIGTERM, Exit.TERMINATED)])
def test_a_command_ends_where_it_waits(number: int, code: Exit, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal is not raised in the middle of things: a task of Trio that was half started would be waited for."""
    steps = []

    def show(*_: Any) -> None:
        steps.append("before")
        signal.raise_signal(number)
        steps.append("behind")

    monkeypatch.setattr(cli_instances, "show_status", show)
    with Owner(cli.hub):
        cli.ok("start", "waits", "--id", "w")
        assert cli("status", "w").code == code
    assert steps == ["before", "behind"]
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_sigterm_is_heard_where_ctrl_c_is_ignored(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in the background of a script."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    monkeypatch.setattr(COPYING, "run_child", lambda *_, **__: signal.raise_signal(signal.SIGTERM))
    with Owner(cli.hub):
        assert cli("backup", "copy").code == Exit.TERMINATED


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, Exit.INTERRUPTED), (signal.SIGTERM, Exit.TERMINATED)])
def test_a_backup_that_is_ended_leaves_nothing(
    number: int, code: Exit, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was copied so far is deleted."""
    monkeypatch.setattr(COPYING, "run_child", lambda *_, **__: signal.raise_signal(number))
    with Owner(cli.hub):
        ended = cli("backup", "copy")
    assert (ended.code, ended.out, ended.err) == (code, "", "")
    assert list(Path.cwd().iterdir()) == []


def test_ctrl_c_is_an_answer(cli: Cli) -> None:
    """While a command waits for what is typed, Ctrl-C ends it at once."""
    with Owner(cli.hub):
        cli.ok("start", "echo", "--wait")
        ours, theirs = os.openpty()
        child = subprocess.Popen(
            [*DURIO, "purge", "--all", "--hub", str(cli.hub)],
            env=environment(),
            stdin=theirs,
            stderr=subprocess.PIPE,
        )
        os.close(theirs)
        with child:
            assert child.stderr is not None
            asked = b""
            while b"[y/N]" not in asked:
                asked += child.stderr.read(1)
            child.send_signal(signal.SIGINT)
            _, said = child.communicate(timeout=S_MAX)
        os.close(ours)
        assert (child.returncode, b"Traceback" in said) == (Exit.INTERRUPTED, False)
        assert len(cli.ok("list", "--json").lines) == 1
