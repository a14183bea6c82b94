"""doctor, backup, upgrade, replay, dead letters, top: on hubs that are in use, and on others."""

from __future__ import annotations

import os
import shutil
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from durio.entities import MAIL_LANE, Letter, Operation, keys
from durio.entities.messages import encode_record
from durio.hosting.cli_errors import Exit
from durio.hosting.cli_output import how_far
from durio.orchestration import App, OrchestrationContext
from durio.storage import FORMAT_VERSION, LmdbStore, WriteSet
from tests.hosting.cli_helpers import Cli, Owner, Terminal

OLD = Path(__file__).parents[1] / "fixtures" / "hub_format_1"

changed = App()


@changed.orchestration
async def waits(ctx: OrchestrationContext, given: Any = None) -> Any:
    await ctx.call_activity("something_else")


def test_a_hub_that_is_well(any_cli: Cli) -> None:
    """Exit code 0; who waits for an event from outside is well, and shown if asked for."""
    cli = any_cli
    cli.ok("start", "waits", "--id", "w")
    found = cli.ok("doctor", "--json", "--idle", "0s").json
    assert set(found) == {
        "ok",
        "path",
        "records",
        "inUse",
        "damage",
        "damageHidden",
        "stuck",
        "unregistered",
        "deadLetters",
    }
    assert (found["ok"], found["damage"], found["unregistered"], found["deadLetters"]) == (True, [], [], 0)
    assert [(one["instanceId"], one["certain"]) for one in found["stuck"]] == [("w", False)]
    assert found["stuck"][0]["waitsFor"] == ["event 'go'"]
    told = cli.ok("doctor", "--idle", "0s")
    assert "nothing is wrong" in told.out
    assert "1 wait for events from outside" in told.err
    assert cli.ok("doctor", "--idle", "1h", "--json").json["stuck"] == []


def test_who_waits_for_others_is_shown_if_asked_for(cli: Cli) -> None:
    """`--waiting` names the events."""
    with Owner(cli.hub):
        cli.ok("start", "waits", "--id", "w")
        assert "event 'go'" in cli.ok("doctor", "--idle", "0s", "--waiting").out


def test_missing_code_is_found(cli: Cli) -> None:
    """Instances whose code the app does not have: exit code 1 (G20). Without an app it is said what was not checked."""
    with Owner(cli.hub):
        cli.ok("start", "waits", "--id", "w")
        cli.ok("start", "locks", "--id", "l")
        found = cli("doctor", "--json", app="tests.hosting.test_cli_care:changed")
        assert found.code == Exit.NO
        (missing,) = found.json["unregistered"]
        assert (missing["kind"], missing["name"], missing["count"]) == ("orchestration", "locks", 1)
        assert missing["examples"] == ["l"]
        assert "locks" in cli("doctor", app="tests.hosting.test_cli_care:changed").out
        without = cli("doctor", app=None)
        assert (without.code, "--app" in without.err) == (Exit.OK, True)
        assert cli("doctor", "--json", app=None).json["unregistered"] is None


def test_damage_is_found(cli: Cli) -> None:
    """A damaged hub: exit code 1 from doctor, and 4 from whoever wants to use it (G32)."""
    with Owner(cli.hub):
        cli.ok("start", "waits", "--id", "w", "--input", '"a long enough text"')
    data = cli.hub / "0" / "data.mdb"
    data.write_bytes(data.read_bytes().replace(b"a long enough text", b"b long enough text"))
    found = cli("doctor", "--json")
    assert (found.code, found.json["ok"]) == (Exit.NO, False)
    assert found.json["damage"]
    assert "findings" in cli("doctor").out
    used = cli("terminate", "w")
    assert (used.code, "is damaged" in used.err) == (Exit.HUB, True)


