"""The bare ceiling of `durio_child`, in a process that imports nothing of durio."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import trio

from benchmarks.bare import open_bare
from benchmarks.speech import say


async def first(folder: Path, count: int) -> None:
    """A new environment, and the first commit."""
    async with open_bare(folder / "bare") as bare:
        bare.put("first", 1)
        await bare.durable()
        say()


async def wait(folder: Path, count: int) -> None:
    """Write rows; then wait to be killed."""
    async with open_bare(folder / "bare") as bare:
        for number in range(count):
            bare.put(f"waiting-{number}", "waiting")
        await bare.durable()
        say()
        await trio.sleep_forever()


async def resume(folder: Path, count: int) -> None:
    """Open what the killed process left, and write every row anew."""
    began = time.perf_counter()
    async with open_bare(folder / "bare") as bare:
        keys = [key.decode() for key, _ in bare.rows()]
        assert len(keys) == count, keys
        bare.put(keys[0], "done")
        await bare.durable()
        one_s = time.perf_counter() - began
        for key in keys[1:]:
            bare.put(key, "done")
        await bare.durable()
        say(first=one_s, all=time.perf_counter() - began)


if __name__ == "__main__":
    modes = {"first": first, "wait": wait, "resume": resume}
    trio.run(modes[sys.argv[1]], Path(sys.argv[2]), int(sys.argv[3]))
