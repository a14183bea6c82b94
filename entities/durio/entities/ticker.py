"""When the hub has to look at the clock again."""

from __future__ import annotations

import trio

from durio.entities.env import Env
from durio.entities.kernel import Kernel
from durio.entities.requests import SWEEP_MAX
from durio.entities.waiters import Bell

FORGET_US = 60_000_000
"""How often old request ids are forgotten."""


class Ticker:
    """The clock of a hub: timers that become due, request ids that become old, actors that become idle.

    Guarantees: what is due is seen when it is due, also when it was scheduled meanwhile or the wall clock has jumped
    (G28); everything is done a bounded number at a time (G8).
    """

    def __init__(self, env: Env, idle_us: int) -> None:
        self.bell = Bell()
        self._env = env
        self._idle_us = idle_us
        self._sleeps_until_us: int | None = None
        self._forgot_us = 0

    def fire(self, kernel: Kernel, now_us: int) -> tuple[bool, bool]:
        """Fire due timers and forget old request ids, a bounded number: whether it did, and whether there is more."""
        fired, forgotten = kernel.fire_due(now_us), 0
        if abs(now_us - self._forgot_us) >= FORGET_US:  # the clock may go back, too
            forgotten = kernel.requests.forget(now_us)
            if forgotten < SWEEP_MAX:
                self._forgot_us = now_us
        return fired + forgotten > 0, fired > 0 or forgotten == SWEEP_MAX

    def check(self, kernel: Kernel) -> None:
        """Something was scheduled, maybe before the moment until which the hub sleeps."""
        next_us = self._next_us(kernel, self._env.now_us())
        if next_us is not None and (self._sleeps_until_us is None or next_us < self._sleeps_until_us):
            self.bell.ring()

    async def sleep(self, kernel: Kernel, now_us: int) -> None:
        """Sleep until something is due, the bell rings, or the wall clock is to be read again."""
        self._sleeps_until_us = self._next_us(kernel, now_us)
        sleep_s = self._env.clock_read_s
        if self._sleeps_until_us is not None:
            sleep_s = min(sleep_s, max(self._sleeps_until_us - now_us, 1) / 1_000_000)
        with trio.move_on_after(sleep_s):
            await self.bell.wait()

    def _next_us(self, kernel: Kernel, now_us: int) -> int | None:
        due_us, used_us = kernel.timers.next_due_us, kernel.catalog.oldest_used_us
        idle_us = None if used_us is None else max(used_us + self._idle_us + 1, now_us + 1_000_000)
        moments = [moment for moment in (due_us, idle_us) if moment is not None]
        return min(moments, default=None)
