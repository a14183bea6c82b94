"""What a piece of work takes of this process: time, the processor, memory."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import trio

LOOK_S: Final = 0.1


@asynccontextmanager
async def measured() -> AsyncIterator[dict[str, float]]:
    """Figures of what the block does, there when it is left.

    `time` by the clock on the wall; `cpu`, that of the processor: others on the machine hardly change it; `memory`, in
    kB, the most that was held at the moments when somebody looked; `mapped`, pages of mapped files at the end.
    """
    figures = {"time": 0.0, "cpu": 0.0, "memory": own_kb(), "mapped": 0.0}

    async def look() -> None:
        while True:
            await trio.sleep(LOOK_S)
            figures["memory"] = max(figures["memory"], own_kb())

    began_s, cpu_s = time.perf_counter(), time.process_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(look)
        yield figures
        figures["time"] = time.perf_counter() - began_s
        figures["cpu"] = time.process_time() - cpu_s
        figures["memory"] = max(figures["memory"], own_kb())
        figures["mapped"] = _status_kb("RssFile")
        nursery.cancel_scope.cancel()


def own_kb() -> float:
    """What is in memory and is nobody else's: without pages of mapped files, which are the system's cache."""
    return _status_kb("RssAnon")


def _status_kb(name: str) -> float:
    for line in Path("/proc/self/status").read_text("utf-8").splitlines():
        if line.startswith(f"{name}:"):
            return float(line.split()[1])
    raise RuntimeError(f"/proc/self/status has no {name}")
