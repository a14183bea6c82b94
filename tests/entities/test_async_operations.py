"""`async def` operations: a turn of their own, durable first, alone, rolled back when they fail (G10)."""

from __future__ import annotations

import contextlib
from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from durio.entities import AskInsideTurn, EntityContext, EntityId, EntityOperationFailed, VirtualEnv
from durio.orchestration import App, Client, open_hub
from durio.storage import MemoryDisk, MemoryStore
from tests.entities.helpers import Counter, HeldEnv, Log, app_of

SHOP = EntityId("shop", "a")
LOG = EntityId("log", "a")


@attrs.define
class Shop:
    """Does slow and quick things."""

    stock: int = 0

    async def restock(self, amount: int) -> int:
        before = self.stock
        await trio.sleep(10)
        self.stock = before + amount
        return self.stock

    def sell(self) -> int:
        self.stock -= 1
        return self.stock

    async def fail(self, how: str) -> None:
        self.stock = -1000
        EntityContext.current().signal_entity(LOG, "append", "unsent")
        await trio.sleep(1)
        if how == "exit":
            raise SystemExit(3)
        if how == "group":
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_raise)
        if how == "cleanup":
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_sleep_and_raise)
                await trio.sleep_forever()
        if how == "late":
            await trio.sleep_forever()
        raise ValueError(how)


async def _raise() -> None:
    raise ValueError("in a nursery")


async def _sleep_and_raise() -> None:
    try:
        await trio.sleep_forever()
    finally:
        raise ValueError("in the cleanup")


async def test_nothing_else_runs_on_the_entity_meanwhile(autojump_clock: MockClock) -> None:
    """G1, G10: operations sent during an `async def` operation wait for its end, in order; other entities do not."""
    answers: list[tuple[str, object]] = []
    async with open_hub(MemoryStore(MemoryDisk()), app_of(Shop), env=VirtualEnv()) as client:

        async def call(entity: EntityId, operation: str, *value: object) -> None:
            answers.append((f"{entity.key} {operation}", await client.call_entity(entity, operation, *value)))

        async with trio.open_nursery() as nursery:
            sent: list[tuple[EntityId, str, tuple[int, ...]]] = [
                (SHOP, "sell", ()),
                (SHOP, "restock", (10,)),
                (SHOP, "sell", ()),
                (SHOP, "restock", (5,)),
                (SHOP, "sell", ()),
                (EntityId("shop", "b"), "sell", ()),
            ]
            for entity, operation, value in sent:
                nursery.start_soon(call, entity, operation, *value)
                await wait_all_tasks_blocked()
        # Sorted, because answers of one commit wake their clients in any order; the values show that of the turns.
        expected = [("a sell", -1), ("a restock", 9), ("a sell", 8), ("a restock", 13), ("a sell", 12), ("b sell", -1)]
        assert sorted(answers, key=str) == sorted(expected, key=str)
        assert trio.current_time() == pytest.approx(20, abs=1)


async def test_two_entities_work_at_the_same_time(autojump_clock: MockClock) -> None:
    """G10: one at a time holds for an entity, not for the hub."""
    async with open_hub(MemoryStore(MemoryDisk()), app_of(Shop), env=VirtualEnv()) as client:
        began = trio.current_time()
        async with trio.open_nursery() as nursery:
            for number in range(20):
                nursery.start_soon(client.call_entity, EntityId("shop", str(number)), "restock", 1)
        assert trio.current_time() - began < 15


async def test_it_starts_only_when_its_message_and_state_are_durable(autojump_clock: MockClock) -> None:
    """G5, G10: nothing of the outside is touched before the commit that holds the message and the state it sees."""
    env, disk = HeldEnv(), MemoryDisk()
    seen: list[dict[bytes, bytes]] = []

    async def look(context: EntityContext) -> None:
        if context.operation_name == "go":
            seen.append(disk.snapshot())
            assert context.get_state() == "prepared"
        context.set_state("prepared")

    entity = EntityId("look", "a")
    async with open_hub(MemoryStore(disk), app_of(look), env=env) as client:
        await client.call_entity(entity, "prepare")
        async with trio.open_nursery() as nursery:
            with env.held():
                nursery.start_soon(client.call_entity, entity, "go")
                await wait_all_tasks_blocked()
                assert seen == []
    (snapshot,) = seen
    assert [key for key in snapshot if key.startswith(b"m@look@a\0")]
    assert snapshot[b"a@look@a\0s"]


