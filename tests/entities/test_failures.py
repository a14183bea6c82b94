"""Failures: any exception as data that can be stored, whatever strange thing it is."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from durio.entities import Failure, type_name
from durio.entities.messages import encode_record


class Silent(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


class Number(Exception):
    def __str__(self) -> Any:
        return 5  # noqa: PLE0307  # on purpose: user code does such things


class Touchy(Exception):
    """Raises whatever one looks at."""

    def __getattr__(self, name: str) -> Any:
        raise KeyError(name)


class Sticky(Exception):
    @property
    def non_retriable(self) -> bool:
        raise RuntimeError("do not ask")


class Fatal(Exception):
    non_retriable = True


def caught(error: BaseException, cause: BaseException | None = None) -> Failure:
    """The failure of `error`, raised for real."""
    try:
        raise error from cause
    except BaseException as found:
        return Failure.of(found)


def stored(failure: Failure) -> Failure:
    """As it comes back from disk."""
    return msgspec.msgpack.decode(encode_record(failure), type=Failure)


def test_a_failure_says_type_text_and_place() -> None:
    """Type, message and stack; it survives storing."""
    failure = caught(ValueError("no good"))
    assert (failure.type, failure.message, failure.non_retriable, failure.inner) == (
        "ValueError",
        "no good",
        False,
        None,
    )
    assert "test_failures.py" in failure.stack
    assert "in caught" in failure.stack
    assert stored(failure) == failure


def test_causes_are_kept_and_found_by_class() -> None:
    """`inner` is the cause; `is_caused_by` looks through the whole chain."""
    failure = caught(ValueError("outer"), Fatal("inner"))
    assert failure.inner is not None
    assert failure.inner.non_retriable
    assert failure.is_caused_by(ValueError)
    assert failure.is_caused_by(Fatal)
    assert failure.is_caused_by("Fatal")
    assert failure.is_caused_by(type_name(Fatal))
    assert not failure.is_caused_by(KeyError)
    assert not failure.is_caused_by("atal")
    assert stored(failure) == failure


def test_a_chain_of_causes_without_end_is_cut() -> None:
    """G31: an error that is its own cause, or has a thousand of them, is data of bounded size."""
    error = ValueError("a")
    error.__cause__ = error
    failure: Failure | None = Failure.of(error)
    depth = 0
    while failure is not None:
        depth, failure = depth + 1, failure.inner
    assert depth == 9


@pytest.mark.parametrize("cls", [Silent, Number, Touchy, Sticky])
def test_an_error_that_raises_when_looked_at_is_still_described(cls: type[Exception]) -> None:
    """G10: whatever user code raises becomes a failure; it cannot break the hub by its looks."""
    failure = caught(cls("x"))
    assert failure.type == type_name(cls)
    assert failure.message
    assert stored(failure) == failure


def test_lone_surrogates_are_made_storable_everywhere() -> None:
    """G31: text that UTF-8 cannot hold is escaped in message, stack and causes."""
    failure = caught(ValueError("bad \ud800"), KeyError("worse \udfff"))
    assert failure.message == "bad \\ud800"
    assert "\\ud800" in failure.stack
    assert stored(failure) == failure


def test_notes_and_groups_are_in_the_stack() -> None:
    """What Python would show, the stack shows."""
    error = ExceptionGroup("two", [ValueError("one of them"), TypeError("the other")])
    error.add_note("look at the disk")
    failure = caught(error)
    assert "look at the disk" in failure.stack
    assert "one of them" in failure.stack
    assert failure.message == "two (2 sub-exceptions) - ValueError: one of them; TypeError: the other"


def test_a_group_of_one_is_that_one() -> None:
    """Trio's nurseries put a single error into a group; who catches the failure looks for the error."""
    failure = caught(ExceptionGroup("nursery", [ExceptionGroup("inner", [ValueError("alone")])]))
    assert (failure.type, failure.message) == ("ValueError", "alone")
    assert failure.is_caused_by(ValueError)


def test_type_names_are_plain_for_builtins_and_qualified_for_others() -> None:
    """The class name is the same in every process."""
    assert type_name(ValueError) == "ValueError"
    assert type_name(Silent) == f"{__name__}.Silent"
