"""The runtime: what leaves the hub, and what everybody is told when it breaks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from durio.entities import EntityId, VirtualEnv
from durio.orchestration import Client, OrchestrationContext, open_hub
from durio.storage import Fenced, HubBroken, HubClosed, MemoryDisk, MemoryStore, NoSpace, SimulatedCrash
from tests.entities.helpers import Counter, FailingStore, HeldEnv, app_of
from tests.opened import runtime_of

CLICKS = EntityId("counter", "clicks")


@attrs.define
class Patient:
    """Waits as long as it is told."""

    async def wait(self, seconds: float) -> str:
        await trio.sleep(seconds)
        return f"waited {seconds:g}"


async def stuck(ctx: OrchestrationContext) -> None:
    """An orchestration that waits for an event that never comes."""
    await ctx.wait_for_external_event("never")


async def test_nothing_is_answered_before_its_commit_is_durable(autojump_clock: MockClock) -> None:
    """G5, G13: while the commit is under way neither a tell nor an ask returns, and reads show the last commit."""
    env = HeldEnv()
    done: list[str] = []
    async with open_hub(MemoryStore(MemoryDisk()), app_of(Counter), env=env) as client:
        await client.call_entity(CLICKS, "add", 1)

        async def tell() -> None:
            await client.signal_entity(CLICKS, "add", 1)
            done.append("told")

        async def ask() -> None:
            done.append(f"answer {await client.call_entity(CLICKS, 'add', 1)}")

        async with trio.open_nursery() as nursery:
            with env.held():
                nursery.start_soon(tell)
                await wait_all_tasks_blocked()
                nursery.start_soon(ask)
                await wait_all_tasks_blocked()
                assert done == []
                assert (await client.read_entity_state(CLICKS)).entity_state == {"value": 1}
        assert done == ["told", "answer 3"]


async def test_cancelling_a_call_does_not_retract_it(autojump_clock: MockClock) -> None:
    """G13: a client that gives up leaves its message where it is, and nothing of itself in memory."""
    env = HeldEnv()
    async with open_hub(MemoryStore(MemoryDisk()), app_of(Counter), env=env) as client:
        with env.held():
            with trio.move_on_after(1):
                await client.call_entity(CLICKS, "add", 5)
            assert len(runtime_of(client).answers) == 0
        assert await client.call_entity(CLICKS, "get") == 5


@pytest.mark.parametrize("error", [HubBroken("fsync failed"), NoSpace("memory"), Fenced(1, 2), OSError("disk")])
async def test_a_commit_that_fails_tells_everybody_who_waits(error: Exception, autojump_clock: MockClock) -> None:
    """G32: every waiting client gets the error, and `open_hub` raises it, not a group around it."""
    store = FailingStore(MemoryDisk())
    app = app_of(Counter, Patient)
    app.orchestration(stuck)
    caught: list[BaseException] = []

    async def expect(client: Client, call: str, *arguments: Any) -> None:
        try:
            await getattr(client, call)(*arguments)
        except Exception as found:
            caught.append(found)

    with pytest.RaisesGroup(type(error)) as raised:  # the group is that of the test's own nursery
        async with trio.open_nursery() as nursery, open_hub(store, app, env=VirtualEnv()) as client:
            await client.start_new(stuck, "i1")
            nursery.start_soon(expect, client, "wait_for_completion", "i1")
            nursery.start_soon(expect, client, "call_entity", EntityId("patient", "a"), "wait", 1000)
            await trio.sleep(1)
            store.error = error
            nursery.start_soon(expect, client, "signal_entity", CLICKS, "add")
            nursery.start_soon(expect, client, "call_entity", CLICKS, "add")
            await trio.sleep_forever()
    facts = (type(error), error.args)  # a broken store raises a fresh error at every call
    assert [(type(found), found.args) for found in raised.value.exceptions] == [facts]
    assert [(type(found), found.args) for found in caught] == [facts] * 4


async def test_an_error_of_the_store_is_raised_bare(autojump_clock: MockClock) -> None:
    """G32: `except HubBroken` around `open_hub` is enough, whether the block waits, calls, or calls in a nursery."""
    for how in ("waits", "calls", "nursery"):
        store = FailingStore(MemoryDisk())
        store.error = HubBroken("fsync failed")
        with pytest.raises(HubBroken) as caught:
            async with open_hub(store, app_of(Counter), env=VirtualEnv()) as client:
                if how == "calls":
                    await client.signal_entity(CLICKS, "add")
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(client.signal_entity, CLICKS, "add")
                    if how == "waits":
                        await trio.sleep_forever()
        assert caught.value.args == store.error.args


async def test_turns_that_meet_the_broken_store_too_add_nothing(autojump_clock: MockClock) -> None:
    """G32: a turn that reads while the commit fails raises as well; `open_hub` still raises one bare error."""
    for _ in range(20):  # Trio wakes tasks in any order, so that one try may miss it
        store = FailingStore(MemoryDisk())
        with pytest.raises(HubBroken):
            async with open_hub(store, app_of(Counter), env=VirtualEnv()) as client:
                await client.signal_entity(CLICKS, "add")
                store.error = HubBroken("fsync failed")
                async with trio.open_nursery() as nursery:
                    for number in range(5):
                        nursery.start_soon(client.signal_entity, EntityId("counter", str(number)), "add")


async def test_an_owner_that_was_followed_by_another_is_fenced(autojump_clock: MockClock) -> None:
    """G1: the old owner's next commit is refused, its clients are told, and the new owner has all that was durable."""
    disk = MemoryDisk()
    with pytest.raises(Fenced):
        async with open_hub(MemoryStore(disk), app_of(Counter), env=VirtualEnv()) as old:
            await old.call_entity(CLICKS, "add", 1)
            async with open_hub(MemoryStore(disk), app_of(Counter), env=VirtualEnv()) as new:
                assert await new.call_entity(CLICKS, "add", 1) == 2
                with pytest.raises(Fenced):
                    await old.call_entity(CLICKS, "add", 1)
                assert await new.call_entity(CLICKS, "get") == 2


