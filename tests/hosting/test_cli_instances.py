"""start, status, list: with an owner in another thread, and without one."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from durio.hosting.cli_errors import Exit
from tests.hosting.cli_helpers import Cli, Owner, Terminal

STATUS_KEYS = {
    "name",
    "instanceId",
    "runtimeStatus",
    "input",
    "customStatus",
    "output",
    "createdTime",
    "lastUpdatedTime",
    "version",
    "tags",
    "parentInstanceId",
    "executionId",
    "failure",
}


def test_start_prints_the_id(any_cli: Cli) -> None:
    """The id, and nothing else, is on standard output; whether it was created or found is told beside it."""
    first = any_cli.ok("start", "waits", "--id", "w", "--input", '{"a": 1}', "--tag", "who=me", "--tag", "x=")
    assert (first.out, first.err.splitlines()[0]) == ("w\n", "w created")
    assert any_cli.ok("start", "waits", "--id", "w", "--if-running", "return").err.startswith("w runs already")
    taken = any_cli("start", "waits", "--id", "w")
    assert taken.code == Exit.NO
    assert taken.err == "durio: w exists already: waits, Running; see --if-running and --if-finished\n"
    assert any_cli.ok("start", "waits", "--id", "w", "--if-running", "replace", "--json").json == {
        "instanceId": "w",
        "created": True,
    }
    fresh = any_cli.ok("start", "waits")
    assert any_cli.ok("status", fresh.out.strip(), "--json").json["runtimeStatus"] == "Running"


def test_start_and_wait_prints_the_output(any_cli: Cli) -> None:
    """`--wait` prints the output as JSON, and the exit code says whether it completed."""
    done = any_cli.ok("start", "echo", "--id", "e", "--input", '["ß", null]', "--wait")
    assert (done.json, done.err) == (["ß", None], "e created\n")
    assert any_cli.ok("start", "waits", "--wait", "--event", 'go={"b": 2}', "--input", "-1").json == [-1, {"b": 2}]
    failed = any_cli("start", "fails", "--input", '"pump"', "--wait")
    assert (failed.code, failed.out) == (Exit.NO, "")
    assert "Failed: " in failed.err
    assert "pump is broken" in failed.err
    told = any_cli("start", "fails", "--input", '"pump"', "--wait", "--json")
    assert (told.code, told.json["runtimeStatus"], told.json["created"]) == (Exit.NO, "Failed", True)
    assert set(told.json["failure"]) == {"type", "message", "stack"}
    late = any_cli("start", "waits", "--id", "late", "--wait", "--timeout", "10ms")
    assert (late.code, late.out) == (Exit.NOT_YET, "")
    assert "durio status late" in late.err
    assert any_cli.ok("start", "versioned", "--version", "2", "--wait").json == "two"


def test_start_later(any_cli: Cli) -> None:
    """`--at` leaves it Pending until then; a time without a zone is local."""
    for at in ("2h", "2100-01-01T12:00", "2100-01-01T12:00+02:00"):
        started = any_cli.ok("start", "echo", "--at", at).out.strip()
        assert any_cli.ok("status", started, "--json").json["runtimeStatus"] == "Pending"


def test_status_has_all_keys(any_cli: Cli) -> None:
    """The keys of a status are always the same; times are UTC."""
    any_cli.ok("start", "waits", "--id", "w", "--input", '"x"', "--tag", "who=me")
    found = any_cli.ok("status", "w", "--json").json
    assert set(found) == STATUS_KEYS
    assert found["tags"] == {"who": "me"}
    assert found["createdTime"].endswith("Z")
    assert (found["input"], found["customStatus"], found["output"]) == ("x", {"waits": "for go"}, None)
    shown = any_cli.ok("status", "w").out
    assert [line.split()[0] for line in shown.splitlines()] == [
        "instance",
        "orchestration",
        "status",
        "created",
        "updated",
        "tags",
        "input",
        "custom",
    ]


def test_status_of_a_failure_shows_its_stack(cli: Cli) -> None:
    """People see what was raised, and where."""
    cli("start", "fails", "--id", "f", "--input", '"pump"', "--wait")
    shown = cli.ok("status", "f").out
    assert "failure" in shown
    assert "pump is broken" in shown
    assert "Traceback" in shown


def test_status_waits_for_the_end(any_cli: Cli) -> None:
    """`--wait` binds to the life that goes on; the exit code says how it ended (G17)."""
    any_cli.ok("start", "waits", "--id", "w")
    assert any_cli("status", "w", "--wait", "--timeout", "10ms").code == Exit.NOT_YET
    any_cli.ok("raise-event", "w", "go")
    assert any_cli.ok("status", "w", "--wait", "--json").json["output"] == [None, None]
    any_cli("start", "fails", "--id", "f", "--input", "1")
    assert any_cli("status", "f", "--wait").code == Exit.NO


def test_ids_may_be_anything(cli: Cli) -> None:
    """Ids with dashes, slashes, spaces and other scripts, behind `--` if they begin with a dash (G31)."""
    with Owner(cli.hub):
        for instance_id in ("-dash", "--json", "a/b c", "日本", "[red]x", "🙂"):
            assert cli.ok("start", "waits", f"--id={instance_id}").out == f"{instance_id}\n"
            assert cli.ok("status", "--json", "--", instance_id).json["instanceId"] == instance_id
            assert instance_id in cli.ok("status", "--", instance_id).out
            assert cli.ok("raise-event", "--", instance_id, "go").code == Exit.OK
            assert cli.ok("status", "--wait", "--", instance_id).code == Exit.OK
            assert cli.ok("history", "--", instance_id).out.startswith(instance_id)
        hint = cli("status", "-x")
        assert (hint.code, "behind --" in hint.err) == (Exit.USAGE, True)
        assert cli("status", "@entity@key").code == Exit.NO


def test_list_filters(cli: Cli) -> None:
    """Every filter finds what fits, and all of them together (G17)."""
    with Owner(cli.hub):
        for number in range(3):
            cli.ok("start", "waits", "--id", f"w{number}", "--tag", f"n={number}")
        cli.ok("start", "echo", "--id", "e1", "--wait")

        def ids(*arguments: str) -> list[str]:
            return [found["instanceId"] for found in cli.ok("list", "--json", *arguments).lines]

        assert ids() == ["w0", "w1", "w2", "e1"]
        assert ids("--status", "completed") == ["e1"]
        assert ids("--status", "Running", "--status", "Failed") == ["w0", "w1", "w2"]
        assert ids("--name", "echo") == ["e1"]
        assert ids("--prefix", "w") == ["w0", "w1", "w2"]
        assert ids("--tag", "n=1") == ["w1"]
        assert ids("--created-from", "1h", "--name", "echo") == ["e1"]
        assert ids("--created-to", "1h") == ids("--updated-to", "2000-01-01") == []
        assert ids("--limit", "2") == ["w0", "w1"]
        assert ids("--limit", "0") == ids("--limit", "4") == ids()
        assert set(cli.ok("list", "--json").lines[0]) == STATUS_KEYS
        assert "more: --limit 0" in cli.ok("list", "--limit", "2").err
        assert cli.ok("list", "--limit", "4").err == ""
        table = cli.ok("list").out.splitlines()
        assert table[0].split() == ["instance", "orchestration", "status", "created", "updated"]
        assert [line.split()[0] for line in table[2:]] == ids()
        assert cli("list", "--status", "Sleeping").code == Exit.USAGE
        assert cli("list", "--limit", "-1").code == Exit.USAGE


def test_an_empty_hub_lists_nothing(cli: Cli) -> None:
    """People are told so; programs get no line."""
    with Owner(cli.hub):
        assert cli.ok("list").out == "no instances\n"
        assert cli.ok("list", "--json").out == ""


@pytest.mark.parametrize(
    "arguments",
    [
        ("start",),
        ("start", "echo", "--input", "word"),
        ("start", "echo", "--timeout", "1s"),
        ("start", "echo", "--at", "noon"),
        ("start", "echo", "--tag", "x"),
        ("start", "echo", "--if-running", "maybe"),
        ("start", "echo", "--nonsense"),
        ("status",),
        ("status", "x", "--timeout", "soon", "--wait"),
        ("nonsense",),
        ("list", "--created-from", "tomorrow"),
    ],
)
def test_wrong_usage_is_exit_code_2(arguments: tuple[str, ...], cli: Cli) -> None:
    """Wrong usage is one line on standard error, changes nothing and makes no hub."""
    result = cli(*arguments)
    assert (result.code, result.out) == (Exit.USAGE, "")
    assert result.err.startswith("durio: ")
    assert result.err.count("\n") == 1
    assert not cli.hub.exists()


def test_what_is_not_there_is_exit_code_1(any_cli: Cli) -> None:
    """Not found, not registered: one line that says so."""
    any_cli.ok("start", "echo", "--id", "e", "--wait")
    for arguments, told in (
        (("status", "nobody"), "there is no instance with ID 'nobody'"),
        (("history", "nobody"), "there is no instance with ID 'nobody'"),
        (("start", "nonsense"), "no orchestration named 'nonsense'"),
        (("raise-event", "nobody", "go"), "there is no instance"),
        (("terminate", "e"), "has ended (Completed)"),
    ):
        result = any_cli(*arguments)
        assert (result.code, result.out) == (Exit.NO, "")
        assert told in result.err


def test_a_terminal_of_80_columns_gets_whole_lines(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables fit into the terminal: what is too long ends in …, nothing wraps; statuses have colours."""
    with Owner(cli.hub):
        cli.ok("start", "waits", "--id", "x" * 200)
        cli.ok("start", "echo", "--id", "short", "--wait")
        terminal = Terminal()
        monkeypatch.setattr(sys, "stdout", terminal)
        monkeypatch.setenv("TERM", "xterm-256color")
        monkeypatch.setenv("COLUMNS", "80")
        cli("list")
        coloured = terminal.getvalue()
        assert "\x1b[" in coloured
        terminal.seek(0)
        terminal.truncate()
        monkeypatch.setenv("NO_COLOR", "1")
        cli("list")
    lines = re.sub(r"\x1b\[\d*m", "", terminal.getvalue()).splitlines()
    assert len(lines) == 4
    assert all(len(line) <= 80 for line in lines)
    assert "xxx…" in lines[2]
    assert "\x1b[3" not in terminal.getvalue()


def test_output_into_a_pipe_is_not_cut(cli: Cli, tmp_path: Path) -> None:
    """Where nobody looks nothing is cut to a width, and no line ends in spaces."""
    with Owner(cli.hub):
        cli.ok("start", "waits", "--id", "x" * 200, "--input", json.dumps("y" * 300))
        listed = cli.ok("list").out
        assert "x" * 200 in listed
        assert all(line == line.rstrip() for line in listed.splitlines())
        assert "y" * 300 in cli.ok("status", "x" * 200).out


def test_what_could_steer_a_terminal_is_shown_escaped(cli: Cli) -> None:
    """Escape sequences in payloads and failures reach no terminal."""
    cli("start", "fails", "--id", "f", "--input", json.dumps("\x1b[2J\x9b1m"), "--wait")
    for arguments in (("status", "f"), ("history", "f", "--output"), ("status", "f", "--json")):
        assert not {"\x1b", "\x9b"} & set(cli.ok(*arguments).out)
