"""Poison: what was running when the process died, counted before anything runs again (G6)."""

from __future__ import annotations

import logging
from typing import Final

import msgspec

import durio.entities.keys as keys
from durio.entities.changes import View
from durio.entities.limits import JOB_ENDS_MAX, POISON_ENDS_MAX
from durio.storage import CorruptRecord, Store, WriteSet

logger = logging.getLogger("durio.entities")

NOBODY: Final[frozenset[str]] = frozenset()


class Count(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """At how many unclean ends something was running; the epoch of the owner that died of it last; when."""

    times: int
    epoch: int
    at_us: int


def count_unclean(store: Store, now_us: int) -> frozenset[str]:
    """At an open, before anything runs: count what was running when the last owner died, durably, and begin new notes.

    A second call for the same end counts nothing. Returns the actors whose message was not durable yet when it ran:
    nothing is left of it to be counted, so from now on their messages are made durable before they run. Raises what
    `Store.commit` raises.
    """
    found = store.notes.found()
    decoder = msgspec.msgpack.Decoder(Count)
    rows = dict(store.scan(keys.POISON, keys.stop_of(keys.POISON)))
    changes: list[tuple[bytes, bytes | None]] = [(row, None) for row in rows if not _is_there(store, row[1:])]
    careful: set[str] = set()
    for key in found.keys:
        address = keys.address_of(key)
        if not _is_there(store, key):
            if key.startswith(keys.MAIL):
                careful.add(address)
            continue
        row = keys.poison(key)
        count = decoder.decode(rows[row]) if row in rows else Count(0, 0, 0)
        if count.epoch == found.epoch:
            continue  # it was counted already, and the process died before it began new notes
        count = Count(count.times + 1, found.epoch, now_us)
        changes.append((row, msgspec.msgpack.encode(count)))
        what = "an activity" if key.startswith(keys.JOB) else "code"
        logger.info("%s of %s was running at an unclean end of the process, %d so far", what, address, count.times)
    if changes:
        store.commit(WriteSet(tuple(changes)))
    store.notes.start(store.epoch)
    return frozenset(careful)


class Poison:
    """What is counted, of the messages, instances and jobs that wait.

    Guarantees: normal work writes nothing here; a count goes with the message or job that it is of, in the same commit;
    what is `due` is not run again.
    """

    def __init__(
        self,
        view: View,
        careful: frozenset[str] = NOBODY,
        ends_max: int = POISON_ENDS_MAX,
        job_ends_max: int = JOB_ENDS_MAX,
    ) -> None:
        self.careful = careful
        """Actors whose messages are made durable before they run."""
        self.due: dict[str, list[bytes]] = {}
        """By actor: the messages to be parked (the actor's own key: its code is not to be run)."""
        self._postponed: list[str] = []
        self._view = view
        self._job_ends_max = job_ends_max
        self._times: dict[bytes, int] = {}
        decoder = msgspec.msgpack.Decoder(Count)
        for row, data in view.scan(keys.POISON, keys.POISON, keys.stop_of(keys.POISON)):
            key = row[1:]
            count = decoder.decode(data) if isinstance(data, bytes) else data
            assert isinstance(count, Count)
            self._times[key] = count.times
            if count.times >= ends_max and not key.startswith(keys.JOB):
                self.due.setdefault(keys.address_of(key), []).append(key)

    def times(self, key: bytes) -> int:
        """At how many unclean ends it was running."""
        return self._times.get(key, 0)

    def job_crashed(self, key: bytes) -> bool:
        """Whether a job was running at so many unclean ends that it is not started again."""
        return self.times(key) >= self._job_ends_max

    def must_wait(self, address: str) -> bool:
        """Whether an actor's turn waits for the next commit, for its messages must be durable first."""
        if address not in self.careful or not self._view.touches(keys.mailbox(address)):
            return False
        self._postponed.append(address)
        return True

    def released(self) -> list[str]:
        """A commit came: who waited for it may have its turn."""
        released, self._postponed = self._postponed, []
        return released

    def settled(self, address: str, consumed: list[bytes]) -> None:
        """A turn consumed these messages: what was counted of them, and of the actor's code, is over."""
        if self._times:
            self.clear(keys.actor(address))
            for key in consumed:
                self.clear(key)

    def clear(self, key: bytes) -> None:
        """What was counted of this is over, with the batch that fills."""
        if key in self._times:
            del self._times[key]
            self._view.filling.delete(keys.POISON, keys.poison(key))


def _is_there(store: Store, key: bytes) -> bool:
    """Whether the message, the job or the instance is on disk."""
    stop = keys.stop_of(key) if key.startswith(keys.ACTOR) else key + b"\0"
    try:
        return bool(store.scan(key, stop, limit=1))
    except CorruptRecord:
        return True
