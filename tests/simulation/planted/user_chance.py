"""Planted bugs around determinism: orchestrators that see the wall clock, dice, the order of sets, or each other."""

from __future__ import annotations

import random
import time
import uuid
from datetime import timedelta
from typing import ClassVar, Final

import attrs
from hypothesis import strategies as st

from durio.entities import EntityId
from durio.orchestration import App, NonDeterminismError, OrchestrationContext
from durio.simulation import NotDeterministic, Sim, simulate, start
from tests.simulation.planted.harness import Planted, plant


def everything_ends(sim: Sim) -> None:
    """Every instance ends well, and every client has its answer."""
    assert sim.settled
    assert all(found.runtime_status == "Completed" for found in sim.instances.values())


# Waiting for a job, and giving up by the wall clock.

poll_wrong, poll_right = App(), App()
JOB: Final = EntityId("job", "nightly")


@poll_wrong.entity
@poll_right.entity
@attrs.define
class Job:
    """Something that takes long."""

    done: bool = False

    def is_done(self) -> bool:
        return self.done


@poll_wrong.orchestration(name="wait_for_job")
async def wait_by_wall_clock(ctx: OrchestrationContext) -> str:
    began = time.time()
    while not await ctx.call_entity(JOB, Job.is_done):
        if time.time() - began > 30:  # BUG: a replay runs through all of this in no time
            return "given up"
        await ctx.create_timer(timedelta(minutes=1))
    return "done"


@poll_right.orchestration(name="wait_for_job")
async def wait_by_replayed_clock(ctx: OrchestrationContext) -> str:
    began = ctx.current_utc_datetime
    while not await ctx.call_entity(JOB, Job.is_done):
        if ctx.current_utc_datetime - began > timedelta(seconds=30):
            return "given up"
        await ctx.create_timer(timedelta(minutes=1))
    return "done"


WALL_CLOCK: Final = plant(
    "retry by the wall clock",
    everything_ends,
    start("wait_for_job"),
    wrong=poll_wrong,
    right=poll_right,
    error=NonDeterminismError,
    shows=r"the code wants TimerSet",
)

# A warehouse that is drawn by lot.

lot_wrong, lot_right = App(), App()
WAREHOUSES: Final = ("north", "east", "south", "west")


@lot_wrong.activity
@lot_right.activity
async def send_from(warehouse: str) -> str:
    return f"sent from {warehouse}"


@lot_wrong.orchestration(name="send")
async def send_by_lot(ctx: OrchestrationContext) -> str:
    warehouse = random.choice(WAREHOUSES)  # BUG: a replay draws another one
    return await ctx.call_activity(send_from, warehouse)


@lot_right.orchestration(name="send")
async def send_by_replayed_lot(ctx: OrchestrationContext) -> str:
    warehouse = WAREHOUSES[ctx.new_guid().int % len(WAREHOUSES)]
    return await ctx.call_activity(send_from, warehouse)


DICE: Final = plant(
    "random in an orchestrator",
    everything_ends,
    start("send"),
    wrong=lot_wrong,
    right=lot_right,
    error=NonDeterminismError,
    shows="send_from",
)

# A reference number that is made of chance.

reference_wrong, reference_right = App(), App()


@reference_wrong.activity
@reference_right.activity
async def print_letter(reference: str) -> None:
    """On paper."""


@reference_wrong.orchestration(name="letter")
async def letter_with_uuid4(ctx: OrchestrationContext) -> str:
    reference = str(uuid.uuid4())  # BUG: a replay gets another one
    await ctx.call_activity(print_letter, reference)
    return reference


@reference_right.orchestration(name="letter")
async def letter_with_new_uuid(ctx: OrchestrationContext) -> str:
    reference = ctx.new_uuid()
    await ctx.call_activity(print_letter, reference)
    return reference


UUID4: Final = plant(
    "uuid4 in an orchestrator",
    everything_ends,
    start("letter"),
    wrong=reference_wrong,
    right=reference_right,
    error=NonDeterminismError,
    shows="print_letter",
)

# Numbers of invoices that are counted in memory.

number_wrong, number_right = App(), App()


class Printed:
    """How many invoices there are."""

    invoices: ClassVar[int] = 0


@number_right.entity
@attrs.define
class Invoices:
    """The same, in the hub."""

    last: int = 0

    def next(self) -> int:
        self.last += 1
        return self.last


@number_wrong.activity
@number_right.activity
async def print_invoice(number: int) -> None:
    """On paper, too."""


@number_wrong.orchestration(name="invoice")
async def invoice_counted_in_memory(ctx: OrchestrationContext) -> None:
    Printed.invoices += 1  # BUG: every replay counts again, and a restart begins at 0
    await ctx.call_activity(print_invoice, Printed.invoices)


@number_right.orchestration(name="invoice")
async def invoice_counted_in_the_hub(ctx: OrchestrationContext) -> None:
    number = await ctx.call_entity(EntityId("invoices", "all"), Invoices.next)
    await ctx.call_activity(print_invoice, number)


COUNTER_IN_MEMORY: Final = plant(
    "a counter in memory, used by an orchestrator",
    everything_ends,
    start("invoice"),
    wrong=number_wrong,
    right=number_right,
    error=NonDeterminismError,
    shows="print_invoice",
)

# Tags without doubles: a set has another order in each process.

tags_wrong, tags_right = App(), App()
WORDS: Final = ("red", "green", "blue", "black", "white", "brown", "pink", "grey")


@tags_wrong.entity
@tags_right.entity
@attrs.define
class Tag:
    """How often a word was used."""

    uses: int = 0

    def use(self) -> None:
        self.uses += 1


@tags_wrong.orchestration(name="tag")
async def tag_unsorted(ctx: OrchestrationContext, words: list[str]) -> None:
    for word in set(words):  # BUG: the order comes from the hash seed of the process
        await ctx.call_entity(EntityId("tag", word), Tag.use)


@tags_right.orchestration(name="tag")
async def tag_sorted(ctx: OrchestrationContext, words: list[str]) -> None:
    for word in sorted(set(words)):
        await ctx.call_entity(EntityId("tag", word), Tag.use)


TAGGING: Final = start("tag", st.lists(st.sampled_from(WORDS), max_size=4))


# The other process finds these two by their names.


@simulate(TAGGING, app=tags_wrong)
def tags_in_any_order(sim: Sim) -> None:
    everything_ends(sim)


@simulate(TAGGING, app=tags_right)
def tags_in_order(sim: Sim) -> None:
    everything_ends(sim)


ORDER_OF_A_SET: Final = Planted(
    "unsorted set in an orchestrator",
    tags_in_any_order,
    tags_in_order,
    error=NotDeterministic,
    shows="two processes with different hash seeds",
)

PLANTED: Final[tuple[Planted, ...]] = (WALL_CLOCK, DICE, UUID4, COUNTER_IN_MEMORY, ORDER_OF_A_SET)
