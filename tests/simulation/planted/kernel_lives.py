"""Planted bugs in the lives of instances: how they begin, how one generation follows another, how they end."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

import attrs

from durio.entities import Mail, Mailbox, Settlement, StartInstance, Taken
from durio.orchestration import App, OrchestrationContext
from durio.orchestration.acceptance import Work
from durio.orchestration.decision import Decision
from durio.orchestration.endings import forget_children
from durio.orchestration.history import HistoryEvent, Suspended
from durio.orchestration.instance import Instance
from durio.orchestration.kind import InstanceKind
from durio.orchestration.settling import Settling
from durio.simulation import Parts, Sim, raise_event, start, suspend, terminate
from tests.simulation.planted.harness import Planted, plant

app = App()


@app.orchestration
async def patient(ctx: OrchestrationContext, generation: int) -> int:
    """Rests, and takes an event in the next generation."""
    if generation == 0:
        await ctx.create_timer(timedelta(seconds=1))
        ctx.continue_as_new(1)
    return await ctx.wait_for_external_event("item", int)


@app.orchestration
async def single(ctx: OrchestrationContext) -> None:
    await ctx.wait_for_external_event("never")


@app.orchestration
async def doorman(ctx: OrchestrationContext) -> None:
    while True:
        await ctx.wait_for_external_event("guest")


@app.orchestration
async def host(ctx: OrchestrationContext, generation: int) -> None:
    """Starts a child in each of its two generations."""
    child = ctx.call_sub_orchestrator(single)
    if generation == 0:
        ctx.continue_as_new(1)
    await child


# What must hold


def accepted(sim: Sim, kind: str) -> list[str]:
    """The names of the requests of a kind that were accepted."""
    return [
        asked.request.name
        for asked in sim.results
        if asked.request is not None and asked.request.kind == kind and asked.answers and asked.error is None
    ]


def the_event_is_taken(sim: Sim) -> None:
    """An event that was accepted is not lost (G16): who waits for one has it, and comes to its end."""
    assert not accepted(sim, "event") or sim.settled, "the event is there, and it waits"


def one_is_created(sim: Sim) -> None:
    """One start wins (G15): of those that ask for an instance that never ends, one is told that it created it."""
    created = sum(asked.value is not None and asked.value.created for asked in sim.results)
    assert created <= 1, f"{created} were told that they created it"


def children_have_ids_of_their_own(sim: Sim) -> None:
    """Ids of children are unique over continue-as-new (G29): no child is refused."""
    failed = [address for address, status in sim.instances.items() if status.runtime_status == "Failed"]
    assert not failed, f"{failed} failed: {sim.status(failed[0]).output}"


def no_child_escapes(sim: Sim) -> None:
    """Terminate reaches the children of all generations (G26)."""
    if accepted(sim, "terminate"):
        alive = [address for address, status in sim.instances.items() if status.runtime_status == "Running"]
        assert not alive, f"{alive} escaped"


def holds_still(sim: Sim) -> None:
    """A suspended instance takes nothing (G19, G26): its history ends with its suspension."""
    if sim.status("x").runtime_status == "Suspended":
        assert isinstance(sim.history("x")[-1], Suspended), f"it went on: {sim.history('x')[-1]}"


# What is wrong


class DropsEvents(Settling):
    """Wrong: events that the code has not seen do not reach the next generation."""

    def _finish_turn(
        self, instance: Instance, work: Work, events: list[HistoryEvent], decision: Decision, settlement: Settlement
    ) -> None:
        if decision.end is not None:
            decision = attrs.evolve(decision, end=attrs.evolve(decision.end, keep=()))
        super()._finish_turn(instance, work, events, decision, settlement)


class LosesEvents(InstanceKind):
    """Wrong: continue-as-new loses events."""

    def __init__(self, *parts: Any, **options: Any) -> None:
        super().__init__(*parts, **options)
        self._settling = DropsEvents()


class ForgetsChildren(Settling):
    """Wrong: a new generation does not know the children of the one before."""

    def _finish_turn(
        self, instance: Instance, work: Work, events: list[HistoryEvent], decision: Decision, settlement: Settlement
    ) -> None:
        super()._finish_turn(instance, work, events, decision, settlement)
        if decision.end is not None and decision.end.status == "ContinuedAsNew":
            forget_children(instance, settlement)


class LetsChildrenGo(InstanceKind):
    """Wrong: terminate reaches the children of the last generation only."""

    def __init__(self, *parts: Any, **options: Any) -> None:
        super().__init__(*parts, **options)
        self._settling = ForgetsChildren()


class StartsAnyway(InstanceKind):
    """Wrong: a start does not look whether somebody is there."""

    def _judged(self, actor: Instance, message: StartInstance, mail: Mail) -> Work:
        return super()._judged(Instance(actor.address, actor.view), message, mail)


class StepsAnyway(InstanceKind):
    """Wrong: a suspended instance takes its mail as long as it is in memory."""

    def _take_holding(self, actor: Instance, mailbox: Mailbox, messages_max: int) -> Taken[Work] | None:
        if actor.execution is not None:
            return self._take_running(actor, mailbox, messages_max)
        return super()._take_holding(actor, mailbox, messages_max)


class ReusesIds(InstanceKind):
    """Wrong: all generations have one execution id, and with it their children."""

    def decide(self, actor: Instance, taken: Taken[Work], now_us: int) -> Decision | None:
        decision = super().decide(actor, taken, now_us)
        if taken.work.next_execution:
            taken.work.next_execution = taken.work.execution_id
        return decision


PLANTED: Final[tuple[Planted, ...]] = (
    plant(
        "an event is lost over continue-as-new",
        the_event_is_taken,
        start(patient, 0, instance_id="x", if_finished="raise"),
        raise_event("x", "item", 1),
        wrong=Parts(instances=LosesEvents),
        right=Parts(),
        shows=r"(?s)the event is there.*ContinuedAsNew",
    ),
    plant(
        "a singleton is started twice",
        one_is_created,
        start(single, instance_id="x"),
        wrong=Parts(instances=StartsAnyway),
        right=Parts(),
        shows="2 were told that they created it",
    ),
    plant(
        "a child has the id of another",
        children_have_ids_of_their_own,
        start(host, 0),
        wrong=Parts(instances=ReusesIds),
        right=Parts(),
        shows="InstanceAlreadyExists",
    ),
    plant(
        "terminate lets a child escape",
        no_child_escapes,
        start(host, 0, instance_id="x", if_finished="raise"),
        terminate("x"),
        wrong=Parts(instances=LetsChildrenGo),
        right=Parts(),
        shows=r"(?s)escaped.*host\(1\)",
    ),
    plant(
        "a suspended instance goes on",
        holds_still,
        start(doorman, instance_id="x"),
        suspend("x"),
        raise_event("x", "guest"),
        wrong=Parts(instances=StepsAnyway),
        right=Parts(),
        shows="it went on: ",
    ),
)
