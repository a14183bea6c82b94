"""A program with a mixed load on a hub on disk, made to be killed: `python worker.py FOLDER LEDGER load|finish FIRSTS`.

`load` works until it is killed and writes a line to its output for every durable answer. `finish` lets everything
come to its end and writes what the hub holds then. Each activity adds a line to the ledger: what really happened.
FIRSTS is a file with the number of the first request without an answer, for each lane.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import trio

from durio.entities import EntityId
from durio.orchestration import ActivityContext, App, Client, OrchestrationContext, open_hub

EVENTS = "events"
CREATED = "created"
SINGLETON = "singleton"
LANES = 3
"""How many clients of each kind work side by side."""
TIMEOUT_S = 120.0
"""A worker that hangs fails."""

app = App()
_ledger: list[int] = []


@app.entity
@attrs.define
class Total:
    value: int = 0

    def add(self, amount: int) -> int:
        self.value += amount
        return self.value


@app.entity
@attrs.define
class Items:
    items: list[int] = attrs.Factory(list)

    def append(self, item: int) -> None:
        self.items.append(item)

    def all(self) -> list[int]:
        return self.items


@app.activity
def work(value: int) -> int:
    os.write(_ledger[0], f"{ActivityContext.current().idempotency_key}\n".encode())
    return value + 1


@app.orchestration
async def chain(ctx: OrchestrationContext, value: int) -> int:
    ctx.signal_entity(EntityId("Total", CREATED), "add", 1)
    value = await ctx.call_activity(work, value)
    await ctx.create_timer(timedelta(milliseconds=3))
    value = await ctx.call_activity(work, value)
    ctx.signal_entity(EntityId("Total", "chains"), "add", 1)
    return value


@app.orchestration
async def collector(ctx: OrchestrationContext, taken: int) -> int:
    """Logs three events an execution; a negative one is the last."""
    for _ in range(3):
        item = await ctx.wait_for_external_event("item", int)
        if item < 0:
            break
        ctx.signal_entity(EntityId("Items", ctx.instance_id), "append", item)
        taken += 1
    else:
        ctx.continue_as_new(taken)
    return taken


@app.orchestration
async def singleton(ctx: OrchestrationContext) -> None:
    """Lives a few milliseconds, and counts its lives."""
    ctx.signal_entity(EntityId("Total", SINGLETON), "add", 1)
    await ctx.create_timer(timedelta(milliseconds=5))


def say(*what: Any) -> None:
    """One line to the parent, at once: a killed process takes what it has buffered with it."""
    os.write(1, (json.dumps(what) + "\n").encode())


Ask = Callable[[Client, str, int], Awaitable[Any]]


async def _chain(client: Client, request_id: str, number: int) -> Any:
    started = await client.start_new(chain, f"chain-{request_id}", number, request_id=request_id)
    return started.created


async def _singleton(client: Client, request_id: str, number: int) -> Any:
    return (await client.start_new(singleton, SINGLETON, if_running="return", request_id=request_id)).created


async def _signal(client: Client, request_id: str, number: int) -> Any:
    return await client.signal_entity(EntityId("Total", "signals"), "add", 1, request_id=request_id)


async def _call(client: Client, request_id: str, number: int) -> Any:
    return await client.call_entity(EntityId("Total", "calls"), Total.add, 1, request_id=request_id)


def _event(lane: int) -> Ask:
    async def ask(client: Client, request_id: str, number: int) -> Any:
        return await client.raise_event(f"{EVENTS}-{lane}", "item", number, request_id=request_id)

    return ask


KINDS: dict[str, Ask] = {"chain": _chain, "singleton": _singleton, "signal": _signal, "call": _call}


async def lane(client: Client, kind: str, ask: Ask, first: int, last: int | None) -> None:
    """Ask one thing after another. The number `first` may have been asked before the last kill."""
    number = first
    while last is None or number < last:
        request_id = f"{kind}-{number}"
        answer = await ask(client, request_id, number)
        say(request_id, answer)
        number += 1


async def load(client: Client, first: dict[str, int], *, more: int | None) -> None:
    """Everything at once; `more` requests of each kind, or without end."""
    for number in range(LANES):
        await client.start_new(collector, f"{EVENTS}-{number}", 0, request_id=f"collector-{number}")
    async with trio.open_nursery() as nursery:
        for number in range(LANES):
            kinds = {f"{kind}-{number}": ask for kind, ask in KINDS.items()}
            kinds[f"event-{number}"] = _event(number)
            for kind, ask in kinds.items():
                start = first.get(kind, 0)
                nursery.start_soon(lane, client, kind, ask, start, None if more is None else start + more)


async def finish(client: Client, first: dict[str, int]) -> None:
    """The last process: what was not answered is asked again, then everything comes to its end."""
    await load(client, first, more=1)
    taken = []
    for number in range(LANES):
        await client.raise_event(f"{EVENTS}-{number}", "item", -1)
        taken.append((await client.wait_for_completion(f"{EVENTS}-{number}")).output)
        for n in range(first.get(f"chain-{number}", 0) + 1):
            instance_id = f"chain-chain-{number}-{n}"
            say("output", instance_id, (await client.wait_for_completion(instance_id)).output)
    await client.wait_for_completion(SINGLETON)
    # What the orchestrations signalled lies before these calls in the mailboxes.
    for key in (CREATED, "chains", "signals", "calls", SINGLETON):
        say("total", key, await client.call_entity(EntityId("Total", key), Total.add, 0))
    for number in range(LANES):
        say("items", taken[number], await client.call_entity(EntityId("Items", f"{EVENTS}-{number}"), Items.all))


@contextmanager
def ledger_opened(path: str) -> Iterator[None]:
    """While the block runs activities write to the file at `path`."""
    _ledger.append(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT))
    yield
    os.close(_ledger.pop())


async def main(folder: str, ledger: str, mode: str, firsts: str) -> None:
    first: dict[str, int] = json.loads(Path(firsts).read_text())
    with trio.fail_after(TIMEOUT_S), ledger_opened(ledger):
        async with open_hub(folder, app) as client:
            say("open")
            if mode == "load":
                await load(client, first, more=None)
            else:
                await finish(client, first)


if __name__ == "__main__":
    trio.run(partial(main, *sys.argv[1:5]))