def test_what_is_no_hub(cli: Cli, tmp_path: Path) -> None:
    """No hub, another folder, a file: exit code 4, one line, and nothing is made there."""
    other = tmp_path / "other"
    other.mkdir()
    (other / "letter.txt").write_text("x")
    for hub in (tmp_path / "none", other, other / "letter.txt"):
        for arguments in (("status", "x"), ("list",), ("terminate", "x"), ("doctor",), ("top", "--once")):
            result = cli(*arguments, hub=hub)
            assert (result.code, result.out, result.err.count("\n")) == (Exit.HUB, "", 1)
    assert not (tmp_path / "none").exists()
    assert [path.name for path in other.iterdir()] == ["letter.txt"]
    assert "durio run makes one" in cli("list", hub=tmp_path / "none").err


def test_a_backup_is_a_hub(any_cli: Cli, tmp_path: Path) -> None:
    """While the hub is in use, and when it is not; nothing is overwritten."""
    cli = any_cli
    cli.ok("start", "waits", "--id", "w")
    copy = tmp_path / "copy"
    told = cli.ok("backup", str(copy), "--json").json
    assert set(told) == {"path", "records"}
    assert cli("status", "w", hub=copy).code == Exit.OK
    again = cli("backup", str(copy))
    assert again.code == Exit.NO
    assert str(copy) in again.err
    assert "records, checked" in cli.ok("backup", str(tmp_path / "another")).out


def test_upgrade_keeps_a_copy(cli: Cli) -> None:
    """An older hub is refused with a hint; `upgrade` brings it up to date, after it made a copy."""
    shutil.copytree(OLD, cli.hub)
    refused = cli("list")
    assert (refused.code, "upgrade" in refused.err) == (Exit.HUB, True)
    assert "durio upgrade makes a copy" in refused.err
    told = cli.ok("upgrade", "--json").json
    assert told == {"upgraded": True, "backup": f"{cli.hub}.format-1"}
    assert cli("list").code == Exit.OK
    assert FORMAT_VERSION > 1
    assert cli.ok("upgrade").out == "it is up to date already\n"


def test_replay_tries_other_code(any_cli: Cli) -> None:
    """Whether the instances of a hub go on with the code of an app, also while the hub is in use (G20)."""
    cli = any_cli
    cli.ok("start", "waits", "--id", "w")
    cli.ok("start", "echo", "--id", "e", "--wait")
    fits = cli.ok("replay", "--json").json
    assert [(one["instanceId"], one["fits"], one["error"]) for one in fits] == [("w", True, None)]
    assert set(fits[0]) == {"instanceId", "name", "version", "runtimeStatus", "events", "fits", "error"}
    assert [one["instanceId"] for one in cli.ok("replay", "--finished", "--json").json] == ["e", "w"]
    broken = cli("replay", app="tests.hosting.test_cli_care:changed")
    assert (broken.code, broken.err) == (Exit.NO, "0 of 1 instances go on with this code\n")
    assert "something_else" in broken.out
    told = cli("replay", "--json", app="tests.hosting.test_cli_care:changed")
    assert (told.code, told.json[0]["fits"]) == (Exit.NO, False)
    assert cli.ok("status", "w", "--json").json["runtimeStatus"] == "Running"


def test_top_shows_a_hub_once(any_cli: Cli) -> None:
    """Counts by status, the newest instances first, locks."""
    cli = any_cli
    for number in range(12):
        cli.ok("start", "waits", "--id", f"w{number}")
    cli.ok("start", "locks", "--id", "l")
    cli.ok("start", "echo", "--id", "e", "--wait")
    frame = cli.ok("top", "--once", "--json").json
    assert set(frame) == {"time", "owner", "counts", "startedPerSecond", "endedPerSecond", "newest", "locks"}
    assert (frame["counts"]["Running"], frame["counts"]["Completed"], frame["counts"]["Failed"]) == (13, 1, 0)
    assert [one["instanceId"] for one in frame["newest"]][:3] == ["e", "l", "w11"]
    assert len(frame["newest"]) == 10
    assert frame["locks"] == [{"entityId": "@till@shop", "instanceId": "l"}]
    shown = cli.ok("top", "--once").out
    assert "Running 13  Completed 1  Failed 0" in shown
    assert "@till@shop" in shown
    assert cli("top", "--once", "--every", "1ms").code == Exit.USAGE