@pytest.mark.parametrize("how", ["plain", "exit", "group"])
async def test_an_operation_that_wants_to_exit_only_fails(how: str, autojump_clock: MockClock) -> None:
    """G10: whatever it raises, state and outbox are as before, the call gets the error, and the hub goes on."""
    async with open_hub(MemoryStore(MemoryDisk()), app_of(Shop, Log), env=VirtualEnv()) as client:
        await client.call_entity(SHOP, Shop.restock, 3)
        with pytest.raises(EntityOperationFailed):
            await client.call_entity(SHOP, Shop.fail, how)
        await client.signal_entity(SHOP, "fail", how)
        assert await client.call_entity(SHOP, Shop.sell) == 2
        assert await client.call_entity(LOG, Log.get) == []


@pytest.mark.parametrize("how", ["late", "cleanup"])
async def test_a_time_out_whose_cleanup_raises_ends_only_the_operation(how: str, autojump_clock: MockClock) -> None:
    """G10: a time-out is an error of that operation, also when its own cleanup raises; what waits behind it goes on."""
    app = app_of(Log)
    app.entity(timeout_s=15)(Shop)
    async with open_hub(MemoryStore(MemoryDisk()), app, env=VirtualEnv()) as client:
        assert await client.call_entity(SHOP, Shop.restock, 3) == 3
        began = trio.current_time()
        with pytest.raises(EntityOperationFailed, match="longer than 15 s"):
            await client.call_entity(SHOP, Shop.fail, how)
        assert trio.current_time() - began == pytest.approx(15, abs=0.1)
        assert await client.call_entity(SHOP, Shop.sell) == 2
        assert await client.call_entity(LOG, Log.get) == []


def asking(client_of: list[Client]) -> App:
    """An app whose entity uses a client inside of an operation."""

    async def asker(context: EntityContext) -> Any:
        client = client_of[0]
        other = EntityId("counter", "a")
        match context.operation_name:
            case "call":
                return await client.call_entity(other, "add", 1)
            case "signal":
                return await client.signal_entity(other, "add", 1)
            case "start":
                return str(await client.start_new("anything"))
            case "child task":
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(client.call_entity, other, "add", 1)
        return (await client.read_entity_state(other)).entity_exists

    return app_of(asker, Counter)


@pytest.mark.parametrize("operation", ["call", "signal", "start", "child task"])
async def test_a_client_inside_an_operation_is_refused(operation: str, autojump_clock: MockClock) -> None:
    """G13: waiting for another turn inside a turn is `AskInsideTurn`, before any effect; it says what to use."""
    clients: list[Client] = []
    async with open_hub(MemoryStore(MemoryDisk()), asking(clients), env=VirtualEnv()) as client:
        clients.append(client)
        with pytest.raises(EntityOperationFailed) as caught:
            await client.call_entity(EntityId("asker", "a"), operation)
        assert AskInsideTurn.__name__ in caught.value.stack
        assert "EntityContext.current()" in caught.value.stack
        assert await client.call_entity(EntityId("counter", "a"), "get") == 0


async def test_an_operation_may_read(autojump_clock: MockClock) -> None:
    """G14: reads wait for no turn, so an `async def` operation may do them."""
    clients: list[Client] = []
    async with open_hub(MemoryStore(MemoryDisk()), asking(clients), env=VirtualEnv()) as client:
        clients.append(client)
        assert await client.call_entity(EntityId("asker", "a"), "read") is False


async def test_the_current_context_is_that_of_each_operation(autojump_clock: MockClock) -> None:
    """Operations of many entities that run at the same time each see their own context."""

    async def own(context: EntityContext) -> str:
        await trio.sleep(1)
        assert EntityContext.current() is context
        return context.entity_key

    answers: dict[str, str] = {}
    async with open_hub(MemoryStore(MemoryDisk()), app_of(own), env=VirtualEnv()) as client:

        async def call(key: str) -> None:
            answers[key] = await client.call_entity(EntityId("own", key), "go")

        async with trio.open_nursery() as nursery:
            for key in "abc":
                nursery.start_soon(call, key)
    assert answers == {"a": "a", "b": "b", "c": "c"}


async def test_trio_in_a_synchronous_operation_is_refused(autojump_clock: MockClock) -> None:
    """G21: Trio is hidden from a `def` operation, which runs on the hub's loop; swallowing the error does not help."""

    def sly(context: EntityContext) -> str:
        context.set_state("changed")
        with contextlib.suppress(Exception):
            trio.current_time()
        return "got away"

    async with open_hub(MemoryStore(MemoryDisk()), app_of(sly), env=VirtualEnv()) as client:
        for _ in range(2):
            with pytest.raises(EntityOperationFailed, match="async def operation"):
                await client.call_entity(EntityId("sly", "a"), "go")
        assert not (await client.read_entity_state(EntityId("sly", "a"))).entity_exists
