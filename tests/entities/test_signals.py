"""Signals: one FIFO a sender and receiver, scheduled ones by (due time, scheduling), fair turns (G4, G8)."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from durio.entities import EntityContext, EntityId, VirtualEnv, from_us
from durio.entities.limits import MAILBOX_WINDOW_MAX, TURN_MESSAGES_MAX
from durio.orchestration import OrchestrationContext, open_hub
from durio.storage import MemoryDisk, MemoryStore
from tests.entities.helpers import Counter, Log, activations, app_of
from tests.opened import runtime_of

LOG = EntityId("log", "a")


def forward(context: EntityContext) -> None:
    """Sends `count` numbered lines to the log."""
    for number in range(context.get_input()):
        context.signal_entity(LOG, "append", f"{context.entity_key}{context.operation_name}{number}")


async def test_everything_one_sender_sends_comes_in_order(autojump_clock: MockClock) -> None:
    """G4: the lines of each sender are in the order in which it sent them, over operations and turns."""
    async with open_hub(MemoryStore(MemoryDisk()), app_of(Log, forward), env=VirtualEnv()) as client:
        async with trio.open_nursery() as nursery:
            for key in "xyz":
                for operation in "abc":
                    nursery.start_soon(client.signal_entity, EntityId("forward", key), operation, 20)
                    await wait_all_tasks_blocked()
        await wait_all_tasks_blocked()
        lines = await client.call_entity(LOG, Log.get)
        assert len(lines) == 180
        for key in "xyz":
            expected = [f"{key}{operation}{number}" for operation in "abc" for number in range(20)]
            assert [line for line in lines if line.startswith(key)] == expected


async def test_a_client_that_waits_for_each_tell_is_one_fifo(autojump_clock: MockClock) -> None:
    """G4: signals and calls of one client, mixed, keep their order."""
    async with open_hub(MemoryStore(MemoryDisk()), app_of(Log), env=VirtualEnv()) as client:
        for number in range(50):
            if number % 3:
                await client.signal_entity(LOG, "append", number)
            else:
                await client.call_entity(LOG, "append", number)
        assert await client.call_entity(LOG, Log.get) == list(range(50))


@pytest.mark.parametrize("sender", ["client", "entity", "orchestration"])
@pytest.mark.parametrize("reopened", [False, True])
async def test_scheduled_signals_come_by_due_time_then_by_scheduling(
    sender: str, reopened: bool, autojump_clock: MockClock
) -> None:
    """G4, G28: whoever scheduled them, also when they became due while the hub was closed; none comes early."""
    delays = [5, 1, 5, 3, 1, 0, 5, 2, 0]
    random.Random(7).shuffle(delays)
    env, disk = VirtualEnv(), MemoryDisk()
    began = from_us(env.now_us()) + timedelta(seconds=10)

    def schedule(context: EntityContext) -> None:
        for number, delay in enumerate(delays):
            context.signal_entity(LOG, "append", [delay, number], signal_time=began + timedelta(seconds=delay))

    async def plan(ctx: OrchestrationContext) -> None:
        for number, delay in enumerate(delays):
            ctx.signal_entity(LOG, "append", [delay, number], signal_time=began + timedelta(seconds=delay))

    app = app_of(Log, schedule)
    app.orchestration(plan)
    async with open_hub(MemoryStore(disk), app, env=env) as client:
        if sender == "entity":
            await client.call_entity(EntityId("schedule", "a"), "go")
        elif sender == "orchestration":
            await client.wait_for_completion(await client.start_new(plan))
        else:
            for number, delay in enumerate(delays):
                when = began + timedelta(seconds=delay)
                await client.signal_entity(LOG, "append", [delay, number], signal_time=when)
        assert await client.call_entity(LOG, Log.get) == []
        if not reopened:
            await trio.sleep(10 + 2.5)
            lines = await client.call_entity(LOG, Log.get)
            assert lines == sorted([d, n] for n, d in enumerate(delays) if d <= 2)
            await trio.sleep(10)
    if reopened:
        await trio.sleep(60)
    async with open_hub(MemoryStore(disk), app, env=env) as client:
        await trio.sleep(1)
        assert await client.call_entity(LOG, Log.get) == sorted([d, n] for n, d in enumerate(delays))


async def test_a_signal_for_the_past_comes_at_once(autojump_clock: MockClock) -> None:
    """G28: a due time that is over is due."""
    env = VirtualEnv()
    async with open_hub(MemoryStore(MemoryDisk()), app_of(Log), env=env) as client:
        for when in (from_us(0), from_us(-1), from_us(env.now_us())):
            await client.signal_entity(LOG, "append", 1, signal_time=when)
        await trio.sleep(0.001)
        assert await client.call_entity(LOG, Log.get) == [1, 1, 1]


@pytest.mark.parametrize(("when", "error"), [(datetime(2026, 1, 1), ValueError), ("tomorrow", TypeError)])  # noqa: DTZ001
async def test_a_due_time_that_names_no_moment_is_refused(
    when: Any, error: type[Exception], autojump_clock: MockClock
) -> None:
    """G28: datetimes are aware."""
    async with open_hub(MemoryStore(MemoryDisk()), app_of(Log), env=VirtualEnv()) as client:
        with pytest.raises(error, match="signal_time"):
            await client.signal_entity(LOG, "append", 1, signal_time=when)
        assert await client.call_entity(LOG, Log.get) == []


async def test_a_long_mailbox_is_worked_off_in_order_and_in_fair_turns(autojump_clock: MockClock) -> None:
    """G7, G8: of 5,000 unread signals a window is in memory; another actor gets its turn in between."""
    disk, count = MemoryDisk(), 5_000
    went: list[int] = []

    def busy(context: EntityContext) -> None:
        went.append(context.get_input())

    def other(context: EntityContext) -> int:
        return len(went)

    async def asleep(context: EntityContext) -> None:
        await trio.sleep_forever()

    def send(context: EntityContext) -> None:
        for number in range(count):
            context.signal_entity(EntityId("busy", "a"), "go", number)

    waiting = app_of(send)
    waiting.entity(name="busy")(asleep)
    async with open_hub(MemoryStore(disk), waiting, env=VirtualEnv()) as client:
        await client.call_entity(EntityId("send", "a"), "go")
        await trio.sleep(100)
        assert activations(client) == ["@busy@a"]
    async with open_hub(MemoryStore(disk), app_of(busy, other), env=VirtualEnv()) as client:
        between = await client.call_entity(EntityId("other", "a"), "ask")
        assert between <= 2 * TURN_MESSAGES_MAX
        for activation in runtime_of(client).kernel.catalog:
            assert len(activation.mailbox._queue) <= MAILBOX_WINDOW_MAX
        await wait_all_tasks_blocked()
    assert went == list(range(count))
    assert disk.snapshot() == {}


async def test_an_entity_that_signals_itself_for_ever_starves_nobody(autojump_clock: MockClock) -> None:
    """G8: after so many messages an actor goes to the back of the queue."""
    turns = 0

    def spin(context: EntityContext) -> None:
        nonlocal turns
        turns += 1
        if context.operation_name == "go" and not stop:
            context.signal_entity(context.entity_id, "go")

    stop: list[bool] = []
    async with open_hub(MemoryStore(MemoryDisk()), app_of(spin, Counter), env=VirtualEnv()) as client:
        await client.signal_entity(EntityId("spin", "a"), "go")
        for number in range(1, 6):
            before = turns
            assert await client.call_entity(EntityId("counter", "a"), "add", 1) == number
            assert turns > before
        stop.append(True)
        await wait_all_tasks_blocked()


async def test_no_turn_holds_the_queue_longer_than_its_messages(autojump_clock: MockClock) -> None:
    """G8: one turn takes at most `turn_messages_max` messages, whatever waits."""
    ran: list[str] = []

    def note(context: EntityContext) -> None:
        ran.append(context.entity_key)

    async with open_hub(MemoryStore(MemoryDisk()), app_of(note), env=VirtualEnv()) as client:
        kernel = runtime_of(client).kernel
        async with trio.open_nursery() as nursery:
            for key in "ab":
                for _ in range(2 * TURN_MESSAGES_MAX):
                    nursery.start_soon(client.signal_entity, EntityId("note", key), "go")
            while len(kernel.waiting) < 2:
                await trio.lowlevel.checkpoint()
        await wait_all_tasks_blocked()
    runs = [0]
    for before, key in pairwise(ran):
        runs.append(0 if key != before else runs[-1] + 1)
    assert len(ran) == 4 * TURN_MESSAGES_MAX
    assert max(runs) < 2 * TURN_MESSAGES_MAX