def park_a_message(hub: Path) -> None:
    """Leave what an owner leaves that has parked an operation."""
    message = Operation(at_us=0, name="add", input=b"3")
    letter = Letter("@till@shop", MAIL_LANE, encode_record(message), "it ended the process", 3, 0)
    with closing(LmdbStore.open(hub)) as store:
        store.commit(WriteSet(((keys.letter(1 << 40), encode_record(letter)),)))


@pytest.mark.parametrize("command", ["retry", "drop"])
def test_dead_letters(command: str, cli: Cli) -> None:
    """They are listed, counted by doctor, retried or dropped (G6)."""
    park_a_message(cli.hub)
    with Owner(cli.hub):
        assert cli("doctor", "--json").json["deadLetters"] == 1
        told = cli("doctor")
        assert (told.code, "durio dead-letters" in told.out) == (Exit.NO, True)
        (letter,) = cli.ok("dead-letters", "--json").json
        assert set(letter) == {"id", "address", "what", "input", "why", "times", "parkedAt"}
        assert (letter["address"], letter["input"], letter["times"]) == ("@till@shop", 3, 3)
        assert cli.ok("dead-letters").out.splitlines()[2].startswith(letter["id"])
        assert cli.ok("dead-letters", "list", "--after", letter["id"]).out == "no dead letters\n"
        cli.ok("dead-letters", command, letter["id"])
        assert cli.ok("dead-letters", "--json").json == []
        assert cli("dead-letters", command, letter["id"]).code == Exit.NO
        assert cli("dead-letters", command, "nonsense").code == Exit.NO
        assert cli.ok("call", "Till@shop", "look").json == (3 if command == "retry" else 0)


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (("backup", "copy"), "records checked, 100 %"),
        (("doctor", "--idle", "0s"), "3 of 3 instances looked at, 100 %"),
        (("replay",), "3 of 3 instances replayed, 100 %"),
        (("replay", "--finished"), "5 of 5 instances replayed, 100 %"),
        (("purge", "--all", "--yes"), "2 instances purged"),
        (("purge", "--all"), "2 of 2 instances purged, 100 %"),
    ],
)
def test_what_takes_long_says_how_far_it_is(
    command: tuple[str, ...], told: str, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In counts and percent, on standard error, and only if that is a terminal."""
    with Owner(cli.hub):
        for number in range(5):
            cli.ok("start", "waits" if number % 2 == 0 else "echo", "--id", f"i{number}")
        cli.ok("status", "i3", "--wait")
        copy = Path("copy")
        if "purge" not in command:
            quiet = cli.ok(*command)
            assert "%" not in quiet.err
            shutil.rmtree(copy, ignore_errors=True)
        monkeypatch.setattr(sys, "stderr", Terminal())
        monkeypatch.setattr(sys, "stdin", Terminal("y\n"))
        shown = cli.ok(*command)
        assert isinstance(sys.stderr, Terminal)
        assert told in sys.stderr.getvalue()
        assert "%" not in shown.out


@pytest.mark.parametrize(
    ("far", "told"),
    [
        (("bytes copied", 12_345_678, 86_000_000), "12.3 of 86.0 MB copied, 14 %"),
        (("records checked", 9_999, 10_000), "9,999 of 10,000 records checked, 99 %"),
        (("instances purged", 1_234, 0), "1,234 instances purged"),
    ],
)
def test_how_far_it_is(far: tuple[str, int, int], told: str) -> None:
    """With its unit, and in percent if it is known how much there is."""
    assert how_far(*far) == told


@pytest.mark.parametrize("bytes_left", [0, 9000])
def test_a_reader_is_not_ended_by_a_hub_that_was_cut(bytes_left: int, cli: Cli) -> None:
    """Exit code 4 and one line, from a command that reads, too: not the end of its process by a signal (G32)."""
    with Owner(cli.hub):
        cli.ok("start", "waits", "--id", "w")
    os.truncate(cli.hub / "0" / "data.mdb", bytes_left)
    for command in (("list",), ("status", "w"), ("top", "--once"), ("replay",), ("purge", "w")):
        cut = cli(*command)
        assert (cut.code, cut.out, cut.err.count("\n")) == (Exit.HUB, "", 1)
        assert "is damaged" in cut.err
    assert cli("doctor").code == Exit.NO
