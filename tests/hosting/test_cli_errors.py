"""Every error has an exit code of its kind, and is one line (G31)."""

from __future__ import annotations

from pathlib import Path

import pytest

import durio.entities
import durio.orchestration
import durio.storage
from durio.entities import DurioError
from durio.hosting.cli_errors import OWNER_MISSING, CliError, Exit, UsageError, exit_code_of, single_error, told
from durio.orchestration import InstanceNotFound, NoOwner, OwnerSilent
from durio.storage import FormatMismatch, HubDamaged, HubInUse, NotAHub, StorageError
from tests.docs.pages import PROJECT, rows_of
from tests.hosting.cli_helpers import Cli, Owner

LAYERS = (durio.storage, durio.entities, durio.orchestration)
PUBLIC: dict[str, type[Exception]] = {
    name: found
    for layer in LAYERS
    for name in layer.__all__
    if isinstance(found := getattr(layer, name), type) and issubclass(found, DurioError | StorageError)
}


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_every_error_has_an_exit_code(name: str) -> None:
    """No owner is 3, a hub that cannot be used 4, all else that durio refuses 1: none of them needs a traceback."""
    error = PUBLIC[name]
    expected = Exit.NO
    if issubclass(error, OWNER_MISSING):
        expected = Exit.NO_OWNER
    elif issubclass(error, StorageError):
        expected = Exit.HUB
    assert exit_code_of(error.__new__(error)) == expected


def test_other_errors() -> None:
    """What the command line says itself has its code; a bug has none."""
    assert exit_code_of(UsageError("x")) == Exit.USAGE
    assert exit_code_of(CliError("x", Exit.NOT_YET)) == Exit.NOT_YET
    assert exit_code_of(FileExistsError("x")) == Exit.NO
    assert exit_code_of(KeyboardInterrupt()) == Exit.INTERRUPTED
    assert exit_code_of(AssertionError()) is None
    assert exit_code_of(AttributeError()) is None


def test_groups_of_one_are_opened() -> None:
    """One error in groups is that error; an interrupt wins; several stay together."""
    error = InstanceNotFound("x")
    assert single_error(ExceptionGroup("", [ExceptionGroup("", [error])])) is error
    both = BaseExceptionGroup("", [error, BaseExceptionGroup("", [KeyboardInterrupt()])])
    assert isinstance(single_error(both), KeyboardInterrupt)
    several = ExceptionGroup("", [error, ValueError()])
    assert single_error(several) is several


def test_errors_name_commands() -> None:
    """Where an error says what to do, it says so in commands."""
    assert "durio upgrade" in told(FormatMismatch("hub", 1, 2))
    assert "newer durio" in told(FormatMismatch("hub", 3, 2))
    assert "durio doctor" in told(HubDamaged("hub", "data.mdb: cut", 2))
    for error in (NoOwner("hub", 10, "~id"), OwnerSilent("hub", 7, 10, "~id")):
        assert told(error).endswith("the request stays queued")
    assert told(HubInUse("hub", 7)) == str(HubInUse("hub", 7))
    assert told(NotAHub("hub", "")) == str(NotAHub("hub", ""))
    assert told(KeyError()) == "KeyError"


def test_the_page_has_the_exit_codes() -> None:
    """docs/cli.md has a row for each."""
    shown = [row[0] for row in rows_of(PROJECT / "docs" / "cli.md") if row[0].isdecimal()]
    assert shown == [str(code.value) for code in Exit]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--json", "list"), "--json: options stand behind the command, as durio list --json. See --help."),
        (("status", "a", "b", "c"), "b c: that is one word too many, or several; a value with spaces stands in quotes"),
        (
            ("start", "echo", "--event", "go=yes"),
            """no JSON; text is written with quotes inside quotes: --event go='"yes"'""",
        ),
        (("start", "echo", "--tag", "a=1", "--tag", "a=2"), "--tag a=2: a was given before, as 1"),
        (("run", "--keep", "Failed"), "--keep Failed: write --keep STATUS=DURATION"),
        (("run", "--keep", "Failed=1d", "--keep", "failed=2d"), "--keep failed=2d: it was said before"),
        (("dead-letters", "--after", "x"), "--after x is no id of a dead letter"),
        (("dead-letters", "--limit", "-1"), "--limit -1 is below 0"),
    ],
)
def test_wrong_usage_says_how_it_is_written(arguments: tuple[str, ...], told: str, cli: Cli) -> None:
    """Exit code 2, one line, and nothing was done."""
    with Owner(cli.hub):
        refused = cli.plainly(*arguments) if arguments[0].startswith("-") else cli(*arguments)
        assert (refused.code, refused.out, refused.err.count("\n")) == (Exit.USAGE, "", 1)
        assert told in refused.err
        assert cli.ok("list").out == "no instances\n"


def test_an_error_of_the_system_is_said_in_words(cli: Cli) -> None:
    """What is wrong, and with which file: no number of the system, and no name of a function."""
    with Owner(cli.hub):
        Path("there").mkdir()
        Path("there", "letter").touch()
        refused = cli("backup", "there")
        assert refused.err.startswith("durio: a copy of a hub overwrites nothing: give a new or empty folder: '/")
        assert "durio dead-letters shows" in cli("dead-letters", "drop", "1.1").err
        for command in (("backup", "copy"), ("upgrade",)):
            missing = cli(*command, hub=Path("none"))
            assert (missing.code, missing.err) == (Exit.HUB, "durio: there is no hub at 'none'; durio run makes one\n")
