"""A program whose parts fail as often as they are told, and are mended by rewinding it; every effect can be counted."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any, Final

import attrs
import trio

from durio.entities import EntityId
from durio.orchestration import App, OrchestrationContext

app = App()

PARTS: Final = ("first", "kid", "beside", "inside")
"""What may fail, in the order in which the program comes to it."""
FAILURES_MAX: Final = 2


class Outside:
    """What is outside of the hub: how often each thing has failed, and how often it was done."""

    def __init__(self) -> None:
        self.failed: Counter[str] = Counter()
        self.done: Counter[str] = Counter()

    async def do(self, what: list[Any]) -> str:
        name, failures = what
        await trio.sleep(0.1)
        if self.failed[name] < failures:
            self.failed[name] += 1
            raise ConnectionError(name)
        self.done[name] += 1
        return str(name)


@app.activity
async def do(what: list[Any]) -> str:
    raise NotImplementedError("the world outside does it")


@app.entity
@attrs.define
class Ledger:
    """Keeps what it is told."""

    items: list[str] = attrs.Factory(list)

    def add(self, item: str) -> int:
        self.items.append(item)
        return len(self.items)

    async def add_slowly(self, item: str) -> int:
        await trio.sleep(0.5)
        return self.add(item)


@app.orchestration
async def mended(ctx: OrchestrationContext, troubles: list[int]) -> list[Any]:
    """One thing after the other, several at once, a section; then it hears words until it has enough.

    What it asks for at the beginning goes on while it fails.
    """
    trouble = dict(zip(PARTS, troubles, strict=True))
    early = [
        ctx.call_activity(do, ["early", 0]),
        ctx.call_sub_orchestrator(sleeper, 1, f"{ctx.instance_id}.sleeper"),
        ctx.call_entity(EntityId("ledger", "early"), Ledger.add_slowly, ctx.instance_id),
    ]
    ctx.signal_entity(EntityId("ledger", "begun"), Ledger.add, ctx.instance_id)
    first = await ctx.call_activity(do, ["first", trouble["first"]])
    ctx.signal_entity(EntityId("ledger", "passed"), Ledger.add, "first")
    pause = ctx.create_timer(timedelta(seconds=1))
    kid = ctx.call_sub_orchestrator(helper, trouble["kid"], f"{ctx.instance_id}.kid")
    counted = ctx.call_entity(EntityId("ledger", "counted"), Ledger.add, ctx.instance_id)
    together = await ctx.task_all([kid, counted, ctx.call_activity(do, ["beside", trouble["beside"]])])
    async with await ctx.lock_entities([EntityId("ledger", "section")]):
        await ctx.call_entity(EntityId("ledger", "section"), Ledger.add, ctx.instance_id)
        inside = await ctx.call_activity(do, ["inside", trouble["inside"]])
    ctx.signal_entity(EntityId("ledger", "passed"), Ledger.add, "inside")
    await pause
    words: list[Any] = []
    while (word := await ctx.wait_for_external_event("word")) != "enough":
        words.append(word)
    return [first, *together, inside, *await ctx.task_all(early), words]


@app.orchestration
async def sleeper(ctx: OrchestrationContext, pause_s: int) -> str:
    await ctx.create_timer(timedelta(seconds=pause_s))
    return "slept"


@app.orchestration
async def helper(ctx: OrchestrationContext, failures: int) -> str:
    before = await ctx.call_activity(do, ["before", 0])
    return f"{before} {await ctx.call_activity(do, ['kid', failures])}"