async def test_a_crash_is_not_swallowed(autojump_clock: MockClock) -> None:
    """G3: a simulated death of the process leaves as itself; what was not acknowledged may be missing, no more."""
    disk = MemoryDisk()
    with pytest.raises(SimulatedCrash):
        async with open_hub(MemoryStore(disk), app_of(Counter), env=VirtualEnv()) as client:
            await client.call_entity(CLICKS, "add", 1)
            disk.crash_at(1, "before")
            await client.call_entity(CLICKS, "add", 1)
    async with open_hub(MemoryStore(disk), app_of(Counter), env=VirtualEnv()) as client:
        assert await client.call_entity(CLICKS, "get") == 1


async def test_an_answer_for_a_client_of_an_earlier_owner_reaches_nobody(autojump_clock: MockClock) -> None:
    """G3: a call that was under way at the end of one owner answers no client of the next one."""
    disk = MemoryDisk()
    patient = app_of(Patient)
    async with trio.open_nursery() as nursery, open_hub(MemoryStore(disk), patient, env=VirtualEnv()) as client:

        async def call() -> None:
            with pytest.raises(HubClosed):
                await client.call_entity(EntityId("patient", "old"), "wait", 9)

        nursery.start_soon(call)
        await trio.sleep(1)
    async with open_hub(MemoryStore(disk), patient, env=VirtualEnv()) as client:
        assert await client.call_entity(EntityId("patient", "new"), "wait", 20) == "waited 20"


async def test_a_closed_hub_refuses_and_says_so(tmp_path: Path) -> None:
    """G13: asks, tells and reads on the client of a closed hub are refused; opening again shows all of it."""
    async with open_hub(tmp_path / "hub", app_of(Counter)) as client:
        await client.signal_entity(CLICKS, "add", 2)
    for call in (client.signal_entity(CLICKS, "add"), client.call_entity(CLICKS, "add"), client.get_status("i1")):
        with pytest.raises(HubClosed):
            await call
    async with open_hub(tmp_path / "hub", app_of(Counter)) as client:
        assert await client.call_entity(CLICKS, "get") == 2


async def test_the_error_of_the_block_comes_out_as_it_is(tmp_path: Path) -> None:
    """What user code raises inside the block is not wrapped, and the hub is closed behind it."""
    with pytest.raises(ZeroDivisionError):
        async with open_hub(tmp_path / "hub", app_of(Counter)) as client:
            await client.signal_entity(CLICKS, "add", 2)
            raise ZeroDivisionError
    async with open_hub(tmp_path / "hub", app_of(Counter)) as client:
        assert await client.call_entity(CLICKS, "get") == 2
