"""The checker of linearizability says what a search through all orders says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations, permutations
from typing import Any, TypeAlias

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from durio.simulation import Interval, linearization

Operation: TypeAlias = tuple[str, int]
State: TypeAlias = tuple[int, ...]
Model: TypeAlias = Callable[[State, Operation], tuple[State, int]]
History: TypeAlias = list[Interval[Operation, int]]

TIMES_MAX = 8
EMPTY = -1
NEW: State = ()


def register(state: State, operation: Operation) -> tuple[State, int]:
    """Holds the last value that was put."""
    kind, value = operation
    return ((value,), 0) if kind == "put" else (state, state[0] if state else 0)


def counter(state: State, operation: Operation) -> tuple[State, int]:
    """Adds and tells the sum."""
    kind, value = operation
    after = (sum(state) + value,) if kind == "put" else state
    return after, sum(after)


def queue(state: State, operation: Operation) -> tuple[State, int]:
    """First in, first out."""
    kind, value = operation
    if kind == "put":
        return (*state, value), 0
    return (state[1:], state[0]) if state else (state, EMPTY)


MODELS = [register, counter, queue]
by_model = pytest.mark.parametrize("model", MODELS, ids=lambda model: str(model.__name__))


@st.composite
def operations(draw: st.DrawFn) -> Operation:
    return draw(st.sampled_from(["put", "get"])), draw(st.integers(0, 2))


@st.composite
def histories(draw: st.DrawFn) -> History:
    """Any intervals with any answers: few of them could have happened."""
    history: History = []
    for _ in range(draw(st.integers(0, 5))):
        begin, end = sorted((draw(st.integers(0, TIMES_MAX)), draw(st.integers(0, TIMES_MAX))))
        operation = draw(operations())
        pending = draw(st.integers(0, 3)) == 0
        answer = None if pending or operation[0] == "put" else draw(st.integers(EMPTY, 2))
        forever = pending and draw(st.booleans())
        history.append(Interval(operation, begin, float("inf") if forever else end, answer, not pending))
    return history


@st.composite
def happened(draw: st.DrawFn, model: Model) -> History:
    """What clients see when the operations take effect one after the other; some never hear of it."""
    state: State = ()
    history: History = []
    for moment in range(0, 10 * draw(st.integers(1, 8)), 10):
        operation = draw(operations())
        state, answer = model(state, operation)
        begin, end = moment - draw(st.integers(0, 25)), moment + draw(st.integers(0, 25))
        if draw(st.integers(0, 4)) == 0:
            history.append(Interval(operation, begin, float("inf"), None, required=False))
        else:
            history.append(Interval(operation, begin, end, answer))
    return draw(st.permutations(history))


def orders(history: History) -> Iterator[History]:
    """Every order of everything required and of any of the others that keeps real time."""
    required = [interval for interval in history if interval.required]
    others = [interval for interval in history if not interval.required]
    for number in range(len(others) + 1):
        for some in combinations(others, number):
            for order in permutations([*required, *some]):
                if keeps_time(list(order)):
                    yield list(order)


def keeps_time(order: History) -> bool:
    """Nothing comes before what had ended when it began."""
    return all(not later.end < earlier.begin for earlier, later in combinations(order, 2))


def explains(order: History, model: Model) -> bool:
    """One after the other they give the answers that were seen."""
    state: State = ()
    for interval in order:
        state, answer = model(state, interval.operation)
        if interval.answer is not None and interval.answer != answer:
            return False
    return True


def checked(history: History, model: Model) -> History | None:
    return linearization(history, NEW, model, lambda one, other: one == other)


@by_model
@given(history=histories())
@settings(max_examples=400)
def test_the_checker_agrees_with_all_permutations(model: Model, history: History) -> None:
    """There is a linearization exactly if any order at all explains the answers, and the one given is such an order."""
    found = checked(history, model)
    assert (found is not None) == any(explains(order, model) for order in orders(history))
    if found is not None:
        assert keeps_time(found)
        assert explains(found, model)
        assert {id(interval) for interval in found} >= {id(interval) for interval in history if interval.required}


@by_model
@given(data=st.data())
@settings(max_examples=200)
def test_what_happened_one_after_the_other_is_linearizable(model: Model, data: st.DataObject) -> None:
    """A history of operations that did take effect at one moment each has an order, whatever clients did not hear."""
    history = data.draw(happened(model))
    found = checked(history, model)
    assert found is not None
    assert keeps_time(found)
    assert explains(found, model)


def put(value: int, begin: float, end: float, *, required: bool = True) -> Interval[Operation, int]:
    return Interval(("put", value), begin, end, None, required)


def get(answer: int, begin: float, end: float) -> Interval[Operation, int]:
    return Interval(("get", 0), begin, end, answer)


def test_real_time_is_kept() -> None:
    """What began after another one had ended comes after it; of two that overlap either may be the first."""
    assert checked([put(1, 1, 2), get(0, 3, 4)], register) is None
    assert checked([put(1, 1, 3), get(0, 3, 4)], register) is not None
    assert checked([put(1, 1, 3), get(1, 2, 4)], register) is not None


def test_two_reads_never_go_back() -> None:
    """While a write is under way a later read does not see less than an earlier one."""
    write = put(1, 0, 9)
    assert checked([write, get(0, 1, 2), get(1, 3, 4)], register) is not None
    assert checked([write, get(1, 1, 2), get(0, 3, 4)], register) is None


def test_what_nobody_heard_of_may_have_happened_or_not() -> None:
    """A pending operation explains an answer if it has to, at any time after its begin, and is left out otherwise."""
    pending = put(1, 5, float("inf"), required=False)
    assert checked([pending, get(0, 8, 9)], register) == [get(0, 8, 9)]
    assert checked([pending, get(0, 8, 9), get(1, 20, 21)], register) == [get(0, 8, 9), pending, get(1, 20, 21)]
    assert checked([pending, get(1, 1, 2)], register) is None, "it had not begun"
    assert checked([pending, get(1, 8, 9), get(0, 20, 21)], register) is None, "it happens once"


def test_what_may_not_have_happened_has_its_time_all_the_same() -> None:
    """An operation that need not have happened, but can only have before its end, explains nothing that is later."""
    may = put(1, 1, 2, required=False)
    assert checked([may, get(1, 5, 6)], register) == [may, get(1, 5, 6)]
    assert checked([may, get(0, 5, 6), get(1, 7, 8)], register) is None


def test_with_nothing_required_nothing_has_to_be_explained() -> None:
    """An empty history, and one of pending operations only, are linearizable."""
    assert checked([], queue) == []
    assert checked([put(1, 5, float("inf"), required=False)], queue) == []


@attrs.define
class Counted:
    """A model that counts how often it is run."""

    model: Model
    runs: int = 0

    def __call__(self, state: State, operation: Operation) -> tuple[State, int]:
        self.runs += 1
        return self.model(state, operation)


def test_the_memo_makes_many_overlapping_operations_cheap() -> None:
    """No operation is run twice on one state: 14 writes at once, and a read that fits to none, have 14! orders."""
    history = [put(number % 3, 0, 9) for number in range(14)]
    model = Counted(register)
    assert checked([*history, get(7, 0, 9)], model) is None
    assert model.runs <= 15 * 4


def test_the_memo_keeps_apart_what_differs() -> None:
    """The same operations done in another order may leave another state: both are looked at."""
    history = [put(1, 0, 1), put(2, 0, 1), get(1, 2, 3)]
    assert checked(history, register) == [history[1], history[0], history[2]]
    other = [put(2, 0, 1), put(1, 0, 1), get(1, 2, 3)]
    assert checked(other, register) == other


def test_answers_are_compared_as_the_caller_says() -> None:
    """`agrees` decides what fits to an answer that was seen."""
    history: list[Interval[Operation, Any]] = [get(5, 0, 1)]
    assert linearization(history, NEW, register, lambda model, seen: model <= seen) == history
    assert linearization(history, NEW, register, lambda model, seen: model > seen) is None
