"""Rows that are cut off: all at once for everybody who looks, bit by bit on disk."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable

import msgspec

import durio.entities.keys as keys
from durio.entities.changes import View
from durio.entities.limits import TRASH_BATCH_MAX
from durio.entities.messages import Tombstone
from durio.storage import CorruptRecord

logger = logging.getLogger("durio.entities")


class Tombstones:
    """Deletes ranges of an actor's rows, a bounded number in one batch.

    Guarantees: what is left over has a durable tombstone, so that it is deleted after any crash (G9); a range that
    is cut is never written again, so deleting it late harms nobody (G18, G23).
    """

    def __init__(self, view: View, arrival: Callable[[], int]) -> None:
        self._view = view
        self._arrival = arrival
        self._waiting: deque[tuple[bytes, Tombstone]] = deque()
        decoder = msgspec.msgpack.Decoder(Tombstone)
        for key, row in view.scan(keys.TOMBSTONE, keys.TOMBSTONE, keys.stop_of(keys.TOMBSTONE)):
            assert isinstance(row, bytes), "nothing is undurable yet"
            self._waiting.append((key, decoder.decode(row)))

    def rows(self, start: bytes, stop: bytes) -> list[bytes]:
        """The keys that `cut` would delete now. Raises `CorruptRecord`; changes nothing."""
        return [key for key, _ in self._view.scan(_group(start), start, stop, TRASH_BATCH_MAX)]

    def cut(self, start: bytes, stop: bytes, rows: list[bytes]) -> None:
        """Delete `rows`, the first of the range from `start` to before `stop`; the others wait for `sweep`."""
        group = _group(start)
        for row in rows:
            self._view.filling.delete(group, row)
        if len(rows) == TRASH_BATCH_MAX:
            tombstone = Tombstone(rows[-1] + b"\0", stop)
            key = keys.TOMBSTONE + self._arrival().to_bytes(8, "big")
            self._view.filling.insert(keys.TOMBSTONE, key, tombstone)
            self._waiting.append((key, tombstone))

    def sweep(self) -> bool:
        """Delete a bounded number of rows that wait; True: there is more to do."""
        if not self._waiting:
            return False
        key, tombstone = self._waiting.popleft()
        try:
            rows = self.rows(tombstone.start, tombstone.stop)
        except CorruptRecord:
            logger.exception("rows of a cut history stay on disk: they cannot be read")
            return bool(self._waiting)
        self._view.filling.delete(keys.TOMBSTONE, key)
        self.cut(tombstone.start, tombstone.stop, rows)
        return bool(self._waiting)


def _group(start: bytes) -> bytes:
    return start[: start.index(b"\0") + 1]
