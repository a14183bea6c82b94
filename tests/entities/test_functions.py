"""Entities as functions of their context, in the style of Azure's Python samples."""

from __future__ import annotations

from typing import Any

import pytest
from trio.testing import MockClock

from durio.entities import EntityContext, EntityId, EntityOperationFailed, VirtualEnv
from durio.orchestration import open_hub
from durio.storage import MemoryDisk, MemoryStore
from tests.entities.helpers import app_of

ONE = EntityId("entity_function", "one")


def entity_function(context: EntityContext) -> None:
    """The counter of Azure's documentation, unchanged but for its annotations."""
    current_value = context.get_state(lambda: 0)
    operation = context.operation_name
    if operation == "add":
        amount = context.get_input()
        current_value += amount
        context.set_result(current_value)
    elif operation == "reset":
        current_value = 0
    elif operation == "get":
        context.set_result(current_value)

    context.set_state(current_value)


async def test_the_seeds_counter_counts(autojump_clock: MockClock) -> None:
    """The sample of Azure's documentation runs as it is; its state 0 is a state (G11)."""
    async with open_hub(MemoryStore(MemoryDisk()), app_of(entity_function), env=VirtualEnv()) as client:
        assert not (await client.read_entity_state(ONE)).entity_exists
        await client.signal_entity(ONE, "add", 3)
        assert await client.call_entity(ONE, "add", 4) == 7
        assert await client.call_entity(ONE, "get") == 7
        assert await client.call_entity(ONE, "reset") is None
        state = await client.read_entity_state(ONE)
        assert (state.entity_exists, state.entity_state) == (True, 0)


async def test_a_context_shows_the_operation(autojump_clock: MockClock) -> None:
    """Names, key, input and whether there is a state are what the sender and the store say."""
    seen: list[Any] = []

    def look(context: EntityContext) -> dict[str, Any]:
        assert EntityContext.current() is context
        seen.append((context.entity_name, context.entity_key, str(context.entity_id), context.is_newly_constructed))
        context.set_state("there")
        return {"operation": context.operation_name, "input": context.get_input(), "any": context.has_input}

    async with open_hub(MemoryStore(MemoryDisk()), app_of(look), env=VirtualEnv()) as client:
        entity = EntityId("LOOK", "Key")
        assert await client.call_entity(entity, "a", [1]) == {"operation": "a", "input": [1], "any": True}
        assert await client.call_entity(entity, "b") == {"operation": "b", "input": None, "any": False}
    assert seen == [("look", "Key", "@look@Key", True), ("look", "Key", "@look@Key", False)]


async def test_what_set_result_was_given_wins_over_what_is_returned(autojump_clock: MockClock) -> None:
    """A function may answer either way."""

    def both(context: EntityContext) -> str:
        if context.operation_name == "set":
            context.set_result("set")
        return "returned"

    async with open_hub(MemoryStore(MemoryDisk()), app_of(both), env=VirtualEnv()) as client:
        entity = EntityId("both", "a")
        assert await client.call_entity(entity, "set") == "set"
        assert await client.call_entity(entity, "return") == "returned"
        assert not (await client.read_entity_state(entity)).entity_exists


async def test_every_operation_gets_a_fresh_copy_of_the_state(autojump_clock: MockClock) -> None:
    """G10: changing what `get_state` gave does nothing before `set_state`, in memory as after a reload."""

    def sloppy(context: EntityContext) -> Any:
        state = context.get_state(lambda: {"list": []})
        if context.operation_name == "spoil":
            state["list"].append("spoilt")
        elif context.operation_name == "twice":
            assert context.get_state() is not context.get_state()
        else:
            context.set_state(state)
            state["list"].append("after set_state")
        return context.get_state()

    entity = EntityId("sloppy", "a")
    async with open_hub(MemoryStore(MemoryDisk()), app_of(sloppy), env=VirtualEnv()) as client:
        assert await client.call_entity(entity, "set") == {"list": []}
        for operation in ("spoil", "twice", "spoil", "set"):
            assert await client.call_entity(entity, operation) == {"list": []}


async def test_state_and_input_come_as_the_type_that_is_asked_for(autojump_clock: MockClock) -> None:
    """G33: `expected_type` decodes; what does not fit fails the operation."""

    def typed(context: EntityContext) -> Any:
        numbers = context.get_state(set, expected_type=set[int])
        numbers.add(context.get_input(int))
        context.set_state(sorted(numbers))
        return sum(context.get_state(expected_type=tuple[int, ...]))  # type: ignore[arg-type]  # no `type[T]` at run time

    entity = EntityId("typed", "a")
    async with open_hub(MemoryStore(MemoryDisk()), app_of(typed), env=VirtualEnv()) as client:
        assert [await client.call_entity(entity, "add", n) for n in (3, 4, 3)] == [3, 7, 7]
        with pytest.raises(EntityOperationFailed, match="PayloadError"):
            await client.call_entity(entity, "add", "three")
        assert (await client.read_entity_state(entity, list[int])).entity_state == [3, 4]


@pytest.mark.parametrize("value", [object(), {1, 2, 3j}, float("nan"), {"a": float("inf")}, lambda: 0])
@pytest.mark.parametrize("where", ["state", "result", "returned", "signal"])
async def test_what_is_not_json_fails_the_operation(value: Any, where: str, autojump_clock: MockClock) -> None:
    """G31: a state, result or input that no payload can hold is refused in the operation, and nothing changes."""

    def bad(context: EntityContext) -> Any:
        context.set_state("changed")
        if where == "state":
            context.set_state(value)
        elif where == "result":
            context.set_result(value)
        elif where == "signal":
            context.signal_entity(context.entity_id, "more", value)
        return value

    entity = EntityId("bad", "a")
    async with open_hub(MemoryStore(MemoryDisk()), app_of(bad), env=VirtualEnv()) as client:
        with pytest.raises(EntityOperationFailed, match="PayloadError"):
            await client.call_entity(entity, "go")
        assert not (await client.read_entity_state(entity)).entity_exists


def test_there_is_no_current_operation_outside_of_one() -> None:
    """`EntityContext.current()` outside of an operation says so."""
    with pytest.raises(RuntimeError, match="no entity operation is running"):
        EntityContext.current()
