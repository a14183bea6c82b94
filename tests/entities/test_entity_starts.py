"""Entities start orchestrations: the id at once, `if_running="return"`, unsent if the operation raises (G11)."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock

from durio.entities import EntityContext, EntityId, EntityOperationFailed, VirtualEnv
from durio.orchestration import App, OrchestrationContext, OrchestrationRuntimeStatus, open_hub
from durio.storage import MemoryDisk, MemoryStore
from tests.entities.helpers import app_of

STARTER = EntityId("starter", "a")


async def wait_for_go(ctx: OrchestrationContext, value: Any) -> Any:
    """Ends with its input when it is told to go."""
    await ctx.wait_for_external_event("go")
    return value


@attrs.define
class Starter:
    """Starts orchestrations."""

    started: int = 0

    def start(self, arguments: dict[str, Any]) -> str:
        self.started += 1
        return EntityContext.current().start_new(wait_for_go, **arguments)

    def start_by_name(self, name: str) -> str:
        return EntityContext.current().start_new(name)

    def start_and_fail(self, instance_id: str) -> None:
        EntityContext.current().start_new(wait_for_go, instance_id, 1)
        raise ValueError("after all")

    async def start_later(self, instance_id: str) -> str:
        await trio.sleep(1)
        return EntityContext.current().start_new(wait_for_go, instance_id, "later")


def starting() -> App:
    """The app of this file."""
    app = app_of(Starter)
    app.orchestration(wait_for_go)
    return app


@pytest.mark.parametrize("operation", ["start", "start_later"])
async def test_a_start_returns_the_id_and_runs_with_its_input(operation: str, autojump_clock: MockClock) -> None:
    """G11: from `def` and from `async def` operations; the instance is there when the answer is."""
    argument = (
        "i1" if operation == "start_later" else {"instance_id": "i1", "client_input": "later", "tags": {"a": "b"}}
    )
    async with open_hub(MemoryStore(MemoryDisk()), starting(), env=VirtualEnv()) as client:
        assert await client.call_entity(STARTER, operation, argument) == "i1"
        await trio.sleep(0.1)
        await client.raise_event("i1", "go")
        assert (await client.wait_for_completion("i1")).output == "later"


async def test_without_an_id_a_fresh_one_is_made(autojump_clock: MockClock) -> None:
    """G11: every start without an id is an instance of its own."""
    async with open_hub(MemoryStore(MemoryDisk()), starting(), env=VirtualEnv()) as client:
        ids = [await client.call_entity(STARTER, "start", {"client_input": n}) for n in range(5)]
        await trio.sleep(0.1)
        assert len(set(ids)) == 5
        assert all([await client.get_status(found) for found in ids])


async def test_one_that_runs_already_is_left_alone(autojump_clock: MockClock) -> None:
    """G11: `if_running="return"`: the same id, the same life, its own input; a finished one is started anew."""
    async with open_hub(MemoryStore(MemoryDisk()), starting(), env=VirtualEnv()) as client:
        for value in (1, 2, 3):
            assert await client.call_entity(STARTER, "start", {"instance_id": "i1", "client_input": value}) == "i1"
        await trio.sleep(0.1)
        await client.raise_event("i1", "go")
        assert (await client.wait_for_completion("i1")).output == 1
        await client.call_entity(STARTER, "start", {"instance_id": "i1", "client_input": 4})
        await trio.sleep(0.1)
        assert (await client.get_status("i1")).runtime_status is OrchestrationRuntimeStatus.Running


async def test_an_operation_that_raises_starts_nothing(autojump_clock: MockClock) -> None:
    """G10, G11: the start is unsent."""
    async with open_hub(MemoryStore(MemoryDisk()), starting(), env=VirtualEnv()) as client:
        with pytest.raises(EntityOperationFailed, match="after all"):
            await client.call_entity(STARTER, "start_and_fail", "i1")
        await trio.sleep(0.1)
        assert not await client.get_status("i1")


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"instance_id": ""}, "InvalidAddress"),
        ({"instance_id": "@a@b"}, "InvalidAddress"),
        ({"instance_id": "a\0"}, "InvalidAddress"),
        ({"instance_id": "i1", "version": "9"}, "NotRegistered"),
    ],
)
async def test_a_start_that_cannot_be_is_refused_in_the_operation(
    arguments: dict[str, Any], error: str, autojump_clock: MockClock
) -> None:
    """G31: bad ids and unknown versions fail the operation, which leaves no trace."""
    async with open_hub(MemoryStore(MemoryDisk()), starting(), env=VirtualEnv()) as client:
        with pytest.raises(EntityOperationFailed, match=error):
            await client.call_entity(STARTER, "start", arguments)
        assert not (await client.read_entity_state(STARTER)).entity_exists


async def test_an_unknown_orchestration_is_refused_in_the_operation(autojump_clock: MockClock) -> None:
    """G31: with the names that there are."""
    async with open_hub(MemoryStore(MemoryDisk()), starting(), env=VirtualEnv()) as client:
        with pytest.raises(EntityOperationFailed, match=r"NotRegistered.*wait_for_go"):
            await client.call_entity(STARTER, "start_by_name", "nothing")


@pytest.mark.parametrize("tags", [{"a": 1}, {"a": None}, {str(n): "" for n in range(1000)}])
async def test_tags_that_are_no_text_fail_the_operation(tags: dict[str, Any], autojump_clock: MockClock) -> None:
    """G31: what the client refuses an entity refuses too; the instance would be unreadable otherwise."""
    async with open_hub(MemoryStore(MemoryDisk()), starting(), env=VirtualEnv()) as client:
        with pytest.raises(EntityOperationFailed, match="tag"):
            await client.call_entity(STARTER, "start", {"instance_id": "i1", "tags": tags})
        await trio.sleep(0.1)
        assert not await client.get_status("i1")


async def test_an_entity_signals_only_what_is_registered(autojump_clock: MockClock) -> None:
    """G31: a signal to an unknown entity fails the operation that wanted to send it."""

    def signals(context: EntityContext) -> None:
        context.signal_entity(EntityId("nobody", "a"), "hello")

    async with open_hub(MemoryStore(MemoryDisk()), app_of(signals), env=VirtualEnv()) as client:
        with pytest.raises(EntityOperationFailed, match="no entity named 'nobody'"):
            await client.call_entity(EntityId("signals", "a"), "go")
