"""Ctrl-C at the worst moments, many waiters and jobs at once, clocks that jump: what a review of the kernel found."""

from __future__ import annotations

import signal
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock

import durio.entities.keys as keys
from durio.entities import EntityContext, EntityId, VirtualEnv
from durio.entities.changes import Batch
from durio.entities.messages import MAIL_LANE, Operation, encode_record
from durio.orchestration import App, Client, OrchestrationContext, open_hub
from durio.storage import HubClosed, MemoryDisk, MemoryStore, WriteSet
from tests.entities.helpers import Counter, activations, app_of, run_virtual
from tests.opened import runtime_of

COUNTER = EntityId("counter", "a")
SUM = EntityId("sum", "a")
REQUESTS = 3
CHANGES_MAX = 40
"""About twice as many changes as the work below makes: behind the last one nothing is interrupted."""
IDLE_S = 60.0
YEARS_US = 10 * 365 * 86_400 * 1_000_000


class JumpingEnv(VirtualEnv):
    """Its wall clock can be set wrong, and is read again as often as the system's."""

    clock_read_s = 30.0
    off_us = 0

    def now_us(self) -> int:
        return super().now_us() + self.off_us


@attrs.define
class Forwarder:
    """Counts, and tells the sum of every message that it takes."""

    value: int = 0

    def add(self, amount: int) -> int:
        self.value += amount
        EntityContext.current().signal_entity(SUM, "add", amount)
        return self.value


@attrs.define
class Sum:
    """What it was told, added up."""

    value: int = 0

    def add(self, amount: int) -> int:
        self.value += amount
        return self.value


class Bang(Exception):
    """Something in the kernel failed in the middle of a step, as memory that has run out."""


def interrupted(main: Callable[[], Any]) -> bool:
    """Whether a KeyboardInterrupt came out of `main`, alone or in groups."""
    try:
        run_virtual(main)
    except KeyboardInterrupt:
        return True
    except BaseExceptionGroup as group:
        return group.split(KeyboardInterrupt)[1] is None
    return False


async def ask(client: Client, number: int) -> None:
    await client.call_entity(EntityId("forwarder", "a"), "add", 1, request_id=f"request-{number}")


async def requests(disk: MemoryDisk, app: App) -> None:
    """Calls side by side, each with a request id."""
    async with open_hub(MemoryStore(disk), app, env=VirtualEnv()) as client, trio.open_nursery() as nursery:
        for number in range(REQUESTS):
            nursery.start_soon(ask, client, number)


async def check_requests(disk: MemoryDisk, app: App) -> None:
    """All are asked again: each is answered, was done once, and what it sent came once."""
    async with open_hub(MemoryStore(disk), app, env=VirtualEnv()) as client:
        with trio.fail_after(60):
            for number in range(REQUESTS):
                await ask(client, number)
            assert await client.call_entity(SUM, "add", 0) == REQUESTS
            assert await client.call_entity(EntityId("forwarder", "a"), "add", 0) == REQUESTS


