"""Interleavings that are rare in normal work and must be harmless: what the crash scenarios were thought out from."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

import attrs
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from durio.entities import CONTROL_LANE, MAIL_LANE, EntityId, Parent, StartInstance, VirtualEnv, from_us
from durio.entities import keys as entity_keys
from durio.orchestration import App, OrchestrationContext, TaskFailedError, open_hub
from durio.orchestration.messages import RaiseEvent, Terminate
from durio.storage import HubClosed, MemoryDisk, MemoryStore
from tests.opened import runtime_of

app = App()


@app.entity
@attrs.define
class Total:
    value: int = 0

    def add(self, amount: int) -> int:
        self.value += amount
        return self.value


@app.orchestration
async def collector(ctx: OrchestrationContext, left: int) -> int:
    """Takes one event an execution."""
    await ctx.wait_for_external_event("item", int)
    if left > 1:
        ctx.continue_as_new(left - 1)
    return left


@app.orchestration
async def at_once_anew(ctx: OrchestrationContext, round_: int) -> list[int]:
    """Continues as new before it looks at any event."""
    if round_ == 0:
        ctx.continue_as_new(1)
    return [await ctx.wait_for_external_event("item", int) for _ in range(2)]


@app.orchestration
async def waiter(ctx: OrchestrationContext) -> None:
    await ctx.wait_for_external_event("never")


@app.orchestration
async def hasty(ctx: OrchestrationContext) -> str:
    """Ends in the turn that set a timer and scheduled nothing else."""
    _ = ctx.create_timer(timedelta(days=1))
    return "done"


@app.orchestration
async def parent_of(ctx: OrchestrationContext, children: list[str]) -> None:
    for child in children:
        _ = ctx.call_sub_orchestrator(waiter, instance_id=child)
    await ctx.wait_for_external_event("never")


@app.orchestration
async def stubborn_parent(ctx: OrchestrationContext, child: str) -> None:
    """Starts a child under an id that its own first child has already."""
    _ = ctx.call_sub_orchestrator(waiter, instance_id=child)
    try:
        await ctx.call_sub_orchestrator(waiter, instance_id=child)
    except TaskFailedError:
        await ctx.wait_for_external_event("never")


def rows(disk: MemoryDisk, table: bytes) -> list[bytes]:
    return [key for key in disk.snapshot() if key.startswith(table)]


async def test_an_old_answer_never_reaches_a_new_client() -> None:
    """G13: a message that a client of an earlier process left behind answers nobody in the next process."""
    disk = MemoryDisk()
    env = VirtualEnv()
    async with open_hub(MemoryStore(disk), app, env=env) as client:
        await client.start_new(waiter, "held")
        await client.suspend("held")
        await client.raise_event("held", "never", 1)
    async with open_hub(MemoryStore(disk), app, env=VirtualEnv(seed=1)) as client:
        # Held messages are looked at again at open, while these calls are the first of their process.
        totals: list[int] = []

        async def call() -> None:
            totals.append(await client.call_entity(EntityId("Total", "t"), Total.add, 1))

        async with trio.open_nursery() as nursery:
            for _ in range(4):
                nursery.start_soon(call)
        assert sorted(totals) == [1, 2, 3, 4]


async def test_events_of_a_start_survive_continue_as_new_in_their_own_turn() -> None:
    """G15, G16: events that come with a start are kept when its first step continues as new before it saw them."""
    async with open_hub(MemoryStore(MemoryDisk()), app, env=VirtualEnv()) as client:
        await client.start_new(at_once_anew, "a", 0, events=[("item", 1), ("item", 2)])
        with trio.fail_after(60):
            assert (await client.wait_for_completion("a")).output == [1, 2]


async def test_events_of_a_found_start_survive_continue_as_new(autojump_clock: MockClock) -> None:
    """G16, G23: of two events that come with a start that found a life, the second is taken by its next execution."""
    async with open_hub(MemoryStore(MemoryDisk()), app, env=VirtualEnv()) as client:
        await client.start_new(collector, "c", 2)
        found = await client.start_new(collector, "c", 2, if_running="return", events=[("item", 1), ("item", 2)])
        assert not found.created
        with trio.fail_after(60):
            assert (await client.wait_for_completion("c")).output == 1


async def test_a_due_start_of_a_replaced_life_does_not_begin_the_new_one(autojump_clock: MockClock) -> None:
    """G15, G28: a life that is to begin later does not begin because the one it replaced was due."""
    disk = MemoryDisk()
    env = VirtualEnv()

    async with open_hub(MemoryStore(disk), app, env=env) as client:
        await client.start_new(waiter, "p", start_at=from_us(env.now_us() + 10_000_000))
        await client.suspend("p")
        kernel = runtime_of(client).kernel
        # The old life's hour comes after the replacing start was taken in and before its turn.
        start = StartInstance(
            at_us=env.now_us(), name="waiter", due_us=env.now_us() + 1_000_000_000, if_running="replace"
        )
        kernel.submit("p", start, MAIL_LANE, "", tell=False)
        assert kernel.fire_due(env.now_us() + 20_000_000)
        runtime_of(client).poke()
        await wait_all_tasks_blocked()
        assert (await client.get_status("p")).runtime_status == "Pending"
        await trio.sleep(1001)
        assert (await client.get_status("p")).runtime_status == "Running"


async def test_a_timer_set_and_dropped_in_one_turn_leaves_no_row() -> None:
    """G30: what a returned orchestration set in its last turn leaves no timer behind."""
    disk = MemoryDisk()
    async with open_hub(MemoryStore(disk), app, env=VirtualEnv()) as client:
        await client.start_new(hasty, "h")
        assert (await client.wait_for_completion("h")).output == "done"
        assert rows(disk, entity_keys.TIMER) == []
        assert runtime_of(client).kernel.timers.next_due_us is None


async def test_a_refused_child_does_not_hide_the_one_that_runs() -> None:
    """G26: terminate reaches a child even when its parent was refused a second one of the same id."""
    async with open_hub(MemoryStore(MemoryDisk()), app, env=VirtualEnv()) as client:
        await client.start_new(stubborn_parent, "p", "kid")
        await wait_all_tasks_blocked()
        assert (await client.get_status("kid")).runtime_status == "Running"
        await client.terminate("p")
        await wait_all_tasks_blocked()
        assert (await client.get_status("kid")).runtime_status == "Terminated"


async def test_sweeping_an_old_life_does_not_forget_the_children_of_the_new_one() -> None:
    """G26: after a life with very many children was terminated, terminate still reaches those of the next life."""
    disk = MemoryDisk()
    async with open_hub(MemoryStore(disk), app, env=VirtualEnv()) as client:
        await client.start_new(parent_of, "p", [f"old-{n}" for n in range(1100)])
        await wait_all_tasks_blocked()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.terminate, "p")
            nursery.start_soon(client.start_new, parent_of, "p", [f"new-{n}" for n in range(20)])
        await wait_all_tasks_blocked()
        assert (await client.get_status("new-7")).runtime_status == "Running"
    async with open_hub(MemoryStore(disk), app, env=VirtualEnv(seed=1)) as client:
        await client.terminate("p")
        await wait_all_tasks_blocked()
        left = [n for n in range(20) if (await client.get_status(f"new-{n}")).runtime_status != "Terminated"]
        assert left == []


@pytest.mark.parametrize("number", range(24))
async def test_closing_while_an_answer_is_given_again_is_clean(number: int) -> None:
    """G9: a hub that closes while a repeated request is answered and a result comes in closes well, losing nothing."""
    disk = MemoryDisk()
    total = EntityId("Total", "t")
    gate = trio.Event()
    closing = App()
    closing.entity(Total)

    @closing.activity
    async def gated() -> int:
        await gate.wait()
        return 1

    @closing.orchestration
    async def one_activity(ctx: OrchestrationContext) -> int:
        return await ctx.call_activity(gated)

    async with open_hub(MemoryStore(disk), closing, env=VirtualEnv()) as client:
        await client.start_new(one_activity, "a")
        await client.call_entity(total, Total.add, 1, request_id="first")
        await wait_all_tasks_blocked()

        async def repeat() -> None:
            with suppress(HubClosed):
                await client.call_entity(total, Total.add, 1, request_id="first")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(repeat)
            for _ in range(number % 4):  # Trio runs the tasks of one step in either order: several tries of each
                await trio.lowlevel.checkpoint()
            gate.set()
            runtime_of(client).stop()
    async with open_hub(MemoryStore(disk), closing, env=VirtualEnv(seed=1)) as client:
        assert await client.call_entity(total, Total.add, 0) == 1
        assert (await client.wait_for_completion("a")).output == 1


async def test_terminate_follows_the_start_of_a_child_behind_the_end_of_another_life() -> None:
    """G26: no child escapes whose start lies unread behind the end of a stranger's life."""
    async with open_hub(MemoryStore(MemoryDisk()), app, env=VirtualEnv()) as client:
        await client.start_new(collector, "x", 1)
        kernel = runtime_of(client).kernel
        parent = Parent("p", "life", "execution", 1, ("p",))
        kernel.deliver("x", RaiseEvent(at_us=0, name="item", input=b"1"))
        kernel.deliver("x", StartInstance(at_us=0, name="waiter", parent=parent))
        kernel.deliver("x", Terminate(at_us=0, parent="p", parent_life="life"), CONTROL_LANE)
        runtime_of(client).poke()
        await wait_all_tasks_blocked()
        status = await client.get_status("x")
        assert (status.name, str(status.runtime_status)) in (("collector", "Completed"), ("waiter", "Terminated"))


async def test_a_turn_that_meets_a_damaged_row_changes_nothing() -> None:
    """G2: a turn that cannot be settled, since a row to delete is damaged, leaves its message where it was."""
    disk = MemoryDisk()
    async with open_hub(MemoryStore(disk), app, env=VirtualEnv()) as client:
        await client.start_new(collector, "c", 2)
        history = [key for key in rows(disk, entity_keys.actor("c")) if key.startswith(entity_keys.actor("c") + b"h")]
        disk._records[history[0]] = disk._records[history[0]][:-1]
        runtime_of(client).kernel.deliver("c", RaiseEvent(at_us=0, name="item", input=b"1"))
        runtime_of(client).poke()
        await wait_all_tasks_blocked()
        assert "c" in runtime_of(client).kernel.held
        unread = [key for key in disk._keys if key.startswith(entity_keys.mailbox("c"))]  # a snapshot reads all rows
        assert len(unread) == 1
