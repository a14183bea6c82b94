"""Commands about entities, with an owner and without one."""

from __future__ import annotations

from durio.hosting.cli_errors import Exit
from durio.orchestration import App
from tests.hosting.cli_helpers import Cli, Owner


def test_signal_call_and_state(any_cli: Cli) -> None:
    """A signal is done by the owner, whoever that is; a call prints the result as JSON."""
    cli = any_cli
    assert cli.ok("signal", "Till@shop", "add", "--input", "3").err.startswith("@till@shop signaled")
    assert cli.ok("call", "@till@shop", "add", "--input", "4").json == 7
    assert cli.ok("entities", "Till@shop").out == '{\n  "money": 7\n}\n'
    assert cli.ok("entities", "Till@shop", "--json").json == {"entityId": "@till@shop", "state": {"money": 7}}
    assert cli("entities", "Till@other").code == Exit.NO
    failed = cli("call", "Till@shop", "fail")
    assert (failed.code, failed.out) == (Exit.NO, "")
    assert "ValueError: no change" in failed.err
    assert cli("call", "Till@shop", "nonsense").code == Exit.NO
    assert cli("call", "Nobody@shop", "add").code == Exit.NO
    assert cli("call", "Till", "add").code == Exit.USAGE
    assert cli.ok("signal", "Till@shop", "add", "--input", "1", "--at", "2h", "--json").json["done"] is True
    assert cli.ok("call", "Till@shop", "look").json == 7


def test_entities_are_listed(cli: Cli) -> None:
    """By name and prefix, in order, with their states if asked for."""
    with Owner(cli.hub):
        for key in ("b", "a1", "a2"):
            cli.ok("call", f"Till@{key}", "add", "--input", "1")

        def ids(*arguments: str) -> list[str]:
            return [found["entityId"] for found in cli.ok("entities", "--json", *arguments).lines]

        assert ids() == ids("Till") == ["@till@a1", "@till@a2", "@till@b"]
        assert ids("Till", "--prefix", "a") == ["@till@a1", "@till@a2"]
        assert ids("--limit", "2") == ["@till@a1", "@till@a2"]
        assert ids("--limit", "0") == ids("--limit", "3") == ids()
        assert ids("Nobody") == []
        first = cli.ok("entities", "--json").lines[0]
        assert set(first) == {"entityId", "lastOperationTime", "state"}
        assert first["state"] == {"money": 1}
        assert '{"money": 1}' in cli.ok("entities", "--state").out
        assert "more" in cli.ok("entities", "--limit", "1").err
        assert cli.ok("entities", "--limit", "3").err == ""
        assert cli("entities", "--prefix", "a").code == Exit.USAGE
        assert cli.ok("entities", "Nobody").out == "no entities\n"


def test_locks_show_holder_and_waiters(cli: Cli) -> None:
    """Who holds an entity, since when, and who waits (G12)."""
    with Owner(cli.hub):
        assert cli.ok("locks").out == "no entity is locked\n"
        assert cli.ok("locks", "--json").json == []
        cli.ok("start", "locks", "--id", "holder")
        cli.ok("start", "locks", "--id", "waiter")
        (lock,) = cli.ok("locks", "--json").json
        assert set(lock) == {"entityId", "instanceId", "runtimeStatus", "since", "ageSeconds", "waiters", "more"}
        assert (lock["entityId"], lock["instanceId"], lock["runtimeStatus"]) == ("@till@shop", "holder", "Running")
        assert [waiter["instanceId"] for waiter in lock["waiters"]] == ["waiter"]
        assert cli.ok("locks").out.splitlines()[2].split()[:3] == ["@till@shop", "holder", "Running"]


def test_a_signal_needs_neither_owner_nor_app(cli: Cli) -> None:
    """Without both it waits on disk, and the next owner does it (G13)."""
    with Owner(cli.hub):
        pass
    told = cli("signal", "Till@shop", "add", "--input", "5", app=None)
    assert (told.code, told.err) == (Exit.OK, "@till@shop signaled; it waits for the next owner of the hub\n")
    assert cli("entities", "Till@shop", app=None).code == Exit.NO
    assert cli.ok("call", "Till@shop", "look").json == 5


def test_nothing_opens_a_hub_without_its_app(cli: Cli) -> None:
    """An owner that does not know a name refuses what waits for it: so without the app no command becomes the owner.

    It says which option is missing, and what others have queued stays (G20).
    """
    with Owner(cli.hub):
        cli.ok("start", "waits", "--id", "w")
    cli("signal", "Till@shop", "add", "--input", "5", app=None)
    for arguments in (
        ("terminate", "w"),
        ("purge", "--all"),
        ("raise-event", "w", "go"),
        ("call", "Till@shop", "look"),
    ):
        refused = cli(*arguments, app=None)
        assert (refused.code, "--app MODULE:APP" in refused.err) == (Exit.NO_OWNER, True)
    assert cli.ok("call", "Till@shop", "look").json == 5
    assert cli.ok("status", "w", "--json").json["runtimeStatus"] == "Running"


def test_an_owner_without_code_refuses_what_waits_for_it(cli: Cli) -> None:
    """Why that is so: instances and jobs are held by an empty app, but queued signals are lost to it."""
    with Owner(cli.hub):
        cli.ok("start", "waits", "--id", "w")
    cli("signal", "Till@shop", "add", "--input", "5", app=None)
    with Owner(cli.hub, App()):
        assert cli.ok("status", "w", "--json").json["runtimeStatus"] == "Running"
        cli.ok("raise-event", "w", "go")
    assert cli.ok("call", "Till@shop", "look").json == 0
    assert cli.ok("status", "w", "--wait", "--json").json["output"] == [None, None]
