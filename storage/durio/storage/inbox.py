"""The inbox: what processes that do not own a hub want of its owner. An LMDB environment of its own.

Its own, so that a client that is stopped while it writes holds up other clients at most, never the owner: the owner
only reads here.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Final, Self

import lmdb

from durio.storage.codec import seal, unseal
from durio.storage.environment import is_no_space, open_environment
from durio.storage.errors import CorruptRecord, HubBroken, InboxHeld, NoSpace
from durio.storage.folder import HubFolder
from durio.storage.inbox_rows import END, ROW, STATE, number_of, row, state, state_of
from durio.storage.limits import INBOX_BYTES_MAX, INBOX_ROWS_MAX
from durio.storage.lock import read_pid, write_pid
from durio.storage.shared import Lease
from durio.storage.verify import refuse_damaged_inbox

_TRY_AGAIN_S: Final = (0.0002, 0.0005, 0.001, 0.002, 0.005)


class Inbox:
    """Numbered rows in `<hub>/inbox/`.

    - A row is durable when `append` returns; it has a number above all earlier ones, and above all that were taken.
    - The rows of one call are all there or not at all.
    - Rows that are damaged are seen as such; they hide no others.
    - At most so many rows and bytes wait: then `append` refuses until the owner has taken some.
    """

    def __init__(self, lease: Lease, folder: HubFolder) -> None:
        """Use `open`."""
        self._lease = lease
        self._folder = folder
        self._appending = threading.Lock()

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Self:
        """The inbox of the hub at `path`, made if it is missing.

        Raises `HubDamaged` for one that was cut or scribbled on, `NoSpace`, `HubBroken`, `OSError`.
        """
        folder = HubFolder.at(path)
        folder.complete_for_clients()
        refuse_damaged_inbox(folder)
        return cls(Lease.take(folder.inbox, open_environment), folder)

    def append(self, rows: Sequence[bytes], taken: int, timeout_s: float) -> int:
        """Make `rows` durable, and delete rows up to number `taken`; returns the number of the last one, or 0.

        0: there was no room, too many rows wait. Blocks. Raises `InboxHeld` when another process keeps the inbox for
        `timeout_s`, `NoSpace`, `HubBroken`.
        """
        deadline_s = time.monotonic() + timeout_s
        # The lock of readers is not held meanwhile: an owner in this process does not wait for a client's disk.
        with self._appending, self._turn(deadline_s):
            try:
                with self._lease.env.begin(write=True) as txn:
                    last, bytes_in, first = state_of(txn.get(STATE))
                    last, bytes_in, first = max(last, taken), self._trim(txn, taken, bytes_in), max(first, taken + 1)
                    waiting = last - first + 1
                    size = sum(map(len, rows))
                    if waiting and (waiting + len(rows) > INBOX_ROWS_MAX or bytes_in + size > INBOX_BYTES_MAX):
                        last, rows, size = last, (), 0
                    for payload in rows:
                        last += 1
                        key = row(last)
                        txn.put(key, seal(key, payload))
                    txn.put(STATE, state(last, bytes_in + size, first))
            except lmdb.Error as error:
                if is_no_space(error, self._folder.path):
                    raise NoSpace(self._folder.path) from error
                raise HubBroken(f"LMDB, the inbox: {error}") from error
        return last if rows else 0

    def after(self, taken: int, rows_max: int, bytes_max: int) -> list[tuple[int, bytes | CorruptRecord]]:
        """The rows behind number `taken`, in order: at most `rows_max`, and no more once they hold `bytes_max`.

        Raises `HubBroken`.
        """
        found: list[tuple[int, bytes | CorruptRecord]] = []
        size = 0
        with self._lease.reading() as env:
            try:
                with env.begin() as txn:
                    cursor = txn.cursor()
                    if not cursor.set_range(row(taken + 1)):
                        return found
                    for key, record in cursor.iternext():
                        if key >= END or len(found) >= rows_max or size >= bytes_max:
                            break
                        size += len(record)
                        found.append((number_of(key), _unsealed(key, record)))
            except (lmdb.Error, ValueError) as error:
                raise HubBroken(f"LMDB, the inbox: {error}") from error
        return found

    def clear_readers(self) -> None:
        """Free the places of readers that were killed: they would keep deleted rows on disk."""
        with self._lease.reading() as env, contextlib.suppress(lmdb.Error):
            env.reader_check()

    def close(self) -> None:
        """Let go of it. May be called again."""
        with self._appending:
            self._lease.close()

    @contextlib.contextmanager
    def _turn(self, deadline_s: float) -> Iterator[None]:
        """One process at a time. A lock that can be waited for with a limit, and that says who has it: LMDB's own
        cannot, and a writer may be stopped.
        """
        fd = os.open(self._folder.inbox_lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            tries = 0
            while True:
                try:
                    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() >= deadline_s:
                        raise InboxHeld(self._folder.path, read_pid(fd)) from None
                time.sleep(_TRY_AGAIN_S[min(tries, len(_TRY_AGAIN_S) - 1)])
                tries += 1
            write_pid(fd, str(os.getpid()))
            yield
        finally:
            os.close(fd)

    def _trim(self, txn: lmdb.Transaction, taken: int, bytes_in: int) -> int:
        cursor = txn.cursor()
        stop = row(taken + 1)
        more = cursor.set_range(ROW)
        while more and bytes(cursor.key()) < stop:
            bytes_in -= max(0, len(cursor.value()) - _SEAL_BYTES)
            more = cursor.delete()
        return max(bytes_in, 0)


_SEAL_BYTES: Final = len(seal(b"", b""))


def _unsealed(key: bytes, record: bytes) -> bytes | CorruptRecord:
    try:
        return unseal(key, record)
    except CorruptRecord as error:
        return error
