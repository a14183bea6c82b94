"""The store on LMDB: one environment, one owner, every commit on disk before it returns."""

import contextlib
import errno
import os
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Self

import lmdb

from durio.storage.ballast import Ballast
from durio.storage.closing import ClosingMark
from durio.storage.environment import NO_SPACE_CODES, is_no_space, open_environment
from durio.storage.errors import (
    Ambiguous,
    CorruptRecord,
    Fenced,
    HubBroken,
    HubClosed,
    NoSpace,
    StorageError,
    UsedAfterFork,
)
from durio.storage.folder import HubFolder
from durio.storage.keys import META_KEY
from durio.storage.limits import BALLAST_BYTES, ROOM_BYTES_MIN
from durio.storage.lock import OwnerLock
from durio.storage.meta import Meta
from durio.storage.mounts import read_mount_table
from durio.storage.notes import Notes
from durio.storage.opening import notes_in, refuse_damaged, start_epoch
from durio.storage.reading import merge_rows, read_row, read_rows
from durio.storage.shared import Lease
from durio.storage.writes import WriteSet


class LmdbStore:
    """A `Store` in a hub folder.

    - One owner: `open` takes an OS lock, then commits a new epoch; every commit checks the epoch in its own
      transaction.
    - A commit is synced when it returns. After an error the disk is asked whether the commit is there.
    - After a write error that is not "no space" the handle is broken and refuses everything. So it is when the data
      file is no longer in its folder (removed, moved, replaced): nobody would find what is written to it.
    - Some room is kept back in a ballast file, which `NoSpace` gives away and `restore_ballast` makes again.
    - A forked child gets `UsedAfterFork` and touches nothing.
    - No read transaction outlives the call that opened it.
    """

    def __init__(
        self, lease: Lease, lock: OwnerLock, folder: HubFolder, meta: Meta, ballast: Ballast, notes: Notes
    ) -> None:
        """Use `open`. `meta` is what this owner committed as its epoch."""
        self._lease = lease
        self._env = lease.env
        self._lock = lock
        self._folder = folder
        self._path = folder.path
        self._identity = folder.data_identity()
        self._ballast = ballast
        self._notes = notes
        self._meta = meta
        self._meta_record = meta.record()
        self._pid = os.getpid()
        self._committing = threading.Lock()
        self._broken: str | None = None
        self._closed = False

    @classmethod
    def open(cls, path: str | os.PathLike[str], *, ballast_bytes: int = BALLAST_BYTES) -> Self:
        """Own the hub at `path`, which is made if it is missing or an empty folder, and start a new epoch.

        `ballast_bytes`: how much room is kept back for a full disk, if there is that much.

        Data that give cause for doubt (the last owner broke, the file is too short, was changed since it was closed)
        are checked first, in a process of their own.

        Raises `NotAHub`, `FormatMismatch`, `NetworkFileSystem`, `HubDamaged` (nothing was changed), `HubInUse`,
        `NoSpace`, `HubBroken`, `CorruptRecord`, and `OSError` when the folder may not be read or written.
        """
        folder = HubFolder.at(path)
        folder.check(read_mount_table())
        try:
            with ExitStack() as undo:
                folder.make()
                lock = OwnerLock.take(folder.owner_lock, folder.path)
                undo.callback(lock.release)
                # Again: another owner may have made the hub between the check and the lock.
                folder.check()
                folder.complete()
                refuse_damaged(folder)
                lease = Lease.take(folder.partition, open_environment, anew=True)
                undo.callback(lease.close)
                env = lease.env
                ballast = Ballast(folder.ballast, ballast_bytes)
                try:
                    meta = start_epoch(env, folder)
                except NoSpace:
                    if not ballast.release():
                        raise
                    meta = start_epoch(env, folder)
                notes = notes_in(folder.running)
                ballast.make()
                undo.pop_all()
                return cls(lease, lock, folder, meta, ballast, notes)
        except OSError as error:
            if error.errno in NO_SPACE_CODES:
                raise NoSpace(folder.path) from error
            if error.errno == errno.EIO:
                raise HubBroken(f"opening it: {error}") from error
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "closed" if self._closed else "broken" if self._broken else "open"
        return f"<LmdbStore {self._path!r} {state} epoch={self.epoch} last_commit={self.last_commit}>"

    @property
    def epoch(self) -> int:
        """This owner's number; the first owner of a hub has 1."""
        return self._meta.epoch

    @property
    def last_commit(self) -> int:
        """Number of the last commit this handle knows to be durable; 0 in a new hub."""
        return self._meta.commit

    @property
    def notes(self) -> Notes:
        """What user code is running, in the file `running` of the folder."""
        return self._notes

    @property
    def path(self) -> str:
        """The hub folder, absolute and resolved."""
        return self._path

    def get(self, key: bytes) -> bytes | None:
        """The value of `key`, or None. Raises `CorruptRecord`."""
        self._check()
        try:
            return read_row(self._env, key)
        except lmdb.Error as error:
            raise self._break(error) from error

    def scan(self, start: bytes, stop: bytes | None = None, *, limit: int | None = None) -> list[tuple[bytes, bytes]]:
        """Keys in [start, stop) with their values, in key order, at most `limit`. Raises `CorruptRecord`."""
        self._check()
        try:
            return read_rows(self._env, start, stop, limit=limit)
        except lmdb.Error as error:
            raise self._break(error) from error

    def merge(
        self, prefixes: Sequence[bytes], start: bytes, stop: bytes | None, *, limit: int
    ) -> list[tuple[bytes, bytes]]:
        """Pairs under any of `prefixes` by the rest of their keys, in one snapshot. Raises `CorruptRecord`."""
        self._check()
        try:
            return merge_rows(self._env, prefixes, start, stop, limit=limit)
        except lmdb.Error as error:
            raise self._break(error) from error

    def commit(self, writes: WriteSet) -> int:
        """Make `writes` durable and return their commit number.

        Raises `ReservedKey`, `KeyTooLong`, `Fenced`, `NoSpace` and `HubBroken` (nothing was written), and
        `Ambiguous`.
        """
        self._check()
        puts, deletes = writes.sealed()
        with self._committing:
            self._check()
            if self._folder.data_identity() != self._identity:
                raise self._vanished()
            meta = Meta(self._meta.epoch, self._meta.commit + 1)
            record = meta.record()
            try:
                with self._env.begin(write=True) as txn:
                    found = txn.get(META_KEY)
                    if found != self._meta_record:
                        raise self._lost(found)
                    if puts:
                        txn.cursor().putmulti(puts)
                    for key in deletes:
                        txn.delete(key)
                    txn.put(META_KEY, record)
            except lmdb.Error as error:
                raise self._failed(error, meta) from error
            if self._folder.data_identity() != self._identity:
                self._vanished()
                raise Ambiguous(meta.commit)
            self._meta, self._meta_record = meta, record
        return meta.commit

    def has_commit(self, number: int) -> bool:
        """Whether commit `number` is on disk: read there, not remembered. Raises `Fenced`,
        `CorruptRecord`.
        """
        self._check()
        try:
            meta = self._read_meta()
        except lmdb.Error as error:
            raise self._break(error) from error
        if meta.epoch != self._meta.epoch:
            raise Fenced(self._meta.epoch, meta.epoch)
        return number <= meta.commit

    def has_room(self) -> bool:
        """Whether there is room for more, and for the ballast if it was given away: on the file system, where quotas
        do not show, or in pages of the file that purged data has left.
        """
        self._check()
        return self._ballast.has_room or self._free_inside_bytes() >= BALLAST_BYTES + ROOM_BYTES_MIN

    def _free_inside_bytes(self) -> int:
        try:
            pages, stat = self._env.info()["last_pgno"] + 1, self._env.stat()
        except lmdb.Error:
            return 0
        used = stat["branch_pages"] + stat["leaf_pages"] + stat["overflow_pages"]
        return int((pages - used) * stat["psize"])

    def release_ballast(self) -> bool:
        """Give back the room that was kept for a full disk; whether there was any. `NoSpace` has done it already."""
        self._check()
        return self._ballast.release()

    def restore_ballast(self) -> bool:
        """Keep that room back again if there is enough of it; whether it is kept now: the sign to take new work."""
        self._check()
        return self._ballast.make()

    def clear_readers(self) -> None:
        """Free the places of readers that were killed: they would keep old pages on disk. May be called in a thread."""
        with contextlib.suppress(lmdb.Error):
            self._env.reader_check()

    def close(self) -> None:
        """Close the environment, then let go of the lock. Waits for a commit in flight. May be called
        again.
        """
        self._check_process()
        with self._committing:
            if self._closed:
                return
            self._closed = True
            self._notes.close()
            try:
                self._lease.close()
                self._mark_closing()
            finally:
                self._lock.release()

    def _mark_closing(self) -> None:
        if self._folder.data_identity() != self._identity:
            return  # whatever is there now is not ours
        mark = ClosingMark(self._folder.closed)
        if self._broken is None:
            mark.clean(self._folder.data)
        else:
            mark.broken(self._broken)

    def _check_process(self) -> None:
        pid = os.getpid()
        if pid != self._pid:
            raise UsedAfterFork(pid, self._pid)

    def _check(self) -> None:
        self._check_process()
        if self._closed:
            raise HubClosed(self._path)
        if self._broken is not None:
            raise HubBroken(self._broken)

    def _break(self, error: lmdb.Error) -> HubBroken:
        self._broken = f"LMDB: {error}"
        return HubBroken(self._broken)

    def _vanished(self) -> HubBroken:
        self._broken = f"{self._folder.data!r} was removed, moved or replaced while the hub was open"
        return HubBroken(self._broken)

    def _lost(self, record: bytes | None) -> Fenced | HubBroken:
        """Why the record on disk is not the one this owner wrote last."""
        found = Meta.from_record(record)
        if found.epoch != self._meta.epoch:
            return Fenced(self._meta.epoch, found.epoch)
        self._broken = f"the disk has commit {found.commit}, this owner made {self._meta.commit}"
        return HubBroken(self._broken)

    def _failed(self, error: lmdb.Error, meta: Meta) -> StorageError:
        """What is known after a failed commit: `NoSpace` and `HubBroken` if it is not on disk, else `Ambiguous`.

        A commit that can be read may still be in memory only: a later sync says nothing of pages that an earlier
        one failed to write.
        """
        no_space = is_no_space(error, self._path)
        try:
            fate = "it can be read" if self._read_meta() == meta else ""
        except (lmdb.Error, CorruptRecord) as second:
            fate = str(second)
        if fate:
            self._broken = f"LMDB: {error}; then, asked for commit {meta.commit}: {fate}"
            return Ambiguous(meta.commit)
        if no_space:
            self._ballast.release()
            return NoSpace(self._path)
        return self._break(error)

    def _read_meta(self) -> Meta:
        with self._env.begin() as txn:
            return Meta.from_record(txn.get(META_KEY))
