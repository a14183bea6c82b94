"""The workloads on the bare ceiling: the same clients, the same commits in a row, nothing else."""

from __future__ import annotations

import time
from pathlib import Path

import trio

from benchmarks.apps import STEPS
from benchmarks.arrivals import open_load
from benchmarks.bare import Bare, open_bare
from benchmarks.crowd import Request, crowd, serial
from benchmarks.figures import latencies
from benchmarks.scale import Scale


async def _increment(number: int) -> int:
    return number + 1


def _chains(bare: Bare) -> Request:
    async def request(number: int) -> None:
        """One record per event; an activity starts after the commit that scheduled it: six commits in a row."""
        value = number
        bare.put(f"chain-{number}-started", ("started", value))
        for step in range(STEPS):
            bare.put(f"chain-{number}-scheduled-{step}", ("scheduled", step, value))
            await bare.durable()
            value = await _increment(value)
            bare.put(f"chain-{number}-completed-{step}", ("completed", step, value))
        bare.put(f"chain-{number}-ended", ("ended", value))
        await bare.durable()

    return request


async def chains(folder: Path, scale: Scale) -> dict[str, float]:
    async with open_bare(folder / "bare") as bare:
        return {"rate": await crowd(100, scale.chains, _chains(bare))}


async def chains_serial(folder: Path, scale: Scale) -> dict[str, float]:
    async with open_bare(folder / "bare") as bare:
        return latencies(await serial(scale.chains_serial, _chains(bare)))


async def fan_out_in(folder: Path, scale: Scale) -> dict[str, float]:
    async with open_bare(folder / "bare") as bare:
        began = time.perf_counter()
        for step in range(scale.fanned):
            bare.put(f"scheduled-{step}", ("scheduled", step))
        await bare.durable()

        async def activity(step: int) -> None:
            bare.put(f"completed-{step}", ("completed", step, await _increment(step)))

        async with trio.open_nursery() as nursery:
            for step in range(scale.fanned):
                nursery.start_soon(activity, step)
        await bare.durable()
        return {"time": time.perf_counter() - began}


class _Counters:
    """Counters in memory, each with a row; a request that changes one is durable when it returns."""

    def __init__(self, bare: Bare, count: int) -> None:
        self._bare = bare
        self._values = [0] * count

    async def add(self, number: int) -> None:
        index = number % len(self._values)
        self._values[index] += 1
        self._bare.put(f"counter-{index}", self._values[index])
        await self._bare.durable()


async def _signals(folder: Path, scale: Scale, counters: int) -> dict[str, float]:
    async with open_bare(folder / "bare") as bare:
        return {"rate": await crowd(200, scale.signals, _Counters(bare, counters).add)}


async def signals_one(folder: Path, scale: Scale) -> dict[str, float]:
    return await _signals(folder, scale, 1)


async def signals_many(folder: Path, scale: Scale) -> dict[str, float]:
    return await _signals(folder, scale, scale.counters)


async def calls(folder: Path, scale: Scale) -> dict[str, float]:
    async with open_bare(folder / "bare") as bare:
        return latencies(await serial(scale.calls, _Counters(bare, 1).add))


async def calls_crowd(folder: Path, scale: Scale) -> dict[str, float]:
    async with open_bare(folder / "bare") as bare:
        one = await crowd(100, scale.calls_crowd, _Counters(bare, 1).add)
        many = await crowd(100, scale.calls_crowd, _Counters(bare, scale.counters).add)
        return {"one counter": one, "many counters": many}


async def events(folder: Path, scale: Scale) -> dict[str, float]:
    async with open_bare(folder / "bare") as bare:
        return latencies(await serial(scale.events, _Counters(bare, 1).add))


async def singleton(folder: Path, scale: Scale) -> dict[str, float]:
    async with open_bare(folder / "bare") as bare:

        async def together(number: int) -> None:
            async with trio.open_nursery() as nursery:
                bare.put(f"singleton-{number}", "running")
                for _ in range(100):
                    nursery.start_soon(bare.durable)

        return latencies(await serial(scale.singletons, together))


async def _open_calls(folder: Path, scale: Scale, rate_per_s: float, *, busy: bool = False) -> dict[str, float]:
    async with open_bare(folder / "bare") as bare:
        load = await open_load(rate_per_s, scale.open_s, _Counters(bare, scale.counters).add, busy=busy)
        return load.figures(bare.commits)


async def open_calls(folder: Path, scale: Scale) -> dict[str, float]:
    return await _open_calls(folder, scale, scale.open_calls_per_s)


async def open_calls_busy(folder: Path, scale: Scale) -> dict[str, float]:
    return await _open_calls(folder, scale, scale.open_calls_per_s, busy=True)


async def open_signals(folder: Path, scale: Scale) -> dict[str, float]:
    return await _open_calls(folder, scale, scale.open_signals_per_s)


async def _open_chains(folder: Path, scale: Scale, *, busy: bool = False) -> dict[str, float]:
    async with open_bare(folder / "bare") as bare:
        load = await open_load(scale.open_chains_per_s, scale.open_s, _chains(bare), busy=busy)
        return load.figures(bare.commits)


async def open_chains(folder: Path, scale: Scale) -> dict[str, float]:
    return await _open_chains(folder, scale)


async def open_chains_busy(folder: Path, scale: Scale) -> dict[str, float]:
    return await _open_chains(folder, scale, busy=True)
