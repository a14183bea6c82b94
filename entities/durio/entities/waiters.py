"""Tasks that wait for something to become durable."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

import trio

V = TypeVar("V")


class Bell:
    """Wakes one task; rung while nobody waits, it is heard at the next wait."""

    __slots__ = ("_lot", "_rung")

    def __init__(self) -> None:
        self._rung = False
        self._lot = trio.lowlevel.ParkingLot()

    def ring(self) -> None:
        """Wake the waiter, or the next one."""
        if not self._rung:
            self._rung = True
            self._lot.unpark_all()

    async def wait(self) -> None:
        """Wait until it was rung since the last wait."""
        if self._rung:
            await trio.lowlevel.checkpoint()
        else:
            await self._lot.park()
        self._rung = False


class Waiter(Generic[V]):
    """One task that waits, or will."""

    __slots__ = ("error", "event", "value")

    def __init__(self) -> None:
        self.event = trio.Event()
        self.value: V | None = None
        self.error: BaseException | None = None


class Waiters(Generic[V]):
    """Tasks by what they wait for.

    Guarantees: everybody who waits under a key gets the value; a cancelled waiter leaves nothing behind; after
    `fail` nobody waits for ever.
    """

    def __init__(self) -> None:
        self._waiting: dict[Hashable, dict[Waiter[V], None]] = {}
        self._failed: BaseException | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    async def wait(self, key: Hashable) -> V:
        """Wait for the value under `key`. Raises what `fail` was given."""
        return await self.wait_as(key, self.expect(key))

    def expect(self, key: Hashable) -> Waiter[V]:
        """From now on the value under `key` is not missed by who waits later, by `wait_as`. Raises as `wait`."""
        if self._failed is not None:
            raise self._failed
        waiter: Waiter[V] = Waiter()
        self._waiting.setdefault(key, {})[waiter] = None
        return waiter

    async def wait_as(self, key: Hashable, waiter: Waiter[V]) -> V:
        """Wait for what is expected."""
        try:
            await waiter.event.wait()
        except BaseException:
            self._forget(key, waiter)
            raise
        if waiter.error is not None:
            raise waiter.error
        return waiter.value  # type: ignore[return-value]  # set together with the event

    def resolve(self, key: Hashable, value: V) -> None:
        """Give `value` to all who wait under `key`."""
        for waiter in self._waiting.pop(key, ()):
            waiter.value = value
            waiter.event.set()

    def refuse(self, key: Hashable, error: BaseException) -> None:
        """Raise `error` in all who wait under `key` now."""
        for waiter in self._waiting.pop(key, ()):
            waiter.error = error
            waiter.event.set()

    def fail(self, error: BaseException) -> None:
        """Raise `error` in all who wait, and in all who will."""
        self._failed = error
        for key in list(self._waiting):
            self.refuse(key, error)

    def _forget(self, key: Hashable, waiter: Waiter[V]) -> None:
        waiters = self._waiting.get(key)
        if waiters is not None and waiter in waiters:
            del waiters[waiter]
            if not waiters:
                del self._waiting[key]
