"""What activities and `async def` operations do between two awaits is part of the schedule."""

from __future__ import annotations

from datetime import timedelta

import attrs
import hypothesis
import pytest
import trio

from durio.orchestration import App, OrchestrationContext, TaskFailedError
from durio.simulation import Sim, call, simulate, simulation, start

app = App()
MINUTE_S = 60.0


@attrs.define
class Seats:
    """One seat in the world outside, and a log of what happened there."""

    free: int = 1
    log: list[str] = attrs.Factory(list)

    async def take(self, name: str) -> None:
        """Look, be slow, take: wrong if somebody else comes in between."""
        if self.free:
            for _ in range(4):
                await trio.lowlevel.checkpoint()
            self.free -= 1
            self.log.append(name)


@app.activity
async def book(names: list[str]) -> int:
    """Books for all at once, in a nursery."""
    seats = Seats()
    async with trio.open_nursery() as nursery:
        for name in names:
            nursery.start_soon(seats.take, name, name=name)
    return seats.free


@app.activity
async def impatient(seconds: float) -> str:
    with trio.move_on_after(seconds):
        await trio.sleep(MINUTE_S)
        return f"done at {trio.current_time():g}"
    return f"gave up at {trio.current_time():g}"


@app.activity
async def long(seconds: float) -> float:
    await trio.sleep(seconds)
    return trio.current_time()


@app.activity
async def endless(_: None) -> None:
    while True:
        await trio.lowlevel.checkpoint()


@app.activity
async def failing(text: str) -> None:
    await trio.sleep(1)
    raise ValueError(text)


@app.activity
async def careful(_: None) -> str:
    """Waits to be told; cleans up if it is not."""
    try:
        await trio.sleep(MINUTE_S)
    finally:
        await trio.lowlevel.cancel_shielded_checkpoint()
    return "done"


@app.orchestration
async def run(ctx: OrchestrationContext, work: tuple[str, object]) -> object:
    try:
        return await ctx.call_activity(*work)
    except TaskFailedError as error:
        return f"{error.failure.type}: {error.failure.message}"


@app.orchestration
async def hurry(ctx: OrchestrationContext, seconds: float) -> object:
    try:
        return await ctx.call_activity("long", MINUTE_S, timeout_s=seconds)
    except TaskFailedError as error:
        return error.failure.type.rpartition(".")[2]


@app.entity
@attrs.define
class Slow:
    """Adds slowly, and only below the limit."""

    sum: int = 0

    async def add(self, amount: int) -> int:
        await trio.sleep(1)
        if self.sum + amount > 5:
            raise ValueError("too much")
        self.sum += amount
        return self.sum


def output(sim: Sim, orchestration: str, value: object) -> object:
    """Runs it to its end."""
    instance_id = sim.start(orchestration, value)
    sim.run()
    return sim.status(instance_id).output


def test_by_default_no_task_comes_in_between() -> None:
    """A task that can go on goes on: what can be serial is serial, and every other order is a choice."""
    with simulation(app) as sim:
        assert output(sim, "run", ("book", ["a", "b"])) == 0
        steps = [step.label for step in sim.trace.steps if step.kind == "task"]
    # The parent opens the nursery; a from its start over 4 checkpoints to its end; then b; then the parent.
    assert steps == ["activity book#1 of run-0", *["a"] * 5, "b", "activity book#1 of run-0"]


@simulate(
    start(run, ("book", ["a", "b"])),
    max_calls=1,
    settings=hypothesis.settings(database=None, derandomize=True, max_examples=300),
)
def overbooked(sim: Sim) -> None:
    assert sim.status("run-0").output in (None, 0)


def test_a_race_between_tasks_of_one_activity_is_found() -> None:
    """Check, four awaits, act: the schedule in which the other one comes in between is found, and its trace shown."""
    with pytest.raises(AssertionError) as caught:
        overbooked()
    notes = "\n".join(caught.value.__notes__)
    assert "task      a" in notes
    assert "task      b" in notes
    assert "overbooked.replay(" in notes


def test_time_in_activities_is_virtual() -> None:
    """Sleeps and cancel scopes follow the simulation's clock: a minute, or a year, costs nothing."""
    with simulation(app) as sim:
        begin = sim.now
        assert output(sim, "run", ("impatient", 10)) == "gave up at 10"
        assert output(sim, "run", ("impatient", 100)) == "done at 70"
        assert output(sim, "run", ("long", 86_400 * 365)) == 70 + 86_400 * 365
        assert sim.now - begin == timedelta(seconds=70, days=365)


def test_an_activity_is_awake_when_its_time_has_come_and_not_before() -> None:
    """`advance` to just before the deadline changes nothing; a second more, and it is done."""
    with simulation(app) as sim:
        sim.start("run", ("long", MINUTE_S))
        sim.advance(seconds=MINUTE_S - 1)
        assert sim.status("run-0").runtime_status == "Running"
        sim.advance(seconds=1)
        assert sim.status("run-0").output == MINUTE_S


def test_a_timeout_of_an_activity_ends_its_attempt() -> None:
    """G24: `timeout_s` is virtual, too."""
    with simulation(app) as sim:
        assert output(sim, "hurry", 5.0) == "ActivityTimeout"
        assert output(sim, "hurry", 2 * MINUTE_S) == MINUTE_S + 5


def test_an_activity_that_raises_fails_its_task_only() -> None:
    """What it raised is the orchestration's to handle, and the simulation goes on."""
    with simulation(app) as sim:
        assert output(sim, "run", ("failing", "no")) == "ValueError: no"
        assert output(sim, "run", ("long", 1)) == 2


def test_an_activity_that_never_ends_keeps_nobody_from_going_on() -> None:
    """G9: by default the others get their turns and their commits, too, though it can always go on."""
    with simulation(app) as sim:
        sim.start("run", ("endless", None), instance_id="a")
        sim.send(start(run, ("endless", None), instance_id="b"))
        sim.eventually(lambda: {run.instance_id for run in sim.runs("endless")} == {"a", "b"}, within=200)


@simulate(start(run, ("endless", None)), max_calls=1, steps_max=80, settings=hypothesis.settings(max_examples=5))
def test_an_activity_that_never_ends_is_cut_off_and_closed(sim: Sim) -> None:
    """It can always go on, so nothing is at rest and nothing is stuck; `steps_max` ends the run, and it with it."""
    assert len(sim.trace.steps) == 80
    assert (sim.at_rest, sim.settled, sim.deadlocked) == (False, False, [])
    assert "task activity endless#1 of run-0" in sim.enabled()


def test_a_crash_ends_what_runs_and_it_runs_again() -> None:
    """G24: an activity in the middle of its work is cancelled with its process, and begins anew in the next one."""
    with simulation(app) as sim:
        sim.start("run", ("careful", None))
        sim.advance(seconds=MINUTE_S / 2)
        sim.crash()
        sim.run()
        assert sim.status("run-0").output == "done"
        assert sim.effects("careful") == [None, None]
        passed = [step.label for step in sim.trace.steps if step.kind == "time"]
        assert passed == ["+30 s", "+60 s"]


@simulate(call(Slow.add, 2), call(Slow.add, 3), max_crashes=1)
def test_asynchronous_operations_are_turns_of_their_own(sim: Sim) -> None:
    """G1, G10: nothing comes between the awaits of an operation, whatever the schedule and the crashes."""
    assert sim.linearizable()
    assert sim.state(Slow).sum <= 5
