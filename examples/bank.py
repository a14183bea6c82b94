"""Bank: money moves between accounts under locks, and whoever looks under a lock sees no half transfer.

A transfer is two operations on two entities. Between them the money is nowhere; a critical section keeps all others
away meanwhile. Locks are taken in one order for the whole hub, and every end of an orchestration gives them back.
"""

from __future__ import annotations

import random
import sys
import tempfile

import attrs
import trio

from durio.entities import EntityId
from durio.orchestration import App, Client, OrchestrationContext, open_hub

app = App()

ACCOUNTS = [EntityId("Account", name) for name in ("ada", "bob", "cy", "dee", "eve", "fay", "gus", "hal")]
OPENING = 100


@app.entity
@attrs.define
class Account:
    """One account. What must not be: money that was not there."""

    balance: int = OPENING

    def get(self) -> int:
        return self.balance

    def withdraw(self, amount: int) -> None:
        if amount > self.balance:
            raise ValueError(f"{amount} is more than the {self.balance} that are there")
        self.balance -= amount

    def deposit(self, amount: int) -> None:
        self.balance += amount


@attrs.frozen
class Transfer:
    """From whom to whom."""

    source: str
    target: str
    amount: int


@app.orchestration
async def transfer(ctx: OrchestrationContext, order: Transfer) -> bool:
    """Moves money, if it is there. Whoever fails half-way must undo: a section is no transaction."""
    source, target = EntityId("Account", order.source), EntityId("Account", order.target)
    async with await ctx.lock_entities([source, target]):
        if await ctx.call_entity(source, Account.get) < order.amount:
            return False
        await ctx.call_entity(source, Account.withdraw, order.amount)
        await ctx.call_entity(target, Account.deposit, order.amount)
        return True


@app.orchestration
async def audit(ctx: OrchestrationContext) -> int:
    """Adds up what is in all accounts, at one moment."""
    async with await ctx.lock_entities(ACCOUNTS):
        return sum(await ctx.task_all([ctx.call_entity(account, Account.get) for account in ACCOUNTS]))


async def customer(client: Client, number: int, done: list[bool]) -> None:
    """Makes some transfers, one after the other."""
    dice = random.Random(number)
    for _ in range(10):
        source, target = dice.sample(ACCOUNTS, 2)
        started = await client.start_new(
            transfer, client_input=Transfer(source.key, target.key, dice.randint(1, 2 * OPENING))
        )
        done.append((await client.wait_for_completion(started)).output)


async def auditor(client: Client, sums: list[int]) -> None:
    """Looks again and again while the money moves."""
    for _ in range(10):
        started = await client.start_new(audit)
        sums.append((await client.wait_for_completion(started)).output)


async def main(hub: str) -> None:
    done: list[bool] = []
    sums: list[int] = []
    async with open_hub(hub, app) as client:
        async with trio.open_nursery() as nursery:
            for number in range(20):
                nursery.start_soon(customer, client, number, done)
            nursery.start_soon(auditor, client, sums)
        balances = [await client.call_entity(account, Account.get) for account in ACCOUNTS]
        locks = await client.list_locks()
    print(f"20 customers, {len(done)} transfers at the same time: {sum(done)} done, {len(done) - sum(done)} refused")
    print(f"{len(sums)} audits in between, all with the same sum: {set(sums)}")
    print(f"Now there are {sum(balances)} in {len(balances)} accounts, and {len(locks)} locks.")
    assert set(sums) == {sum(balances)} == {len(ACCOUNTS) * OPENING}
    assert not locks


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        trio.run(main, sys.argv[1] if len(sys.argv) > 1 else temporary)
