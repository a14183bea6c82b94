"""durio in a process of its own: `python -m benchmarks.durio_child MODE FOLDER COUNT`. Says one line of JSON."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import trio

from benchmarks.apps import app, chain, listener
from benchmarks.speech import say
from durio.orchestration import Client, open_hub


def _resident_kb() -> float:
    pages = int(Path("/proc/self/statm").read_text("utf-8").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1024


async def first(folder: Path, count: int) -> None:
    """A new hub, and the first result of it."""
    async with open_hub(folder / "hub", app) as client:
        await client.wait_for_completion(await client.start_new(chain, "first", 1))
        say()


async def wait(folder: Path, count: int) -> None:
    """Start instances that wait; then wait to be killed."""
    async with open_hub(folder / "hub", app) as client:
        await client.start_new(listener, "first")  # what every hub needs once is not counted
        before_kb = _resident_kb()
        async with trio.open_nursery() as nursery:
            for number in range(count):
                nursery.start_soon(client.start_new, listener, f"waiting-{number}")
        say(memory=(_resident_kb() - before_kb) / count)
        await trio.sleep_forever()


async def resume(folder: Path, count: int) -> None:
    """Open what the killed process left, and let every instance go on."""
    began = time.perf_counter()
    async with open_hub(folder / "hub", app) as client:
        await _resume_one(client, 0)
        one_s = time.perf_counter() - began
        async with trio.open_nursery() as nursery:
            for number in range(1, count):
                nursery.start_soon(_resume_one, client, number)
        say(first=one_s, all=time.perf_counter() - began)


async def _resume_one(client: Client, number: int) -> None:
    await client.raise_event(f"waiting-{number}", "go", number)
    status = await client.wait_for_completion(f"waiting-{number}")
    assert status.output == number, status


if __name__ == "__main__":
    modes = {"first": first, "wait": wait, "resume": resume}
    trio.run(modes[sys.argv[1]], Path(sys.argv[2]), int(sys.argv[3]))
