"""An entity class in a hub does what the same class does in plain Python, one operation after the other."""

from __future__ import annotations

import copy
from typing import Any, TypeAlias

import attrs
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from durio.entities import EntityContext, EntityId, EntityOperationFailed, VirtualEnv
from durio.orchestration import App, Client, open_hub
from durio.storage import MemoryDisk, MemoryStore
from tests.entities.helpers import app_of, run_virtual


@attrs.define
class Shelf:
    """Holds things; some operations fail half-way."""

    things: list[int] = attrs.Factory(list)
    moves: int = 0

    def put(self, thing: int) -> int:
        self.things.append(thing)
        self.moves += 1
        return len(self.things)

    def take(self, place: int = -1) -> int:
        self.moves += 1
        return self.things.pop(place)

    def swap_all(self) -> list[int]:
        self.things.reverse()
        if self.things and self.things[0] % 3 == 0:
            raise ValueError(f"{self.things[0]} is stuck")
        return self.things

    async def sort(self) -> None:
        self.things.append(0)
        await trio.sleep(0.5)
        self.things.sort()

    def clear(self) -> None:
        self.things.clear()

    def look(self) -> tuple[list[int], int]:
        return self.things, self.moves


@attrs.define
class Sender:
    """Sends a burst of operations, so that many are one turn of the receiver."""

    def burst(self, operations: list[tuple[str, int | None]]) -> None:
        context = EntityContext.current()
        for name, value in operations:
            context.signal_entity(EntityId("shelf", context.entity_key), name, value)


Operation: TypeAlias = tuple[str, int | None]

OPERATIONS = (
    st.tuples(st.just("put"), st.integers(-9, 9))
    | st.tuples(st.just("take"), st.none() | st.integers(-2, 4))
    | st.tuples(st.sampled_from(["swap_all", "clear", "look", "sort", "delete", "unknown"]), st.none())
    | st.tuples(st.sampled_from(["look", "put"]), st.just(3) | st.none())
)
STEPS = st.lists(
    st.tuples(st.sampled_from(["call", "signal"]), st.sampled_from("ab"), OPERATIONS)
    | st.tuples(st.just("burst"), st.sampled_from("ab"), st.lists(OPERATIONS, max_size=8))
    | st.tuples(st.sampled_from(["reopen", "sleep"]), st.just(""), st.none()),
    max_size=25,
)


class Plain:
    """The same class, without a hub."""

    def __init__(self) -> None:
        self.shelves: dict[str, Shelf] = {}

    def run(self, key: str, operation: Operation) -> Any:
        """One operation; one that fails leaves everything as it was. Gives its result, or the class of its error."""
        name, value = operation
        if name == "delete":
            self.shelves.pop(key, None)
            return None
        shelf = copy.deepcopy(self.shelves.get(key, Shelf()))
        inputs = [] if value is None else [value]
        try:
            if name == "sort":
                shelf.things = sorted([*shelf.things, 0])
                result: Any = None
            elif name == "put" and value is None:
                raise TypeError("it needs an input")
            else:
                result = copy.deepcopy(getattr(shelf, name)(*inputs))
        except Exception:
            return "failed"
        self.shelves[key] = shelf
        return result


async def call(client: Client, key: str, operation: Operation) -> Any:
    """Call, and give the result or that it failed."""
    try:
        return await client.call_entity(EntityId("shelf", key), *operation)
    except EntityOperationFailed:
        return "failed"


async def compare(steps: list[tuple[str, str, Any]]) -> None:
    """Run the steps in a hub and in plain Python."""
    app: App = app_of(Shelf, Sender)
    disk, plain, left = MemoryDisk(), Plain(), list(steps)
    while True:
        async with open_hub(MemoryStore(disk), app, env=VirtualEnv(), idle_s=5) as client:
            while left:
                what, key, operation = left.pop(0)
                if what == "reopen":
                    break
                if what == "sleep":
                    await trio.sleep(10)
                elif what == "call":
                    assert await call(client, key, operation) == plain.run(key, operation)
                elif what == "signal":
                    await client.signal_entity(EntityId("shelf", key), *operation)
                    plain.run(key, operation)
                else:
                    await client.call_entity(EntityId("sender", key), "burst", operation)
                    for each in operation:
                        plain.run(key, each)
            else:
                await trio.sleep(20)
                for key in "ab":
                    state = await client.read_entity_state(EntityId("shelf", key), Shelf)
                    assert state.entity_state == plain.shelves.get(key)
                return


@given(steps=STEPS)
@settings(max_examples=60)
def test_an_entity_is_its_class_run_one_operation_after_the_other(steps: list[tuple[str, str, Any]]) -> None:
    """G1..G4, G10, G11: over turns, idle times and reopenings, answers and states are those of plain Python."""

    async def main() -> None:
        await compare(steps)

    run_virtual(main)
