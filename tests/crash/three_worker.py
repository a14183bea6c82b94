"""One of three processes at one hub, made to be killed: `python -m tests.crash.three_worker ROLE FOLDER LEDGER FIRSTS`.

ROLE "a" and "b" open the hub, one of them as a standby; "c" is connected to it. Each asks under names of its own, until
it is killed, and writes a line for every durable answer. "finish" lets everything come to its end, and writes what the
hub holds then.
"""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import trio

from durio.entities import EntityId
from durio.orchestration import App, Client, OrchestrationContext, connect, open_hub
from tests.crash import worker
from tests.crash.worker import CREATED, KINDS, SINGLETON, Ask, Items, Total, lane, ledger_opened, say

ROLES = ("a", "b", "c")
ACCOUNTS = 4
BALANCE = 100
TIMEOUT_S = 300.0

app: App = worker.app


@app.entity
@attrs.define
class Account:
    balance: int = BALANCE

    def move(self, amount: int) -> None:
        self.balance += amount

    def get(self) -> int:
        return self.balance


def account(number: int) -> EntityId:
    return EntityId("Account", str(number % ACCOUNTS))


@app.orchestration
async def transfer(ctx: OrchestrationContext, number: int) -> bool:
    """Moves money between two accounts; every seventh looks at all of them. True: what it saw was whole."""
    if number % 7 == 0:
        accounts = [account(n) for n in range(ACCOUNTS)]
        async with await ctx.lock_entities(accounts):
            found = [await ctx.call_entity(entity, Account.get) for entity in accounts]
        return sum(found) == BALANCE * ACCOUNTS
    source, target = account(number), account(number + 1 + number % (ACCOUNTS - 1))
    async with await ctx.lock_entities([source, target]):
        before = await ctx.call_entity(source, Account.get) + await ctx.call_entity(target, Account.get)
        await ctx.call_entity(source, Account.move, -number)
        await ctx.call_entity(target, Account.move, number)
        after = await ctx.call_entity(source, Account.get) + await ctx.call_entity(target, Account.get)
    ctx.signal_entity(EntityId("Total", "transfers"), "add", 1)
    return before == after


async def _transfer(client: Client, request_id: str, number: int) -> Any:
    name = f"transfer-{request_id}"
    await client.start_new("transfer", name, number, request_id=request_id)
    return (await client.wait_for_completion(name)).output


def _event(name: str) -> Ask:
    async def ask(client: Client, request_id: str, number: int) -> Any:
        return await client.raise_event(name, "item", number, request_id=request_id)

    return ask


def asks(role: str) -> dict[str, Ask]:
    """What a process of this role asks, by the names of its lanes."""
    found: dict[str, Ask] = {f"{kind}-{role}": ask for kind, ask in KINDS.items()}
    found[f"event-{role}"] = _event(f"events-{role}")
    found[f"transfer-{role}"] = _transfer
    return found


async def load(client: Client, role: str, first: dict[str, int], *, more: int | None) -> None:
    """Everything that a role asks, at once; `more` requests of each kind, or without end."""
    await client.start_new("collector", f"events-{role}", 0, request_id=f"collector-{role}")
    async with trio.open_nursery() as nursery:
        for name, ask in asks(role).items():
            start = first.get(name, 0)
            nursery.start_soon(lane, client, name, ask, start, None if more is None else start + more)


async def finish(client: Client, first: dict[str, int]) -> None:
    """The last process: what was not answered is asked again, then everything comes to its end."""
    for role in ROLES:
        await load(client, role, first, more=1)
    for role in ROLES:
        await client.raise_event(f"events-{role}", "item", -1)
        say("taken", role, (await client.wait_for_completion(f"events-{role}")).output)
        for number in range(first.get(f"chain-{role}", 0) + 1):
            instance_id = f"chain-chain-{role}-{number}"
            say("output", instance_id, (await client.wait_for_completion(instance_id)).output)
    await client.wait_for_completion(SINGLETON)
    for key in (CREATED, "chains", "signals", "calls", SINGLETON, "transfers"):
        say("total", key, await client.call_entity(EntityId("Total", key), Total.add, 0))
    for role in ROLES:
        say("items", role, await client.call_entity(EntityId("Items", f"events-{role}"), Items.all))
    for number in range(ACCOUNTS):
        say("balance", str(number), await client.call_entity(account(number), Account.get))
    say("locks", "", len(await client.list_locks()))
    say("parked", "", len(await client.list_dead_letters()))


async def main(role: str, folder: str, ledger: str, firsts: str) -> None:
    first: dict[str, int] = json.loads(Path(firsts).read_text())
    with trio.fail_after(TIMEOUT_S), ledger_opened(ledger):
        if role == "c":
            async with connect(folder, timeout_s=TIMEOUT_S) as client:
                await load(client, role, first, more=None)
        async with open_hub(folder, app, standby=role != "finish") as client:
            if role == "finish":
                await finish(client, first)
            else:
                await load(client, role, first, more=None)


if __name__ == "__main__":
    trio.run(partial(main, *sys.argv[1:5]))
