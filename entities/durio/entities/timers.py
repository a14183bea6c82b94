"""Durable timers: which message is due when. Only the next few of them are in memory."""

from __future__ import annotations

import heapq

import msgspec

import durio.entities.keys as keys
from durio.entities.changes import View
from durio.entities.limits import TIMER_WINDOW_MAX
from durio.entities.messages import Timer


class Timers:
    """A window on the table of timers.

    Guarantees: timers come in the order of (due time, scheduling), none before its time, each once; a hub with a
    million timers keeps a few thousand of them in memory (G4, G7, G28).
    """

    def __init__(self, view: View) -> None:
        self._view = view
        self._timers: dict[bytes, Timer] = {}
        self._heap: list[bytes] = []
        self._horizon: bytes | None = None
        self._decoder = msgspec.msgpack.Decoder(Timer)
        self._refill(keys.TIMER)

    @property
    def next_due_us(self) -> int | None:
        """When the next timer is due."""
        key = self._first()
        return None if key is None else keys.timer_due_us(key)

    def schedule(self, key: bytes, timer: Timer) -> None:
        """Write a timer."""
        self._view.filling.insert(keys.TIMER, key, timer)
        self._view.filling.keep(timer.message)
        self.add(key, timer)

    def add(self, key: bytes, timer: Timer) -> None:
        """A timer was written."""
        if self._horizon is not None and key >= self._horizon:
            return
        self._timers[key] = timer
        heapq.heappush(self._heap, key)
        if len(self._timers) > 2 * TIMER_WINDOW_MAX:
            self._shrink()

    def discard(self, key: bytes) -> None:
        """A timer was deleted."""
        self._timers.pop(key, None)
        if len(self._heap) > 2 * len(self._timers) + TIMER_WINDOW_MAX:
            self._heap = sorted(self._timers)

    def due(self, now_us: int, limit: int) -> list[tuple[bytes, Timer]]:
        """Take out of the window what is due at `now_us`, at most `limit` timers, in order."""
        rows: list[tuple[bytes, Timer]] = []
        while len(rows) < limit:
            key = self._first()
            if key is None or keys.timer_due_us(key) > now_us:
                break
            heapq.heappop(self._heap)
            rows.append((key, self._timers.pop(key)))
        return rows

    def _first(self) -> bytes | None:
        while True:
            while self._heap and self._heap[0] not in self._timers:
                heapq.heappop(self._heap)
            if self._heap:
                return self._heap[0]
            if self._horizon is None:
                return None
            self._refill(self._horizon)

    def _refill(self, start: bytes) -> None:
        rows = self._view.scan(keys.TIMER, start, keys.stop_of(keys.TIMER), TIMER_WINDOW_MAX)
        for key, row in rows:
            self._timers[key] = self._decoder.decode(row) if isinstance(row, bytes) else _timer(row)
        self._heap = sorted(self._timers)
        self._horizon = rows[-1][0] + b"\0" if len(rows) == TIMER_WINDOW_MAX else None

    def _shrink(self) -> None:
        self._heap = sorted(self._timers)
        for key in self._heap[TIMER_WINDOW_MAX:]:
            del self._timers[key]
        self._horizon = self._heap[TIMER_WINDOW_MAX]
        del self._heap[TIMER_WINDOW_MAX:]


def _timer(row: msgspec.Struct) -> Timer:
    assert isinstance(row, Timer)
    return row
