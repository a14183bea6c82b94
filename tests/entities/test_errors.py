"""Errors keep their facts and survive a journey to another process."""

from __future__ import annotations

import copy
import pickle

import pytest

from durio.entities import (
    AlreadyRegistered,
    AskInsideTurn,
    DeadLetterNotFound,
    DeadLetterUnreadable,
    DurioError,
    EntityOperationFailed,
    InvalidAddress,
    LockLost,
    NoOperation,
    NotDurable,
    NotRegistered,
    OperationTimeout,
    PayloadError,
    Poisoned,
    RequestExpired,
    RequestIdReused,
    UnknownOperation,
    errors,
)

ERRORS: list[tuple[Exception, str]] = [
    (InvalidAddress("", "it is empty"), "'' cannot be an id: it is empty"),
    (NotRegistered("entity", "x", ("b", "a")), "registered: a, b"),
    (NotRegistered("entity", "x"), "registered: nothing"),
    (AlreadyRegistered("entity", "x"), "is registered already"),
    (RequestIdReused("x"), "use a new id"),
    (RequestExpired("x", 90_000.0, 86_400.0), "90000 s old"),
    (NotDurable("trio was used", "use a timer", "a.py:3 in f"), "trio was used at a.py:3 in f: use a timer"),
    (NotDurable("trio was used", "use a timer"), "trio was used: use a timer"),
    (AskInsideTurn("a client was used", "use the context"), "use the context"),
    (EntityOperationFailed("@a@b", "add", "ValueError", "no", "stack"), "'add' of @a@b failed: ValueError: no"),
    (LockLost("@a@b", "x", "y"), "'x' has no lock on @a@b any more (it is locked by 'y')"),
    (LockLost("@a@b", "x"), "it is not locked"),
    (UnknownOperation("counter", "sub", ("add", "get")), "it has: add, get"),
    (OperationTimeout("work", 1.5), "longer than 1.5 s"),
    (NoOperation(), "inside operations only"),
    (Poisoned("@a@b", "operation 'add'", "it was running", "1.2"), "'add' of @a@b is dead letter 1.2: it was running"),
    (Poisoned("x", "its code", "it was running"), "its code of x is not run again: it was running"),
    (DeadLetterNotFound("1.2"), "list_dead_letters() shows"),
    (DeadLetterUnreadable("1.2", "too short"), "'1.2' cannot be decoded: too short"),
    (PayloadError("input", "set", "use a list"), "use a list"),
]


@pytest.mark.parametrize(("error", "text"), ERRORS)
def test_errors_survive_pickling_and_say_what_to_do(error: Exception, text: str) -> None:
    """G31: class, facts and text are the same after a journey, and the text tells the way out."""
    assert text in str(error)
    for found in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(found) is type(error)
        assert (str(found), found.args, vars(found)) == (str(error), error.args, vars(error))
    assert isinstance(error, DurioError)


def test_every_error_of_the_layer_is_shown_here() -> None:
    """G31: no error class is without a test of its text."""
    classes = {cls for cls in vars(errors).values() if isinstance(cls, type) and issubclass(cls, DurioError)}
    assert classes - {DurioError} <= {type(error) for error, _ in ERRORS}
