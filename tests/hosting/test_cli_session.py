"""How commands reach a hub: whoever owns it, and whoever comes in between (G1, G13)."""

from __future__ import annotations

import os
from functools import partial

import pytest
import trio

from durio.hosting import cli_session
from durio.hosting.cli_errors import Exit
from durio.hosting.cli_session import owner_of
from durio.orchestration import App, connect, open_hub
from durio.storage import LmdbStore, OwnerLock
from tests.hosting.cli_helpers import Cli, Owner
from tests.hosting.cli_program import TILL


def test_an_owner_that_comes_between_is_asked(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who finds no owner, and then cannot become it, asks the one that was faster."""
    with Owner(cli.hub):
        assert owner_of(str(cli.hub)) == os.getpid()
        monkeypatch.setattr(cli_session, "owner_of", lambda _: None)
        assert cli.ok("call", "Till@shop", "add", "--input", "1").json == 1


def test_a_command_leaves_the_hub_to_others(cli: Cli) -> None:
    """A command that was the owner for a moment has closed the hub when it ends."""
    cli.ok("call", "Till@shop", "add", "--input", "1")
    assert owner_of(str(cli.hub)) is None
    with Owner(cli.hub):
        assert cli.ok("call", "Till@shop", "add", "--input", "1").json == 2


def test_an_owner_that_is_silent_is_exit_code_3(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hub that is locked, and whose owner takes nothing: the command says so, with its pid."""
    LmdbStore.open(cli.hub).close()
    lock = OwnerLock.take(str(cli.hub / "owner.lock"), str(cli.hub))
    try:
        monkeypatch.setattr(cli_session, "connect", partial(connect, timeout_s=0.3))
        silent = cli("terminate", "w")
        assert (silent.code, str(os.getpid()) in silent.err, silent.err.count("\n")) == (Exit.NO_OWNER, True, 1)
        assert cli.ok("list").out == "no instances\n"
    finally:
        lock.release()


def test_a_second_owner_is_exit_code_3(cli: Cli) -> None:
    """`run` on a hub in use names the process that has it."""
    with Owner(cli.hub):
        second = cli("run", "--log", "error")
    assert (second.code, f"process {os.getpid()}" in second.err) == (Exit.NO_OWNER, True)


def test_what_waits_goes_on_while_a_command_owns_the_hub(cli: Cli) -> None:
    """A command without an owner runs the program meanwhile, as any owner would (G9)."""

    async def queue() -> None:
        async with connect(cli.hub) as client:
            await client.signal_entity(TILL, "add", 2)

    async def make() -> None:
        async with open_hub(cli.hub, App()):
            pass

    trio.run(make)
    trio.run(queue)
    cli.ok("start", "echo", "--wait")
    assert cli.ok("entities", "Till@shop").out == '{\n  "money": 2\n}\n'
