"""Bounded run-ahead: turns and timers wait for the commit in flight, and no busy loop starves the commits."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from pathlib import Path

import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from durio.entities import EntityContext, EntityId, from_us
from durio.entities.limits import TIMER_BATCH_MAX
from durio.orchestration import open_hub
from durio.storage import LmdbStore, MemoryDisk, MemoryStore
from tests.entities.helpers import Counter, HeldEnv, app_of
from tests.opened import runtime_of


class Spinner:
    """An entity that signals itself for ever, and counts how often."""

    def __init__(self) -> None:
        self.turns = 0

    def spin(self, context: EntityContext) -> None:
        self.turns += 1
        context.signal_entity(context.entity_id, "again")


async def test_turns_wait_for_the_commit_in_flight(autojump_clock: MockClock) -> None:
    """With a commit under way the turns stop after their slice; when it ends they go on."""
    env, spinner = HeldEnv(), Spinner()
    app = app_of()
    app.entity(name="spinner")(spinner.spin)
    async with open_hub(MemoryStore(MemoryDisk()), app, env=env) as client:
        await client.signal_entity(EntityId("spinner", "a"), "go")
        with env.held():
            await wait_all_tasks_blocked()  # would never come if the turns went on
            turns, commits = spinner.turns, env.commits
            assert len(runtime_of(client).kernel.view._in_flight) == 1
        while env.commits < commits + 5:
            await trio.lowlevel.checkpoint()
        assert spinner.turns > turns


async def test_due_timers_wait_for_the_commit_in_flight(autojump_clock: MockClock) -> None:
    """G8, G28: what became due fires in bounded batches, a few before their commit, and all of it in the end."""
    env, count = HeldEnv(), 8 * TIMER_BATCH_MAX
    clicks = EntityId("counter", "clicks")
    async with open_hub(MemoryStore(MemoryDisk()), app_of(Counter), env=env) as client:
        due = from_us(env.now_us()) + timedelta(seconds=1)
        async with trio.open_nursery() as nursery:
            for _ in range(count):
                nursery.start_soon(partial(client.signal_entity, clicks, "add", signal_time=due))
        with env.held():
            await trio.sleep(2)
            await wait_all_tasks_blocked()
            left = len(runtime_of(client).kernel.view.scan(b"t", b"t", b"u"))
            assert count - 4 * TIMER_BATCH_MAX <= left < count
            assert len(runtime_of(client).store.scan(b"t", b"u")) == count
        await trio.sleep(1)
        assert await client.call_entity(clicks, "get") == count


async def test_busy_tasks_do_not_starve_the_commits(tmp_path: Path) -> None:
    """G9: with tasks that keep the loop and the GIL busy all the time commits go on, under an open load.

    Counted in commits, not in time: the load never waits for them.
    """
    store = LmdbStore.open(tmp_path / "hub")
    clicks = EntityId("counter", "clicks")
    async with trio.open_nursery() as nursery:

        async def busy() -> None:
            while True:
                sum(range(20_000))
                await trio.lowlevel.checkpoint()

        for _ in range(3):
            nursery.start_soon(busy)
        async with open_hub(store, app_of(Counter)) as client, trio.open_nursery() as load:
            sent = 0
            with trio.fail_after(60):  # a hang ends the test; nothing is measured by it
                while store.last_commit < 40:
                    load.start_soon(client.signal_entity, clicks, "add", 1)
                    sent += 1
                    await trio.lowlevel.checkpoint()
            while (await client.call_entity(clicks, Counter.get)) < sent:
                await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()


async def test_many_turns_share_few_commits(autojump_clock: MockClock) -> None:
    """What comes in while a commit is under way is taken together; only the 2 ms of a slice part it."""
    env = HeldEnv()
    async with open_hub(MemoryStore(MemoryDisk()), app_of(Counter), env=env) as client:
        async with trio.open_nursery() as nursery:
            with env.held():
                nursery.start_soon(client.signal_entity, EntityId("counter", "first"), "add")
                await wait_all_tasks_blocked()
                for number in range(50):
                    nursery.start_soon(client.call_entity, EntityId("counter", str(number)), "add")
                await wait_all_tasks_blocked()
                before = env.commits
        assert env.commits - before < 10
