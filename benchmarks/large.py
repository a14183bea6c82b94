"""Large payloads: how long the loop stands still while one goes through a hub, and what it takes on disk."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import trio

from benchmarks.apps import app, hand_over
from benchmarks.bare import open_bare
from benchmarks.on_durio import expect
from benchmarks.scale import Scale
from durio.orchestration import open_hub

_TICK_S = 0.0005


class Watch:
    """The longest time in which no other task of the loop could run."""

    def __init__(self) -> None:
        self.stop_ms = 0.0
        self.cpu_ms = 0.0
        """The same in CPU time of all threads of this process: what others on the machine do does not count."""

    async def run(self) -> None:
        """Wake up as often as one can, and see how late it is."""
        last, last_cpu = time.perf_counter(), time.process_time()
        while True:
            await trio.sleep(_TICK_S)
            now, cpu = time.perf_counter(), time.process_time()
            self.stop_ms = max(self.stop_ms, (now - last) * 1000)
            self.cpu_ms = max(self.cpu_ms, (cpu - last_cpu) * 1000)
            last, last_cpu = now, cpu


async def watched(work: Callable[[], Awaitable[object]]) -> dict[str, float]:
    """Do some work beside a task that watches the loop."""
    watch = Watch()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch.run)
        began = time.perf_counter()
        await work()
        took_ms = (time.perf_counter() - began) * 1000
        nursery.cancel_scope.cancel()
    return {"time": took_ms, "stop": watch.stop_ms, "stop (own CPU)": watch.cpu_ms}


def on_disk_kb(folder: Path) -> float:
    """What the files of a folder take."""
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file()) / 1024


async def large(folder: Path, scale: Scale) -> dict[str, float]:
    """One text: from a client to an orchestration, an activity, and all the way back."""
    text = "x" * scale.large_bytes
    async with open_hub(folder / "hub", app) as client:
        await client.wait_for_completion(await client.start_new(hand_over, "warm", "small"))
        before = on_disk_kb(folder)

        async def work() -> None:
            started = await client.start_new(hand_over, "large", text)
            status = await client.wait_for_completion(started)
            expect(status.output is not None and len(status.output), len(text))

        figures = await watched(work)
        return {**figures, "disk": on_disk_kb(folder) - before}


async def bare_large(folder: Path, scale: Scale) -> dict[str, float]:
    """The same text, encoded and put as one row, and read again: no more than that."""
    text = "x" * scale.large_bytes
    async with open_bare(folder) as bare:
        before = on_disk_kb(folder)

        async def work() -> None:
            bare.put("large", text)
            await bare.durable()
            expect(len(bare.rows()), 1)

        figures = await watched(work)
        return {**figures, "disk": on_disk_kb(folder) - before}
