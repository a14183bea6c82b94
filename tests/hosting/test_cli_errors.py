"""Every error has an exit code of its kind, and is one line (G31)."""

from __future__ import annotations

import pytest

import durio.entities
import durio.orchestration
import durio.storage
from durio.entities import DurioError
from durio.hosting.cli_errors import OWNER_MISSING, CliError, Exit, UsageError, exit_code_of, single_error, told
from durio.orchestration import InstanceNotFound, NoOwner, OwnerSilent
from durio.storage import FormatMismatch, HubDamaged, HubInUse, NotAHub, StorageError
from tests.docs.pages import PROJECT, rows_of

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
