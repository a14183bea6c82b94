"""Entities as attrs classes and dataclasses: typed state, rollback, deletion, unknown operations (G10, G11)."""

from __future__ import annotations

import dataclasses
import logging
from datetime import UTC, datetime
from typing import Any

import attrs
import pytest
from trio.testing import MockClock

from durio.entities import EntityContext, EntityId, EntityOperationFailed, NotRegistered, VirtualEnv
from durio.orchestration import open_hub
from durio.storage import MemoryDisk, MemoryStore
from tests.entities.helpers import Counter, Log, app_of
from tests.opened import runtime_of

CLICKS = EntityId("counter", "clicks")
LOG = EntityId("log", "a")


@attrs.frozen
class Visit:
    who: str
    at: datetime


@dataclasses.dataclass
class Guests:
    """A dataclass with typed fields."""

    visits: list[Visit] = dataclasses.field(default_factory=list)
    greeting: str = "hello"

    def enter(self, visit: Visit) -> Visit:
        assert type(visit) is Visit
        assert all(type(earlier) is Visit for earlier in self.visits)
        self.visits.append(visit)
        return visit

    def greet(self, name: str = "you") -> str:
        return f"{self.greeting} {name}"

    def rename(self, greeting: str) -> None:
        self.greeting = greeting

    @property
    def not_an_operation(self) -> int:
        return 0

    @staticmethod
    def neither_this() -> int:
        return 0

    def _nor_this(self) -> int:
        return 0


@attrs.define
class Account:
    """Does several things before it fails."""

    balance: int = 0

    def move(self, amount: int) -> None:
        context = EntityContext.current()
        self.balance -= amount
        context.signal_entity(LOG, "append", f"moved {amount}")
        context.start_new("audit", f"audit-{amount}")
        if self.balance < 0:
            raise ValueError("overdrawn")

    def close(self) -> str:
        EntityContext.current().destruct_on_exit()
        return "closed"

    def exit(self) -> None:
        raise SystemExit(3)


async def audit(ctx: Any) -> str:
    """An orchestration that does nothing."""
    return "fine"


async def test_fields_are_the_state_and_annotations_the_types(autojump_clock: MockClock) -> None:
    """G33: input, state and result come back as their classes, in memory and after the hub was opened again."""
    disk, guests = MemoryDisk(), EntityId("guests", "a")
    visit = Visit("Ada", datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC))
    for number in (1, 2):
        async with open_hub(MemoryStore(disk), app_of(Guests), env=VirtualEnv()) as client:
            assert await client.call_entity(guests, Guests.enter, visit) == visit
            state = await client.read_entity_state(guests, Guests)
            assert state.entity_state == Guests([visit] * number)
            plain: Any = (await client.read_entity_state(guests)).entity_state
            assert plain["greeting"] == "hello"


async def test_a_default_is_used_when_no_input_comes(autojump_clock: MockClock) -> None:
    """An operation with a default may be sent without an input."""
    guests = EntityId("guests", "a")
    async with open_hub(MemoryStore(MemoryDisk()), app_of(Guests), env=VirtualEnv()) as client:
        assert await client.call_entity(guests, "greet") == "hello you"
        assert await client.call_entity(guests, "greet", "Bob") == "hello Bob"


@pytest.mark.parametrize("operation", ["fly", "_nor_this", "not_an_operation", "neither_this", "__init__", "Enter", ""])
async def test_an_unknown_operation_is_a_clear_error(operation: str, autojump_clock: MockClock) -> None:
    """G11: what is no public method is refused by name, with the names that there are; nothing is created."""
    guests = EntityId("guests", "a")
    async with open_hub(MemoryStore(MemoryDisk()), app_of(Guests), env=VirtualEnv()) as client:
        with pytest.raises(EntityOperationFailed, match="it has: delete, enter, greet, rename"):
            await client.call_entity(guests, operation)
        assert not (await client.read_entity_state(guests)).entity_exists


async def test_an_entity_that_is_not_registered_is_refused_at_the_call(autojump_clock: MockClock) -> None:
    """G31: for tells and asks, with the names that there are."""
    async with open_hub(MemoryStore(MemoryDisk()), app_of(Guests), env=VirtualEnv()) as client:
        for call in (client.call_entity, client.signal_entity):
            with pytest.raises(NotRegistered, match="registered: guests"):
                await call(CLICKS, "add")


@pytest.mark.parametrize(("operation", "value"), [("get", 5), ("add", "five"), ("add", [1]), ("add", 1.5)])
async def test_an_input_that_does_not_fit_fails_the_operation(
    operation: str, value: object, autojump_clock: MockClock
) -> None:
    """G31: an operation that takes no input gets none, and one that takes an int gets an int."""
    async with open_hub(MemoryStore(MemoryDisk()), app_of(Counter), env=VirtualEnv()) as client:
        with pytest.raises(EntityOperationFailed):
            await client.call_entity(CLICKS, operation, value)
        assert not (await client.read_entity_state(CLICKS)).entity_exists


async def test_an_operation_that_needs_an_input_is_not_run_without_one(autojump_clock: MockClock) -> None:
    """G31, G33: None is no str; it does not get into the state of an entity that could never be read again."""
    guests = EntityId("guests", "a")
    async with open_hub(MemoryStore(MemoryDisk()), app_of(Guests), env=VirtualEnv()) as client:
        with pytest.raises(EntityOperationFailed):
            await client.call_entity(guests, "rename")
        assert await client.call_entity(guests, "greet") == "hello you"


