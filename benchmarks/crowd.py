"""Closed load: a fixed number of clients, each with one request in flight."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator

import trio

Request = Callable[[int], Awaitable[object]]


async def crowd(clients: int, count: int, request: Request) -> float:
    """Let `clients` make `count` requests (numbered from 0) together; returns how many per second."""
    numbers = iter(range(count))
    started = time.perf_counter()
    async with trio.open_nursery() as nursery:
        for _ in range(clients):
            nursery.start_soon(_client, numbers, request)
    return count / (time.perf_counter() - started)


async def serial(count: int, request: Request) -> list[float]:
    """One request after another; returns the time of each in milliseconds."""
    took_ms: list[float] = []
    for number in range(count):
        started = time.perf_counter()
        await request(number)
        took_ms.append((time.perf_counter() - started) * 1000)
    return took_ms


async def _client(numbers: Iterator[int], request: Request) -> None:
    for number in numbers:
        await request(number)
