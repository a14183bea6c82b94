"""A program that purges all that has ended, and stops when some commits are durable, to be killed: `HUB COMMITS`."""

from __future__ import annotations

import sys
import threading

import trio

from durio.orchestration import App, OrchestrationContext, open_hub
from durio.storage import LmdbStore, WriteSet

app = App()


@app.orchestration
async def takes(ctx: OrchestrationContext, events: int) -> int:
    """Has a history of a few rows."""
    for _ in range(events):
        await ctx.wait_for_external_event("go")
    return events


class Stopping(LmdbStore):
    """Says when some commits are durable, and never comes back from the last one."""

    commits_left = 0

    def commit(self, writes: WriteSet) -> int:
        number = super().commit(writes)
        self.commits_left -= 1
        if not self.commits_left:
            print(number, flush=True)
            threading.Event().wait()
        return number


async def main(hub: str, commits: int) -> None:
    store = Stopping.open(hub)
    store.commits_left = commits
    async with open_hub(store, app) as client:
        await client.purge_instance_history_by()


if __name__ == "__main__":
    trio.run(main, sys.argv[1], int(sys.argv[2]))
