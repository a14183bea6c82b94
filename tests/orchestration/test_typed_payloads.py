"""G33: typed values through the whole path: inputs, results, events and states of everything."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Any

import attrs
import pytest

from durio.entities import EntityContext, EntityId
from durio.orchestration import App, OrchestrationContext
from tests.orchestration.helpers import hub, output


class Colour(Enum):
    """A plain enum."""

    RED = "red"
    BLUE = "blue"


@dataclass
class Point:
    """A dataclass."""

    x: int
    y: float = 0.5


@attrs.frozen
class Order:
    """An attrs class with all that is worth a test."""

    id: uuid.UUID
    at: datetime
    colour: Colour
    points: list[Point]
    note: str | None = None


ORDER = Order(
    uuid.UUID("12345678-1234-5678-1234-567812345678"),
    datetime(2026, 5, 6, 7, 8, 9, 10, tzinfo=UTC),
    Colour.BLUE,
    [Point(1), Point(2, 3.25)],
)
VALUES: list[Any] = [ORDER, ORDER.points[1], ORDER.colour, ORDER.at, ORDER.id]
NAMES = ["order", "point", "colour", "moment", "uuid"]

app = App()


@app.activity
async def order(value: Order) -> Order:
    assert isinstance(value, Order)
    return value


@app.activity
def point(value: Point) -> Point:
    assert isinstance(value, Point)
    return value


@app.activity
async def colour(value: Colour) -> Colour:
    assert isinstance(value, Colour)
    return value


@app.activity
async def moment(value: datetime) -> datetime:
    assert value.tzinfo is not None
    return value


@app.activity(name="uuid")
async def uuid_(value: uuid.UUID) -> uuid.UUID:
    assert isinstance(value, uuid.UUID)
    return value


@app.orchestration
async def child(ctx: OrchestrationContext, value: Order) -> Order:
    assert isinstance(value, Order)
    return attrs.evolve(value, note="child")


@app.entity
@attrs.define
class Shop:
    """An entity whose state is typed."""

    orders: list[Order] = attrs.Factory(list)
    last: Colour | None = None

    def put(self, value: Order) -> Order:
        assert isinstance(value, Order)
        self.orders.append(value)
        self.last = value.colour
        return value

    async def first(self) -> Order:
        return self.orders[0]


@app.entity
def shelf(ctx: EntityContext) -> None:
    ctx.set_state(ctx.get_input(Order))
    ctx.set_result(ctx.get_state(None, expected_type=Order))


@app.orchestration
async def everywhere(ctx: OrchestrationContext, value: Order) -> Order:
    """Sends a typed value through everything and checks its type wherever it comes out."""
    assert isinstance(value, Order)
    assert ctx.get_input(Order) == value
    for activity, part in zip((order, point, colour, moment, uuid_), VALUES, strict=True):
        result: Any = await ctx.call_activity(activity, part)  # type: ignore[call-overload]  # a union of them
        assert result == part
        assert type(result) is type(part)
    by_name = await ctx.call_activity("order", value, expected_type=Order)
    assert by_name == value
    assert await ctx.call_sub_orchestrator(child, value) == attrs.evolve(value, note="child")
    shop = EntityId("Shop", "k")
    assert await ctx.call_entity(shop, Shop.put, value) == value
    assert await ctx.call_entity(shop, Shop.first) == value
    assert await ctx.call_entity(EntityId("shelf", "k"), "put", value, expected_type=Order) == value
    event = await ctx.wait_for_external_event("order", Order)
    assert event == value
    ctx.set_custom_status(value)
    return event


@pytest.mark.parametrize("evict", [False, True])
async def test_typed_values_come_back_typed(tmp_path: Path, autojump_clock: object, evict: bool) -> None:
    """G33: attrs classes, dataclasses, enums, datetimes and UUIDs keep their types through every hop and replay."""
    async with hub(tmp_path, app, activations_max=0 if evict else 100) as client:
        await client.start_new(everywhere, "x", ORDER, events=[("order", ORDER)])
        result = await output(client, "x")
        assert result == ORDER
        status = await client.get_status("x")
        assert status.input_ == ORDER
        assert status.custom_status["colour"] == "blue"
        shop = await client.read_entity_state(EntityId("Shop", "k"), Shop)
        assert shop.entity_state == Shop([ORDER], Colour.BLUE)
        assert await client.call_entity(EntityId("Shop", "k"), Shop.first) == ORDER
        plain = await client.read_entity_state(EntityId("Shop", "k"))
        assert plain.entity_state is not None
        assert plain.entity_state["last"] == "blue"


@pytest.mark.parametrize("name", NAMES)
async def test_a_client_may_send_each_type(tmp_path: Path, autojump_clock: object, name: str) -> None:
    """G33: each type goes through an event and an output; without an annotation it is plain JSON."""
    value = VALUES[NAMES.index(name)]
    other = App()

    async def passes(ctx: OrchestrationContext) -> Any:
        got = await ctx.wait_for_external_event("e", type(value))
        assert got == value
        return got

    passes.__annotations__["return"] = type(value)
    other.orchestration(passes)
    async with hub(tmp_path, other) as client:
        await client.start_new(passes, "x")
        await client.raise_event("x", "e", value)
        assert await output(client, "x") == value
