"""Simulations beside other things: in async tests, side by side, inside each other, with clients in activities."""

from __future__ import annotations

from datetime import timedelta

import attrs
import trio
from trio.testing import MockClock

from durio.entities import EntityId, VirtualEnv
from durio.orchestration import ActivityContext, App, Client, OrchestrationContext, open_hub
from durio.simulation import Sim, call, simulate, simulation, start
from durio.storage import MemoryDisk, MemoryStore

app = App()


@app.entity
@attrs.define
class Counter:
    value: int = 0

    async def add(self, amount: int) -> int:
        await trio.sleep(1)
        self.value += amount
        return self.value


@app.activity
async def nap(seconds: int) -> int:
    await trio.sleep(seconds)
    return seconds


@app.orchestration
async def sleeper(ctx: OrchestrationContext, seconds: int) -> int:
    await ctx.call_entity(EntityId("Counter", "k"), Counter.add, seconds)
    await ctx.create_timer(timedelta(days=1))
    return await ctx.call_activity(nap, seconds)


@simulate(start(sleeper, 2), call(Counter.add, 1), app=app, max_crashes=1)
def everything_holds(sim: Sim) -> None:
    """No test by itself: what the async test below runs."""
    assert sim.linearizable()


async def test_an_async_test_may_simulate(autojump_clock: MockClock) -> None:
    """A simulation in a Trio program leaves the program's own loop and clock alone, also while it looks at itself."""
    seen: list[float] = []

    async def beside() -> None:
        for _ in range(3):
            await trio.sleep(1)
            seen.append(trio.current_time())

    began = trio.current_time()
    with simulation(app) as sim:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(beside)
            name = sim.start(sleeper, 5)
            sim.invariant(lambda: sim.at_rest or not sim.settled)
            sim.eventually(lambda: sim.settled)
            await trio.sleep(10)
            assert sim.linearizable()
        assert sim.status(name).output == 5
    await trio.sleep(1)
    assert [moment - began for moment in seen] == [1, 2, 3]
    assert trio.current_time() - began == 11


async def test_an_async_test_may_run_a_simulated_one(autojump_clock: MockClock) -> None:
    """A test that `simulate` made may be called inside of a Trio program."""
    everything_holds()
    await trio.sleep(1)


async def test_a_hub_and_a_simulation_of_it_side_by_side(autojump_clock: MockClock) -> None:
    """One app may be run by a real hub and by a simulation at the same time; neither sees anything of the other."""
    async with open_hub(MemoryStore(MemoryDisk()), app, env=VirtualEnv()) as client:
        await client.start_new(sleeper, "real", 3)
        with simulation(app) as sim:
            sim.start(sleeper, 4, instance_id="simulated")
            sim.run()
            assert list(sim.instances) == ["simulated"]
            assert (await client.wait_for_completion("real")).output == 3
            assert sim.status("simulated").output == 4
        assert await client.call_entity(EntityId("Counter", "k"), Counter.add, 0) == 3


def test_two_simulations_take_turns() -> None:
    """Two simulations in one thread, stepped by turns, are two worlds with times of their own."""
    with simulation(app) as one, simulation(app) as other:
        one.start(sleeper, 1, instance_id="s")
        other.start(sleeper, 2, instance_id="s")
        steps = 0
        while one.step() | other.step():
            steps += 1
        assert (one.status("s").output, other.status("s").output) == (1, 2)
        assert (one.state(Counter), other.state(Counter)) == (Counter(1), Counter(2))
        assert one.now != other.now
        assert steps > 10


def test_a_simulation_inside_an_activity_of_another() -> None:
    """An activity may run a simulation of its own; the outer one goes on with its own time."""
    outer = App()

    @outer.activity
    async def simulated(seconds: int) -> int:
        await trio.sleep(1)
        with simulation(app) as inner:
            name = inner.start(sleeper, seconds)
            inner.run()
            found: int = inner.status(name).output
        await trio.sleep(1)
        return found

    @outer.orchestration
    async def runs_it(ctx: OrchestrationContext) -> int:
        return await ctx.call_activity(simulated, 6)

    with simulation(outer) as sim:
        name, began = sim.start(runs_it), sim.now
        sim.run()
        assert sim.status(name).output == 6
        assert sim.now - began == timedelta(seconds=2)


def test_an_activity_may_ask_the_hub() -> None:
    """G13: an activity that uses a client waits as a task of its own until its answer is durable."""
    asking = App()
    asking.entity(Counter)
    clients: list[Client] = []

    @asking.activity
    async def asks(amount: int) -> int:
        key = ActivityContext.current().idempotency_key  # it may run again
        return await clients[-1].call_entity(EntityId("Counter", "k"), Counter.add, amount, request_id=key)

    @asking.activity
    async def waits_for(instance_id: str) -> int:
        found: int = (await clients[-1].wait_for_completion(instance_id)).output
        return found

    @asking.orchestration
    async def adds(ctx: OrchestrationContext, amount: int) -> int:
        return await ctx.call_activity(asks, amount)

    @asking.orchestration
    async def follows(ctx: OrchestrationContext) -> int:
        return await ctx.call_activity(waits_for, "adds")

    async def lend(client: Client) -> None:
        clients.append(client)

    with simulation(asking) as sim:
        sim.do(lend)
        sim.start(adds, 3, instance_id="adds")
        sim.start(follows, instance_id="follows")
        sim.run()
        assert sim.status("adds").output == sim.status("follows").output == 3
        sim.start(adds, 4, instance_id="adds")
        sim.start(follows, instance_id="follows")
        sim.crash()
        sim.do(lend)
        sim.run()
        assert sim.status("adds").output == sim.status("follows").output == 7
        assert sim.linearizable()
