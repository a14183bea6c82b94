"""Commands that act on instances, with an owner and without one."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from durio.hosting.cli_errors import Exit
from tests.hosting.cli_helpers import Cli, Owner, Terminal


def status(cli: Cli, instance_id: str) -> str:
    """The runtime status of an instance."""
    return str(cli.ok("status", instance_id, "--json").json["runtimeStatus"])


def test_the_life_of_an_instance(any_cli: Cli) -> None:
    """Suspend, resume, an event, terminate, cancel, restart: each is done when the command returns (G13, G26)."""
    cli = any_cli
    cli.ok("start", "waits", "--id", "w", "--input", "1")
    assert cli.ok("suspend", "w", "--reason", "-later-").err == "w suspended\n"
    assert status(cli, "w") == "Suspended"
    cli.ok("raise-event", "w", "go", "--input", "[2]")
    assert cli.ok("resume", "w", "--json").json == {"instanceId": "w", "done": True}
    assert cli.ok("status", "w", "--wait", "--json").json["output"] == [1, [2]]

    cli.ok("start", "waits", "--id", "t")
    cli.ok("terminate", "t", "--reason", "enough")
    found = cli.ok("status", "t", "--json").json
    assert (found["runtimeStatus"], found["output"]) == ("Terminated", "enough")
    assert cli("terminate", "t").code == Exit.NO

    cli.ok("start", "waits", "--id", "c")
    cli.ok("cancel", "c")
    assert cli("status", "c", "--wait").code == Exit.NO
    assert status(cli, "c") == "Canceled"

    again = cli.ok("restart", "w").out.strip()
    assert cli.ok("status", again, "--json").json["input"] == 1
    assert cli.ok("restart", "t", "--same-id", "--json").json == {"instanceId": "t", "created": True}
    assert status(cli, "t") == "Running"


def test_rewind(any_cli: Cli, tmp_path: Path) -> None:
    """A dry run says what would be done again and changes nothing; then it is done, and what was well stays (G27)."""
    cli, file = any_cli, tmp_path / "file.txt"
    assert cli("start", "reads", "--id", "r", "--input", json.dumps(str(file)), "--wait").code == Exit.NO
    plan = cli.ok("rewind", "r", "--dry-run", "--json").json
    assert set(plan) == {"instanceId", "dryRun", "rewind", "dropped", "again", "rewound", "terminated", "kept"}
    assert (plan["dryRun"], plan["rewind"], plan["rewound"], plan["terminated"]) == (True, 1, [], [])
    assert any("repairable" in line for line in plan["again"])
    assert not any("double" in line for line in plan["again"])
    shown = cli.ok("rewind", "r", "--dry-run")
    assert "asked for again:\n" in shown.out
    assert shown.err == "nothing was changed\n"
    assert status(cli, "r") == "Failed"
    file.write_text("text")
    assert cli.ok("rewind", "r", "--reason", "the file is there").err == "r rewound\n"
    assert cli.ok("status", "r", "--wait", "--json").json["output"] == [2, "text"]
    for arguments in (("rewind", "r"), ("rewind", "r", "--dry-run"), ("rewind", "nobody")):
        assert cli(*arguments).code == Exit.NO


def test_purge_by_id(any_cli: Cli) -> None:
    """What has ended goes; what is not there, or has not ended, is exit code 1 (G18)."""
    cli = any_cli
    for instance_id in ("a", "b"):
        cli.ok("start", "echo", "--id", instance_id, "--wait")
    cli.ok("start", "waits", "--id", "w")
    assert cli.ok("purge", "a", "--json").json == {"instancesDeleted": 1}
    partly = cli("purge", "a", "b")
    assert (partly.code, partly.out) == (Exit.NO, "1 purged\n")
    assert "no instance with ID 'a'" in partly.err
    assert cli("purge", "w").code == Exit.NO
    assert status(cli, "w") == "Running"


def test_purge_by_filter(any_cli: Cli) -> None:
    """What has ended and fits goes, the rest stays; nothing is purged without a filter."""
    cli = any_cli
    for number in range(3):
        cli.ok("start", "echo", "--id", f"e{number}", "--tag", f"n={number}", "--wait")
    cli.ok("start", "waits", "--id", "w")
    assert cli("purge").code == Exit.USAGE
    assert cli("purge", "e1", "--all").code == Exit.USAGE
    assert cli.ok("purge", "--tag", "n=1", "--json").json == {"instancesDeleted": 1}
    assert cli.ok("purge", "--status", "Completed", "--yes").out == "2 purged\n"
    assert cli.ok("purge", "--all").out == "0 purged\n"
    assert [one["instanceId"] for one in cli.ok("list", "--json").lines] == ["w"]


@pytest.mark.parametrize(("answer", "left"), [("n\n", 1), ("\n", 1), ("", 1), ("y\n", 0)])
def test_purge_asks_at_a_terminal(answer: str, left: int, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """At a terminal a purge by filter says how many it would purge; only `y` lets it."""
    with Owner(cli.hub):
        cli.ok("start", "echo", "--wait")
        monkeypatch.setattr(sys, "stdin", Terminal(answer))
        asked = cli("purge", "--all")
        assert "purge 1 instance? [y/N]" in asked.err
        assert asked.code == (Exit.OK if left == 0 else Exit.NO)
        monkeypatch.setattr(sys, "stdin", io.StringIO())
        assert len(cli.ok("list", "--json").lines) == left


def test_purge_goes_on_behind_an_id_that_it_cannot_purge(any_cli: Cli) -> None:
    """One that has not ended is named, and the others go (G18)."""
    cli = any_cli
    for instance_id in ("a", "b"):
        cli.ok("start", "echo", "--id", instance_id, "--wait")
    cli.ok("start", "waits", "--id", "w")
    partly = cli("purge", "a", "w", "b")
    assert (partly.code, partly.out, "has not ended (Running)" in partly.err) == (Exit.NO, "2 purged\n", True)


def test_what_has_completed_is_not_rewound(any_cli: Cli) -> None:
    """It is said what could be done instead (G27)."""
    any_cli.ok("start", "echo", "--id", "e", "--wait")
    for command in (("rewind", "e"), ("rewind", "e", "--dry-run")):
        refused = any_cli(*command)
        assert (refused.code, "only what has failed is rewound; see durio restart" in refused.err) == (Exit.NO, True)
