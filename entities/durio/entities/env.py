"""The Env seam: clock, ids, and where blocking work runs. Production is the system; tests follow Trio's clock."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from typing import Protocol, TypeVar

import trio

from durio.entities.limits import CLOCK_READ_S

T = TypeVar("T")


class Env(Protocol):
    """What the runtime asks of the world around it."""

    @property
    def clock_read_s(self) -> float:
        """How long to sleep at most before the wall clock is read again: it may jump (G28)."""
        ...

    def begin(self, epoch: int) -> None:
        """A hub is opened, in its `epoch`: ids from now on must not repeat those of an earlier one (G29)."""
        ...

    def now_us(self) -> int:
        """The wall clock, UTC, in microseconds since 1970."""
        ...

    def new_id(self) -> str:
        """A fresh id that no other call returns: 32 hexadecimal digits."""
        ...

    async def run_commit(self, commit: Callable[[], T]) -> T:
        """Run one commit to its end, whatever is cancelled meanwhile, and give its result or raise its error."""
        raise NotImplementedError

    async def run_blocking(self, call: Callable[[], T], limiter: trio.CapacityLimiter) -> T:
        """Run a blocking function of the user's. Cancelling the caller abandons it."""
        raise NotImplementedError


class SystemEnv:
    """The real world: the system's clock, random ids, worker threads."""

    clock_read_s: float = CLOCK_READ_S

    def __init__(self) -> None:
        self._commits = trio.CapacityLimiter(1)  # Trio's own may be used up by threads that wait for a commit

    def begin(self, epoch: int) -> None:
        return None

    def now_us(self) -> int:
        return time.time_ns() // 1000

    def new_id(self) -> str:
        return os.urandom(16).hex()

    async def run_commit(self, commit: Callable[[], T]) -> T:
        with trio.CancelScope(shield=True):
            return await trio.to_thread.run_sync(commit, limiter=self._commits)
        raise AssertionError("nobody cancels this scope, so it swallows nothing")

    async def run_blocking(self, call: Callable[[], T], limiter: trio.CapacityLimiter) -> T:
        return await trio.to_thread.run_sync(call, abandon_on_cancel=True, limiter=limiter)


class VirtualEnv:
    """A world for tests: the wall clock follows Trio's clock (so `MockClock` moves it), ids come from a seed, and
    nothing runs in a thread, because an auto-jumping clock would jump while a thread works.
    """

    clock_read_s: float = float("inf")  # this wall clock cannot jump without Trio's

    def __init__(self, *, start_us: int = 1_767_225_600_000_000, seed: int = 0) -> None:
        self._start_us = start_us
        self._seed = seed
        self._random = random.Random(seed)  # ids of a test, no secrets

    def begin(self, epoch: int) -> None:
        self._random = random.Random(f"{self._seed} {epoch}")

    def now_us(self) -> int:
        return self._start_us + round(trio.current_time() * 1_000_000)

    def new_id(self) -> str:
        return f"{self._random.getrandbits(128):032x}"

    async def run_commit(self, commit: Callable[[], T]) -> T:
        await trio.lowlevel.cancel_shielded_checkpoint()  # others run while a real commit is under way
        return commit()

    async def run_blocking(self, call: Callable[[], T], limiter: trio.CapacityLimiter) -> T:
        async with limiter:
            return call()
