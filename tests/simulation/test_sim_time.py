"""Time in a simulation: it passes from timer to timer, months in no time, and the wall clock may jump besides."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import pytest
import trio

from durio.entities import EntityContext, EntityId, EntityOperationFailed
from durio.orchestration import App, OrchestrationContext, RetryOptions, TaskCancelledError, TaskFailedError
from durio.simulation import Plan, SimulationError, simulation

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)

app = App()


@app.entity(timeout_s=4)
@attrs.define
class Reminder:
    """Remembers when it was called, and reminds itself."""

    calls: list[str] = attrs.Factory(list)

    def remind(self, days: int) -> None:
        context = EntityContext.current()
        due = BEGIN + timedelta(days=days)
        context.signal_entity(context.entity_id, Reminder.note, f"{days} days", signal_time=due)

    def note(self, what: str) -> None:
        self.calls.append(what)

    async def note_slowly(self, seconds: int) -> None:
        await trio.sleep(seconds)
        self.calls.append(f"{seconds} s")


@app.activity
async def nap(seconds: float) -> float:
    await trio.sleep(seconds)
    return seconds


@app.activity
def broken() -> None:
    raise OSError("broken")


@app.orchestration
async def month(ctx: OrchestrationContext) -> str:
    await ctx.create_timer(timedelta(days=30))
    return ctx.current_utc_datetime.isoformat()


@app.orchestration
async def hourly(ctx: OrchestrationContext, round_: int) -> None:
    """An eternal orchestration."""
    ctx.set_custom_status(round_)
    await ctx.create_timer(timedelta(hours=1))
    ctx.continue_as_new(round_ + 1)


@app.orchestration
async def at_once(ctx: OrchestrationContext) -> None:
    """An eternal orchestration that never waits for time."""
    await ctx.create_timer(timedelta(0))
    ctx.continue_as_new()


@app.orchestration
async def impatient(ctx: OrchestrationContext, seconds: float) -> Any:
    try:
        return await ctx.call_activity(nap, seconds, timeout_s=5)
    except TaskFailedError as error:
        return error.failure.message


@app.orchestration
async def fickle(ctx: OrchestrationContext) -> str:
    task = ctx.call_activity(nap, 1000)
    await ctx.create_timer(timedelta(seconds=2))
    task.cancel()
    try:
        await task
    except TaskCancelledError as error:
        return type(error).__name__
    return "it went on"


@app.orchestration
async def persistent(ctx: OrchestrationContext) -> float:
    began = ctx.current_utc_datetime
    with suppress(TaskFailedError):
        await ctx.call_activity_with_retry(broken, RetryOptions(60_000, 4, backoff_coefficient=10.0))
    return (ctx.current_utc_datetime - began).total_seconds()


def test_time_passes_from_timer_to_timer() -> None:
    """Every timer on the way fires at its own moment, and what it causes sees that moment (G28)."""
    with simulation(app) as sim:
        sim.start(hourly, 1, instance_id="h")
        name = sim.start(month)
        sim.advance(days=29, hours=23, minutes=59)
        assert sim.status("h").custom_status == 30 * 24
        assert sim.status(name).runtime_status == "Running"
        sim.advance(timedelta(minutes=1))
        assert sim.status(name).output == (BEGIN + timedelta(days=30)).isoformat()
        assert sim.now == BEGIN + timedelta(days=30)


def test_no_time_goes_back() -> None:
    """A negative time is refused, and nothing is changed."""
    with simulation(app) as sim:
        for wrong in (timedelta(seconds=-1), timedelta.min):
            with pytest.raises(ValueError, match="does not go back"):
                sim.advance(wrong)
        with pytest.raises(ValueError, match="does not go back"):
            sim.advance(days=1, hours=-25)
        with pytest.raises(TypeError):
            sim.advance(dais=1)
        sim.advance()
        assert sim.now == BEGIN


def test_no_time_passes_when_none_may() -> None:
    """`run(time=False)` does what can be done at once, whatever the plan would choose."""
    plan = Plan(schedule=(0, 0, 0, *(1,) * 20))
    with simulation(app, replay=plan.encode()) as sim:
        sim.start(month)
        sim.start(month)
        sim.run(time=False)
        assert sim.now == BEGIN
        sim.run()
        assert sim.now >= BEGIN + timedelta(days=30)


def test_an_eternal_orchestration_is_cut_off() -> None:
    """A run that never ends stops after so many steps: it is neither at rest nor settled nor deadlocked."""
    with simulation(app) as sim:
        sim.start(hourly, 1, instance_id="h")
        sim.run()
        steps = len(sim.trace.steps)
        assert steps > 1000
        assert not sim.at_rest
        assert not sim.settled
        assert sim.deadlocked == []
        assert str(sim.trace).endswith("cut off after 2,000 steps (steps_max)")
        sim.run()
        assert len(sim.trace.steps) == 2 * steps - 3  # the start was three of them


def test_time_that_cannot_pass_is_an_error() -> None:
    """Time that never comes to pass, since something is always due at once, is an error and no endless loop."""
    with simulation(app) as sim:
        sim.start(at_once)
        sim.invariant(lambda: sim.commits < 3_000)  # else this test would not end
        with pytest.raises(SimulationError):
            sim.advance(seconds=1)


def test_activities_time_out_in_virtual_time() -> None:
    """G24: an attempt that takes longer than its time-out fails when the time is over, not earlier and not later."""
    with simulation(app) as sim:
        quick, slow = sim.start(impatient, 4.5), sim.start(impatient, 5.5)
        sim.advance(seconds=4.75)
        assert sim.status(quick).output == 4.5
        assert not sim.status(slow).is_finished
        sim.advance(seconds=0.25)
        assert "5" in sim.status(slow).output
        assert sim.effects(nap) == [4.5, 5.5]


def test_a_cancelled_activity_stops() -> None:
    """G24: an activity that is given up, or whose instance is terminated, is cancelled: nothing is left to wait for."""
    with simulation(app) as sim:
        sim.start(fickle, instance_id="f")
        sim.start(impatient, 4, instance_id="i")
        sim.run(time=False)
        sim.terminate("i")
        sim.run()
        assert sim.status("f").output == "TaskCancelledError"
        assert sim.now == BEGIN + timedelta(seconds=2)


def test_retries_wait_for_their_time() -> None:
    """G24: the pauses between attempts are durable timers, and every attempt is an effect."""
    with simulation(app) as sim:
        name = sim.start(persistent)
        sim.advance(seconds=59)
        assert len(sim.effects(broken)) == 1
        sim.crash()
        sim.advance(seconds=1)
        assert len(sim.effects(broken)) == 2
        sim.run()
        assert len(sim.effects(broken)) == 4
        assert sim.status(name).output == 60 + 600 + 6000


def test_scheduled_signals_come_in_the_order_of_their_times() -> None:
    """G4: scheduled signals come when they are due, also over a crash, and none that is due later comes with them."""
    with simulation(app) as sim:
        for days in (3, 1, 2):
            sim.call(Reminder.remind, days)
        sim.crash()
        sim.advance(days=2)
        assert sim.state(Reminder).calls == ["1 days", "2 days"]
        sim.do(
            lambda client: client.signal_entity(
                EntityId("Reminder", "k"), Reminder.note, "at once", signal_time=sim.now - timedelta(days=1)
            )
        )
        sim.advance(days=1)
        assert sim.state(Reminder).calls == ["1 days", "2 days", "at once", "3 days"]


def test_operations_time_out_in_virtual_time() -> None:
    """G10: an operation that takes longer than its entity allows is rolled back, and the next one has its turn."""
    with simulation(app) as sim:

        def slowly(seconds: int) -> None:
            sim.do(lambda client: client.call_entity(EntityId("Reminder", "k"), Reminder.note_slowly, seconds))

        slowly(3)
        with pytest.raises(EntityOperationFailed, match="OperationTimeout"):
            slowly(5)
        slowly(2)
        assert sim.state(Reminder).calls == ["3 s", "2 s"]
        assert sim.now == BEGIN + timedelta(seconds=3 + 4 + 2)


def test_a_clock_that_jumps_forward_makes_timers_due() -> None:
    """G28: what the wall clock has jumped over fires at once."""
    with simulation(app, replay=Plan(jumps=((3, 31 * 86_400.0),)).encode()) as sim:
        first = sim.start(month)
        second = sim.start(month)  # the clock jumps at its first step
        sim.advance()
        assert sim.status(first).output == (BEGIN + timedelta(days=31)).isoformat()
        assert not sim.status(second).is_finished
        sim.run()
        assert sim.status(second).output == (BEGIN + timedelta(days=61)).isoformat()


def test_a_clock_that_jumps_back_makes_timers_wait() -> None:
    """G28: a timer never fires early, and time never goes back for the code of an instance."""
    with simulation(app, replay=Plan(jumps=((3, -86_400.0),)).encode()) as sim:
        first = sim.start(month)
        second = sim.start(month)  # the clock jumps at its first step
        assert sim.now == BEGIN - timedelta(days=1)
        sim.advance(days=30)
        assert not sim.status(first).is_finished
        assert sim.status(second).output == (BEGIN + timedelta(days=29)).isoformat()
        sim.advance(days=1)
        assert sim.status(first).output == (BEGIN + timedelta(days=30)).isoformat()
