"""Planted bugs around rewinding: what was undone for a failure stays undone when the failure is taken back."""

from __future__ import annotations

from typing import Any, Final

import attrs

from durio.entities import EntityId
from durio.orchestration import App, OrchestrationContext, TaskFailedError
from durio.simulation import Sim, rewind, start
from tests.simulation.planted.harness import Planted, plant

# A seat that is given back in `except`: when the order is rewound, it goes on without it.

order_wrong, order_right = App(), App()
SEATS: Final = EntityId("seats", "monday")
SEATS_MAX: Final = 5


class Bank:
    """It refuses the first payment."""

    def __init__(self) -> None:
        self.asked = 0

    def charge(self, order: str) -> str:
        self.asked += 1
        if self.asked == 1:
            raise ConnectionError("closed")
        return order


@order_wrong.activity
@order_right.activity
def pay(order: str) -> str:
    raise NotImplementedError("the bank does it")


@order_wrong.entity
@order_right.entity
@attrs.define
class Seats:
    """How many are left."""

    left: int = SEATS_MAX

    def take(self) -> None:
        self.left -= 1

    def give_back(self) -> None:
        self.left += 1


@order_wrong.orchestration(name="order")
async def order_that_gives_back(ctx: OrchestrationContext) -> str:
    await ctx.call_entity(SEATS, Seats.take)
    try:
        return await ctx.call_activity(pay, ctx.instance_id)
    except TaskFailedError:
        await ctx.call_entity(SEATS, Seats.give_back)  # BUG: rewound, it pays again, and has no seat
        raise


@order_right.orchestration(name="order")
async def order_in_a_section(ctx: OrchestrationContext) -> str:
    async with await ctx.lock_entities([SEATS]):  # rewound, it is done again as a whole
        await ctx.call_entity(SEATS, Seats.take)
        try:
            return await ctx.call_activity(pay, ctx.instance_id)
        except TaskFailedError:
            await ctx.call_entity(SEATS, Seats.give_back)
            raise


def every_order_has_a_seat(sim: Sim) -> None:
    """Orders that completed have taken as many seats as are gone."""
    sold = sum(found.runtime_status == "Completed" for found in sim.instances.values())
    left: Any = SEATS_MAX if sim.state(Seats, "monday") is None else sim.state(Seats, "monday").left
    assert sold + left == SEATS_MAX, f"{sold} sold, {left} left, of {SEATS_MAX}"


GIVEN_BACK: Final = plant(
    "undone, and rewound",
    every_order_has_a_seat,
    start("order", instance_id="x", if_finished="raise"),
    rewind("x"),
    wrong=order_wrong,
    right=order_right,
    world=Bank,
    activities={"pay": Bank.charge},
    shows=r"(?s)1 sold, 5 left.*rewind 'x'",
    steps_max=30,
)

PLANTED: Final[tuple[Planted, ...]] = (GIVEN_BACK,)
