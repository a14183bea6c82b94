"""What the workloads run: one entity, three orchestrations, two activities. As small as they can be."""

from __future__ import annotations

from typing import Final

import attrs

from durio.entities import EntityId
from durio.orchestration import App, OrchestrationContext

STEPS: Final = 5

app = App()


@app.entity
@attrs.define
class Counter:
    """The entity of all workloads with entities."""

    value: int = 0

    def add(self, amount: int) -> int:
        self.value += amount
        return self.value

    def keep(self, text: str) -> None:
        """Takes something large, and remembers only that it came."""
        self.value += 1


@app.activity
async def increment(number: int) -> int:
    return number + 1


@app.activity
async def pass_on(text: str) -> str:
    return text


@app.orchestration
async def hand_over(ctx: OrchestrationContext, text: str) -> str:
    """One activity, to which the input goes and from which the output comes."""
    return await ctx.call_activity(pass_on, text)


@app.orchestration
async def chain(ctx: OrchestrationContext, number: int) -> int:
    """Five activities, each with the result of the one before."""
    for _ in range(STEPS):
        number = await ctx.call_activity(increment, number)
    return number


@app.orchestration
async def fan(ctx: OrchestrationContext, count: int) -> int:
    """Activities out, all at once, and in."""
    return sum(await ctx.task_all([ctx.call_activity(increment, number) for number in range(count)]))


@app.orchestration
async def listener(ctx: OrchestrationContext) -> int:
    """Waits for one event and returns what came with it."""
    number: int = await ctx.wait_for_external_event("go", expected_type=int)
    return number


@app.orchestration
async def eternal(ctx: OrchestrationContext, left: int) -> int:
    """Goes through `left` generations, with a call in each, and an activity in every hundredth."""
    await ctx.call_entity(counter(0), Counter.add, 1)
    if left % 100 == 0:
        await ctx.call_activity(increment, left)
    if left == 0:
        return 0
    return ctx.continue_as_new(left - 1)


def counter(number: int) -> EntityId:
    """The entity of that number."""
    return EntityId("Counter", str(number))
