"""The store in memory: the same behaviour, and a crash at any commit."""

import threading
from bisect import bisect_left
from collections.abc import Sequence
from heapq import merge
from itertools import islice
from typing import Final, Literal, TypeAlias

from durio.storage.codec import unseal
from durio.storage.errors import Fenced, HubClosed
from durio.storage.keys import FIRST_KEY
from durio.storage.meta import Meta
from durio.storage.notes import Notes
from durio.storage.reading import merge_ranges
from durio.storage.writes import WriteSet

_NOTES_BYTES: Final = 64 * 520  # there may be thousands of disks

When: TypeAlias = Literal["before", "after"]
"""Whether a simulated crash comes before or after its commit became durable."""


class SimulatedCrash(BaseException):
    """The process is dead by order of `MemoryDisk.crash_at`. No `except Exception` may live on behind it.

    The test must act: drop everything built on that store, and open a new `MemoryStore` on the same disk.
    """

    def __init__(self, commit: int, when: When) -> None:
        super().__init__(commit, when)
        self.commit = commit
        self.when: When = when

    def __str__(self) -> str:
        return f"simulated crash {self.when} commit {self.commit} became durable"


class MemoryDisk:
    """What survives a simulated process.

    The fault model, which is a contract:

    - A commit is atomic: there is no torn write set, and no reader sees half of one.
    - Notes of what is running stay as they were at the crash.
    - A commit that returned is durable; nothing is ever lost or changed behind it.
    - A crash happens at a commit, never between commits: "before" leaves the disk as it was, "after" leaves
      the whole commit on it; in both cases the owner gets `SimulatedCrash` instead of an answer.
    - The owner that crashed gets `SimulatedCrash` from every later call. The disk itself stays whole and can
      be opened.
    - There is no lock: opening takes the hub over, and an older owner gets `Fenced` at its next commit.
    - Not modelled: no space, write errors, damaged records, a commit whose fate stays unknown, network
      partitions.
    """

    def __init__(self, name: str = "memory") -> None:
        """A new, empty disk; `name` is the label that stores show as their path."""
        self.name = name
        self.meta = Meta(0, 0)
        self._guard = threading.Lock()
        self._records: dict[bytes, bytes] = {}
        self._keys: list[bytes] = []
        self._crash_in = 0
        self._crash_when: When = "before"
        self.running = bytearray(_NOTES_BYTES)

    def crash_at(self, commit: int, when: When) -> None:
        """Crash the owner that makes the `commit`-th commit from now on (1 = the next); openings do not
        count.

        One crash is planned at a time: a new plan replaces the old one, 0 takes it back.
        """
        if commit < 0:
            raise ValueError(f"commit {commit} is in the past: 1 is the next commit, 0 takes a plan back")
        with self._guard:
            self._crash_in, self._crash_when = commit, when

    def snapshot(self) -> dict[bytes, bytes]:
        """All keys and values, in key order, without the store's own records."""
        with self._guard:
            return {key: unseal(key, self._records[key]) for key in self._keys}

    def take_over(self) -> int:
        """For `MemoryStore`: the epoch of a new owner."""
        with self._guard:
            self.meta = Meta(self.meta.epoch + 1, self.meta.commit)
            return self.meta.epoch

    def read(self, key: bytes) -> bytes | None:
        """For `MemoryStore`: the sealed record at `key`."""
        with self._guard:
            return self._records.get(key)

    def read_range(self, start: bytes, stop: bytes | None, limit: int | None) -> list[tuple[bytes, bytes]]:
        """For `MemoryStore`: sealed records in [start, stop), in key order, at most `limit`."""
        with self._guard:
            first = bisect_left(self._keys, start)
            last = len(self._keys) if stop is None else bisect_left(self._keys, stop)
            if limit is not None:
                last = min(last, first + limit)
            return [(key, self._records[key]) for key in self._keys[first:last]]

    def apply(self, epoch: int, puts: list[tuple[bytes, bytes]], deletes: list[bytes]) -> int:
        """For `MemoryStore`: one commit. Raises `Fenced` or, as planned, `SimulatedCrash`."""
        with self._guard:
            if self.meta.epoch != epoch:
                raise Fenced(epoch, self.meta.epoch)
            number = self.meta.commit + 1
            crash = self._crash_in == 1
            self._crash_in = max(0, self._crash_in - 1)
            if crash and self._crash_when == "before":
                raise SimulatedCrash(number, "before")
            self._change(puts, deletes)
            self.meta = Meta(epoch, number)
            if crash:
                raise SimulatedCrash(number, "after")
            return number

    def _change(self, puts: list[tuple[bytes, bytes]], deletes: list[bytes]) -> None:
        records = self._records
        new = [key for key, _ in puts if key not in records]
        records.update(puts)
        if new:
            # Two sorted runs: the sort merges them in linear time.
            self._keys += new
            self._keys.sort()
        gone = [key for key in deletes if records.pop(key, None) is not None]
        if len(gone) <= 8:
            for key in gone:
                del self._keys[bisect_left(self._keys, key)]
        else:
            self._keys = [key for key in self._keys if key in records]


