"""G27: rewinding what was refused at once, or failed in a critical section, when the cause is repaired."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import attrs
import pytest

from durio.entities import CONTROL_LANE, EntityId
from durio.orchestration import App, LockCycle, OrchestrationContext, RetryOptions, TaskFailedError
from durio.orchestration.messages import Rewind
from tests.orchestration.helpers import Stepper

PURSE = EntityId("purse", "p")
SAFE = EntityId("safe", "s")
broken: set[str] = set()


@pytest.fixture(autouse=True)
def _fresh() -> None:
    broken.clear()


@attrs.define
class Purse:
    coins: int = 0

    def put(self, coins: int) -> int:
        if "purse" in broken:
            raise ValueError("it is locked up")
        self.coins += coins
        return self.coins


def version(number: int) -> App:
    """Version 0 has bugs, and lacks what is called; in 1 all is there."""
    app = App()
    app.entity(name="purse")(Purse)

    @app.activity
    def work(name: Any) -> str:
        if name in broken:
            raise ValueError(f"{name} is broken")
        return f"{name}!"

    if number == 1:
        app.entity(name="safe")(Purse)

    if number == 1:

        @app.activity
        def later(name: str) -> str:
            if name in broken:
                raise ValueError(f"{name} is broken")
            return f"{name} later"

        @app.orchestration
        async def leaf(ctx: OrchestrationContext) -> str:
            return await ctx.call_activity(work, "leaf")

    @app.orchestration
    async def activity(ctx: OrchestrationContext) -> list[str]:
        return [await ctx.call_activity(work, "a"), await ctx.call_activity("later", "b")]

    @app.orchestration
    async def handled(ctx: OrchestrationContext) -> list[str]:
        """The refusal is caught, and tells of an end much later."""
        first = ctx.call_activity(work, "a")
        try:
            second = ctx.call_activity("later", "b")
        except LookupError as error:
            await ctx.call_activity(work, "sorry")
            raise RuntimeError("not to be had") from error
        return await ctx.task_all([first, second])

    @app.orchestration
    async def child(ctx: OrchestrationContext) -> list[str]:
        return [await ctx.call_activity(work, "a"), await ctx.call_sub_orchestrator("leaf")]

    @app.orchestration
    async def entity(ctx: OrchestrationContext) -> Any:
        return await ctx.call_entity(SAFE, "put", 3)

    @app.orchestration
    async def lock(ctx: OrchestrationContext) -> Any:
        async with await ctx.lock_entities([PURSE, SAFE]):
            return await ctx.call_entity(SAFE, "put", 3)

    @app.orchestration
    def payload(ctx: OrchestrationContext) -> Any:
        first = yield ctx.call_activity(work, "a")
        second = yield ctx.call_activity(work, object() if number == 0 else "b")
        return [first, second]

    @app.orchestration
    async def section(ctx: OrchestrationContext) -> list[int]:
        async with await ctx.lock_entities([PURSE]):
            first = await ctx.call_entity(PURSE, Purse.put, 1)
            if number == 0:
                raise ZeroDivisionError("a bug")
            return [first, await ctx.call_entity(PURSE, Purse.put, 10)]

    @app.orchestration
    def by_yield(ctx: OrchestrationContext) -> Any:
        before = yield ctx.call_activity(work, "a")
        try:
            with (yield ctx.lock_entities([PURSE])):
                first = yield ctx.call_entity(PURSE, "put", 1)
                if first < 50:
                    raise ValueError(f"{first} is too little")
        except ValueError as error:
            yield ctx.call_activity(work, "sorry")
            raise RuntimeError("poor") from error
        return [before, first]

    @app.orchestration
    async def behind(ctx: OrchestrationContext) -> int:
        """A call from inside the section fails when the section is left already."""
        async with await ctx.lock_entities([PURSE]):
            task = ctx.call_entity(PURSE, Purse.put, 1)
        return await task

    @app.orchestration
    async def gift(ctx: OrchestrationContext) -> int:
        return await ctx.call_entity(PURSE, Purse.put, 100)

    return app


def rewind(stepper: Stepper, address: str = "x") -> None:
    token = stepper.submit(address, Rewind, CONTROL_LANE)
    stepper.settle()
    stepper.pass_s(100)
    assert stepper.refusal(token) == ""


CASES: list[tuple[str, Any]] = [
    ("activity", ["a!", "b later"]),
    ("handled", ["a!", "b later"]),
    ("child", ["a!", "leaf!"]),
    ("entity", 3),
    ("lock", 3),
    ("payload", ["a!", "b!"]),
]


@pytest.mark.parametrize("evict", [False, True])
@pytest.mark.parametrize(("name", "result"), CASES)
def test_what_was_refused_is_asked_for_again(name: str, result: Any, evict: bool) -> None:
    """G19, G27: what was not registered, or could not be encoded, and is now; the refusal is not read again."""
    stepper = Stepper(version(0), evict=evict)
    stepper.start(name, "x")
    stepper.settle()
    assert stepper.status("x") == "Failed"
    rewind(stepper)
    assert stepper.status("x") == "Failed", "nothing was repaired"
    stepper.reopen(version(1))
    rewind(stepper)
    assert stepper.output("x") == result
    stepper.reopen()
    assert stepper.status("x") == "Completed"


def test_an_attempt_that_was_refused_is_made_again() -> None:
    """G24, G27: the activity was gone when its pause was over."""
    app = version(1)

    def with_retry(app: App) -> App:
        @app.orchestration
        async def retried(ctx: OrchestrationContext) -> Any:
            return await ctx.call_activity_with_retry("later", RetryOptions(1000, 2), "b")

        return app

    broken.add("b")
    stepper = Stepper(with_retry(app))
    stepper.start("retried", "x")
    stepper.settle()
    stepper.reopen(with_retry(version(0)))
    stepper.pass_s(10)
    assert stepper.status("x") == "Failed"
    broken.clear()
    stepper.reopen(with_retry(version(1)))
    rewind(stepper)
    assert stepper.output("x") == "b later"


def test_who_was_refused_a_lock_for_a_cycle_asks_again() -> None:
    """G12, G27: the cycle is over, and so is its reason to fail."""
    app = App()
    app.entity(name="purse")(Purse)

    @app.orchestration
    async def inner(ctx: OrchestrationContext) -> int:
        await ctx.create_timer(timedelta(seconds=1))
        async with await ctx.lock_entities([PURSE]):
            return await ctx.call_entity(PURSE, Purse.put, 1)

    @app.orchestration
    async def outer(ctx: OrchestrationContext) -> int:
        child = ctx.call_sub_orchestrator(inner, instance_id="inner")
        async with await ctx.lock_entities([PURSE]):
            return await child

    stepper = Stepper(app)
    stepper.start("outer", "outer")
    stepper.settle()
    stepper.pass_s(10)
    outcome = stepper.instance("inner").outcome
    assert outcome is not None
    assert outcome.failure is not None
    assert outcome.failure.is_caused_by(LockCycle)
    assert stepper.status("outer") == "Failed"
    rewind(stepper, "inner")
    assert stepper.output("inner") == 1
    rewind(stepper, "outer")
    assert stepper.output("outer") == 1


@pytest.mark.parametrize("evict", [False, True])
@pytest.mark.parametrize(("name", "result"), [("section", [102, 112]), ("by_yield", ["a!", 102]), ("behind", 101)])
def test_a_critical_section_that_an_error_came_out_of(name: str, result: Any, evict: bool) -> None:
    """G12, G27: whatever the error is, the section is done again as a whole, with what the entities are by then."""
    stepper = Stepper(version(0), evict=evict)
    if name == "behind":
        broken.add("purse")
    stepper.start(name, "x")
    stepper.settle()
    assert stepper.status("x") == "Failed"
    broken.clear()
    stepper.reopen(version(1))
    stepper.start("gift", "y")
    stepper.settle()
    rewind(stepper)
    assert stepper.output("x") == result
    stepper.reopen()
    assert stepper.status("x") == "Completed"


@pytest.mark.parametrize("evict", [False, True])
@pytest.mark.parametrize("name", ["in_section", "in_except"])
def test_a_request_to_end_is_not_taken_back(name: str, evict: bool) -> None:
    """G12, G26, G27: it is no failure: only the cleanup failed, is done again, and the life ends as Canceled."""
    app = version(1)

    @app.orchestration
    async def in_section(ctx: OrchestrationContext) -> None:
        try:
            async with await ctx.lock_entities([PURSE]):
                await ctx.wait_for_external_event("never")
        finally:
            await ctx.call_activity("work", "clean")

    @app.orchestration
    async def in_except(ctx: OrchestrationContext) -> None:
        try:
            await ctx.call_activity("work", "a")
        except TaskFailedError:
            try:
                await ctx.wait_for_external_event("never")
            finally:
                await ctx.call_activity("work", "clean")

    broken.update(("a", "clean"))
    stepper = Stepper(app, evict=evict)
    stepper.start(name, "x")
    stepper.settle()
    stepper.cancel("x")
    stepper.settle()
    assert stepper.status("x") == "Failed"
    broken.clear()
    rewind(stepper)
    assert stepper.status("x") == "Canceled"
