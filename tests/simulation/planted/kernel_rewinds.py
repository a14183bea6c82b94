"""Planted bugs in rewinding: what a failed life has got, or gets, is not there when it goes on."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from durio.orchestration import App, OrchestrationContext, TaskFailedError
from durio.simulation import Parts, Sim, raise_event, rewind, start
from tests.simulation.guarantees.wrong_rewinds import ForgetsKept, ForgetsLate
from tests.simulation.planted.harness import Planted, plant

app = App()


class Outside:
    """Broken at the first time."""

    def __init__(self) -> None:
        self.asked = 0

    def do(self) -> str:
        self.asked += 1
        if self.asked == 1:
            raise ConnectionError("broken")
        return "done"


@app.activity
def do() -> str:
    raise NotImplementedError("the world outside does it")


@app.orchestration
async def patient(ctx: OrchestrationContext) -> list[Any]:
    """Gives up when it has its event, which comes before the failure or behind it."""
    event = ctx.wait_for_external_event("item")
    try:
        done = await ctx.call_activity(do)
    except TaskFailedError:
        await event
        raise
    return [done, await event]


@app.orchestration
async def parent(ctx: OrchestrationContext) -> list[Any]:
    """Its child ends while it is failed."""
    child = ctx.call_sub_orchestrator(sleeper)
    return [await ctx.call_activity(do), await child]


@app.orchestration
async def sleeper(ctx: OrchestrationContext) -> str:
    await ctx.create_timer(timedelta(seconds=1))
    return "slept"


def the_event_is_taken(sim: Sim) -> None:
    """An event that was accepted is there after a rewind (G16, G27)."""
    asked = [one for one in sim.results if one.request is not None and one.answers and one.error is None]
    kinds = {one.request.kind for one in asked if one.request is not None}
    if {"event", "rewind"} <= kinds:
        assert sim.status("x").runtime_status == "Completed", "the event is there, and it waits"


def the_child_is_heard(sim: Sim) -> None:
    """A child that ends while its parent is failed is heard after a rewind (G27)."""
    assert sim.status("x").runtime_status in (None, "Completed", "Failed"), "it waits for a child that has ended"


OUTSIDE: Final[dict[str, Any]] = {"world": Outside, "activities": {do: Outside.do}}

PLANTED: Final[tuple[Planted, ...]] = (
    plant(
        "an event is lost with a rewind",
        the_event_is_taken,
        start(patient, instance_id="x", if_finished="raise"),
        raise_event("x", "item", 1),
        rewind("x"),
        wrong=Parts(instances=ForgetsKept),
        right=Parts(),
        shows=r"(?s)the event is there.*rewound once",
        steps_max=30,
        app=app,
        **OUTSIDE,
    ),
    plant(
        "a child is not heard while its parent is failed",
        the_child_is_heard,
        start(parent, instance_id="x", if_finished="raise"),
        rewind("x"),
        wrong=Parts(instances=ForgetsLate),
        right=Parts(),
        shows=r"(?s)it waits for a child.*rewound once",
        steps_max=30,
        app=app,
        **OUTSIDE,
    ),
)
