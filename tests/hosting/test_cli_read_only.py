"""Commands on a hub that may not be written to: rights that are missing, and a file system that is read-only."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from durio.hosting.cli_errors import Exit
from tests.hosting.cli_helpers import Cli, Owner, Result
from tests.hosting.cli_program import APP
from tests.hosting.test_cli_process import DURIO, S_MAX, environment
from tests.storage.damage import tree

READING = (
    ("status", "w", "--json"),
    ("list", "--json"),
    ("history", "w", "--json"),
    ("entities", "--json"),
    ("locks",),
    ("dead-letters",),
    ("doctor", "--idle", "1h", "--json"),
    ("replay", "--json"),
    ("rewind", "f", "--dry-run"),
    ("top", "--once"),
)
SOME = tuple(arguments for arguments in READING if arguments[0] in ("list", "doctor", "replay"))
CHANGING = (("terminate", "w"), ("purge", "f"), ("start", "echo"), ("call", "Till@shop", "look"), ("run",), ("serve",))
WITHOUT_RIGHTS = ("setpriv", "--bounding-set=-all", "--inh-caps=-all") if os.geteuid() == 0 else ()
"""Root may write everywhere, but without its capabilities."""


def run(cli: Cli, arguments: Sequence[str], prefix: Sequence[str] = WITHOUT_RIGHTS, app: bool = True) -> Result:
    """Run a command in a process of its own."""
    options = ["--hub", str(cli.hub), *(["--app", APP] if app else [])]
    done = subprocess.run(
        [*prefix, *DURIO, *arguments, *options],
        env=environment(PYTHONDONTWRITEBYTECODE="1"),
        capture_output=True,
        text=True,
        check=False,
        timeout=S_MAX,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return Result(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def filled(cli: Cli) -> Cli:
    """A hub with something of everything."""
    with Owner(cli.hub):
        cli.ok("start", "waits", "--id", "w")
        cli.ok("call", "Till@shop", "add", "--input", "1")
        cli("start", "fails", "--id", "f", "--input", '"it"', "--wait")
    return cli


@pytest.fixture
def forbidden(filled: Cli) -> Iterator[Cli]:
    """It may not be written to."""
    if WITHOUT_RIGHTS and shutil.which(WITHOUT_RIGHTS[0]) is None:
        pytest.skip("no setpriv here, and root may write everywhere")
    places = [filled.hub, *filled.hub.rglob("*")]
    for place in places:
        place.chmod(place.stat().st_mode & ~0o222)
    yield filled
    for place in places:
        place.chmod(place.stat().st_mode | 0o200)


def test_what_only_reads_needs_no_right_to_write(filled: Cli, request: pytest.FixtureRequest) -> None:
    """While nobody owns the hub, its commands say the same as where it may be written to, and change nothing (G13)."""
    expected = [cut(filled(*arguments)) for arguments in READING]
    forbidden: Cli = request.getfixturevalue("forbidden")
    before = tree(forbidden.hub)
    assert [cut(run(forbidden, arguments)) for arguments in READING] == expected
    assert run(forbidden, ("backup", "copy")).code == Exit.OK
    assert tree(forbidden.hub) == before
    assert forbidden("status", "w", hub=Path("copy")).code == Exit.OK


def cut(result: Result) -> tuple[int, str]:
    """What a command gave, without how long ago."""
    return result.code, "" if result.out.startswith("durio top") else result.out


def test_a_copy_may_be_read_anywhere(filled: Cli, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """A backup on a medium that may not be written to can be read as it is."""
    copy = Cli(tmp_path / "copy", filled.capsys)
    filled.ok("backup", str(copy.hub))
    shutil.rmtree(filled.hub)
    shutil.move(copy.hub, filled.hub)
    forbidden: Cli = request.getfixturevalue("forbidden")
    listed = run(forbidden, ("list", "--json"))
    assert (listed.code, [line["instanceId"] for line in listed.lines]) == (Exit.OK, ["w", "f"])


def test_what_changes_a_hub_says_that_it_may_not(forbidden: Cli) -> None:
    """Exit code 4 and one line; with and without the program."""
    before = tree(forbidden.hub)
    for arguments in CHANGING:
        refused = run(forbidden, arguments)
        assert (refused.code, refused.out, refused.err.count("\n")) == (Exit.HUB, "", 1), refused.err
        assert "may not be written to" in refused.err
    assert "that would change it" in run(forbidden, ("signal", "Till@shop", "add"), app=False).err
    assert tree(forbidden.hub) == before


def test_a_hub_of_another_user_is_read_by_nobody_else_while_it_works(forbidden: Cli) -> None:
    """What is read without LMDB's knowledge may be written over: the owner is named, exit code 4 (G13)."""
    if not WITHOUT_RIGHTS:
        pytest.skip("an owner needs rights that these tests do not have")
    with Owner(forbidden.hub):
        for arguments in (("list",), ("doctor",), ("replay",), ("backup", "copy")):
            refused = run(forbidden, arguments)
            assert (refused.code, refused.out, refused.err.count("\n")) == (Exit.HUB, "", 1), refused.err
            assert f"process {os.getpid()} owns it" in refused.err
    assert not Path("copy").exists()


def test_a_file_system_that_is_read_only(filled: Cli) -> None:
    """Its hub is read while nobody owns it elsewhere; LMDB itself would not look."""
    hub = str(filled.hub)
    mounted = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"'
    prefix = ("unshare", "--mount", "sh", "-c", mounted, hub)
    if (
        shutil.which("unshare") is None
        or subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode
    ):
        pytest.skip("no mounts of one's own here")
    expected = [cut(filled(*arguments)) for arguments in SOME]
    assert [cut(run(filled, arguments, prefix)) for arguments in SOME] == expected
    refused = run(filled, ("terminate", "w"), prefix)
    assert (refused.code, "Read-only file system" in refused.err) == (Exit.HUB, True)
    with Owner(filled.hub):
        for arguments in (("list",), ("backup", "copy")):
            refused = run(filled, arguments, prefix)
            assert (refused.code, f"process {os.getpid()} owns it" in refused.err) == (Exit.HUB, True), refused.err