class MemoryStore:
    """A `Store` on a `MemoryDisk`: opening it takes the disk over, as a new owner after a crash does."""

    def __init__(self, disk: MemoryDisk) -> None:
        """Open `disk` with a new epoch; older stores on it are fenced from now on."""
        self._disk = disk
        self._crash: SimulatedCrash | None = None
        self._closed = False
        self._epoch = disk.take_over()
        self._last_commit = disk.meta.commit
        self._notes = Notes(disk.running)

    def __repr__(self) -> str:
        return f"<MemoryStore {self.path!r} epoch={self._epoch} last_commit={self._last_commit}>"

    @property
    def epoch(self) -> int:
        """This owner's number."""
        return self._epoch

    @property
    def last_commit(self) -> int:
        """Number of the last commit this handle knows to be durable."""
        return self._last_commit

    @property
    def notes(self) -> Notes:
        """What user code is running, on the disk."""
        return self._notes

    @property
    def path(self) -> str:
        """The name of the disk."""
        return self._disk.name

    def get(self, key: bytes) -> bytes | None:
        """The value of `key`, or None."""
        self._check()
        record = self._disk.read(key)
        return None if record is None else unseal(key, record)

    def scan(self, start: bytes, stop: bytes | None = None, *, limit: int | None = None) -> list[tuple[bytes, bytes]]:
        """Keys in [start, stop) with their values, in key order, at most `limit`."""
        self._check()
        if limit is not None and limit < 0:
            raise ValueError(f"limit {limit} is negative: give None for no limit")
        records = self._disk.read_range(max(start, FIRST_KEY), stop, limit)
        return [(key, unseal(key, record)) for key, record in records]

    def merge(
        self, prefixes: Sequence[bytes], start: bytes, stop: bytes | None, *, limit: int
    ) -> list[tuple[bytes, bytes]]:
        """Pairs under any of `prefixes` by the rest of their keys, at most `limit`."""
        ranges = merge_ranges(prefixes, start, stop, limit)
        under = [self.scan(first, last, limit=limit) for first, last in ranges]  # nobody commits meanwhile
        return list(islice(merge(*under, key=lambda pair: pair[0][len(prefixes[0]) :]), limit))

    def commit(self, writes: WriteSet) -> int:
        """Apply `writes` and return their commit number.

        Raises `ReservedKey`, `KeyTooLong` and `Fenced` (nothing was written), and `SimulatedCrash` as
        planned.
        """
        self._check()
        puts, deletes = writes.sealed()
        try:
            self._last_commit = self._disk.apply(self._epoch, puts, deletes)
        except SimulatedCrash as crash:
            self._crash = SimulatedCrash(crash.commit, crash.when)
            self._notes.abandon()
            raise
        return self._last_commit

    def has_commit(self, number: int) -> bool:
        """Whether commit `number` is on the disk. Raises `Fenced`."""
        self._check()
        meta = self._disk.meta
        if meta.epoch != self._epoch:
            raise Fenced(self._epoch, meta.epoch)
        return number <= meta.commit

    def has_room(self) -> bool:
        """Always: a `MemoryDisk` is never full."""
        return True

    def release_ballast(self) -> bool:
        """There is none."""
        return False

    def restore_ballast(self) -> bool:
        """There is always room."""
        return True

    def close(self) -> None:
        """Refuse everything from now on. May be called again."""
        self._closed = True
        if self._crash is None and self._disk.meta.epoch == self._epoch:
            self._notes.close()
        self._notes.abandon()

    def _check(self) -> None:
        if self._crash is not None:
            raise SimulatedCrash(self._crash.commit, self._crash.when)
        if self._closed:
            raise HubClosed(self.path)
