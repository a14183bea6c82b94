"""Costs found too high by a review: what grows with the square of its input freezes the whole hub."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import timedelta
from types import FrameType
from typing import Any

from trio.testing import MockClock

from durio.entities.limits import JOBS_START_MAX, MAILBOX_READ_MIN
from durio.orchestration import App, OrchestrationContext
from durio.orchestration.activities import ActivityRunner
from durio.orchestration.execution import Execution
from durio.orchestration.history import ActivityCompleted, EventRaised, Started, TimerFired
from durio.orchestration.limits import JOBS_WAITING_MAX
from durio.storage import MemoryDisk, MemoryStore
from tests.opened import runtime_of
from tests.orchestration.helpers import Stepper, in_memory, output


def lines_of(call: Callable[[], object]) -> int:
    """How many lines of Python a call runs: a measure of work that does not depend on the machine."""
    count = 0

    def trace(_frame: FrameType, event: str, _arg: object) -> Any:
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(before)
    return count


def test_a_backlog_of_events_is_drained_in_linear_time() -> None:
    """G8: taking one event of a long backlog costs the same as taking one of a short one."""

    def lines(backlog: int) -> int:
        app = App()

        @app.orchestration
        async def drain(ctx: OrchestrationContext) -> None:
            await ctx.create_timer(timedelta(1))
            for _ in range(100):
                await ctx.wait_for_external_event("x")

        execution = Execution("i", app.registry.orchestration(drain), app.registry, app.payloads, ())
        execution.feed(Started("e", "drain", None, None, None))
        for number in range(backlog):
            execution.feed(EventRaised("x", b"1", number))
        count = lines_of(lambda: execution.feed(TimerFired(1)))
        assert execution.end is not None
        return count

    assert lines(2000) < 2 * lines(200)


def test_a_failure_after_a_fan_out_costs_linear_time() -> None:
    """G8: code that raises after it scheduled n activities takes them back at a cost of O(n)."""

    def lines(activities: int) -> int:
        app = App()

        @app.activity
        def nothing() -> None:
            return None

        @app.orchestration
        async def raises(ctx: OrchestrationContext) -> None:
            for _ in range(activities):
                ctx.call_activity(nothing)
            raise ValueError("too early")

        stepper = Stepper(app)
        stepper.start("raises", "i")
        return lines_of(stepper.kernel.run_turn)

    assert lines(1000) < 15 * lines(100)


class CountingStore(MemoryStore):
    """Counts the rows that are read."""

    def __init__(self, disk: MemoryDisk) -> None:
        super().__init__(disk)
        self.rows = 0

    def scan(self, start: bytes, stop: bytes | None = None, *, limit: int | None = None) -> list[tuple[bytes, bytes]]:
        found = super().scan(start, stop, limit=limit)
        self.rows += len(found)
        return found


def test_continue_as_new_costs_the_same_however_much_waits() -> None:
    """G23: a generation that takes one event of a long backlog reads as many rows as with a short one, and few."""

    def rows(backlog: int) -> int:
        app = App()

        @app.orchestration
        async def again(ctx: OrchestrationContext) -> None:
            await ctx.wait_for_external_event("x")
            ctx.continue_as_new(None)

        stepper = Stepper(app)
        stepper.start("again", "i")
        for number in range(backlog):
            stepper.raise_event("i", "x", number)
        stepper.commit()
        store = CountingStore(stepper.disk)
        stepper.kernel.view._store = store
        for _ in range(40):
            stepper.kernel.run_turn()
        head = stepper.instance("i").head
        assert head is not None
        assert head.generation >= 20
        return store.rows

    assert rows(3000) <= rows(300) <= 40 * 3 * MAILBOX_READ_MIN


def test_the_first_of_many_is_found_by_a_plain_walk() -> None:
    """G8: a step of a loop over `task_any` costs a few lines for each task that is left, and builds nothing."""

    def lines(activities: int) -> int:
        app = App()

        @app.activity
        def nothing() -> None:
            return None

        @app.orchestration
        async def loops(ctx: OrchestrationContext) -> None:
            tasks = [ctx.call_activity(nothing) for _ in range(activities)]
            while tasks:
                tasks.remove(await ctx.task_any(tasks))

        execution = Execution("i", app.registry.orchestration(loops), app.registry, app.payloads, ())
        execution.feed(Started("e", "loops", None, None, None))
        return lines_of(lambda: execution.feed(ActivityCompleted(activities // 2, b"1")))

    assert lines(1000) <= 12 * 1000


def fan_of(activities: int) -> App:
    """An app whose `fan` calls many activities, each with an input of its own; one of them runs at a time."""
    app = App()

    @app.activity(limit=1)
    async def one(number: int) -> int:
        return number

    @app.orchestration
    async def fan(ctx: OrchestrationContext) -> int:
        return sum(await ctx.task_all([ctx.call_activity(one, number) for number in range(activities)]))

    return app


def test_a_hub_with_many_jobs_opens_bit_by_bit() -> None:
    """G8, G9: jobs of an earlier owner are read and started a bounded number at a time, all of them, each once."""
    count = 2 * JOBS_START_MAX + 10
    stepper = Stepper(fan_of(count))
    stepper.hold_jobs = True
    stepper.start("fan", "i")
    stepper.start("fan", "j")
    stepper.settle()
    stepper.kernel.close()
    stepper._open()
    stepper.jobs = []
    assert 0 < len(stepper.kernel.view.filling.outputs) <= JOBS_START_MAX
    stepper.terminate("j")
    while stepper.kernel.runnable:
        stepper.kernel.run_turn()
    stepper.settle()
    mine = [key for key, job in stepper.jobs if job.address == "i"]
    assert len(mine) == len(set(mine)) == count
    assert not stepper.kernel.jobs.recover(stepper.now_us)
    assert len(stepper.jobs) == count, "those of the other were cancelled before they were read"


async def test_inputs_of_waiting_activities_stay_on_disk(autojump_clock: MockClock) -> None:
    """G7: of all activities that wait for a slot only some have their inputs in memory; each runs with its own."""
    count = 3 * JOBS_WAITING_MAX
    async with in_memory(fan_of(count)) as client:
        started = await client.start_new("fan", "i")
        runner = runtime_of(client)._jobs
        assert isinstance(runner, ActivityRunner)
        waiting = runner._slots["one"].waiting
        assert len(waiting) > 2 * JOBS_WAITING_MAX
        assert sum(job is not None for _, job in waiting) <= JOBS_WAITING_MAX
        assert await output(client, started.instance_id) == count * (count - 1) // 2


def test_terminating_one_does_not_look_at_the_activities_of_others() -> None:
    """G8: the cost of ending an instance does not grow with the jobs that others schedule in the same batch."""

    def lines(others: int) -> int:
        stepper = Stepper(fan_of(100))
        for number in range(others):
            stepper.start("fan", f"other-{number}")
        stepper.start("fan", "i")
        while stepper.kernel.runnable:
            stepper.kernel.run_turn()
        stepper.terminate("i")
        return lines_of(stepper.kernel.run_turn)

    assert lines(40) < 1.2 * lines(4)


def test_reading_a_waiting_activity_does_not_look_at_the_others() -> None:
    """G8: the job that gets a slot is read by its key, however many others of its instance changed in the batch."""
    stepper = Stepper(fan_of(1000))
    stepper.start("fan", "i")
    while stepper.kernel.runnable:
        stepper.kernel.run_turn()
    jobs = stepper.kernel.jobs
    keys = sorted(jobs._open)
    assert len(keys) == 1000
    for key in keys[:500]:
        jobs.finish(key)
    assert lines_of(lambda: jobs.find(keys[-1])) < 50
    assert jobs.find(keys[0]) is None
