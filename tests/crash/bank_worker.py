"""A bank on a hub on disk, made to be killed: `python bank_worker.py FOLDER TRANSFERS`.

It asks for all transfers at the same time, some of them terminated again, audits all accounts meanwhile, and writes a
line to its output for each that is done. When all are, it writes what the hub holds then, and ends.
"""

from __future__ import annotations

import json
import os
import random
import sys
from contextlib import suppress
from functools import partial

import attrs
import trio

from durio.entities import EntityId
from durio.orchestration import App, Client, InstanceFinished, OrchestrationContext, open_hub

ACCOUNTS = tuple(EntityId("Account", f"{number}") for number in range(8))
OPENING = 1000
AT_ONCE = 200
"""How many clients wait at the same time; the orchestrations that they started wait all together."""
TIMEOUT_S = 3600.0
"""A worker that hangs fails."""

app = App()


@app.entity
@attrs.define
class Account:
    balance: int = OPENING

    def get(self) -> int:
        return self.balance

    def put(self, balance: int) -> None:
        self.balance = balance


@attrs.frozen
class Transfer:
    source: int
    target: int
    amount: int
    fails: bool


@app.orchestration
async def transfer(ctx: OrchestrationContext, order: Transfer) -> None:
    """In four calls: whatever came between them would change the sum."""
    source, target = ACCOUNTS[order.source], ACCOUNTS[order.target]
    async with await ctx.lock_entities([source, target]):
        before = await ctx.call_entity(source, Account.get)
        await ctx.call_entity(source, Account.put, before - order.amount)
        before = await ctx.call_entity(target, Account.get)
        await ctx.call_entity(target, Account.put, before + order.amount)
        if order.fails:
            raise ValueError("on purpose")


@app.orchestration
async def audit(ctx: OrchestrationContext) -> int:
    """The sum, at one moment."""
    async with await ctx.lock_entities(ACCOUNTS):
        return sum(await ctx.task_all([ctx.call_entity(account, Account.get) for account in ACCOUNTS]))


@app.orchestration
async def leaver(ctx: OrchestrationContext, accounts: list[int]) -> None:
    """Locks without changing anything, and never leaves: only terminate ends it."""
    await ctx.lock_entities([ACCOUNTS[number] for number in accounts])
    await ctx.wait_for_external_event("never")


def order_of(number: int) -> Transfer:
    """The transfer of a number: the same in every process."""
    dice = random.Random(number)
    source, target = dice.sample(range(len(ACCOUNTS)), 2)
    return Transfer(source, target, dice.randint(1, 9), dice.random() < 0.1)


def say(*what: object) -> None:
    """One line to the parent, at once: a killed process takes what it has buffered with it."""
    os.write(1, (json.dumps(what) + "\n").encode())


async def one(client: Client, number: int) -> None:
    """Whoever is asked again finds what was asked for before."""
    name = f"transfer-{number}"
    if number % 10 == 3:
        accounts = sorted({order_of(number).source, order_of(number).target})
        await client.start_new(leaver, name, accounts, request_id=name)
        with suppress(InstanceFinished):
            await client.terminate(name)
    elif number % 10 == 7:
        await client.start_new(audit, name, request_id=name)
    else:
        await client.start_new(transfer, name, order_of(number), request_id=name)
    status = await client.wait_for_completion(name)
    say("done", number, str(status.runtime_status), status.output if number % 10 == 7 else None)


async def lane(client: Client, first: int, transfers: int) -> None:
    for number in range(first, transfers, AT_ONCE):
        await one(client, number)


async def start_all(client: Client, transfers: int) -> None:
    """All that can be asked for at once is: the transfers wait for each other, not for their clients."""
    async with trio.open_nursery() as nursery:
        for first in range(AT_ONCE):
            nursery.start_soon(partial(starts, client, first, transfers))


async def starts(client: Client, first: int, transfers: int) -> None:
    for number in range(first, transfers, AT_ONCE):
        if number % 10 not in (3, 7):
            name = f"transfer-{number}"
            await client.start_new(transfer, name, order_of(number), request_id=name)


async def main(folder: str, transfers: int) -> None:
    with trio.fail_after(TIMEOUT_S):
        async with open_hub(folder, app) as client:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(start_all, client, transfers)
                for first in range(min(AT_ONCE, transfers)):
                    nursery.start_soon(lane, client, first, transfers)
            balances = [await client.call_entity(account, Account.get) for account in ACCOUNTS]
            locks = [str(lock.entity_id) for lock in await client.list_locks()]
            say("final", balances, locks)


if __name__ == "__main__":
    trio.run(main, sys.argv[1], int(sys.argv[2]))
