"""Virtual time, ids and blocking calls of a simulated world."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

import trio
from outcome import capture

T = TypeVar("T")

START_US: Final = 1_767_225_600_000_000
"""When every simulation begins: 2026-01-01, UTC."""


class SimClock:
    """The time that has passed, moved by hand. `wall_us` is the hub's clock: it follows, and may jump besides."""

    def __init__(self) -> None:
        self.passed_us = 0
        self.jumped_us = 0

    @property
    def wall_us(self) -> int:
        """The wall clock, UTC, in microseconds since 1970."""
        return START_US + self.passed_us + self.jumped_us

    def current_time(self) -> float:
        """The seconds that have passed."""
        return self.passed_us / 1_000_000


class SimEnv:
    """The `Env` of a simulated process: virtual time, counted ids, and no threads."""

    clock_read_s: float = float("inf")

    def __init__(self, clock: SimClock) -> None:
        self._clock = clock
        self._epoch = 0
        self.ids = 0
        """How many ids it has made in this epoch."""

    def begin(self, epoch: int) -> None:
        self._epoch, self.ids = epoch, 0

    def now_us(self) -> int:
        return self._clock.wall_us

    def new_id(self) -> str:
        self.ids += 1
        return f"id{self._epoch}.{self.ids}"

    async def run_commit(self, commit: Callable[[], T]) -> T:
        return commit()

    async def run_blocking(self, call: Callable[[], T], limiter: trio.CapacityLimiter) -> T:
        found = capture(call)  # it has run, whatever becomes of its caller: a thread cannot be cancelled
        await trio.lowlevel.checkpoint()
        return found.unwrap()
