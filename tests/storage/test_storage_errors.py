"""Errors of the storage layer carry their facts."""

import pickle

import pytest

from durio.storage import (
    Ambiguous,
    CorruptRecord,
    Fenced,
    FormatMismatch,
    HubBroken,
    HubClosed,
    HubDamaged,
    HubInUse,
    HubReadOnly,
    InboxHeld,
    KeyTooLong,
    NetworkFileSystem,
    NoSpace,
    NotAHub,
    ReservedKey,
    SimulatedCrash,
    StorageError,
    UsedAfterFork,
)

EVERY_ERROR: tuple[StorageError, ...] = (
    HubInUse("/hub", 17),
    HubInUse("/hub", None),
    HubReadOnly("/hub", "process 17 owns it"),
    InboxHeld("/hub", 18),
    InboxHeld("/hub", None),
    NotAHub("/hub", "it is no folder"),
    FormatMismatch("/hub", 2, 1),
    NetworkFileSystem("/hub", "nfs4"),
    HubDamaged("/hub", "data.mdb: it is missing", 3),
    CorruptRecord(b"key", "the checksum does not fit"),
    KeyTooLong(600, 511),
    ReservedKey(b"\x00x"),
    Fenced(3, 4),
    Ambiguous(9),
    NoSpace("/hub"),
    HubBroken("input/output error"),
    HubClosed("/hub"),
    UsedAfterFork(12, 11),
)


def test_every_error_is_in_this_test() -> None:
    """No error class escapes the tests of this file."""
    assert {type(error) for error in EVERY_ERROR} == set(StorageError.__subclasses__())


@pytest.mark.parametrize("error", [*EVERY_ERROR, SimulatedCrash(3, "after")], ids=repr)
def test_an_error_survives_pickling_with_its_facts(error: BaseException) -> None:
    """An error that crosses a process keeps type, attributes and message."""
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert vars(copy) == vars(error)
    assert str(copy) == str(error)


@pytest.mark.parametrize("error", EVERY_ERROR, ids=repr)
def test_a_message_names_every_fact_that_is_known(error: StorageError) -> None:
    """The text says with which values it went wrong, not only that it did (G31)."""
    for fact in vars(error).values():
        if fact is not None:
            assert (fact if isinstance(fact, str) else repr(fact)) in str(error)
