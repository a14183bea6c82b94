"""Planted bugs around waiting: events that come late, waiting for each other, signals that are not applied yet."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import attrs
from hypothesis import strategies as st

from durio.entities import EntityId
from durio.orchestration import App, OrchestrationContext
from durio.simulation import Sim, raise_event, start
from tests.simulation.planted.harness import Planted, plant

# An approval that comes while the orchestrator does what it does without one.

approve_wrong, approve_right = App(), App()
DIARY: Final = EntityId("diary", "office")


@approve_wrong.entity
@approve_right.entity
@attrs.define
class Diary:
    """What happened in the office."""

    lines: list[str] = attrs.Factory(list)

    def note(self, line: str) -> None:
        self.lines.append(line)


@approve_wrong.orchestration(name="approve")
async def approve_or_forget(ctx: OrchestrationContext) -> str:
    approval = ctx.wait_for_external_event("approval")
    if await ctx.task_any([approval, ctx.create_timer(timedelta(minutes=1))]) is approval:
        return "approved"
    await ctx.call_entity(DIARY, Diary.note, "nobody answers")
    return "rejected"  # BUG: meanwhile an approval may have come, and its sender was told that it is accepted


@approve_right.orchestration(name="approve")
async def approve_even_late(ctx: OrchestrationContext) -> str:
    approval = ctx.wait_for_external_event("approval")
    if await ctx.task_any([approval, ctx.create_timer(timedelta(minutes=1))]) is approval:
        return "approved"
    noted = ctx.call_entity(DIARY, Diary.note, "nobody answers")
    return "approved" if await ctx.task_any([approval, noted]) is approval else "rejected"


def an_accepted_approval_counts(sim: Sim) -> None:
    """An approval that was accepted is one."""
    accepted = any(asked.what.startswith("raise event") and asked.error is None for asked in sim.results)
    assert not (accepted and sim.status("a").output == "rejected"), "approved in time, and rejected"


LATE_EVENT: Final = plant(
    "a late event is dropped",
    an_accepted_approval_counts,
    start("approve", instance_id="a", if_finished="raise"),
    raise_event("a", "approval"),
    wrong=approve_wrong,
    right=approve_right,
    clients=1,
    shows="approved in time, and rejected",
)

# Two that wait for each other.

meet_wrong, meet_right = App(), App()


@meet_wrong.orchestration(name="guest")
async def guest_who_waits(ctx: OrchestrationContext, other: str) -> None:
    await ctx.wait_for_external_event("hello")  # BUG: both wait for the other to begin
    ctx.send_event(other, "hello")


@meet_right.orchestration(name="guest")
async def guest_who_greets(ctx: OrchestrationContext, other: str) -> None:
    ctx.send_event(other, "hello")
    await ctx.wait_for_external_event("hello")


@meet_wrong.orchestration
@meet_right.orchestration
async def party(ctx: OrchestrationContext) -> None:
    """Brings two guests together."""
    one, other = f"{ctx.instance_id}-one", f"{ctx.instance_id}-other"
    await ctx.task_all([ctx.call_sub_orchestrator("guest", other, one), ctx.call_sub_orchestrator("guest", one, other)])


def nobody_waits_for_ever(sim: Sim) -> None:
    """Whatever was started comes to its end."""
    assert not sim.deadlocked, f"these wait for ever: {', '.join(sim.deadlocked)}"


DEADLOCK: Final = plant(
    "two wait for each other",
    nobody_waits_for_ever,
    start("party"),
    wrong=meet_wrong,
    right=meet_right,
    shows="wait for ever: party",
)

# A lorry that is loaded parcel by parcel, each in an execution of its own.

lorry_wrong, lorry_right = App(), App()
FULL: Final = 5


@lorry_wrong.activity
@lorry_right.activity
async def drive(parcels: int) -> None:
    """The lorry leaves."""


@lorry_wrong.orchestration(name="lorry")
async def lorry_that_forgets(ctx: OrchestrationContext, loaded: int) -> None:
    parcels: int = await ctx.wait_for_external_event("parcels", int)
    if loaded + parcels >= FULL:
        await ctx.call_activity(drive, loaded + parcels)
        ctx.continue_as_new(0)
    ctx.continue_as_new(parcels)  # BUG: what was loaded before is forgotten


@lorry_right.orchestration(name="lorry")
async def lorry_that_remembers(ctx: OrchestrationContext, loaded: int) -> None:
    parcels: int = await ctx.wait_for_external_event("parcels", int)
    if loaded + parcels >= FULL:
        await ctx.call_activity(drive, loaded + parcels)
        ctx.continue_as_new(0)
    ctx.continue_as_new(loaded + parcels)


def no_parcel_is_lost(sim: Sim) -> None:
    """What was brought has left, or is loaded."""
    brought = sum(
        int(asked.request.input)
        for asked in sim.results
        if asked.request is not None and asked.request.kind == "event" and asked.error is None
    )
    status = sim.status("lorry")
    on_the_road, loaded = sum(sim.effects("drive")), status.input_ if status else 0
    assert brought == on_the_road + loaded, f"{brought} brought, {on_the_road} on the road, {loaded} loaded"


FORGOTTEN_INPUT: Final = plant(
    "continue-as-new forgets",
    no_parcel_is_lost,
    start("lorry", 0, instance_id="lorry"),
    raise_event("lorry", "parcels", st.integers(1, 4)),
    wrong=lorry_wrong,
    right=lorry_right,
    shows="brought",
)

# A sale that is completed before it is booked.

sale_wrong, sale_right = App(), App()
SALES: Final = EntityId("sales", "today")


@sale_wrong.entity
@sale_right.entity
@attrs.define
class Sales:
    """What was sold."""

    total: int = 0

    def add(self, price: int) -> None:
        self.total += price


@sale_wrong.orchestration(name="sell")
async def sell_by_signal(ctx: OrchestrationContext, price: int) -> None:
    ctx.signal_entity(SALES, Sales.add, price)  # BUG: it is on its way when this completes, not applied


@sale_right.orchestration(name="sell")
async def sell_by_call(ctx: OrchestrationContext, price: int) -> None:
    await ctx.call_entity(SALES, Sales.add, price)


def completed_sales_are_booked(sim: Sim) -> None:
    """Whoever waits for a sale to complete and then reads the total finds it there."""
    sold = sum(found.input_ for found in sim.instances.values() if found.runtime_status == "Completed")
    total = sim.state(Sales, "today").total
    assert sold <= total, f"sold for {sold}, booked {total}"


SIGNAL_THEN_READ: Final = plant(
    "a signal is taken for applied",
    completed_sales_are_booked,
    start("sell", st.integers(1, 9)),
    wrong=sale_wrong,
    right=sale_right,
    invariant=completed_sales_are_booked,
    shows="sold for",
)

# A child whose id is the same for all parents.

pack_wrong, pack_right = App(), App()


@pack_wrong.entity
@pack_right.entity
@attrs.define
class Shelf:
    """Where things are."""

    taken: int = 0

    def take(self, thing: str) -> str:
        self.taken += 1
        return thing


@pack_wrong.orchestration
@pack_right.orchestration
async def pack(ctx: OrchestrationContext, thing: str) -> str:
    return f"a parcel with {await ctx.call_entity(EntityId('shelf', thing), Shelf.take, thing)}"


@pack_wrong.orchestration(name="order")
async def order_with_one_packer(ctx: OrchestrationContext, thing: str) -> str:
    return await ctx.call_sub_orchestrator(pack, thing, "packer")  # BUG: two orders at once have one child id


@pack_right.orchestration(name="order")
async def order_with_own_packer(ctx: OrchestrationContext, thing: str) -> str:
    return await ctx.call_sub_orchestrator(pack, thing)


def every_order_is_packed(sim: Sim) -> None:
    """Every order completes with what was ordered."""
    for found in sim.instances.values():
        if found.name == "order":
            assert found.output == f"a parcel with {found.input_}", f"{found.instance_id}: {found.output}"


CHILD_ID: Final = plant(
    "child id reused",
    every_order_is_packed,
    start("order", st.sampled_from(("a book", "a lamp"))),
    wrong=pack_wrong,
    right=pack_right,
    shows="InstanceAlreadyExists",
)

PLANTED: Final[tuple[Planted, ...]] = (LATE_EVENT, DEADLOCK, FORGOTTEN_INPUT, SIGNAL_THEN_READ, CHILD_ID)
