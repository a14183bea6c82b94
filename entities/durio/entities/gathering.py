"""Calls side by side on Trio."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any, TypeVar

import trio

from durio.entities.groups import single

T = TypeVar("T")


@trio.lowlevel.enable_ki_protection  # Ctrl-C while Trio starts a task leaves one that never ends
async def gather(calls: Sequence[Callable[[], Coroutine[Any, Any, T]]]) -> list[T]:
    """Make calls side by side; gives their results in order. The first error cancels the others, and is raised."""
    results: dict[int, T] = {}

    async def run(number: int, call: Callable[[], Coroutine[Any, Any, T]]) -> None:
        results[number] = await call()

    try:
        async with trio.open_nursery() as nursery:
            for number, call in enumerate(calls):
                nursery.start_soon(partial(run, number, call))
    except BaseExceptionGroup as group:
        raise single(group) from None
    return [results[number] for number in range(len(calls))]
