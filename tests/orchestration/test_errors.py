"""Errors of orchestrations keep their facts and survive a journey to another process."""

from __future__ import annotations

import copy
import pickle

import pytest

from durio.entities import DurioError, Failure
from durio.orchestration import (
    ActionRefused,
    ActivityCrashed,
    ActivityTimeout,
    Cancelled,
    InstanceAlreadyExists,
    InstanceFinished,
    InstanceNotFailed,
    InstanceNotFinished,
    InstanceNotFound,
    LockCycle,
    LockingRulesViolation,
    NoActivity,
    NonDeterminismError,
    NonRetriableError,
    NoOwner,
    OwnerSilent,
    TaskCancelledError,
    TaskFailedError,
    TaskNotCompleted,
    Terminated,
    TurnTooLong,
    errors,
)

FAILURE = Failure("ValueError", "no", inner=Failure("KeyError", "x"))

ERRORS: list[tuple[BaseException, str]] = [
    (InstanceAlreadyExists("x", "hello", "Running"), "'x' already exists: orchestration 'hello', Running"),
    (InstanceNotFound("x"), "start it first"),
    (InstanceFinished("x", "Completed"), "has ended (Completed)"),
    (InstanceNotFinished("x", "Running"), "has not ended (Running); terminate it first"),
    (InstanceNotFailed("x", "Running"), "has not failed (Running)"),
    (LockCycle(("a", "@e@1", "a")), "a waits for @e@1, which is locked by a"),
    (LockingRulesViolation("a was locked", "lock b"), "a was locked: lock b"),
    (TaskFailedError("activity 'f'", FAILURE), "activity 'f' failed: ValueError: no"),
    (TaskCancelledError("timer 1"), "cancelled by task.cancel()"),
    (TaskNotCompleted("timer 1"), "await it first"),
    (NonDeterminismError("x", "TimerSet(id=1)", "nothing more", "a.py:3 in f"), "not deterministic at a.py:3 in f"),
    (NonDeterminismError("x", "TimerSet(id=1)", "nothing more"), "holds TimerSet(id=1), but the code wants nothing"),
    (TurnTooLong("x", 1_000_000), "1,000,000 steps or actions"),
    (ActivityTimeout("f", 1.5), "longer than 1.5 s"),
    (ActivityCrashed("f", 10), "'f' was running at 10 unclean ends"),
    (NonRetriableError("too much"), "too much"),
    (NoActivity(), "inside activities only"),
    (ActionRefused("Refused", "not here"), "Refused: not here"),
    (NoOwner("/hub", 10.0, "~a.1"), "waited 10.0 s; the request stays queued: ask again with request_id='~a.1'"),
    (OwnerSilent("/hub", 17, 10.0, ""), "process 17 owns the hub '/hub' and does not answer"),
    (Cancelled("x", ""), "no reason given"),
    (Terminated("x", ""), "no reason given"),
]


@pytest.mark.parametrize(("error", "text"), ERRORS)
def test_errors_survive_pickling_and_say_what_happened(error: BaseException, text: str) -> None:
    """G31: class, facts and text are the same after a journey, and the text has the facts."""
    assert text in str(error)
    for found in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(found) is type(error)
        assert (str(found), found.args, vars(found)) == (str(error), error.args, vars(error))
    assert isinstance(error, DurioError | Cancelled), "who catches DurioError must not catch what ends the code"


def test_every_error_of_the_layer_is_shown_here() -> None:
    """G31: no error class is without a test of its text."""
    mine = {cls for cls in vars(errors).values() if isinstance(cls, type) and cls.__module__ == errors.__name__}
    assert mine == {type(error) for error, _ in ERRORS}
