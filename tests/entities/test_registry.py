"""Registering entities: what can be one, and what is refused at the decorator."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock

from durio.entities import AlreadyRegistered, EntityContext, EntityId, VirtualEnv, from_us
from durio.orchestration import App, open_hub
from durio.storage import MemoryDisk, MemoryStore
from tests.entities.helpers import Counter, app_of


class Plain:
    def add(self) -> None:
        return None


@attrs.define
class TwoInputs:
    def add(self, one: int, two: int) -> None:
        return None


@attrs.define
class KeywordOnly:
    def add(self, *, one: int) -> None:
        return None


@attrs.define
class Base:
    value: int = 0

    def add(self, amount: int) -> int:
        self.value += amount
        return self.value


@attrs.define
class Derived(Base):
    def add_twice(self, amount: int) -> int:
        self.add(amount)
        return self.add(amount)


@pytest.mark.parametrize("cls", [Plain, TwoInputs, KeywordOnly])
def test_a_class_that_can_be_no_entity_is_refused(cls: type[Any]) -> None:
    """G31: the state must be fields, an operation takes at most one input; said when it is registered."""
    with pytest.raises(TypeError, match=cls.__name__):
        App().entity(cls)


def test_a_name_is_taken_once_whatever_its_case() -> None:
    """Entity names compare lower-cased."""
    app = app_of(Counter)
    with pytest.raises(AlreadyRegistered, match="COUNTER"):
        app.entity(name="COUNTER")(Base)


@pytest.mark.parametrize("name", ["a@b", "@"])
def test_a_name_that_no_address_can_hold_is_refused(name: str) -> None:
    """G31: an entity must be addressable."""
    with pytest.raises(ValueError, match="named"):
        App().entity(name=name)(Base)


@pytest.mark.parametrize("timeout_s", [-1, 0, float("nan")])
def test_a_time_out_that_is_no_time_is_refused(timeout_s: float) -> None:
    """G31: it would end or break every `async def` operation."""
    with pytest.raises(ValueError, match="timeout_s"):
        App().entity(timeout_s=timeout_s)(Base)


def test_decorators_give_back_what_they_got() -> None:
    """A registered class or function is still itself."""

    def function(context: EntityContext) -> None:
        return None

    app = App()
    assert app.entity(function) is function
    assert app.entity(name="other")(Base) is Base


async def test_inherited_operations_are_operations(autojump_clock: MockClock) -> None:
    """A class inherits its base's operations and may use them."""
    async with open_hub(MemoryStore(MemoryDisk()), app_of(Derived), env=VirtualEnv()) as client:
        entity = EntityId("derived", "a")
        assert await client.call_entity(entity, Derived.add_twice, 2) == 4
        assert await client.call_entity(entity, Derived.add, 1) == 5


async def test_an_entity_whose_code_is_missing_waits_for_it(autojump_clock: MockClock) -> None:
    """G9: signals that are there already are kept, and run when the code is there again."""
    disk, entity = MemoryDisk(), EntityId("counter", "a")
    env = VirtualEnv()
    async with open_hub(MemoryStore(disk), app_of(Counter), env=env) as client:
        await client.call_entity(entity, "add", 1)
        for _ in range(2):
            await client.signal_entity(entity, "add", 2, signal_time=from_us(env.now_us() + 10_000_000))
    async with open_hub(MemoryStore(disk), app_of(Base), env=env) as client:
        await trio.sleep(20)
        assert (await client.read_entity_state(entity)).entity_state == {"value": 1}
    async with open_hub(MemoryStore(disk), app_of(Counter), env=env) as client:
        await trio.sleep(1)
        assert await client.call_entity(entity, "get") == 5
