"""Singleton: at most one instance of an id runs, whoever starts it, however many start it at once.

`start_new` is atomic: "start" is a message that the instance itself accepts or refuses in its turn. There is nothing
to look up first, so there is no race between the look and the start.
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from typing import Literal

import trio

from durio.orchestration import App, Client, InstanceAlreadyExists, OrchestrationContext, open_hub

app = App()
runs: list[str] = []


@app.activity
async def back_up(disk: str) -> None:
    runs.append(disk)


@app.orchestration
async def backup(ctx: OrchestrationContext, disk: str) -> None:
    await ctx.call_activity(back_up, disk)
    await ctx.wait_for_external_event("finish")


async def start_at_once(client: Client, if_running: Literal["raise", "return"]) -> Counter[str]:
    """100 tasks start the same instance at the same moment; count what each of them was told."""
    told = Counter(created=0)
    go = trio.Event()

    async def start() -> None:
        await go.wait()
        try:
            started = await client.start_new(backup, "the-backup", "disk", if_running=if_running)
        except InstanceAlreadyExists:
            told["InstanceAlreadyExists"] += 1
        else:
            told["created" if started.created else "found running"] += 1

    async with trio.open_nursery() as nursery:
        for _ in range(100):
            nursery.start_soon(start)
        go.set()
    return told


async def main(hub: str) -> None:
    async with open_hub(hub, app) as client:
        print("100 tasks start the instance 'the-backup' at once.")
        told = await start_at_once(client, "raise")
        print("  if_running='raise': ", dict(told))
        assert told == {"created": 1, "InstanceAlreadyExists": 99}

        print("While it runs, 100 more.")
        told = await start_at_once(client, "return")
        print("  if_running='return':", dict(told))
        assert told == {"created": 0, "found running": 100}

        await client.raise_event("the-backup", "finish")
        await client.wait_for_completion("the-backup")
        print(f"Of all these starts, the work was done {len(runs)} time.")
        assert runs == ["disk"]

        print("It has finished, so the id is free: 100 tasks start it again.")
        told = await start_at_once(client, "return")
        print("  if_running='return':", dict(told))
        assert told == {"created": 1, "found running": 99}
        await client.terminate("the-backup", "the show is over")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        trio.run(main, sys.argv[1] if len(sys.argv) > 1 else temporary)
