"""The workloads on durio: each function is one round in a folder of its own and returns its figures by name."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import trio

from benchmarks.apps import STEPS, Counter, app, chain, counter, fan, listener
from benchmarks.arrivals import open_load
from benchmarks.crowd import Request, crowd, serial
from benchmarks.figures import latencies
from benchmarks.scale import Scale
from durio.entities import SystemEnv
from durio.orchestration import Client, InstanceAlreadyExists, open_hub

T = TypeVar("T")


class CountingEnv(SystemEnv):
    """The real world, counting commits."""

    def __init__(self) -> None:
        super().__init__()
        self.commits = 0

    async def run_commit(self, commit: Callable[[], T]) -> T:
        self.commits += 1
        return await super().run_commit(commit)


def expect(actual: object, expected: object) -> None:
    """A benchmark of wrong results is worth nothing."""
    if actual != expected:
        raise AssertionError(f"got {actual!r}, expected {expected!r}")


def _chains(client: Client) -> Request:
    async def request(number: int) -> None:
        started = await client.start_new(chain, f"chain-{number}", number)
        status = await client.wait_for_completion(started)
        expect(status.output, number + STEPS)

    return request


async def chains(folder: Path, scale: Scale) -> dict[str, float]:
    async with open_hub(folder / "hub", app) as client:
        return {"rate": await crowd(100, scale.chains, _chains(client))}


async def chains_serial(folder: Path, scale: Scale) -> dict[str, float]:
    async with open_hub(folder / "hub", app) as client:
        return latencies(await serial(scale.chains_serial, _chains(client)))


async def fan_out_in(folder: Path, scale: Scale) -> dict[str, float]:
    async with open_hub(folder / "hub", app) as client:
        began = time.perf_counter()
        status = await client.wait_for_completion(await client.start_new(fan, None, scale.fanned))
        took_s = time.perf_counter() - began
        expect(status.output, scale.fanned * (scale.fanned + 1) // 2)
        return {"time": took_s}


async def _signals(folder: Path, scale: Scale, counters: int) -> dict[str, float]:
    async with open_hub(folder / "hub", app) as client:
        rate = await crowd(200, scale.signals, lambda n: client.signal_entity(counter(n % counters), "add", 1))
        values = [await client.call_entity(counter(number), Counter.add, 0) for number in range(counters)]
        expect(sum(values), scale.signals)
        return {"rate": rate}


async def signals_one(folder: Path, scale: Scale) -> dict[str, float]:
    return await _signals(folder, scale, 1)


async def signals_many(folder: Path, scale: Scale) -> dict[str, float]:
    return await _signals(folder, scale, scale.counters)


async def calls(folder: Path, scale: Scale) -> dict[str, float]:
    async with open_hub(folder / "hub", app) as client:
        took_ms = await serial(scale.calls, lambda _: client.call_entity(counter(0), Counter.add, 1))
        expect(await client.call_entity(counter(0), Counter.add, 0), scale.calls)
        return latencies(took_ms)


async def calls_crowd(folder: Path, scale: Scale) -> dict[str, float]:
    async with open_hub(folder / "hub", app) as client:
        one = await crowd(100, scale.calls_crowd, lambda _: client.call_entity(counter(-1), Counter.add, 1))
        many = await crowd(
            100, scale.calls_crowd, lambda n: client.call_entity(counter(n % scale.counters), Counter.add, 1)
        )
        expect(await client.call_entity(counter(-1), Counter.add, 0), scale.calls_crowd)
        return {"one counter": one, "many counters": many}


async def events(folder: Path, scale: Scale) -> dict[str, float]:
    """From `raise_event` until the instance that waited for it has ended."""
    async with open_hub(folder / "hub", app) as client:
        for number in range(scale.events):
            await client.start_new(listener, f"listener-{number}")

        async def request(number: int) -> None:
            await client.raise_event(f"listener-{number}", "go", number)
            expect((await client.wait_for_completion(f"listener-{number}")).output, number)

        return latencies(await serial(scale.events, request))


async def singleton(folder: Path, scale: Scale) -> dict[str, float]:
    """100 tasks start the same id; one creates it, all others are told so."""
    async with open_hub(folder / "hub", app) as client:
        created: list[int] = []

        async def start(number: int) -> None:
            try:
                await client.start_new(listener, f"singleton-{number}")
            except InstanceAlreadyExists:
                return
            created.append(number)

        async def together(number: int) -> None:
            async with trio.open_nursery() as nursery:
                for _ in range(100):
                    nursery.start_soon(start, number)

        took_ms = await serial(scale.singletons, together)
        expect(created, list(range(scale.singletons)))
        return latencies(took_ms)


async def _open_calls(folder: Path, scale: Scale, busy: bool) -> dict[str, float]:
    env = CountingEnv()
    async with open_hub(folder / "hub", app, env=env) as client:

        async def request(number: int) -> None:
            await client.call_entity(counter(number % scale.counters), Counter.add, 1)

        load = await open_load(scale.open_calls_per_s, scale.open_s, request, busy=busy)
        return load.figures(env.commits)


async def open_calls(folder: Path, scale: Scale) -> dict[str, float]:
    return await _open_calls(folder, scale, busy=False)


async def open_calls_busy(folder: Path, scale: Scale) -> dict[str, float]:
    return await _open_calls(folder, scale, busy=True)


async def _open_chains(folder: Path, scale: Scale, busy: bool) -> dict[str, float]:
    env = CountingEnv()
    async with open_hub(folder / "hub", app, env=env) as client:
        load = await open_load(scale.open_chains_per_s, scale.open_s, _chains(client), busy=busy)
        return load.figures(env.commits)


async def open_chains(folder: Path, scale: Scale) -> dict[str, float]:
    return await _open_chains(folder, scale, busy=False)


async def open_chains_busy(folder: Path, scale: Scale) -> dict[str, float]:
    return await _open_chains(folder, scale, busy=True)


async def open_signals(folder: Path, scale: Scale) -> dict[str, float]:
    """So many that the loop is hardly ever idle: the commits must go on while they come."""
    env = CountingEnv()
    async with open_hub(folder / "hub", app, env=env) as client:

        async def request(number: int) -> None:
            await client.signal_entity(counter(number % scale.counters), "add", 1)

        load = await open_load(scale.open_signals_per_s, scale.open_s, request)
        return load.figures(env.commits)
