"""Closing: running operations get a grace; what did not end is rolled back and runs again at the next open (G10)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
import trio
from trio.testing import MockClock

from durio.entities import EntityContext, EntityId, VirtualEnv
from durio.entities.limits import OPERATION_GRACE_S
from durio.orchestration import App, Client, open_hub
from durio.storage import HubClosed, MemoryDisk, MemoryStore
from tests.entities.helpers import Log, app_of

WORKER = EntityId("worker", "a")
LOG = EntityId("log", "a")


def app_with(work: Callable[[EntityContext], Awaitable[None]]) -> App:
    """An app whose worker runs `work` and then says so to the log."""

    async def worker(context: EntityContext) -> None:
        context.set_state("begun")
        context.signal_entity(LOG, "append", "begun")
        await work(context)
        context.set_state("done")

    app = app_of(Log)
    app.entity(worker)
    return app


async def states(client: Client) -> tuple[object, object]:
    """What the worker and its log hold."""
    return (await client.read_entity_state(WORKER)).entity_state, (await client.read_entity_state(LOG)).entity_state


async def test_an_operation_that_ends_within_the_grace_is_done(autojump_clock: MockClock) -> None:
    """G10: it is settled and committed, its answer still leaves, and it does not run again."""
    disk, runs = MemoryDisk(), 0

    async def work(_: EntityContext) -> None:
        nonlocal runs
        runs += 1
        await trio.sleep(OPERATION_GRACE_S)

    async with (
        trio.open_nursery() as nursery,
        open_hub(MemoryStore(disk), app_with(work), env=VirtualEnv()) as client,
    ):
        nursery.start_soon(client.call_entity, WORKER, "go")
        await trio.sleep(1)
    async with open_hub(MemoryStore(disk), app_with(work), env=VirtualEnv()) as client:
        assert await client.call_entity(LOG, "get") == ["begun"]
        assert await states(client) == ("done", {"lines": ["begun"]})
    assert runs == 1


async def test_a_closing_hub_takes_nothing_in(autojump_clock: MockClock) -> None:
    """G13: during the grace asks and tells are refused, those that wait for the operation are not cut off."""
    disk = MemoryDisk()
    refused: list[str] = []

    async def work(_: EntityContext) -> None:
        await trio.sleep(3)

    async with (
        trio.open_nursery() as nursery,
        open_hub(MemoryStore(disk), app_with(work), env=VirtualEnv()) as client,
    ):
        nursery.start_soon(client.signal_entity, WORKER, "go")
        await trio.sleep(1)

        async def late() -> None:
            await trio.sleep(1)
            with pytest.raises(HubClosed):
                await client.signal_entity(LOG, "append", "late")
            refused.append("late")

        nursery.start_soon(late)
    assert refused == ["late"]


async def test_an_operation_beyond_the_grace_is_rolled_back_and_runs_again(autojump_clock: MockClock) -> None:
    """G10: state and outbox are as before, its caller is told that the hub closed, the next open runs it again."""
    disk, runs = MemoryDisk(), 0
    told: list[str] = []

    async def work(_: EntityContext) -> None:
        nonlocal runs
        runs += 1
        await trio.sleep(1000 if runs == 1 else 1)

    app = app_with(work)
    async with trio.open_nursery() as nursery, open_hub(MemoryStore(disk), app, env=VirtualEnv()) as client:

        async def call() -> None:
            with pytest.raises(HubClosed):
                await client.call_entity(WORKER, "go")
            told.append("closed")

        nursery.start_soon(call)
        await trio.sleep(1)
        assert await states(client) == (None, None)
    assert told == ["closed"]
    assert trio.current_time() < 100
    async with open_hub(MemoryStore(disk), app, env=VirtualEnv()) as client:
        await trio.sleep(2)
        assert await states(client) == ("done", {"lines": ["begun"]})
    assert runs == 2


@pytest.mark.parametrize("cancelled_by", ["closing", "outside"])
async def test_an_operation_that_answers_its_cancellation_with_an_error_runs_again(
    cancelled_by: str, autojump_clock: MockClock
) -> None:
    """G10: the hub's end is no failure of the operation, whatever the operation makes of being cancelled."""
    disk, runs = MemoryDisk(), 0

    async def work(_: EntityContext) -> None:
        nonlocal runs
        runs += 1
        if runs == 1:
            try:
                await trio.sleep_forever()
            except trio.Cancelled:
                raise RuntimeError("interrupted") from None

    with trio.move_on_after(2):
        async with open_hub(MemoryStore(disk), app_with(work), env=VirtualEnv()) as client:
            await client.signal_entity(WORKER, "go")
            await trio.sleep(1 if cancelled_by == "closing" else 10)
    async with open_hub(MemoryStore(disk), app_with(work), env=VirtualEnv()) as client:
        await trio.sleep(1)
        assert await states(client) == ("done", {"lines": ["begun"]})
    assert runs == 2


async def test_cleanup_that_raises_at_shutdown_does_not_leave_through_open_hub(autojump_clock: MockClock) -> None:
    """G10: an error in a nursery of an operation that is cancelled at the end is not the hub's error."""
    disk, runs = MemoryDisk(), 0

    async def fail_at_the_end() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise ValueError("cleanup")

    async def work(_: EntityContext) -> None:
        nonlocal runs
        runs += 1
        if runs == 1:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(fail_at_the_end)
                await trio.sleep_forever()

    for _ in range(2):
        async with open_hub(MemoryStore(disk), app_with(work), env=VirtualEnv()) as client:
            if runs == 0:
                await client.signal_entity(WORKER, "go")
            await trio.sleep(1)
    assert runs == 2


async def test_what_was_taken_in_is_there_at_the_next_open(autojump_clock: MockClock) -> None:
    """G9: mail that got no turn before the end gets it afterwards, without help."""
    disk = MemoryDisk()

    async def work(_: EntityContext) -> None:
        await trio.sleep_forever()

    async def quick(_: EntityContext) -> None:
        return None

    async with open_hub(MemoryStore(disk), app_with(work), env=VirtualEnv()) as client:
        for _ in range(3):
            await client.signal_entity(WORKER, "go")
    async with open_hub(MemoryStore(disk), app_with(quick), env=VirtualEnv()) as client:
        await trio.sleep(1)
        assert await states(client) == ("done", {"lines": ["begun"] * 3})
