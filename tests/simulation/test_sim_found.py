"""Bugs that only the real world's worst moments show: a simulation must be able to bring these moments about.

Each test has a program with a bug of a kind that is common. If the kit does not find it, the kit leaves out a step
that a real hub can take.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Any, Final

import hypothesis
import pytest
import trio

from durio.orchestration import App, OrchestrationContext, TaskFailedError
from durio.simulation import Sim, simulate, start

SETTINGS: Final = hypothesis.settings(max_examples=300, deadline=None, database=None, derandomize=True)


class Bank:
    """The world outside: what was done there stays done."""

    def __init__(self) -> None:
        self.done: list[str] = []

    async def move(self, number: int) -> None:
        """Moves money in two parts, and thinks that the first part says that both were done."""
        if "taken" in self.done:
            return
        self.done.append("taken")
        await trio.sleep(1)
        self.done.append("given")

    def pay(self, number: int) -> None:
        """Pays at once."""
        self.done.append("paid")

    async def answer_late(self, number: int) -> str:
        """Answers a second after the deadline of `asks`."""
        await trio.sleep(11)
        return "an answer"


app = App()


@app.activity
async def move(number: int) -> None: ...


@app.activity
def pay(number: int) -> None: ...


@app.activity
async def answer_late(number: int) -> str:
    return ""


@app.orchestration
async def moves(ctx: OrchestrationContext) -> None:
    await ctx.call_activity(move, 1)


@app.orchestration
async def pays(ctx: OrchestrationContext) -> str:
    try:
        await ctx.call_activity(pay, 1, timeout_s=5)
    except TaskFailedError:
        return "not paid"
    return "paid"


@app.orchestration
async def asks(ctx: OrchestrationContext) -> str:
    deadline = ctx.create_timer(timedelta(seconds=10))
    answer = ctx.call_activity(answer_late, 1)
    first: Any = await ctx.task_any([deadline, answer])
    return "too late" if first is deadline else answer.result


FAKES: Final[Mapping[str | Callable[..., Any], Callable[..., Any]]] = MappingProxyType(
    {move: Bank.move, pay: Bank.pay, answer_late: Bank.answer_late}
)


@simulate(start(moves), app=app, world=Bank, activities=FAKES, max_calls=1, max_crashes=1, settings=SETTINGS)
def money_is_not_lost(sim: Sim) -> None:
    """What was taken was given when all is over."""
    if sim.settled:
        assert sim.world.done.count("taken") == sim.world.done.count("given"), "money was lost"


@simulate(start(pays), app=app, world=Bank, activities=FAKES, max_calls=1, settings=SETTINGS)
def what_failed_was_not_paid(sim: Sim) -> None:
    """When the orchestration thinks that it has not paid, it has not."""
    for status in sim.instances.values():
        assert not (status.output == "not paid" and sim.world.done), "it was paid"


@simulate(start(asks), app=app, world=Bank, activities=FAKES, max_calls=1, settings=SETTINGS)
def deadlines_are_deadlines(sim: Sim) -> None:
    """No answer is taken after its deadline."""
    for status in sim.instances.values():
        assert status.output != "an answer", "an answer after the deadline"


def test_an_activity_that_dies_half_way_is_found() -> None:
    """G24: the process may die between two awaits of an activity, also when nothing else goes on in the hub."""
    with pytest.raises(AssertionError, match="money was lost"):
        money_is_not_lost()


def test_a_time_out_does_not_undo_a_function_is_found() -> None:
    """G24: a function in a thread goes on when its time is up; its effect happens and its result is dropped."""
    with pytest.raises(AssertionError, match="it was paid"):
        what_failed_was_not_paid()


def test_a_late_timer_is_found() -> None:
    """G28: a timer may fire late, and what took longer than the timer may be there before it."""
    with pytest.raises(AssertionError, match="an answer after the deadline"):
        deadlines_are_deadlines()
