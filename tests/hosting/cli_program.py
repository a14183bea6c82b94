"""The program that the tests of the command line run."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import attrs

from durio.entities import EntityId
from durio.orchestration import App, OrchestrationContext

app = App()
APP = "tests.hosting.cli_program:app"
TILL = EntityId("Till", "shop")


@app.entity
@attrs.define
class Till:
    money: int = 0

    def add(self, amount: int) -> int:
        self.money += amount
        return self.money

    def look(self) -> int:
        return self.money

    def fail(self) -> None:
        raise ValueError("no change")


@app.activity
async def double(number: int) -> int:
    return 2 * number


@app.activity
async def repairable(file: str) -> str:
    return Path(file).read_text("utf-8")


@app.activity
async def broken(what: str) -> None:
    raise ValueError(f"{what} is broken")


@app.orchestration
async def echo(ctx: OrchestrationContext, given: Any = None) -> Any:
    return given


@app.orchestration
async def waits(ctx: OrchestrationContext, given: Any = None) -> Any:
    ctx.set_custom_status({"waits": "for go"})
    return [given, await ctx.wait_for_external_event("go")]


@app.orchestration
async def fails(ctx: OrchestrationContext, what: str) -> None:
    await ctx.call_activity(broken, what)


@app.orchestration
async def reads(ctx: OrchestrationContext, file: str) -> list[Any]:
    doubled = await ctx.call_activity(double, 1)
    return [doubled, await ctx.call_activity(repairable, file)]


@app.orchestration
async def busy(ctx: OrchestrationContext, number: int) -> int:
    doubled = await ctx.call_activity(double, number)
    await ctx.create_timer(timedelta(milliseconds=10))
    await ctx.call_sub_orchestrator(echo, doubled)
    return int(await ctx.call_entity(TILL, Till.add, doubled))


@app.orchestration
async def locks(ctx: OrchestrationContext) -> None:
    async with await ctx.lock_entities([TILL]):
        await ctx.wait_for_external_event("leave")


@app.orchestration(version="2")
async def versioned(ctx: OrchestrationContext) -> str:
    return "two"
