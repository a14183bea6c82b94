"""Inside a simulation time and randomness are virtual and come again; what would be real is refused."""

from __future__ import annotations

import os
import random
import socket
import threading
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import attrs
import pytest
import trio

from durio.orchestration import App, NonDeterminismError, OrchestrationContext, TaskFailedError
from durio.orchestration.history import ActivityCompleted
from durio.simulation import NotSimulated, Sim, call, simulation, start

app = App()

REAL = (
    (time, "time"),
    (time, "time_ns"),
    (time, "sleep"),
    (os, "urandom"),
    (threading.Thread, "start"),
    (trio.to_thread, "run_sync"),
    (socket.socket, "connect"),
)
"""What is another thing inside of a simulation."""


@app.activity
async def look(_: None) -> list[object]:
    """What the clock says, and what the dice."""
    return [time.time(), time.time_ns(), random.random(), str(uuid.uuid4()), os.urandom(4).hex()]


@app.orchestration
async def look_around(ctx: OrchestrationContext, naps: int) -> list[object]:
    seen = [await ctx.call_activity(look, None)]
    for _ in range(naps):
        await ctx.create_timer(ctx.current_utc_datetime + timedelta(seconds=90))
        seen.append(await ctx.call_activity(look, None))
    return list(seen)


@app.activity
def sleeps(_: None) -> None:
    getattr(time, "sleep")(0)  # noqa: B009  # what is looked for in tests, and refused here


@app.activity
def starts_a_thread(_: None) -> None:
    threading.Thread(target=str).start()


@app.activity
async def goes_to_a_thread(_: None) -> None:
    await trio.to_thread.run_sync(str)


@app.activity
def connects(_: None) -> None:
    with socket.socket() as found:
        found.connect(("127.0.0.1", 9))


@app.activity
async def connects_by_trio(_: None) -> None:
    with trio.socket.socket() as found:
        await found.connect(("127.0.0.1", 9))


@app.orchestration
async def forgiving(ctx: OrchestrationContext, activity: str) -> str:
    """Swallows whatever its activity raises."""
    try:
        await ctx.call_activity(activity, None)
    except TaskFailedError:
        return "never mind"
    return "done"


@app.entity
@attrs.define
class Sleepy:
    """Blocks inside a turn."""

    naps: int = 0

    def nap(self) -> int:
        sleeps(None)
        self.naps += 1
        return self.naps


@app.orchestration
async def from_a_source(ctx: OrchestrationContext, source: str) -> None:
    """Not deterministic: its inputs are from outside."""
    sources: dict[str, Callable[[], object]] = {
        "time": lambda: time.time(),
        "time_ns": lambda: time.time_ns(),
        "random": lambda: random.random(),
        "shuffle": lambda: random.sample(range(100), 100),
        "uuid4": lambda: str(uuid.uuid4()),
        "urandom": lambda: os.urandom(8).hex(),
    }
    await ctx.call_activity("look", sources[source]())


@app.orchestration
async def from_the_context(ctx: OrchestrationContext, _: None) -> list[str]:
    await ctx.call_activity(look, None)
    return [str(ctx.new_uuid()), ctx.current_utc_datetime.isoformat()]


def looked(run: Callable[[Sim], object]) -> list[list[object]]:
    """What a run of `look_around` saw."""
    with simulation(app) as sim:
        instance_id = sim.start(look_around, 2)
        run(sim)
        output: list[list[object]] = sim.status(instance_id).output
        return output


def test_every_run_sees_the_same_times_and_dice() -> None:
    """Two runs are equal to the last random byte, and what was random before is not touched by them."""
    random.seed(7)
    expected = random.random()
    random.seed(7)
    first, second = looked(Sim.run), looked(Sim.run)
    assert first == second
    assert random.random() == expected


def test_within_a_run_dice_fall_differently() -> None:
    """Random numbers, UUIDs and bytes do not repeat, however the run is cut into steps."""

    def by_steps(sim: Sim) -> None:
        while sim.step():
            pass

    whole, stepped = looked(Sim.run), looked(by_steps)
    assert whole == stepped
    for column in (2, 3, 4):
        assert len({row[column] for row in whole}) == 3