@pytest.mark.parametrize("change", range(1, CHANGES_MAX))
@pytest.mark.parametrize("method", ["put", "delete"])
def test_ctrl_c_never_cuts_a_step_of_the_kernel(method: str, change: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """G2, G3, G9: whichever change of a batch Ctrl-C hits, turns are whole and a retried request gets its answer."""
    disk, app = MemoryDisk(), app_of(Forwarder, Sum)
    left = change
    original: Callable[..., None] = getattr(Batch, method)

    def press(batch: Batch, *args: Any) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            signal.raise_signal(signal.SIGINT)
        original(batch, *args)

    with monkeypatch.context() as patch:
        patch.setattr(Batch, method, press)
        assert interrupted(partial(requests, disk, app)) == (left <= 0)
    run_virtual(partial(check_requests, disk, app))


@pytest.mark.parametrize("change", range(1, CHANGES_MAX))
@pytest.mark.parametrize("method", ["put", "delete"])
def test_a_step_that_fails_in_the_middle_is_never_committed(
    method: str, change: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """G2, G3: the hub breaks, and what was half done is void: turns are whole, a retried request gets its answer."""
    disk, app = MemoryDisk(), app_of(Forwarder, Sum)
    left = change
    original: Callable[..., None] = getattr(Batch, method)

    def fail(batch: Batch, *args: Any) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            raise Bang
        original(batch, *args)

    with monkeypatch.context() as patch:
        patch.setattr(Batch, method, fail)
        try:
            run_virtual(partial(requests, disk, app))
        except* (Bang, HubClosed):
            pass
    run_virtual(partial(check_requests, disk, app))


def test_a_turn_whose_answer_cannot_be_kept_changes_nothing() -> None:
    """G2: the row of a request id is unreadable: its actor is held, and no half of its turn becomes durable."""
    disk, app = MemoryDisk(), app_of(Forwarder, Sum)
    forwarder = "@forwarder@a"
    mail = keys.mail(keys.mailbox(forwarder), MAIL_LANE, 1)
    operation = Operation(at_us=0, name="add", input=b"1", reply="ronce")
    store = MemoryStore(disk)
    store.commit(WriteSet(((mail, encode_record(operation)), (keys.request("once"), b"no request"))))
    store.close()

    async def work() -> None:
        async with open_hub(MemoryStore(disk), app, env=VirtualEnv()) as client:
            await trio.sleep(10)
            assert (await client.read_entity_state(SUM)).entity_exists is False

    run_virtual(work)
    found = disk.snapshot()
    assert mail in found
    assert keys.actor(forwarder) + b"s" not in found


def test_ctrl_c_in_an_operation_stops_the_program_not_the_operation() -> None:
    """G10, G21: KeyboardInterrupt comes out of the hub, and the signal has its turn at the next open."""
    disk, pressed = MemoryDisk(), 0

    @attrs.define
    class Slow:
        value: int = 0

        def add(self, amount: int) -> int:
            nonlocal pressed
            pressed += 1
            if pressed == 1:
                signal.raise_signal(signal.SIGINT)
            self.value += amount
            return self.value

    app = app_of(Slow)
    slow = EntityId("slow", "a")

    async def work() -> None:
        async with open_hub(MemoryStore(disk), app, env=VirtualEnv()) as client:
            await client.call_entity(slow, "add", 1, request_id="once")

    async def check() -> None:
        async with open_hub(MemoryStore(disk), app, env=VirtualEnv()) as client:
            with trio.fail_after(60):
                assert await client.call_entity(slow, "add", 1, request_id="once") == 1

    assert interrupted(work)
    run_virtual(check)


def test_ctrl_c_in_an_orchestrator_stops_the_program_not_the_instance() -> None:
    """G21, G9: Ctrl-C is no offence of the code that happens to run: the instance goes on at the next open."""
    disk, app, pressed = MemoryDisk(), App(), 0

    @app.orchestration
    async def slow(ctx: OrchestrationContext) -> str:
        nonlocal pressed
        await ctx.create_timer(timedelta(seconds=1))
        pressed += 1
        if pressed == 1:
            signal.raise_signal(signal.SIGINT)
        return "done"

    async def work() -> None:
        async with open_hub(MemoryStore(disk), app, env=VirtualEnv()) as client:
            await client.start_new(slow, "i")
            await client.wait_for_completion("i")

    async def check() -> None:
        async with open_hub(MemoryStore(disk), app, env=VirtualEnv()) as client:
            with trio.fail_after(60):
                assert (await client.wait_for_completion("i")).output == "done"

    assert interrupted(work)
    run_virtual(check)


async def test_idle_actors_are_dropped_though_the_clock_was_ahead_once(autojump_clock: MockClock) -> None:
    """G7: an actor used while the clock was ten years ahead holds neither itself nor others in memory."""
    env = JumpingEnv()
    async with open_hub(MemoryStore(MemoryDisk()), app_of(Counter), env=env, idle_s=IDLE_S) as client:
        env.off_us = YEARS_US
        await client.signal_entity(EntityId("counter", "ahead"), "add", 1)
        env.off_us = 0
        await client.signal_entity(COUNTER, "add", 1)
        await trio.sleep(10 * IDLE_S)
        assert activations(client) == []


async def test_request_ids_are_forgotten_though_the_clock_was_ahead_once(autojump_clock: MockClock) -> None:
    """G3: the table of request ids is swept after the clock was set back, so it does not grow for years."""
    env, disk = JumpingEnv(), MemoryDisk()
    async with open_hub(MemoryStore(disk), app_of(Counter), env=env, dedupe_s=3600) as client:
        env.off_us = YEARS_US
        await trio.sleep(100)
        env.off_us = 0
        await client.signal_entity(COUNTER, "add", 1, request_id="once")
        await trio.sleep(3 * 3600)
        assert runtime_of(client).kernel.requests.find("once") is None