async def test_an_operation_that_raises_changes_nothing_and_sends_nothing(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """G10: state and outbox of that operation are undone, those of its neighbours in the same turn are not."""
    app = app_of(Account, Log)
    app.orchestration(audit)
    entity = EntityId("account", "a")
    async with open_hub(MemoryStore(MemoryDisk()), app, env=VirtualEnv()) as client:
        await client.signal_entity(entity, "move", -10)
        with caplog.at_level(logging.ERROR, "durio.entities"):
            for amount in (4, 100, 5):
                await client.signal_entity(entity, "move", amount)
            with pytest.raises(EntityOperationFailed, match="overdrawn") as caught:
                await client.call_entity(entity, Account.move, 7)
        assert (caught.value.error_type, caught.value.operation) == ("ValueError", "move")
        assert "raise ValueError" in caught.value.stack
        assert (await client.read_entity_state(entity, Account)).entity_state == Account(1)
        assert await client.call_entity(LOG, "get") == ["moved -10", "moved 4", "moved 5"]
        assert [bool(await client.get_status(f"audit-{n}")) for n in (-10, 4, 100, 5, 7)] == [
            True,
            True,
            False,
            True,
            False,
        ]
        assert runtime_of(client).kernel.counters["signals failed"] == 1
    assert "overdrawn" in caplog.text


async def test_an_operation_cannot_end_the_program(autojump_clock: MockClock) -> None:
    """G9, G10: SystemExit in an operation is its failure; it would stop the hub at every open otherwise."""
    async with open_hub(MemoryStore(MemoryDisk()), app_of(Account), env=VirtualEnv()) as client:
        with pytest.raises(EntityOperationFailed, match="SystemExit"):
            await client.call_entity(EntityId("account", "a"), "exit")


async def test_none_deletes_and_falsy_state_stays(autojump_clock: MockClock) -> None:
    """G11: `set_state(None)` deletes; 0, "", [], {} and False are states, over a reopening."""

    def cell(context: EntityContext) -> Any:
        if context.operation_name == "set":
            context.set_state(context.get_input())
        return context.is_newly_constructed

    disk, entity = MemoryDisk(), EntityId("cell", "a")
    values: list[Any] = [0, "", [], {}, False, 0.0]
    for falsy in values:
        async with open_hub(MemoryStore(disk), app_of(cell), env=VirtualEnv()) as client:
            await client.call_entity(entity, "set", falsy)
        async with open_hub(MemoryStore(disk), app_of(cell), env=VirtualEnv()) as client:
            state = await client.read_entity_state(entity)
            assert (state.entity_exists, state.entity_state) == (True, falsy)
            assert await client.call_entity(entity, "look") is False
            await client.call_entity(entity, "set", None)
            assert not (await client.read_entity_state(entity)).entity_exists
            assert await client.call_entity(entity, "look") is True
    assert disk.snapshot() == {}


async def test_a_class_can_be_deleted_and_starts_anew(autojump_clock: MockClock) -> None:
    """G11: every class has the operation `delete`; a deleted entity leaves nothing, and begins with its defaults."""
    disk, entity = MemoryDisk(), EntityId("account", "a")
    app = app_of(Account, Log)
    app.orchestration(audit)
    async with open_hub(MemoryStore(disk), app, env=VirtualEnv()) as client:
        for end, answer in (("delete", None), ("close", "closed")):
            await client.call_entity(entity, "move", -3)
            assert await client.call_entity(entity, end) == answer
            assert not (await client.read_entity_state(entity)).entity_exists
        await client.call_entity(entity, "move", -2)
        assert (await client.read_entity_state(entity, Account)).entity_state == Account(2)
        assert await client.call_entity(EntityId("account", "never there"), "delete") is None
    assert not [key for key in disk.snapshot() if b"never there" in key]


async def test_an_error_with_a_lone_surrogate_does_not_break_the_hub(autojump_clock: MockClock) -> None:
    """G31: the failure of a call with a request id is stored, so all of its text must be storable."""

    def bad(context: EntityContext) -> None:
        raise ValueError("\ud800")

    async with open_hub(MemoryStore(MemoryDisk()), app_of(bad), env=VirtualEnv()) as client:
        for _ in range(2):
            with pytest.raises(EntityOperationFailed, match=r"\\ud800"):
                await client.call_entity(EntityId("bad", "a"), "go", request_id="one")


@attrs.define
class Careless:
    """Stores what its own field does not allow."""

    number: int = 0

    def spoil(self) -> None:
        wrong: Any = "text"
        self.number = wrong

    def add(self) -> int:
        self.number += 1
        return self.number


async def test_a_state_that_cannot_be_read_back_is_rolled_back(autojump_clock: MockClock) -> None:
    """G10, G31: an operation that leaves a wrong type in a field fails; the entity keeps the state before."""
    careless = EntityId("careless", "a")
    async with open_hub(MemoryStore(MemoryDisk()), app_of(Careless), env=VirtualEnv()) as client:
        assert await client.call_entity(careless, Careless.add) == 1
        with pytest.raises(EntityOperationFailed, match="expected int, got str"):
            await client.call_entity(careless, Careless.spoil)
        assert await client.call_entity(careless, Careless.add) == 2
