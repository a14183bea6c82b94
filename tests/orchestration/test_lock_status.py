"""G12: who holds which lock, since when, and who waits, can be listed."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import attrs
import trio

from durio.entities import EntityId
from durio.orchestration import App, OrchestrationContext
from tests.orchestration.helpers import finished, hub

A, B = EntityId("Account", "a"), EntityId("Account", "b")

app = App()


@app.entity
@attrs.define
class Account:
    balance: int = 0

    def add(self, amount: int) -> int:
        self.balance += amount
        return self.balance


@app.orchestration
async def holds(ctx: OrchestrationContext) -> None:
    async with await ctx.lock_entities([A, B]):
        await ctx.wait_for_external_event("go on")


@app.orchestration
async def calls(ctx: OrchestrationContext) -> int:
    return await ctx.call_entity(A, Account.add, 1)


async def test_locks_are_listed_with_holders_and_waiters(tmp_path: Path, autojump_clock: object) -> None:
    """G12: entity, holder, its status, how long, and in order who waits: for the lock or with a call."""
    async with hub(tmp_path, app) as client, trio.open_nursery() as nursery:
        assert await client.list_locks() == []
        await client.start_new(holds, "x")
        await trio.sleep(1)
        await client.start_new(calls, "y")
        await client.start_new(holds, "z")
        await client.signal_entity(A, Account.add, 1)
        nursery.start_soon(client.call_entity, A, "add", 1)
        await trio.sleep(1)
        await client.suspend("x")
        a, b = await client.list_locks()
        assert [(lock.entity_id, lock.instance_id, lock.runtime_status) for lock in (a, b)] == [
            (A, "x", "Suspended"),
            (B, "x", "Suspended"),
        ]
        assert [(waiter.kind, waiter.instance_id) for waiter in a.waiters] == [
            ("call", "y"),
            ("lock", "z"),
            ("call", None),
        ]
        assert (b.waiters, b.more) == ((), False)
        assert a.age_s == 2.0
        assert a.waiters[0].since - a.since == timedelta(seconds=1)
        assert await client.get_lock(A) == a
        assert await client.list_locks(locks_max=1) == [a]
        await client.resume("x")
        for name in ("x", "z"):
            await client.raise_event(name, "go on")
            await finished(client, name)
        assert (await client.list_locks(), await client.get_lock(A)) == ([], None)


async def test_a_long_queue_is_cut(tmp_path: Path) -> None:
    """G12: a list of locks looks at a bounded number of messages, and says so."""
    async with hub(tmp_path, app) as client:
        await client.start_new(holds, "x")
        for number in range(101):
            await client.start_new(calls, f"c{number}")
        lock = await client.get_lock(A)
        assert lock is not None
        assert (len(lock.waiters), lock.more) == (100, True)
        await client.raise_event("x", "go on")
        await finished(client, "c100")
