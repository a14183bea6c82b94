"""Back-pressure: who sends faster than the disk takes is slowed, and what the hub holds stays bounded (G8)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import attrs
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from durio.entities import EntityContext, EntityId, VirtualEnv
from durio.entities.intake import Intake
from durio.entities.limits import INTAKE_CONTROL_BYTES, MAILBOX_WINDOW_MAX
from durio.orchestration import App, OrchestrationContext, open_hub
from durio.storage import HubClosed, MemoryDisk, MemoryStore
from tests.entities.helpers import Counter, HeldEnv, Log, app_of, run_virtual
from tests.opened import runtime_of

T = TypeVar("T")
KB = 1024
LOG = EntityId("log", "l")


@attrs.define
class Sink:
    """Counts what it is given, and keeps nothing of it."""

    count: int = 0

    def put(self, text: str) -> int:
        self.count += 1
        return self.count


class SlowEnv(VirtualEnv):
    """Every commit takes a second."""

    def __init__(self) -> None:
        super().__init__()
        self.commits = 0

    async def run_commit(self, commit: Callable[[], T]) -> T:
        with trio.CancelScope(shield=True):
            await trio.sleep(1)
        self.commits += 1
        return commit()


async def test_senders_are_as_fast_as_the_disk(autojump_clock: MockClock) -> None:
    """Of a thousand senders at once only as many are in as there is room for; all is done, in the order of calling."""
    env, called, held = SlowEnv(), list[int](), list[int]()
    async with open_hub(MemoryStore(MemoryDisk()), app_of(Log), env=env, intake_bytes_max=100 * KB) as client:
        runtime = runtime_of(client)

        async def send(number: int) -> None:
            called.append(number)
            await client.signal_entity(LOG, "append", number)
            held.append(runtime.intake.held_bytes)

        before_s = trio.current_time()
        async with trio.open_nursery() as nursery:
            for number in range(1000):
                nursery.start_soon(send, number)
        assert trio.current_time() - before_s >= 9, "100 in a second are all that this disk takes"
        assert max(held) <= 100 * KB
        assert env.commits >= 10
        assert await client.call_entity(LOG, Log.get) == called


async def test_a_crowd_holds_no_more_than_the_bound(autojump_clock: MockClock) -> None:
    """While a commit hangs the batches hold what the bound allows, and everybody else waits outside."""
    env = HeldEnv()
    async with open_hub(MemoryStore(MemoryDisk()), app_of(Sink), env=env, intake_bytes_max=100 * KB) as client:
        runtime = runtime_of(client)
        async with trio.open_nursery() as nursery:
            with env.held():
                for _ in range(1000):
                    nursery.start_soon(client.signal_entity, EntityId("sink", "s"), "put", "x" * 9 * KB)
                await wait_all_tasks_blocked()
                assert runtime.intake.held_bytes <= 100 * KB
                assert runtime.intake.waiting == 1000 - 9
        assert runtime.intake.held_bytes == runtime.intake.waiting == 0
        assert await client.call_entity(EntityId("sink", "s"), Sink.put, "") == 1001


async def test_one_that_is_larger_than_the_bound_enters_alone(autojump_clock: MockClock) -> None:
    """A message that no room is large enough for waits until nothing else is in, and passes."""
    async with open_hub(MemoryStore(MemoryDisk()), app_of(Log), env=SlowEnv(), intake_bytes_max=10 * KB) as client:
        async with trio.open_nursery() as nursery:
            for number in range(10):
                nursery.start_soon(client.signal_entity, LOG, "append", str(number) * 50 * KB)
        lines = await client.call_entity(LOG, Log.get)
        assert sorted(line[0] for line in lines) == list("0123456789")


async def test_who_is_cancelled_outside_is_not_sent(autojump_clock: MockClock) -> None:
    """G13: a call that is cancelled while it waits for room sends nothing; one that was taken in is not retracted."""
    env = HeldEnv()
    async with open_hub(MemoryStore(MemoryDisk()), app_of(Counter), env=env, intake_bytes_max=2 * KB) as client:
        counter, scopes = EntityId("counter", "c"), [trio.CancelScope() for _ in range(6)]

        async def add(number: int) -> None:
            with scopes[number]:
                await client.signal_entity(counter, "add", 10**number)

        async with trio.open_nursery() as nursery:
            with env.held():
                for number in range(6):
                    nursery.start_soon(add, number)
                    await wait_all_tasks_blocked()
                for number in (0, 3, 4):  # the first is in, the others wait for room
                    scopes[number].cancel()
        assert await client.call_entity(counter, "get") == 1 + 10 + 100 + 10**5


async def test_terminate_does_not_stand_behind_a_crowd(autojump_clock: MockClock) -> None:
    """G26: control mail passes senders that wait for room."""
    app, env = app_of(Log), SlowEnv()

    @app.orchestration
    async def waits(ctx: OrchestrationContext) -> None:
        await ctx.wait_for_external_event("never")

    async with open_hub(MemoryStore(MemoryDisk()), app, env=env, intake_bytes_max=10 * KB) as client:
        await client.start_new(waits, "w")
        async with trio.open_nursery() as nursery:
            for _ in range(1000):
                nursery.start_soon(client.signal_entity, LOG, "append", 1)
            await wait_all_tasks_blocked(0.1)
            before_s = trio.current_time()
            await client.terminate("w", "now")
            assert trio.current_time() - before_s <= 2
            assert runtime_of(client).intake.waiting > 900
        assert (await client.get_status("w")).runtime_status == "Terminated"


async def test_closing_refuses_those_outside(autojump_clock: MockClock) -> None:
    """Who waits for room when the hub closes is told so and sends nothing; what was taken in is durable."""
    disk, env, told = MemoryDisk(), HeldEnv(), list[str]()

    async def send(client: Any) -> None:
        try:
            await client.signal_entity(LOG, "append", 1)
        except HubClosed:
            told.append("closed")
        else:
            told.append("done")

    async with trio.open_nursery() as nursery:
        with env.held():
            async with trio.open_nursery() as owner:
                close = trio.Event()

                async def own() -> None:
                    async with open_hub(MemoryStore(disk), app_of(Log), env=env, intake_bytes_max=10 * KB) as client:
                        for _ in range(50):
                            nursery.start_soon(send, client)
                        await close.wait()

                owner.start_soon(own)
                await wait_all_tasks_blocked()
                close.set()
                await wait_all_tasks_blocked()
                env._gate.set()
    assert told.count("closed") + told.count("done") == 50
    assert 0 < told.count("done") <= 10
    async with open_hub(MemoryStore(disk), app_of(Log), env=VirtualEnv()) as client:
        assert len(await client.call_entity(LOG, Log.get)) == told.count("done")


async def test_results_of_activities_wait_for_room_too(autojump_clock: MockClock) -> None:
    """G24: results that come faster than the disk takes them wait in their slots; each is taken once, none is stuck."""
    app, env = App(), SlowEnv()
    held, runs = list[int](), list[int]()

    @app.activity
    async def large(number: int) -> str:
        held.append(runtime_of(client).intake.held_bytes)
        runs.append(number)
        await client.signal_entity(EntityId("counter", "c"), "add", 1)  # asks while others wait for room
        return "x" * 9 * KB

    app.entity(Counter)

    @app.orchestration
    async def fan(ctx: OrchestrationContext) -> int:
        return len("".join(await ctx.task_all([ctx.call_activity(large, number) for number in range(100)])))

    async with open_hub(MemoryStore(MemoryDisk()), app, env=env, intake_bytes_max=100 * KB) as client:
        status = await client.wait_for_completion(await client.start_new(fan, "f"))
        assert status.output == 100 * 9 * KB
        assert sorted(runs) == list(range(100))
        assert max(held) <= 100 * KB
        assert await client.call_entity(EntityId("counter", "c"), "get") == 100


async def test_an_activity_that_waits_for_room_can_be_cancelled(autojump_clock: MockClock) -> None:
    """G24: the result of an activity whose instance was terminated meanwhile never enters, and its slot is free."""
    app, env = app_of(Log), HeldEnv()

    @app.activity
    async def slow() -> str:
        await trio.sleep(1)
        return "done"

    @app.orchestration
    async def calls(ctx: OrchestrationContext) -> Any:
        return await ctx.call_activity(slow)

    async with open_hub(MemoryStore(MemoryDisk()), app, env=env, intake_bytes_max=KB) as client:
        runtime = runtime_of(client)
        await client.start_new(calls, "c")
        async with trio.open_nursery() as nursery:
            with env.held():
                for _ in range(3):
                    nursery.start_soon(client.signal_entity, LOG, "append", 1)
                nursery.start_soon(client.terminate, "c", "enough")
                await trio.sleep(2)
                assert runtime.intake.waiting in (3, 4), "two or three signals, and the result"
        assert (await client.wait_for_completion("c")).runtime_status == "Terminated"
        assert len(await client.call_entity(LOG, Log.get)) == 3


async def test_unread_mail_is_on_disk_only(autojump_clock: MockClock) -> None:
    """G7: an entity that is busy holds a window of its mail in memory, however much is sent to it."""
    count, busy = 5 * MAILBOX_WINDOW_MAX, trio.Event()
    app = App()

    @app.entity
    async def slow(context: EntityContext) -> None:
        await busy.wait()

    async with open_hub(MemoryStore(MemoryDisk()), app, env=VirtualEnv()) as client:
        async with trio.open_nursery() as nursery:
            for _ in range(count):
                nursery.start_soon(client.signal_entity, EntityId("slow", "s"), "x")
        kernel = runtime_of(client).kernel
        (activation,) = kernel.catalog
        assert len(activation.mailbox._queue) <= MAILBOX_WINDOW_MAX
        assert len(runtime_of(client).store.scan(b"m", b"n")) == count
        assert not kernel.view.filling
        busy.set()


@pytest.mark.parametrize("error", [HubClosed("gone"), RuntimeError("broken")])
async def test_nobody_waits_at_a_gate_that_failed(autojump_clock: MockClock, error: Exception) -> None:
    """Who waits, and who comes later, is told why there will be no room."""
    intake = Intake(lambda: True, bytes_max=10)
    await intake.take(10, lambda: None)
    async with trio.open_nursery() as nursery:

        async def comes() -> None:
            with pytest.raises(type(error)):
                await intake.take(1, lambda: None)

        nursery.start_soon(comes)
        await wait_all_tasks_blocked()
        intake.fail(error)
    await comes()


@given(
    moves=st.lists(
        st.one_of(
            st.tuples(st.just("send"), st.integers(1, 30)),
            st.tuples(st.just("control"), st.integers(1, 30)),
            st.tuples(st.just("cancel"), st.integers(0, 20)),
            st.tuples(st.just("commit"), st.just(0)),
        ),
        max_size=40,
    )
)
def test_the_gate_keeps_order_and_bound(moves: list[tuple[str, int]]) -> None:
    """Whatever comes, is cancelled and is committed: who waits enters in order, and the bound is never passed."""

    async def main() -> None:
        intake, sent, entered = Intake(lambda: True, bytes_max=50), list[int](), list[int]()
        scopes: dict[int, trio.CancelScope] = {}
        control, size = set[int](), dict[int, int]()

        async def send(number: int) -> None:
            with scopes[number]:
                await intake.take(size[number], partial(entered.append, number), control=number in control)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(intake.run)
            for what, number in moves:
                if what == "commit":
                    intake.sealed()
                    intake.landed()
                elif what == "cancel":
                    if number in scopes:
                        scopes[number].cancel()
                else:
                    name = len(sent)
                    sent.append(name)
                    size[name], scopes[name] = number, trio.CancelScope()
                    if what == "control":
                        control.add(name)
                    nursery.start_soon(send, name)
                await wait_all_tasks_blocked()
                assert intake.held_bytes <= 50 + INTAKE_CONTROL_BYTES
                for lane in (control, set(sent) - control):
                    mine = [name for name in entered if name in lane]
                    assert mine == sorted(mine), "nobody is overtaken"
            while intake.waiting:
                intake.sealed()
                intake.landed()
                await wait_all_tasks_blocked()
            assert all(name in entered or scopes[name].cancel_called for name in sent), "nobody is forgotten"
            assert len(set(entered)) == len(entered), "nobody enters twice"
            nursery.cancel_scope.cancel()

    run_virtual(main)
