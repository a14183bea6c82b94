"""The lock that makes one process the owner of a hub."""

import contextlib
import fcntl
import os
import weakref
from struct import Struct
from typing import Final, Self

from durio.storage.errors import HubInUse, HubReadOnly
from durio.storage.limits import PID_BYTES

_FLOCK: Final = Struct("hhqqi4x")
"""`struct flock` of 64-bit Linux: type, whence, start, length, pid."""


class OwnerLock:
    """An exclusive `flock` on one file, held until `release` or until this process ends, however it ends.

    - A second lock on the same file is refused, in this process too.
    - A forked child does not hold it: its copy of the file is closed at the fork, so the lock ends with the
      owner.
    - It is not taken from a process that is paused.
    """

    def __init__(self, fd: int) -> None:
        """Use `take`. `fd`: an open file on which this process holds the lock."""
        self._fd = fd
        # The hook stays for the life of the process, so it must not keep the lock alive.
        mine: weakref.ref[OwnerLock] = weakref.ref(self)
        os.register_at_fork(after_in_child=lambda: _close_in_child(mine))

    @classmethod
    def take(cls, lock_file: str, hub: str) -> Self:
        """Lock `lock_file` (created if missing) and write the own pid into it, without waiting.

        Raises `HubInUse` with the path `hub` and the pid found in the file, and `OSError`.
        """
        fd = os.open(lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = read_pid(fd)
            os.close(fd)
            raise HubInUse(hub, pid) from None
        except BaseException:
            os.close(fd)
            raise
        write_pid(fd, str(os.getpid()))
        # A second lock, which others can ask about without taking it; flock has no such question.
        with contextlib.suppress(OSError):
            fcntl.fcntl(fd, fcntl.F_OFD_SETLK, _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 1, 0))
        return cls(fd)

    @staticmethod
    def holder(lock_file: str) -> int | None:
        """The pid of the process that holds the lock; 0 if that is not known, None if nobody does.

        Takes no lock, so it never gets in the way of an owner that comes.
        """
        try:
            fd = os.open(lock_file, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            asked = fcntl.fcntl(fd, fcntl.F_OFD_GETLK, _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 1, 0))
            return None if _FLOCK.unpack(asked)[0] == fcntl.F_UNLCK else read_pid(fd) or 0
        finally:
            os.close(fd)

    def release(self) -> None:
        """Let go. May be called again."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            write_pid(fd, "")
            os.close(fd)

    def close_copy(self) -> None:
        """In a forked child: close its copy of the file; the parent keeps the lock."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


class ReaderLock:
    """Keeps owners away while a hub is read that may not be written to: there LMDB cannot keep its readers.

    A shared `flock` on the owner's file, for which reading it is enough. Any number of readers have it at a time.
    """

    def __init__(self, fd: int) -> None:
        """Use `take`. `fd`: an open file on which this process holds the lock."""
        self._fd = fd

    @classmethod
    def take(cls, lock_file: str, hub: str) -> Self:
        """Lock `lock_file`, without waiting. Raises `HubReadOnly` while there is an owner, or if there is no file."""
        try:
            fd = os.open(lock_file, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            why = f"without the file {os.path.basename(lock_file)!r} nothing keeps owners away while it is read"
            raise HubReadOnly(hub, why) from None
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = read_pid(fd)
            os.close(fd)
            who = "a process" if pid is None else f"process {pid}"
            raise HubReadOnly(hub, f"{who} owns it, which may change it while it is read") from None
        except BaseException:
            os.close(fd)
            raise
        return cls(fd)

    def release(self) -> None:
        """Let go. May be called again."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


def _close_in_child(ref: weakref.ref[OwnerLock]) -> None:
    lock = ref()
    if lock is not None:
        lock.close_copy()


def write_pid(fd: int, pid: str) -> None:
    """Write who has the lock into the file."""
    # The pid only helps the message of HubInUse: a full disk must not stop an owner that comes to make room.
    with contextlib.suppress(OSError):
        os.pwrite(fd, pid.ljust(PID_BYTES - 1).encode() + b"\n", 0)


def read_pid(fd: int) -> int | None:
    """Who wrote last that it has the lock."""
    try:
        return int(os.pread(fd, PID_BYTES, 0))
    except (OSError, ValueError):
        return None
