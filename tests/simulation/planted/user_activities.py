"""Planted bugs around activities: run more often than once, losers that go on, tasks that race in memory."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

import attrs
import trio

from durio.orchestration import App, OrchestrationContext
from durio.simulation import Sim, simulate, start
from durio.simulation.simulate import SimulatedTest
from tests.simulation.planted.harness import STEPS_MAX, Planted, plant

# A card is charged by an activity, which runs again after a crash.

charge_wrong, charge_right = App(), App()


@charge_wrong.activity
@charge_right.activity
async def charge(payment: dict[str, Any]) -> None:
    """Asks the bank to take a payment."""


@charge_wrong.orchestration(name="pay")
async def pay_and_trust(ctx: OrchestrationContext) -> None:
    await ctx.call_activity(charge, {"amount": 5})  # BUG: an activity may run twice, and the bank cannot tell


@charge_right.orchestration(name="pay")
async def pay_with_key(ctx: OrchestrationContext) -> None:
    await ctx.call_activity(charge, {"amount": 5, "key": ctx.new_uuid()})


@attrs.define
class Bank:
    """Outside of the hub: it takes payments, and no second one with the same key."""

    taken: int = 0
    keys: set[str] = attrs.Factory(set)

    async def charge(self, payment: dict[str, Any]) -> None:
        if "key" in payment and payment["key"] in self.keys:
            return
        self.keys.add(payment.get("key", ""))
        self.taken += 1


def each_order_is_paid_once(sim: Sim) -> None:
    """The bank took one payment for each order at most."""
    taken = sim.world.taken
    assert taken <= len(sim.instances), f"{taken} payments for {len(sim.instances)} orders"


def with_bank(app: App, **options: Any) -> SimulatedTest:
    """The property of payments, for one app."""
    simulated = simulate(start("pay"), app=app, world=Bank, activities={charge: Bank.charge}, **options)
    return simulated(each_order_is_paid_once)


EXACTLY_ONCE: Final = Planted(
    "activity assumed to run exactly once",
    # Cut off, so that the finding does not show how the second run of the activity goes on.
    with_bank(charge_wrong, max_crashes=1, max_calls=1, steps_max=STEPS_MAX),
    with_bank(charge_right, max_crashes=2),
    shows="CRASH",
)

# A shop that is slow to answer: a second one is asked, and the first one delivers as well.

order_wrong, order_right = App(), App()


@order_wrong.activity
@order_right.activity
async def order_at(shop: str) -> str:
    """A shop sends the book."""
    return f"a book from {shop}"


@order_wrong.orchestration(name="order")
async def order_in_haste(ctx: OrchestrationContext) -> str:
    first = ctx.call_activity(order_at, "the corner shop")
    late = ctx.create_timer(timedelta(minutes=1))
    if await ctx.task_any([first, late]) is first:
        return first.result
    return await ctx.call_activity(order_at, "the big shop")  # BUG: the loser goes on, and delivers too


@order_right.orchestration(name="order")
async def order_with_patience(ctx: OrchestrationContext) -> str:
    first = ctx.call_activity(order_at, "the corner shop")
    late = ctx.create_timer(timedelta(minutes=1))
    if await ctx.task_any([first, late]) is late:
        ctx.set_custom_status("it takes longer than usual")
    return await first


def one_book_each(sim: Sim) -> None:
    """Nobody gets two books."""
    books = len(sim.effects("order_at"))
    assert books <= len(sim.instances), f"{books} books for {len(sim.instances)} orders"


LOSER_GOES_ON: Final = plant(
    "task_any: the loser is thought to be cancelled",
    one_book_each,
    start("order"),
    wrong=order_wrong,
    right=order_right,
    shows=r"order_at\('the big shop'\) runs",
)

# Tasks inside of one activity count together.

count_wrong, count_right = App(), App()


@count_wrong.activity(name="count")
async def count_across_a_wait(files: list[int]) -> int:
    total = 0

    async def count(words: int) -> None:
        nonlocal total
        before = total
        await trio.lowlevel.checkpoint()
        total = before + words  # BUG: others counted during the wait

    async with trio.open_nursery() as nursery:
        for words in files:
            nursery.start_soon(count, words)
    return total


@count_right.activity(name="count")
async def count_after_the_wait(files: list[int]) -> int:
    total = 0

    async def count(words: int) -> None:
        nonlocal total
        await trio.lowlevel.checkpoint()
        total += words

    async with trio.open_nursery() as nursery:
        for words in files:
            nursery.start_soon(count, words)
    return total


@count_wrong.orchestration
@count_right.orchestration
async def total_of(ctx: OrchestrationContext, files: list[int]) -> int:
    return int(await ctx.call_activity("count", files))


def all_words_count(sim: Sim) -> None:
    """A total is the sum of its files."""
    for found in sim.instances.values():
        if found.runtime_status == "Completed":
            assert found.output == sum(found.input_), f"the total of {found.input_} is {found.output}"


RACE_IN_AN_ACTIVITY: Final = plant(
    "tasks of one activity race",
    all_words_count,
    start("total_of", [3, 4]),
    wrong=count_wrong,
    right=count_right,
    shows="the total of",
)

# Activities side by side share what is in memory.

stock_wrong, stock_right = App(), App()
IN_STOCK: Final = trio.lowlevel.RunVar[int]("in stock", 1)


@stock_wrong.activity(name="pick")
async def pick_slowly() -> bool:
    left = IN_STOCK.get()
    await trio.lowlevel.checkpoint()  # e.g. the robot drives
    if left > 0:
        IN_STOCK.set(left - 1)  # BUG: another activity picked during the wait
    return left > 0


@stock_right.activity(name="pick")
async def pick_at_once() -> bool:
    left = IN_STOCK.get()
    if left > 0:
        IN_STOCK.set(left - 1)
    await trio.lowlevel.checkpoint()
    return left > 0


@stock_wrong.orchestration
@stock_right.orchestration
async def pick_two(ctx: OrchestrationContext) -> list[bool]:
    return [bool(got) for got in await ctx.task_all([ctx.call_activity("pick"), ctx.call_activity("pick")])]


def nothing_is_picked_twice(sim: Sim) -> None:
    """Of one thing that is in stock one is picked."""
    picked = sum(sum(found.output) for found in sim.instances.values() if found.runtime_status == "Completed")
    assert picked <= 1, f"{picked} were picked, of 1"


RACE_OF_ACTIVITIES: Final = plant(
    "activities race over shared memory",
    nothing_is_picked_twice,
    start("pick_two"),
    wrong=stock_wrong,
    right=stock_right,
    max_calls=1,
    shows="2 were picked",
)

PLANTED: Final[tuple[Planted, ...]] = (EXACTLY_ONCE, LOSER_GOES_ON, RACE_IN_AN_ACTIVITY, RACE_OF_ACTIVITIES)
