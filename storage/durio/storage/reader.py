"""A hub's data for a process that does not own it: reads only, and never its last word on what is running."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Self, TypeVar

import lmdb

from durio.storage.environment import can_be_locked, open_readonly, open_unlocked
from durio.storage.errors import HubBroken, NotAHub
from durio.storage.folder import HubFolder
from durio.storage.lock import ReaderLock
from durio.storage.mounts import read_mount_table
from durio.storage.opening import refuse_damaged_to_readers
from durio.storage.reading import merge_rows, read_row, read_rows
from durio.storage.shared import Lease

T = TypeVar("T")


class HubReader:
    """The reads of a `Store` in a hub folder, for everybody who is not its owner.

    - Reads show the last commit, one snapshot a call; no read transaction outlives its call.
    - Nothing of the hub is changed. If the owner is in this process, its environment is used.
    - A hub that may not be written to is read while nobody owns it; until `close` nobody can.
    """

    def __init__(self, lease: Lease, folder: HubFolder, lock: ReaderLock | None = None) -> None:
        """Use `open`."""
        self._lease = lease
        self._folder = folder
        self._lock = lock

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Self:
        """Read the hub at `path`.

        Raises `NotAHub` if none is there, `FormatMismatch`, `NetworkFileSystem`; `HubReadOnly` if it may not be written
        to and is owned; `HubDamaged` for one that nobody owns, and that was cut or scribbled on since it was closed.
        """
        folder = HubFolder.at(path)
        folder.check(read_mount_table())
        if folder.exists:
            refuse_damaged_to_readers(folder)
        if not folder.exists or not os.path.exists(folder.data):
            raise NotAHub(folder.path, "no owner has opened it yet: open it once with open_hub")
        if can_be_locked(folder.partition):
            return cls(Lease.take(folder.partition, open_readonly), folder)
        lock = ReaderLock.take(folder.owner_lock, folder.path)
        try:
            return cls(Lease.take(folder.partition, open_unlocked), folder, lock)
        except BaseException:
            lock.release()
            raise

    @property
    def path(self) -> str:
        """The hub folder, absolute and resolved."""
        return self._folder.path

    def get(self, key: bytes) -> bytes | None:
        """The value of `key`, or None. Raises `CorruptRecord`."""
        return self._read(lambda env: read_row(env, key))

    def scan(self, start: bytes, stop: bytes | None = None, *, limit: int | None = None) -> list[tuple[bytes, bytes]]:
        """Keys in [start, stop) with their values, in key order, at most `limit`. Raises `CorruptRecord`."""
        return self._read(lambda env: read_rows(env, start, stop, limit=limit))

    def merge(
        self, prefixes: Sequence[bytes], start: bytes, stop: bytes | None, *, limit: int
    ) -> list[tuple[bytes, bytes]]:
        """Pairs under any of `prefixes` by the rest of their keys, in one snapshot. Raises `CorruptRecord`."""
        return self._read(lambda env: merge_rows(env, prefixes, start, stop, limit=limit))

    def close(self) -> None:
        """Let go of the hub. May be called again."""
        self._lease.close()
        if self._lock is not None:
            self._lock.release()

    def _read(self, read: Callable[[lmdb.Environment], T]) -> T:
        with self._lease.reading() as env:
            try:
                try:
                    return read(env)
                except lmdb.MapResizedError:  # the owner has more address space
                    env.set_mapsize(0)
                except lmdb.ReadersFullError:  # places of readers that were killed
                    env.reader_check()
                return read(env)
            except lmdb.Error as error:
                raise HubBroken(f"LMDB: {error}") from error
