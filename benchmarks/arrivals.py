"""Open load: requests arrive when they want to, not when the last one is done."""

from __future__ import annotations

import random
import time
from typing import Final

import attrs
import trio

from benchmarks.crowd import Request
from benchmarks.figures import latencies

BUSY_S: Final = 0.001


@attrs.define
class Load:
    """What came of an open load. `took_ms` counts from the moment a request was due, not from when it could be sent:
    a queue that builds up in front of the hub is not hidden.
    """

    took_ms: list[float]
    lasted_s: float
    """From the first arrival to the last answer."""

    def figures(self, commits: int) -> dict[str, float]:
        """The figures of an open workload."""
        rates = {"answers": len(self.took_ms) / self.lasted_s, "commits": commits / self.lasted_s}
        return {**latencies(self.took_ms), **rates}


async def open_load(rate_per_s: float, lasts_s: float, request: Request, *, busy: bool = False) -> Load:
    """Poisson arrivals (always the same ones) for `lasts_s`; waits for all answers.

    `busy`: beside it a Trio task that never sleeps, as a user's own computation would.
    """
    draw = random.Random(20).expovariate
    load = Load([], 0.0)
    started = time.perf_counter()
    async with trio.open_nursery() as spinning:
        if busy:
            spinning.start_soon(_spin)
        async with trio.open_nursery() as nursery:
            due, number = started + draw(rate_per_s), 0
            while due < started + lasts_s:
                now = time.perf_counter()
                while due <= now and due < started + lasts_s:
                    nursery.start_soon(_timed, request, number, due, load.took_ms)
                    due += draw(rate_per_s)
                    number += 1
                await trio.sleep(max(due - time.perf_counter(), 0.0))
        load.lasted_s = time.perf_counter() - started
        spinning.cancel_scope.cancel()
    return load


async def _timed(request: Request, number: int, due: float, took_ms: list[float]) -> None:
    await request(number)
    took_ms.append((time.perf_counter() - due) * 1000)


async def _spin() -> None:
    while True:
        until = time.perf_counter() + BUSY_S
        while time.perf_counter() < until:
            pass
        await trio.lowlevel.checkpoint()
