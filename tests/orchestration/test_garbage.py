"""What leaves memory leaves it at once: nothing is left to Python's garbage collector, which stops everything."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock

from durio.entities import EntityId, VirtualEnv
from durio.orchestration import App, Client, OrchestrationContext, RetryOptions, Task, open_hub
from durio.storage import MemoryDisk, MemoryStore

app = App()
PURSE = EntityId("Purse", "mine")


@app.entity
@attrs.define
class Purse:
    coins: int = 0

    def put(self, coins: int) -> int:
        self.coins += coins
        return self.coins

    def burn(self, coins: int) -> None:
        raise RuntimeError(f"{coins} coins are gone")


@app.activity
def double(number: int) -> int:
    if number < 0:
        raise ValueError(f"no {number}")
    return 2 * number


@app.orchestration
async def child(ctx: OrchestrationContext, number: int) -> int:
    return await ctx.call_activity(double, number)


@app.orchestration
async def works(ctx: OrchestrationContext, number: int) -> int:
    """A bit of everything, and to its end."""
    number = await ctx.call_activity(double, number)
    number += sum(await ctx.task_all([ctx.call_activity(double, n) for n in range(3)]))
    await ctx.create_timer(timedelta(seconds=1))
    number += await ctx.call_sub_orchestrator(child, number)
    async with await ctx.lock_entities([PURSE]):
        await ctx.call_entity(PURSE, Purse.put, 1)
    late = ctx.create_timer(timedelta(days=1))
    await ctx.task_any([late, ctx.wait_for_external_event("go", int)])
    late.cancel()
    return number


@app.orchestration
def yields(ctx: OrchestrationContext, number: int) -> Generator[Task[Any], Any, int]:
    """The same shape as a generator."""
    doubled: int = yield ctx.call_activity(double, number)
    event: int = yield ctx.wait_for_external_event("go", int)
    return doubled + event


@app.orchestration
async def again(ctx: OrchestrationContext, left: int) -> None:
    """Continues as new, and ends."""
    await ctx.wait_for_external_event("go", int)
    if left:
        ctx.continue_as_new(left - 1)


@app.orchestration
async def asynchronous_generators(ctx: OrchestrationContext, number: int) -> int:
    """Leaves a generator early."""

    async def numbers() -> AsyncIterator[int]:
        while True:
            yield await ctx.call_activity(double, number)

    async for found in numbers():
        return found + await ctx.wait_for_external_event("go", int)
    return 0


@app.orchestration
async def catches(ctx: OrchestrationContext, number: int) -> int:
    """Failures of every kind, all of them caught and kept in variables."""
    task = ctx.call_activity(double, -number)
    failures: list[Exception] = []
    for failing in (
        task,
        ctx.call_activity_with_retry(double, RetryOptions(1000, 2), -number),
        ctx.call_sub_orchestrator(child, -number),
        ctx.call_entity(PURSE, Purse.burn, number),
        ctx.task_all([ctx.call_activity(double, n) for n in (1, -1, -2)]),
    ):
        try:
            await failing
        except Exception as error:
            failures.append(error)
    return len(failures) + await ctx.wait_for_external_event("go", int)


@app.orchestration
async def fails(ctx: OrchestrationContext, number: int) -> int:
    """A failure that was caught, and then one that nobody catches."""
    await ctx.wait_for_external_event("go", int)
    try:
        return await ctx.call_activity(double, -number)
    except Exception as error:
        mine = error
        raise RuntimeError("no way") from mine


@app.orchestration
async def forbidden(ctx: OrchestrationContext, number: int) -> None:
    """Does what an orchestrator must not do, and catches what it is told."""
    await ctx.wait_for_external_event("go", int)
    try:
        await trio.sleep(1)
    except Exception as error:
        mine = error
        raise mine from None


@app.orchestration
async def cancelled(ctx: OrchestrationContext, number: int) -> int:
    """Cleans up when it is cancelled."""
    try:
        return await ctx.wait_for_external_event("go", int)
    finally:
        await ctx.call_activity(double, number)


PROGRAMS = [catches, fails, forbidden, cancelled, works, yields, again, asynchronous_generators]


ENDS = {fails: "Failed", forbidden: "Failed", cancelled: "Canceled"}


async def run(client: Client, program: Callable[..., Any], ids: list[str], *, to_the_end: bool) -> None:
    """Start instances; let them end, or leave them waiting."""
    for instance_id in ids:
        await client.start_new(program, instance_id, 1)
    await trio.sleep(5)
    for instance_id in ids if to_the_end else []:
        if program is cancelled:
            await client.cancel(instance_id)
        for _ in range(1 + (program is again) if program is not cancelled else 0):
            await client.raise_event(instance_id, "go", 1)
        status = await client.wait_for_completion(instance_id)
        assert status.runtime_status == ENDS.get(program, "Completed"), status


@contextmanager
def garbage(found: Counter[str]) -> Iterator[None]:
    """Counts what only the garbage collector could free of what was used meanwhile; durio's, and what is the user's."""
    gc.collect()
    gc.disable()
    try:
        yield
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        names = [f"{type(thing).__module__}.{type(thing).__qualname__}" for thing in gc.garbage]
        found.update(name for name in names if name.startswith("durio.") or name.endswith(("coroutine", "generator")))
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
@pytest.mark.parametrize("to_the_end", [True, False], ids=["ended", "waiting"])
async def test_an_instance_that_leaves_memory_leaves_no_garbage(
    autojump_clock: MockClock, program: Callable[..., Any], to_the_end: bool
) -> None:
    """G7: whether it has ended or waits; nothing that an execution holds refers back to it when it is dropped."""
    found = Counter[str]()
    async with open_hub(MemoryStore(MemoryDisk()), app, env=VirtualEnv(), activations_max=1) as client:
        await run(client, program, [f"warm-{n}" for n in range(3)], to_the_end=to_the_end)
        with garbage(found):
            await run(client, program, [f"more-{n}" for n in range(10)], to_the_end=to_the_end)
            await trio.sleep(120)
    assert not found
