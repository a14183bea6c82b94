"""The quick way to await the first of many tasks says what the general one says."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durio.entities import Guard
from durio.orchestration.choices import First, wait_for
from durio.orchestration.tasks import ActionTask, AnyTask, EventTask, Task
from durio.orchestration.waits import Events, Wait


class Owner:
    """A task's execution, as far as these tests need one."""

    position = 0
    guard = Guard()

    def observe(self, task: Task[Any]) -> bool:
        raise NotImplementedError

    def is_ready(self, task: Task[Any]) -> bool:
        raise NotImplementedError

    def cancel_action(self, action: int) -> None:
        raise NotImplementedError

    def finished(self, task: Task[Any]) -> None:
        raise NotImplementedError

    def failed(self, error: BaseException, actions: Iterable[int] = (), others: Iterable[BaseException] = ()) -> None:
        """Nobody asks."""


OWNER = Owner()


def task(number: int) -> ActionTask[int]:
    """An activity that goes on."""
    return ActionTask(OWNER, str(number), number, lambda data: int(data))


@given(
    members=st.lists(st.integers(0, 5), min_size=1, max_size=8),
    before=st.lists(st.integers(0, 7), max_size=4),
    after=st.lists(st.integers(0, 7), max_size=6),
)
def test_both_ways_agree(members: list[int], before: list[int], after: list[int]) -> None:
    """G22: whatever finished before the await and after it, in any order, the same task wins at the same moment."""
    outcomes = []
    for build in (lambda any_: First(any_), lambda any_: Wait(any_, Events())):
        tasks = [task(number) for number in range(8)]
        for position, number in enumerate(dict.fromkeys(before), 1):
            tasks[number].arrive(position, b"1")
        awaited: AnyTask[Any] = AnyTask(OWNER, "any", [tasks[number] for number in members])
        wait = build(awaited)
        ready = [wait.ready]
        for position, number in enumerate(dict.fromkeys(n for n in after if n not in before), 10):
            tasks[number].arrive(position, b"1")
            wait.finished(tasks[number])
            ready.append(wait.ready)
        if wait.ready:
            wait.observe()
        winner = None if awaited.position is None else awaited.outcome().what
        outcomes.append((ready, awaited.position, winner))
    assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize("kind", ["event", "nested"])
def test_what_needs_more_than_a_walk_is_awaited_in_general(kind: str) -> None:
    """G22: a choice with a waiter for events, or with a choice inside, is no plain one."""
    inner: Task[Any] = EventTask(OWNER, "x", 1, lambda data: data) if kind == "event" else AnyTask(OWNER, "", [task(1)])
    assert type(wait_for(AnyTask(OWNER, "any", [task(0), inner]), Events())) is Wait
    assert type(wait_for(AnyTask(OWNER, "any", [task(0), task(1)]), Events())) is First
