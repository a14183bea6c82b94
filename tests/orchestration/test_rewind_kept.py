"""G16, G27: what a life had got, and its code had not seen when it failed, is there after a rewind."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from durio.entities import CONTROL_LANE
from durio.entities import keys as entity_keys
from durio.orchestration import App, OrchestrationContext, TaskFailedError
from durio.orchestration.messages import Resume, Rewind, Suspend
from durio.orchestration.records import LATE
from tests.orchestration.helpers import Stepper, rows_of

runs: list[str] = []
broken: set[str] = set()


@pytest.fixture(autouse=True)
def _fresh() -> None:
    runs.clear()
    broken.clear()


def version(number: int) -> App:
    """Version 0 has a bug in its first step, 1 is right, 2 does not fit the histories of 1."""
    app = App()

    @app.activity
    def work(name: str) -> str:
        runs.append(name)
        if name in broken:
            raise ValueError(f"{name} is broken")
        return name.upper()

    @app.orchestration
    async def waits(ctx: OrchestrationContext) -> list[Any]:
        if number == 0:
            raise ZeroDivisionError("a bug")
        return [await ctx.wait_for_external_event("go") for _ in range(2)]

    @app.orchestration
    async def again(ctx: OrchestrationContext, round_: int) -> list[Any]:
        if round_ == 0:
            await ctx.wait_for_external_event("begin")
            ctx.continue_as_new(1)
        if number == 0:
            raise ZeroDivisionError("a bug")
        return [await ctx.wait_for_external_event("go") for _ in range(2)]

    @app.orchestration
    async def busy(ctx: OrchestrationContext) -> list[Any]:
        """Gets an event, a result and the end of a timer between the failure and its end."""
        if number == 2:
            await ctx.create_timer(timedelta(days=1))
        event, other = ctx.wait_for_external_event("go"), ctx.call_activity(work, "b")
        soon = ctx.create_timer(timedelta(seconds=2))
        try:
            first = await ctx.call_activity(work, "a")
        except TaskFailedError as error:
            await ctx.create_timer(timedelta(seconds=5))
            raise RuntimeError("late") from error
        await soon
        return [first, await event, await other]

    @app.orchestration
    async def two(ctx: OrchestrationContext) -> list[Any]:
        first, second = ctx.call_activity(work, "a"), ctx.call_activity(work, "b")
        return [await first, await second]

    return app


def rewind(stepper: Stepper, times: int = 1) -> list[str]:
    tokens = [stepper.submit("x", Rewind, CONTROL_LANE) for _ in range(times)]
    stepper.settle()
    stepper.pass_s(100)
    return [stepper.refusal(token) for token in tokens]


@pytest.mark.parametrize("evict", [False, True])
@pytest.mark.parametrize("how", ["with the start", "before its time", "without code", "suspended", "continued"])
def test_events_of_a_life_that_failed_before_it_saw_them(how: str, evict: bool) -> None:
    """G16, G27: an event that was accepted is not lost with the failure, however it came."""
    stepper = Stepper(App() if how == "without code" else version(0), evict=evict)
    if how == "with the start":
        stepper.start("waits", "x", events=[("go", 1), ("go", 2)])
    elif how == "continued":
        stepper.start("again", "x", 0, events=[("go", 1), ("go", 2), ("begin", None)])
    else:
        due_us = stepper.now_us + 10_000_000 if how != "without code" else None
        stepper.start("waits", "x", due_us=due_us)
        if how == "suspended":
            stepper.submit("x", Suspend, CONTROL_LANE)
        for value in (1, 2):
            token = stepper.raise_event("x", "go", value)
            stepper.settle()
            assert stepper.refusal(token) == ""
    stepper.settle()
    if how == "suspended":
        stepper.submit("x", Resume, CONTROL_LANE)
    if how == "without code":
        stepper.reopen(version(0))
    stepper.pass_s(20)
    stepper.settle()
    assert stepper.status("x") == "Failed"
    stepper.reopen(version(1))
    rewind(stepper)
    assert stepper.output("x") == [1, 2]
    assert not [key for key in rows_of(stepper.disk, entity_keys.ACTOR, "x") if key[3:4] == LATE]


@pytest.mark.parametrize("times", [1, 2])
def test_a_rewind_with_code_that_does_not_fit_loses_nothing(times: int) -> None:
    """G3, G16, G27: events and results that it was to give again come with the next rewind, also with one at once."""
    stepper = Stepper(version(1))
    broken.add("a")
    stepper.start("busy", "x")
    stepper.settle()
    stepper.raise_event("x", "go", 7)
    stepper.settle()
    stepper.pass_s(10)
    assert stepper.status("x") == "Failed"
    broken.clear()
    stepper.reopen(version(2))
    rewind(stepper, times)
    assert stepper.status("x") == "Failed"
    stepper.reopen(version(1))
    rewind(stepper)
    assert stepper.output("x") == ["A", 7, "B"]
    assert sorted(runs) == ["a", "a", "b"]
    stepper.reopen()
    assert stepper.status("x") == "Completed"


@pytest.mark.parametrize("evict", [False, True])
def test_an_activity_that_had_returned_is_not_run_again(evict: bool) -> None:
    """G24, G27: its result lay in the mailbox when the failure before it ended the code."""
    stepper = Stepper(version(1), evict=evict)
    broken.add("a")
    stepper.start("two", "x")
    stepper.settle()
    assert stepper.status("x") == "Failed"
    broken.clear()
    rewind(stepper)
    assert stepper.output("x") == ["A", "B"]
    assert runs == ["a", "b", "a"]


@pytest.mark.parametrize("evict", [False, True])
def test_an_activity_that_had_failed_unseen_is_run_again(evict: bool) -> None:
    """G27: the code never heard of the second failure, so it is spared a rewind of its own."""
    stepper = Stepper(version(1), evict=evict)
    broken.update("ab")
    stepper.start("two", "x")
    stepper.settle()
    broken.clear()
    rewind(stepper)
    assert stepper.output("x") == ["A", "B"]


@pytest.mark.parametrize("evict", [False, True])
def test_code_that_does_not_fit_holds_what_is_rewound(evict: bool) -> None:
    """G16, G20, G27: if the hub says so; with code that fits it goes on, and takes what came meanwhile."""
    stepper = Stepper(version(1), evict=evict, hold_on_nondeterminism=True)
    broken.add("a")
    stepper.start("busy", "x")
    stepper.settle()
    stepper.pass_s(10)
    assert stepper.status("x") == "Failed"
    broken.clear()
    stepper.reopen(version(2))
    assert rewind(stepper) == [""]
    token = stepper.raise_event("x", "go", 7)
    stepper.settle()
    assert (stepper.refusal(token), stepper.status("x")) == ("", "Running")
    stepper.reopen(version(1))
    stepper.pass_s(100)
    assert stepper.output("x") == ["A", 7, "B"]
