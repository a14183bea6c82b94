"""Eternal orchestration: a cleanup that runs for ever with a short history, and loses no event.

`continue_as_new` begins the instance anew, with a new input and an empty history. Events that come while the old
generation cleans up, and those that it has not looked at yet, stay in the mailbox and belong to the next one.
"""

from __future__ import annotations

import sys
import tempfile
from datetime import timedelta

import attrs
import trio

from durio.orchestration import App, Client, OrchestrationContext, open_hub

app = App()


@attrs.frozen
class Done:
    """What all generations did so far: the input of the next one."""

    generations: int = 0
    files: int = 0
    freed_bytes: int = 0


@app.activity
async def clean_up(sizes: list[int]) -> int:
    await trio.sleep(0.01)  # events go on arriving meanwhile
    return sum(sizes)


@app.orchestration
async def periodic_cleanup(ctx: OrchestrationContext, done: Done) -> Done:
    """One generation: collect what is reported until the timer fires, clean up, and begin anew."""
    timer = ctx.create_timer(timedelta(milliseconds=50))
    stop = ctx.wait_for_external_event("stop")
    sizes: list[int] = []
    while True:
        old_file = ctx.wait_for_external_event("old file", int)
        first = await ctx.task_any([old_file, stop, timer])
        if first is not old_file:
            break
        sizes.append(old_file.result)
    freed_bytes = await ctx.call_activity(clean_up, sizes)
    done = Done(done.generations + 1, done.files + len(sizes), done.freed_bytes + freed_bytes)
    if first is timer:
        ctx.continue_as_new(done)
    return done  # stopped: an eternal orchestration ends by not continuing


async def report(client: Client, sizes: range) -> None:
    for size in sizes:
        await client.raise_event("cleanup", "old file", size)
        await trio.sleep(0.001)


async def main(hub: str) -> None:
    async with open_hub(hub, app) as client:
        await client.start_new(periodic_cleanup, "cleanup", Done())
        async with trio.open_nursery() as nursery:
            for first in range(0, 1000, 250):
                nursery.start_soon(report, client, range(first, first + 250))
        last = await client.get_status("cleanup", show_history=True)
        await client.raise_event("cleanup", "stop")
        done = (await client.wait_for_completion("cleanup")).output
    assert last.history is not None
    print(f"1000 events arrived all the while; {done.generations} generations took them.")
    print(f"  files:    1000 reported, {done.files} cleaned up")
    print(f"  bytes:    {sum(range(1000))} reported, {done.freed_bytes} freed")
    print(f"  history:  {len(last.history)} entries of the last generation only")
    assert (done.files, done.freed_bytes) == (1000, sum(range(1000)))
    assert done.generations > 2
    assert len(last.history) < 1000


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        trio.run(main, sys.argv[1] if len(sys.argv) > 1 else temporary)
