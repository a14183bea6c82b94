"""The command line as a user starts it: processes, signals, pipes, a new project."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from durio.__main__ import main as begin
from durio.hosting.cli import command_line
from durio.hosting.cli_errors import Exit
from tests.docs.pages import PROJECT, blocks_of
from tests.hosting.cli_helpers import Cli, Owner
from tests.hosting.cli_program import APP

# As `durio`, and with Ctrl-C, should these tests run where it is ignored.
PROGRAM = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from durio.__main__ import main
main()
"""
DURIO = (sys.executable, "-c", PROGRAM)
S_MAX = 30
ALTERNATE_ON, ALTERNATE_OFF = b"\x1b[?1049h", b"\x1b[?1049l"
SHOWN_ID = "b79baf67f717453ca9e86c5da21e03ec"


def environment(**extra: str) -> Mapping[str, str]:
    """Of a child: it finds the tests, and shows everything at once."""
    return {**os.environ, "PYTHONPATH": str(PROJECT), "PYTHONUNBUFFERED": "1", **extra}


@contextmanager
def started(*arguments: str, cwd: Path, hears: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A command that runs on, once it has said `hears` on standard error; with the line in which it said so."""
    child = subprocess.Popen(
        [*DURIO, *arguments],
        cwd=cwd,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with child:
        try:
            assert child.stderr is not None
            lines = []
            for line in child.stderr:
                lines.append(line)
                if hears in line:
                    break
            else:
                pytest.fail("".join(lines))
            yield child, line
        finally:
            child.kill()


def ended(child: subprocess.Popen[str], number: int) -> int:
    """The exit code after a signal; what it says then is no traceback."""
    child.send_signal(number)
    _, said = child.communicate(timeout=S_MAX)
    assert "Traceback" not in said, said
    return child.returncode


def test_a_new_project_runs_and_passes_its_test(cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`durio init demo && cd demo && durio run`, then what its README says; and its own tests."""
    project = Path.cwd() / "demo"
    assert cli.plainly("init", "demo").code == Exit.OK
    tests = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    passed = subprocess.run(tests, cwd=project, capture_output=True, text=True, check=False, timeout=S_MAX)
    assert passed.returncode == 0, passed.stdout
    monkeypatch.chdir(project)
    with started("run", cwd=project, hears="is open") as (child, _):
        greeted = cli.plainly("start", "hello", "--input", '["Tokyo"]', "--wait")
        assert (greeted.code, greeted.json) == (Exit.OK, ["Hello Tokyo!"])
        assert cli.plainly("start", "approval", "--input", '"a trip"', "--id", "trip-1").code == Exit.OK
        assert cli.plainly("raise-event", "trip-1", "ApprovalEvent", "--input", "true").code == Exit.OK
        assert cli.plainly("status", "trip-1", "--wait", "--json").json["output"] == "a trip: approved"
        assert cli.plainly("call", "Counter@greeted", "get").json == 1
        assert cli.plainly("doctor", "--json", "--app", APP).json["inUse"] is True
        assert ended(child, signal.SIGTERM) == 0
    assert sorted(path.name for path in project.iterdir() if path.name != "__pycache__") == [
        ".gitignore",
        "README.md",
        "app.py",
        "hub",
        "pyproject.toml",
        "test_app.py",
    ]


def test_init_overwrites_nothing(cli: Cli) -> None:
    """One file that is there already stops it before the first is written."""
    place = Path("there")
    place.mkdir()
    (place / "README.md").write_text("mine")
    refused = cli.plainly("init", "there")
    assert (refused.code, "README.md" in refused.err) == (Exit.NO, True)
    assert [path.name for path in place.iterdir()] == ["README.md"]
    (place / "README.md").rename(place / "mine.md")
    assert cli.plainly("init", "there", "--json").json["files"] == [
        ".gitignore",
        "README.md",
        "app.py",
        "pyproject.toml",
        "test_app.py",
    ]
    assert cli.plainly("init", "there").code == Exit.NO


def test_serve_answers_over_http(cli: Cli) -> None:
    """`durio serve MODULE:APP --hub DIR`: the HTTP API of the same hub, which the other commands work on, too."""
    with started("serve", APP, "--hub", str(cli.hub), "--port", "0", cwd=Path.cwd(), hears="is served at") as (
        child,
        line,
    ):
        (url,) = re.findall(r"http://\S+?(?=,| by)", line)
        request = urllib.request.Request(f"{url}/api/orchestrators/waits/w", data=b"7", method="POST")
        with urllib.request.urlopen(request) as response:
            assert (response.status, json.load(response)["id"]) == (202, "w")
        assert cli.ok("status", "w", "--json").json["input"] == 7
        assert ended(child, signal.SIGINT) == 0


def curl_lines() -> list[tuple[str, str, list[str]]]:
    """The curl lines of the README, with status line, and members or whole body, as shown below."""
    found: list[tuple[str, str, list[str]]] = []
    for block in blocks_of(PROJECT / "README.md"):
        for part in block.text.split("$ ")[1:]:
            command, _, answer = part.partition("\n")
            if command.startswith("curl "):
                members = re.findall(r'"\w+":"[^"]*"', answer)
                members += [line for line in answer.splitlines()[1:] if line and "…" not in line and ": " not in line]
                found.append((command, answer.splitlines()[0], [one for one in members if SHOWN_ID not in one]))
    return found


def test_the_curl_lines_of_the_readme(cli: Cli) -> None:
    """`durio init demo && cd demo && durio serve`, then curl gives what the README says."""
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("no curl here")
    assert cli.plainly("init", "demo").code == Exit.OK
    made = answer = ""
    with started("serve", "--port", "0", cwd=Path.cwd() / "demo", hears="is served at") as (child, line):
        (port,) = re.findall(r"http://127.0.0.1:(\d+)", line)
        assert len(curl_lines()) == 7
        for command, status, members in curl_lines():
            asked = command.replace(":7071", f":{port}").replace(SHOWN_ID, made)
            ask = [curl, "-sS", *shlex.split(asked)[1:]]
            for _ in range(100):  # what is Completed in the end takes three seconds
                answer = subprocess.run(ask, capture_output=True, text=True, check=True).stdout
                if all(member in answer for member in members):
                    break
                threading.Event().wait(0.1)
            assert answer.startswith(status)
            assert [member for member in members if member not in answer] == [], answer
            made = made or json.loads(answer.splitlines()[-1])["id"]
        assert ended(child, signal.SIGTERM) == 0


@pytest.mark.parametrize("host", ["0.0.0.0", "example.org"])
def test_serve_wants_a_key_where_others_can_reach_it(host: str, cli: Cli) -> None:
    """Anything but a loopback address needs a key."""
    for option in (("--host", host), ("--base-url", "https://shop.example"), ("--trust-forwarded",)):
        refused = cli("serve", *option)
        assert (refused.code, "can be reached by others: say --key KEY" in refused.err) == (Exit.USAGE, True)
    assert "is no URL" in cli("serve", "--base-url", "shop.example", "--key", "k").err


def test_serve_names_a_port_that_cannot_be_had(cli: Cli) -> None:
    """A port that is taken, or none at all: one line with the options."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        command = [*DURIO, "serve", APP, "--hub", str(cli.hub), "--port", str(port)]
        refused = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False, timeout=S_MAX)
    assert refused.returncode == Exit.NO
    assert refused.stderr == f"durio: --host 127.0.0.1 --port {port}: Address already in use\n"
    assert cli("serve", "--port", "70000").code == Exit.USAGE
    assert cli("serve", "--connections-max", "0").code == Exit.USAGE


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, Exit.INTERRUPTED), (signal.SIGTERM, Exit.TERMINATED)])
def test_top_lives_on_a_terminal(number: int, code: Exit, cli: Cli) -> None:
    """It shows the hub in the terminal until Ctrl-C or SIGTERM, and gives the terminal back as it was."""
    with Owner(cli.hub):
        cli.ok("start", "waits", "--id", "w")
        ours, theirs = os.openpty()
        child = subprocess.Popen(
            [*DURIO, "top", "--every", "100ms", "--hub", str(cli.hub)],
            env=environment(TERM="xterm", COLUMNS="80", LINES="24"),
            stdout=theirs,
            stderr=subprocess.PIPE,
        )
        os.close(theirs)
        with child:
            shown = b""
            while b"in a second" not in shown:
                shown += os.read(ours, 4096)
            assert b"durio top" in shown
            child.send_signal(number)
            with suppress(OSError):  # the other end is closed
                while more := os.read(ours, 4096):
                    shown += more
            _, said = child.communicate(timeout=S_MAX)
        os.close(ours)
    assert (child.returncode, b"Traceback" in said) == (code, False)
    assert shown.rindex(ALTERNATE_OFF) > shown.rindex(ALTERNATE_ON)


def test_keep_names_an_end_and_a_duration(cli: Cli) -> None:
    """What is neither is wrong usage."""
    for wrong in ("Running=1d", "Completed", "Completed=soon"):
        assert cli("run", "--keep", wrong).code == Exit.USAGE


def test_ctrl_c_ends_at_once_and_cleanly(cli: Cli) -> None:
    """Exit code 130, no traceback, and the hub is free."""
    with started("run", "--hub", str(cli.hub), "--app", APP, cwd=Path.cwd(), hears="is open") as (child, _):
        assert ended(child, signal.SIGINT) == 130
    waiting = ("start", "waits", "--wait", "--hub", str(cli.hub), "--app", APP)
    with started(*waiting, cwd=Path.cwd(), hears="created") as (child, _):
        assert ended(child, signal.SIGINT) == 130
    assert cli.ok("list", "--json").lines[0]["runtimeStatus"] == "Running"


@pytest.mark.parametrize("arguments", [("list", "--json"), ("list",), ("--help",), ("list", "--help")])
def test_a_closed_pipe_is_no_error(arguments: tuple[str, ...], cli: Cli) -> None:
    """`durio list | head -1` ends quietly, and so does `durio --help | head`."""
    with Owner(cli.hub):
        cli.ok("start", "waits")
        hub = () if "--help" in arguments else ("--hub", str(cli.hub))
        command = [*DURIO, *arguments, *hub]
        reader, writer = os.pipe()
        os.close(reader)
        try:
            done = subprocess.run(
                command, stdout=writer, stderr=subprocess.PIPE, env=environment(), check=False, timeout=S_MAX
            )
        finally:
            os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_terminal_without_utf_8_gets_what_it_can_show(cli: Cli) -> None:
    """Whatever the encoding: JSON stays JSON, tables are plain, nothing is refused."""
    with Owner(cli.hub):
        cli.ok("start", "waits", "--id", "ä日", "--input", '"ß"')
        for arguments in (["status", "ä日", "--json"], ["list"], ["history", "ä日", "--output"]):
            shown = subprocess.run(
                [*DURIO, *arguments, "--hub", str(cli.hub)],
                env=environment(PYTHONIOENCODING="ascii"),
                capture_output=True,
                check=True,
                timeout=S_MAX,
            ).stdout
            assert shown.isascii()
            if "--json" in arguments:
                assert (json.loads(shown)["instanceId"], json.loads(shown)["input"]) == ("ä日", "ß")


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Without the libraries of the command line it says what to install, in one line."""
    monkeypatch.setitem(sys.modules, "cyclopts", None)
    with pytest.raises(SystemExit) as caught:
        begin()
    assert caught.value.code == 2
    assert capsys.readouterr().err == "durio: the command line needs cyclopts: pip install 'durio[cli]'\n"


def test_errors_show_a_traceback_if_asked(cli: Cli) -> None:
    """`--traceback` shows where an error comes from; the exit code is the same."""
    plain, shown = cli("list", hub=Path("none")), cli("list", "--traceback", hub=Path("none"))
    assert plain.code == shown.code == Exit.HUB
    assert "Traceback" not in plain.err
    assert "Traceback" in shown.err


def test_bash_completes_commands_and_options(tmp_path: Path) -> None:
    """The script that `--install-completion` installs completes in a real bash."""
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("no bash here")
    script = tmp_path / "durio.bash"
    script.write_text(command_line().generate_completion(shell="bash"))
    words = "source {}; f=$(complete -p durio); f=${{f#*-F }}; COMP_WORDS=({}); COMP_CWORD={}; ${{f%% *}}"
    for typed, at, expected in (
        ("durio sta", 1, {"start", "status"}),
        ("durio dead-letters re", 2, {"retry"}),
        ("durio start --wa", 2, {"--wait"}),
    ):
        command = [bash, "--norc", "-c", words.format(script, typed, at) + "; echo ${COMPREPLY[@]}"]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=S_MAX)
        assert set(done.stdout.split()) == expected, (typed, done.stderr)
