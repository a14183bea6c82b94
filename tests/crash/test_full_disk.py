"""A disk that is full for a while, under a hub at work (G32)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import attrs
import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from durio.entities import EntityId, VirtualEnv, runtime
from durio.orchestration import App, Client, OrchestrationContext, open_hub
from durio.storage import MemoryDisk, MemoryStore, NoSpace, WriteSet
from tests.entities.helpers import run_virtual

LANES = 3
CHAINS = 2
EVENTS = 4
ANSWER_S = 1000


class FullStore(MemoryStore):
    """Has no room at the commits whose numbers (counted with the failed ones) are in `full`, or while `is_full`."""

    def __init__(self, disk: MemoryDisk, full: set[int]) -> None:
        super().__init__(disk)
        self.full = full
        self.is_full = False
        self.room_for = 0
        """How many commits find room nevertheless, once the ballast was released."""
        self.attempts = 0
        self.refused = 0

    def commit(self, writes: WriteSet) -> int:
        self.attempts += 1
        if self.attempts in self.full or (self.is_full and self.room_for <= 0):
            self.refused += 1
            raise NoSpace(self.path)
        self.room_for -= 1
        return super().commit(writes)

    def has_room(self) -> bool:
        return not self.is_full


@attrs.define
class World:
    """What really happened: how often each activity and each `async def` operation ran to its end."""

    runs: Counter[str] = attrs.Factory(Counter)

    def app(self) -> App:
        """A program with one of everything, whose effects are counted here."""
        app, runs = App(), self.runs

        @app.entity
        @attrs.define
        class Total:
            value: int = 0
            items: list[int] = attrs.Factory(list)

            def add(self, amount: int) -> int:
                self.value += amount
                return self.value

            def append(self, item: int) -> None:
                self.items.append(item)

            def all(self) -> list[int]:
                return self.items

            async def slowly(self, amount: int) -> int:
                await trio.sleep(0.7)
                runs["slowly"] += 1
                self.value += amount
                return self.value

        @app.activity
        async def work(value: int) -> int:
            await trio.sleep(0.3)
            runs[f"work {value}"] += 1
            return value + 1

        @app.orchestration
        async def chain(ctx: OrchestrationContext, value: int) -> int:
            first = await ctx.call_activity(work, value)
            await ctx.create_timer(timedelta(seconds=2))
            second = await ctx.call_activity(work, first)
            await ctx.call_entity(EntityId("Total", "slow"), "slowly", 1)
            ctx.signal_entity(EntityId("Total", "chains"), "add", 1)
            return second

        @app.orchestration
        async def collector(ctx: OrchestrationContext, taken: int) -> int:
            item = await ctx.wait_for_external_event("item", int)
            if item >= 0:
                ctx.signal_entity(EntityId("Total", ctx.instance_id), "append", item)
                ctx.continue_as_new(taken + 1)
            return taken

        return app


async def asked(ask: Callable[[], Awaitable[Any]]) -> Any:
    """Ask again, a little later, for as long as there is no room."""
    while True:
        try:
            return await ask()
        except NoSpace:
            await trio.sleep(0.4)


async def chains(client: Client, lane: int) -> None:
    for number in range(CHAINS):
        name, value = f"chain-{lane}-{number}", 1000 * lane + 10 * number
        started = await asked(lambda n=name, v=value: client.start_new("chain", n, v, request_id=n))  # type: ignore[misc]
        assert started.created
        assert (await client.wait_for_completion(name)).output == value + 2


async def events(client: Client, lane: int) -> None:
    name = f"collector-{lane}"
    await asked(lambda: client.start_new("collector", name, 0, request_id=name))
    for item in [*range(EVENTS), -1]:
        await asked(lambda i=item: client.raise_event(name, "item", i, request_id=f"{name} {i}"))  # type: ignore[misc]
        await trio.sleep(0.5)
    assert (await client.wait_for_completion(name)).output == EVENTS


async def calls(client: Client, lane: int) -> None:
    entity = EntityId("Total", "calls")
    for number in range(5):
        await asked(lambda n=number: client.call_entity(entity, "add", 1, request_id=f"call {lane} {n}"))  # type: ignore[misc]
        await asked(lambda n=number: client.signal_entity(entity, "append", n, request_id=f"signal {lane} {n}"))  # type: ignore[misc]
        await trio.sleep(0.6)


async def check(client: Client, runs: Counter[str]) -> None:
    chained = LANES * CHAINS
    assert await client.call_entity(EntityId("Total", "chains"), "add", 0) == chained
    assert await client.call_entity(EntityId("Total", "slow"), "add", 0) == chained == runs["slowly"]
    assert await client.call_entity(EntityId("Total", "calls"), "add", 0) == LANES * 5
    assert sorted(await client.call_entity(EntityId("Total", "calls"), "all")) == sorted([*range(5)] * LANES)
    for lane in range(LANES):
        items = await client.call_entity(EntityId("Total", f"collector-{lane}"), "all")
        assert items == list(range(EVENTS))
    del runs["slowly"]
    assert len(runs) == 2 * chained
    assert set(runs.values()) == {1}, "without a crash nothing runs twice"


@settings(max_examples=50)
@given(st.sets(st.integers(1, 60), max_size=25))
def test_a_full_disk_loses_nothing_and_repeats_nothing(full: set[int]) -> None:
    """G2, G3, G10, G15, G16, G24, G32: at whichever commits there is no room, requests are refused or done, once each,
    what was accepted goes on, and no activity and no operation that ended is run again.
    """
    store, world = FullStore(MemoryDisk(), full), World()

    async def main() -> None:
        with trio.fail_after(10_000):
            async with open_hub(store, world.app(), env=VirtualEnv()) as client:
                async with trio.open_nursery() as nursery:
                    for lane in range(LANES):
                        for part in (chains, events, calls):
                            nursery.start_soon(part, client, lane)
                await asked(lambda: check(client, world.runs.copy()))

    run_virtual(main)


async def test_new_work_is_refused_and_terminate_works_while_the_disk_is_full(autojump_clock: MockClock) -> None:
    """G32: a start, a signal, an event are refused with NoSpace; terminate finds room; what waited goes on later."""
    store, world = FullStore(MemoryDisk(), set()), World()
    async with open_hub(store, world.app(), env=VirtualEnv()) as client:
        await client.start_new("collector", "old", 0)
        await client.start_new("chain", "going on", 5)
        await client.start_new("collector", "wanted", 0)
        store.is_full, store.room_for = True, 0
        with pytest.raises(NoSpace):
            await client.start_new("collector", "new", 0)
        await trio.sleep(5)  # the activity ends meanwhile, and the clock goes on
        attempts = store.attempts
        for refused in (
            lambda: client.start_new("collector", "new", 0),
            lambda: client.raise_event("wanted", "item", 1),
            lambda: client.signal_entity(EntityId("Total", "t"), "add", 1),
        ):
            with pytest.raises(NoSpace):
                await refused()
        assert store.attempts == attempts, "they are refused without a try"
        assert not await client.get_status("new")
        store.room_for = 1
        await client.terminate("old", "to make room")
        assert (await client.get_status("old")).runtime_status == "Terminated"
        assert (await client.get_status("going on")).runtime_status == "Running"
        store.is_full = False
        assert (await client.wait_for_completion("going on")).output == 7
        await client.raise_event("wanted", "item", -1)
        assert (await client.wait_for_completion("wanted")).output == 0
    assert set(world.runs.values()) == {1}


async def test_a_hub_that_is_closed_while_the_disk_is_full_keeps_what_was_acknowledged(
    autojump_clock: MockClock,
) -> None:
    """G32: closing does not wait for room; at the next open everything accepted goes on."""
    disk = MemoryDisk()
    store, world = FullStore(disk, set()), World()
    async with open_hub(store, world.app(), env=VirtualEnv()) as client:
        await client.start_new("chain", "c", 1)
        store.is_full = True
        await trio.sleep(1)
    async with open_hub(MemoryStore(disk), world.app(), env=VirtualEnv()) as client:
        assert (await client.wait_for_completion("c")).output == 3


@given(st.sets(st.integers(1, 40), max_size=25), st.integers(0, 3))
@settings(max_examples=60, deadline=None)
def test_a_rewind_while_there_is_no_room_is_done_once_or_refused(full: set[int], room_for: int) -> None:
    """G27, G32: whichever commits find no room, what had failed goes on once, and what was done is not done again."""
    runs: Counter[str] = Counter()
    bad = {"b"}
    app = App()

    @app.activity
    async def work(name: str) -> str:
        await trio.sleep(0.3)
        if name in bad:
            raise ValueError(name)
        runs[name] += 1
        return name

    @app.orchestration
    async def three(ctx: OrchestrationContext) -> list[str]:
        reminder = ctx.create_timer(timedelta(seconds=30))
        names = [await ctx.call_activity(work, name) for name in ("a", "b", "c")]
        await reminder
        return names

    async def main() -> None:
        store = FullStore(MemoryDisk(), set())
        async with open_hub(store, app, env=VirtualEnv()) as client:
            await client.start_new(three, "x")
            assert (await client.wait_for_completion("x")).runtime_status == "Failed"
            bad.clear()
            store.full, store.attempts, store.room_for = full, 0, room_for
            await asked(lambda: client.rewind("x", request_id="r"))
            store.full = {number for number in full if number > store.attempts}
            with trio.fail_after(10_000):
                status = await client.wait_for_completion("x")
            assert status.output == ["a", "b", "c"]

    run_virtual(main)
    assert runs == {"a": 1, "b": 1, "c": 1}


@settings(max_examples=60)
@given(fails=st.integers(1, 5), chance=st.random_module())
def test_control_mail_that_is_durable_has_its_turn_without_room(fails: int, chance: object) -> None:
    """G9, G32: also when its turn was in the commit that met the full disk, and nobody asks for anything else."""
    answered: list[str] = []

    async def terminate(client: Client, name: str) -> None:
        with trio.fail_after(ANSWER_S), suppress(NoSpace):  # it was not durable yet
            await client.terminate(name)
        answered.append(name)

    async def scenario() -> None:
        store = FullStore(MemoryDisk(), set())
        async with open_hub(store, World().app(), env=VirtualEnv()) as client:
            for number in range(5):
                await client.start_new("collector", f"i{number}", 0)
            store.full = {store.attempts + fails}
            store.is_full, store.room_for = True, 1000  # room for control mail alone: the ballast
            async with trio.open_nursery() as nursery:
                for number in range(5):
                    nursery.start_soon(terminate, client, f"i{number}")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runtime, "GATHER_MS", 0.0)
        patch.setattr(runtime, "TURNS_MS", 1e-6)  # so each turn has a commit of its own, behind that of its mail
        run_virtual(scenario)
    assert len(answered) == 5
