"""G27: whatever failed, after the repair and a rewind all is as if nothing had failed, and nothing was done twice."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st

from durio.entities import CONTROL_LANE, EntityId
from durio.orchestration import App, OrchestrationContext, RetryOptions, TaskFailedError
from durio.orchestration.messages import Rewind
from tests.orchestration.helpers import Stepper

TALLY, OTHER = EntityId("tally", "t"), EntityId("tally", "o")

Step = tuple[str, int]
"""What a program does, and a number of its own."""


@attrs.define
class Tally:
    total: int = 0

    def add(self, amount: int) -> int:
        self.total += amount
        return self.total

    def look(self) -> int:
        return self.total


class Trouble:
    """Which activities fail now, and how often each has returned."""

    def __init__(self) -> None:
        self.bad: set[int] = set()
        self.done: Counter[int] = Counter()


def build(trouble: Trouble, program: list[list[Step]]) -> App:
    app = App()
    app.entity(name="tally")(Tally)

    @app.activity
    def work(number: int) -> int:
        if number in trouble.bad:
            raise ValueError(f"{number} is broken")
        trouble.done[number] += 1
        return number

    @app.orchestration
    async def child(ctx: OrchestrationContext, number: int) -> int:
        await ctx.call_activity(work, 1000 + number)
        return await ctx.call_activity(work, number)

    @app.orchestration
    async def sleeper(ctx: OrchestrationContext, number: int) -> None:
        await ctx.create_timer(timedelta(seconds=number))

    async def section(ctx: OrchestrationContext, number: int) -> int:
        """A section is done again as a whole: only what fails in it may count."""
        async with await ctx.lock_entities([TALLY, OTHER]):
            await ctx.call_entity(OTHER, Tally.look)
            await ctx.call_activity(work, number)
            await ctx.call_entity(TALLY, Tally.look)
        return number

    async def handled(ctx: OrchestrationContext, number: int) -> int:
        """The failure is caught; what comes then is taken back."""
        try:
            return await ctx.call_activity(work, number)
        except TaskFailedError as error:
            ctx.create_timer(timedelta(seconds=number))
            ctx.call_sub_orchestrator(sleeper, number)
            await ctx.call_activity(work, SORRY + number)
            await ctx.create_timer(timedelta(seconds=3))
            raise RuntimeError("late") from error

    alone = {"section": section, "handled": handled}

    def begin(ctx: OrchestrationContext, step: Step) -> Any:
        kind, number = step
        if kind == "retry":
            return ctx.call_activity_with_retry(work, RetryOptions(1000, 2), number)
        if kind == "work":
            return ctx.call_activity(work, number)
        if kind == "timer":
            return ctx.create_timer(timedelta(seconds=number))
        if kind == "child":
            return ctx.call_sub_orchestrator(child, number)
        if kind == "event":
            return ctx.wait_for_external_event(f"e{number}")
        return ctx.call_entity(TALLY, Tally.add, number)

    @app.orchestration
    async def main(ctx: OrchestrationContext) -> list[Any]:
        results: list[Any] = []
        for group in program:
            done = {step: await alone[step[0]](ctx, step[1]) for step in group if step[0] in alone}
            tasks = {step: begin(ctx, step) for step in group if step[0] not in alone}
            done |= dict(zip(tasks, await ctx.task_all(tasks.values()), strict=True))
            results += [done[step] for step in group]
        return results

    return app


KINDS = ("work", "retry", "timer", "child", "event", "call", "section", "handled")
FRAGILE = ("work", "retry", "child", "section", "handled")
SORRY = 2000
"""What is done behind a failure has numbers from here on."""


@st.composite
def programs(draw: st.DrawFn) -> list[list[Step]]:
    sizes = draw(st.lists(st.integers(1, 4), min_size=1, max_size=4))
    numbers = iter(range(1, 100))
    return [[(draw(st.sampled_from(KINDS)), next(numbers)) for _ in range(size)] for size in sizes]


def live(stepper: Stepper, program: list[list[Step]], raised: set[int]) -> None:
    """Send the events, and let time pass, until nothing more happens."""
    for group in program:
        for kind, number in group:
            if kind == "event" and number not in raised and stepper.status("x") == "Running":
                raised.add(number)
                stepper.raise_event("x", f"e{number}", number)
                stepper.settle()
        stepper.pass_s(200)
        stepper.settle()


@given(programs(), st.data(), st.booleans(), st.integers(1, 3))
@settings(max_examples=150, deadline=None)
def test_a_rewound_run_ends_as_one_without_a_failure(
    program: list[list[Step]], data: st.DataObject, evict: bool, times: int
) -> None:
    """G3, G24, G27: same results, each activity returned once, the entity counted once; also over reloads."""
    active = [number for group in program for kind, number in group if kind in FRAGILE]
    trouble = Trouble()
    trouble.bad = set(data.draw(st.sets(st.sampled_from(active)) if active else st.just(set[int]()), label="bad"))
    stepper = Stepper(build(trouble, program), evict=evict)
    stepper.start("main", "x")
    stepper.settle()
    raised: set[int] = set()
    live(stepper, program, raised)
    for _ in range(times):
        if stepper.status("x") == "Failed":
            token = stepper.submit("x", Rewind, CONTROL_LANE, reason="again")
            if trouble.bad:
                trouble.bad = set(data.draw(st.sets(st.sampled_from(sorted(trouble.bad))), label="still bad"))
            stepper.settle()
            assert stepper.refusal(token) == ""
            live(stepper, program, raised)
            stepper.reopen()
    trouble.bad = set()
    live(stepper, program, raised)
    while stepper.status("x") == "Failed":  # of parts one after the other each had its own failure
        stepper.submit("x", Rewind, CONTROL_LANE)
        stepper.settle()
        live(stepper, program, raised)
    expected: list[Any] = []
    total = 0
    for group in program:
        for kind, number in group:
            total += number if kind == "call" else 0
            expected.append({"timer": None, "call": total}.get(kind, number))
    assert stepper.status("x") == "Completed"
    assert stepper.output("x") == expected
    assert {number for number, times in trouble.done.items() if times > 1 and number < SORRY} == set()
