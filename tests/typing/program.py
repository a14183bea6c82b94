"""A program as a user writes it: what `use.py` and `misuse.py` call. Read by type checkers, never run."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import attrs

from durio.entities import EntityContext, EntityId
from durio.orchestration import App, OrchestrationContext, Task

app = App()


@attrs.define
class Order:
    """An input that is no plain JSON."""

    item: str
    amount: int


@attrs.define
class Receipt:
    """A result that is no plain JSON."""

    number: int


@app.activity
def hello(city: str) -> str:
    """An activity that runs in a thread."""
    return city


@app.activity
async def bill(order: Order) -> Receipt:
    """An activity that is an `async def`."""
    return Receipt(order.amount)


@app.activity(name="roll", limit=2)
def dice() -> int:
    """An activity without an input, registered with options."""
    return 4


@app.activity(name="ask", limit=2)
async def oracle() -> list[str]:
    """An `async def` without an input, registered with options."""
    return []


@app.entity
@attrs.define
class Counter:
    """An entity that is an attrs class."""

    value: int = 0

    def add(self, amount: int) -> int:
        """With an input."""
        self.value += amount
        return self.value

    def reset(self) -> None:
        """Without an input, without a result."""
        self.value = 0

    async def fetch(self, url: str) -> bytes:
        """An `async def` with an input."""
        return url.encode()

    async def refresh(self) -> float:
        """An `async def` without an input."""
        return 0.5


@app.entity(name="box", timeout_s=1.0)
@dataclass
class Box:
    """An entity that is a dataclass, registered with options."""

    size: int = 0

    def get(self) -> int:
        """Without an input."""
        return self.size


@app.entity
def tally(ctx: EntityContext) -> None:
    """An entity that is a function."""
    ctx.set_state(ctx.get_state(int, int) + ctx.get_input(int))


@app.orchestration
async def greet(ctx: OrchestrationContext, cities: list[str]) -> int:
    """An orchestrator with an input."""
    return len(cities)


@app.orchestration(name="buy", version="2")
async def purchase(ctx: OrchestrationContext, order: Order) -> Receipt:
    """An orchestrator with an input, registered with options."""
    return await ctx.call_activity(bill, order)


@app.orchestration
async def nightly(ctx: OrchestrationContext) -> str:
    """An orchestrator without an input."""
    return ctx.instance_id


@app.orchestration
def chain(ctx: OrchestrationContext, cities: list[str]) -> Generator[Task[Any], Any, list[str]]:
    """A generator orchestrator, as Azure's Python has it."""
    first = yield ctx.call_activity(hello, cities[0])
    return [first]


@app.orchestration
def watch(ctx: OrchestrationContext) -> Generator[Task[Any], Any, bool]:
    """A generator orchestrator without an input."""
    yield ctx.wait_for_external_event("go")
    return True


CLICKS = EntityId("Counter", "clicks")
