"""Find the race: a transfer that loses money, found by the test kit; its repair, which the kit cannot break.

The program and its tests in one file, as docs/find-the-race.md tells it: `pytest examples/find_the_race.py` works, too.
"""

from __future__ import annotations

import sys
import tempfile
from typing import Final

import attrs
import hypothesis
import trio
from hypothesis import strategies as st

from durio.entities import EntityId
from durio.orchestration import App, OrchestrationContext, open_hub
from durio.simulation import Sim, simulate, start

app = App()

NAMES: Final = ("ada", "bob")


@app.entity
@attrs.define
class Account:
    balance: int = 10

    def get(self) -> int:
        return self.balance

    def set(self, balance: int) -> None:
        self.balance = balance

    def withdraw(self, amount: int) -> bool:
        if amount > self.balance:
            return False
        self.balance -= amount
        return True

    def deposit(self, amount: int) -> None:
        self.balance += amount


@attrs.frozen
class Order:
    source: str
    target: str
    amount: int


@app.orchestration
async def hasty_transfer(ctx: OrchestrationContext, order: Order) -> bool:
    source, target = EntityId("Account", order.source), EntityId("Account", order.target)
    have = await ctx.call_entity(source, Account.get)
    if order.source == order.target or have < order.amount:
        return False
    there = await ctx.call_entity(target, Account.get)
    await ctx.call_entity(source, Account.set, have - order.amount)  # BUG: it may have changed since it was read
    await ctx.call_entity(target, Account.set, there + order.amount)
    return True


@app.orchestration
async def transfer(ctx: OrchestrationContext, order: Order) -> bool:
    if not await ctx.call_entity(EntityId("Account", order.source), Account.withdraw, order.amount):
        return False
    await ctx.call_entity(EntityId("Account", order.target), Account.deposit, order.amount)
    return True


ORDERS: Final = st.builds(Order, st.sampled_from(NAMES), st.sampled_from(NAMES), st.integers(1, 10))
SAME_EVERY_TIME: Final = hypothesis.settings(derandomize=True, deadline=None)


def money_in(sim: Sim) -> int:
    return sum(sim.state(Account, name).balance for name in NAMES)


@simulate(start(hasty_transfer, ORDERS), settings=SAME_EVERY_TIME)
def check_hasty_transfer(sim: Sim) -> None:
    """Two accounts with 10 each have 20 together. This check fails."""
    money = money_in(sim)
    assert money == 20, f"{money} in all"


@simulate(start(transfer, ORDERS), max_crashes=2, settings=SAME_EVERY_TIME)
def test_transfer(sim: Sim) -> None:
    """The same, also when the process dies twice."""
    money = money_in(sim)
    assert money == 20, f"{money} in all"


async def main(hub: str) -> None:
    async with open_hub(hub, app) as client:
        started = [await client.start_new(transfer, None, Order("ada", "bob", 1)) for _ in range(3)]
        for each in started:
            await client.wait_for_completion(each)
        print("And on a real hub it does the same, with a disk and a clock.")


if __name__ == "__main__":
    try:
        check_hasty_transfer()
    except AssertionError as failure:
        print("Read, then set, in two operations:", failure, *failure.__notes__, sep="\n")
    test_transfer()
    print("\nWithdraw, then deposit: nothing was found, with two crashes in a run.")
    with tempfile.TemporaryDirectory() as temporary:
        trio.run(main, sys.argv[1] if len(sys.argv) > 1 else temporary)