def test_time_is_the_clock_of_the_simulation() -> None:
    """Both clocks of `time` show `sim.now`, which moves with timers only."""
    rows = looked(Sim.run)
    begin = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
    assert [row[0] for row in rows] == [begin, begin + 90, begin + 180]
    assert [row[1] for row in rows] == [round(float(str(row[0]))) * 1_000_000_000 for row in rows]


def test_the_real_world_is_back_after_every_step() -> None:
    """Between steps, and after the end, the test itself has real time, threads and sockets."""
    before = [getattr(owner, name) for owner, name in REAL]
    with simulation(app) as sim:
        assert [getattr(owner, name) for owner, name in REAL] == before
        sim.send(start(look_around, 1))
        while sim.step():
            assert [getattr(owner, name) for owner, name in REAL] == before
        sim.crash()
        sim.advance(days=1)
        assert sim.at_rest
        assert [getattr(owner, name) for owner, name in REAL] == before
    assert [getattr(owner, name) for owner, name in REAL] == before


def test_inside_nothing_is_real() -> None:
    """Each of the names that are replaced is another thing while an activity runs."""
    real = {name: getattr(owner, name) for owner, name in REAL}

    def compare(_: object) -> list[str]:
        return [name for owner, name in REAL if getattr(owner, name) is real[name]]

    with simulation(app, activities={look: compare}) as sim:
        sim.start(forgiving, "look")
        sim.run()
        assert sim.effects(look) == [None]
        completed = [event for event in sim.history("forgiving-0") if isinstance(event, ActivityCompleted)]
        assert [event.result for event in completed] == [b"[]"]


@pytest.mark.parametrize(
    ("activity", "what", "instead"),
    [
        ("sleeps", "time.sleep was called", "await trio.sleep"),
        ("starts_a_thread", "a thread was started", "activities={your_activity: fake}"),
        ("goes_to_a_thread", "a thread was started", "activities={your_activity: fake}"),
        ("connects", "a socket was connected", "activities={your_activity: fake}"),
        ("connects_by_trio", "a socket was connected", "activities={your_activity: fake}"),
    ],
)
def test_a_refusal_ends_the_run(activity: str, what: str, instead: str) -> None:
    """What is real is refused, and the run ends with it even if the code swallows that: nothing passes by accident."""
    before = [getattr(owner, name) for owner, name in REAL]
    with simulation(app) as sim:
        sim.start(forgiving, activity)
        with pytest.raises(NotSimulated) as caught:
            sim.run()
        assert what in caught.value.what
        assert instead in caught.value.instead
        assert str(caught.value).startswith(f"{what} inside a simulation: ")
        assert str(sim.trace).count(f"{activity}(None) runs") == 1
    assert [getattr(owner, name) for owner, name in REAL] == before
    assert trio.run(in_a_thread) == 5


async def in_a_thread() -> int:
    return await trio.to_thread.run_sync(lambda: 5)


def test_an_operation_of_an_entity_is_refused_as_well() -> None:
    """A turn that blocks would hold up the whole hub: the simulation says so."""
    with simulation(app) as sim, pytest.raises(NotSimulated, match=r"time\.sleep"):
        sim.ask(call(Sleepy.nap))


def test_with_a_fake_nothing_is_refused() -> None:
    """What the text of the refusal says helps."""
    with simulation(app, activities={"connects": lambda _: None}) as sim:
        sim.start(forgiving, "connects")
        sim.run()
        assert sim.status("forgiving-0").output == "done"


@pytest.mark.parametrize("source", ["time", "time_ns", "random", "shuffle", "uuid4", "urandom"])
def test_a_replay_sees_other_values(source: str) -> None:
    """G20: an orchestrator that takes time or chance from outside is found at the line where it does."""
    with simulation(app) as sim:
        sim.send(start(from_a_source, source))
        with pytest.raises(NonDeterminismError, match=r"test_reality\.py:\d+ in from_a_source") as caught:
            sim.run()
        assert "ActivityScheduled(id=1, name='look') with" in str(caught.value)


def test_time_and_ids_of_the_context_are_the_same_in_a_replay() -> None:
    """G20, G29: what the context gives may be used."""
    with simulation(app) as sim:
        sim.start(from_the_context)
        sim.run()
        output = sim.status("from_the_context-0").output
    assert output[1] == "2026-01-01T00:00:00+00:00"
    assert str(uuid.UUID(output[0])) == output[0]
