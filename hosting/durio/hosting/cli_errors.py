"""What the command line says when something is wrong, and the exit codes that scripts can use."""

from __future__ import annotations

from enum import IntEnum

from durio.entities import DeadLetterNotFound, DurioError
from durio.orchestration import NoOwner, OwnerSilent
from durio.storage import (
    CorruptRecord,
    FormatMismatch,
    HubBroken,
    HubDamaged,
    HubInUse,
    InboxHeld,
    NetworkFileSystem,
    NoSpace,
    NotAHub,
    StorageError,
)


class Exit(IntEnum):
    """Exit codes; docs/cli.md has the same table."""

    OK = 0
    NO = 1
    USAGE = 2
    NO_OWNER = 3
    HUB = 4
    NOT_YET = 5
    INTERRUPTED = 130
    TERMINATED = 143


class CliError(Exception):
    """A command cannot do what it was asked. One line for people, and an exit code."""

    def __init__(self, message: str, code: Exit = Exit.NO) -> None:
        super().__init__(message, code)
        self.message = message
        self.code = code

    def __str__(self) -> str:
        return self.message


class UsageError(CliError):
    """The command line, an environment variable, a configuration file or the user's program must be corrected."""

    def __init__(self, message: str) -> None:
        super().__init__(message, Exit.USAGE)


OWNER_MISSING = (NoOwner, OwnerSilent, HubInUse, InboxHeld)
HUB_UNUSABLE = (NotAHub, FormatMismatch, NetworkFileSystem, HubDamaged, HubBroken, CorruptRecord, NoSpace, StorageError)


def told(error: BaseException) -> str:
    """What an error says, in the words of the command line where they differ."""
    if isinstance(error, FormatMismatch) and error.found < error.expected:
        return (
            f"the hub {error.path!r} has disk format {error.found}, this durio reads format {error.expected}: "
            "durio upgrade makes a copy and brings it up to date"
        )
    if isinstance(error, HubDamaged):
        return (
            f"the hub {error.path!r} is damaged ({error.finding}; {error.others} more findings): nothing was changed; "
            "check the disk and restore a backup; durio doctor names everything"
        )
    if isinstance(error, DeadLetterNotFound):
        return f"there is no dead letter {error.letter_id!r}; durio dead-letters shows those there are"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror if error.filename is None else f"{error.strerror}: {error.filename!r}"
    if isinstance(error, NoOwner | OwnerSilent):
        return str(error).partition(": ask again")[0]
    return str(error) or type(error).__name__


def single_error(error: BaseException) -> BaseException:
    """The one error in groups of one, or the interrupt in a group of any."""
    while isinstance(error, BaseExceptionGroup):
        interrupt = error.subgroup(KeyboardInterrupt)
        if interrupt is not None:
            return KeyboardInterrupt()
        first, *others = error.exceptions
        if others:
            return error
        error = first
    return error


def exit_code_of(error: BaseException) -> Exit | None:
    """The exit code of an error that needs no traceback; None if it is a bug."""
    if isinstance(error, KeyboardInterrupt):
        return Exit.INTERRUPTED
    if isinstance(error, CliError):
        return error.code
    if isinstance(error, OWNER_MISSING):
        return Exit.NO_OWNER
    if isinstance(error, HUB_UNUSABLE):
        return Exit.HUB
    if isinstance(error, DurioError | OSError | ValueError):
        return Exit.NO
    return None
