"""A program on a hub whose disk is made to fail: `python fault_worker.py HUB`, works and says what was acknowledged."""

from __future__ import annotations

import os
import sys

import attrs
import trio

from durio.entities import DurioError, EntityId
from durio.orchestration import App, Client, OrchestrationContext, open_hub
from durio.storage import StorageError

app = App()


@app.entity
@attrs.define
class Total:
    value: int = 0

    def add(self, amount: int) -> int:
        self.value += amount
        return self.value

    def look(self) -> int:
        return self.value


@app.orchestration
async def add_one(ctx: OrchestrationContext) -> int:
    return await ctx.call_entity(EntityId("Total", "ends"), Total.add, 1)


def say(*words: object) -> None:
    """One line to the parent, at once."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


async def calls(client: Client) -> None:
    """Ask again and again; what is answered is on disk."""
    while True:
        say("call", await client.call_entity(EntityId("Total", "calls"), Total.add, 1))


async def chains(client: Client) -> None:
    """Start one instance after the other, to their ends."""
    while True:
        status = await client.wait_for_completion(await client.start_new(add_one))
        say("end", status.output)


async def main() -> None:
    """Work until the hub breaks."""
    try:
        async with open_hub(sys.argv[1], app) as client, trio.open_nursery() as nursery:
            nursery.start_soon(calls, client)
            nursery.start_soon(chains, client)
    except* (DurioError, StorageError) as group:
        error: BaseException = group
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        say("broken", type(error).__name__)


if __name__ == "__main__":
    trio.run(main)
