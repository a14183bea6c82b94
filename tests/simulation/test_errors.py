"""Errors of the test kit keep their facts and survive a journey to another process."""

from __future__ import annotations

import copy
import pickle

import pytest

from durio.entities import DurioError
from durio.simulation import (
    NeverAtRest,
    NoApp,
    NotDeterministic,
    NotSimulated,
    SimulationError,
    SimulationOver,
    TooManyRuns,
    TwinFailed,
    Unanswered,
    UnusableReplay,
    errors,
)

ERRORS: list[tuple[SimulationError, dict[str, object], str]] = [
    (
        NotSimulated("a thread was started", "give a fake"),
        {"what": "a thread was started", "instead": "give a fake"},
        "a thread was started inside a simulation: it would make runs that cannot be repeated; give a fake",
    ),
    (
        NoApp("Account.add", 0),
        {"what": "Account.add", "found": 0},
        "no app of the test's module knows Account.add; name the one to run: app=...",
    ),
    (
        UnusableReplay("garbage", "it cannot be read"),
        {"text": "garbage", "why": "it cannot be read"},
        "'garbage' replays nothing: it cannot be read; give the text between the quotes that a failure printed",
    ),
    (
        UnusableReplay("x" * 41, "it cannot be read"),
        {"text": "x" * 41, "why": "it cannot be read"},
        f"'{'x' * 40}…' replays nothing: it cannot be read; give the text between the quotes that a failure printed",
    ),
    (
        TooManyRuns(50_000),
        {"runs": 50_000},
        "50,000 runs were not enough to try every schedule; ask for less, or raise runs_max",
    ),
    (
        Unanswered("call @c@k add(1)", "nothing is left to do", "   1  client 0"),
        {"what": "call @c@k add(1)", "why": "nothing is left to do", "trace": "   1  client 0"},
        "no answer for: call @c@k add(1); nothing is left to do\n   1  client 0",
    ),
    (
        NeverAtRest(2_000, "   1  turn"),
        {"steps": 2_000, "trace": "   1  turn"},
        "after 2,000 steps (steps_max) the hub is not at rest, so time did not pass\n   1  turn",
    ),
    (SimulationOver(), {}, "this simulation is over: use it inside its `with` block"),
    (
        TwinFailed("ImportError: no"),
        {"why": "ImportError: no"},
        "the process with another hash seed failed; hash_seeds=False does without it. It said:\nImportError: no",
    ),
    (
        NotDeterministic(3, "b", "c", "two runs"),
        {"step": 3, "first": "b", "second": "c", "between": "two runs"},
        "differ between two runs at line 3:\n  one:   b\n  other: c\nsort what is iterated (sets have no order), ",
    ),
]


@pytest.mark.parametrize(("error", "facts", "text"), ERRORS)
def test_errors_survive_pickling_and_say_what_to_do(
    error: SimulationError, facts: dict[str, object], text: str
) -> None:
    """G31: class, facts and text are the same after a journey; the facts are attributes, the text tells the way out."""
    assert text in str(error)
    assert vars(error) == facts
    for found in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(found) is type(error)
        assert (str(found), found.args, vars(found)) == (str(error), error.args, facts)
    assert isinstance(error, DurioError)


def test_several_apps_are_counted() -> None:
    """Too many is another problem than none."""
    assert str(NoApp("greet", 2)).startswith("2 apps of the test's module know")


@pytest.mark.parametrize(
    ("cls", "base"),
    [
        (NotSimulated, RuntimeError),
        (NoApp, TypeError),
        (UnusableReplay, ValueError),
        (TooManyRuns, RuntimeError),
        (Unanswered, RuntimeError),
        (NeverAtRest, RuntimeError),
        (SimulationOver, RuntimeError),
        (TwinFailed, RuntimeError),
        (NotDeterministic, AssertionError),
    ],
)
def test_errors_are_also_python_s_own(cls: type[SimulationError], base: type[Exception]) -> None:
    """Who catches `ValueError`, or counts `AssertionError`s as failures of a test, gets them."""
    assert issubclass(cls, base)


def test_every_error_of_the_layer_is_shown_here() -> None:
    """G31: no error class is without a test of its text."""
    mine = {cls for cls in vars(errors).values() if isinstance(cls, type) and cls.__module__ == errors.__name__}
    assert mine == {type(error) for error, _, _ in ERRORS} | {SimulationError}
