"""Opening an LMDB environment so that no limit of it can kill the process, and reading its errors."""

import errno
import os
from typing import Final

import lmdb

from durio.storage.ballast import free_bytes
from durio.storage.errors import HubBroken, NoSpace
from durio.storage.limits import (
    LOCK_FILE_BYTES,
    MAP_SIZE_BYTES,
    MAP_SIZE_BYTES_MIN,
    READERS_MAX,
    ROOM_BYTES_MIN,
)

NO_SPACE_CODES: Final = frozenset((errno.ENOSPC, errno.EDQUOT))


def open_environment(partition: str) -> lmdb.Environment:
    """The LMDB environment in the folder `partition`, made if missing, with synced commits and a fixed, large
    map.

    Only for the owner, and only while no environment of this folder is open in this process: closing lock.mdb
    would drop LMDB's own locks. Raises `NoSpace`, `HubBroken` and `OSError`.
    """
    _preallocate(os.path.join(partition, "lock.mdb"))
    map_size = MAP_SIZE_BYTES
    while True:
        try:
            env = lmdb.open(
                partition,
                map_size=map_size,
                max_readers=READERS_MAX,
                max_spare_txns=2,
                sync=True,
                metasync=True,
                writemap=False,
                mode=0o644,
                lib_version=0,  # the format of LMDB 0.9, whatever the default of this machine is
            )
        except lmdb.MemoryError as error:
            map_size //= 2
            if map_size < MAP_SIZE_BYTES_MIN:
                raise HubBroken(f"not enough address space for {partition!r}: {error}") from error
        except lmdb.Error as error:
            if is_no_space(error, partition):
                raise NoSpace(partition) from error
            raise HubBroken(f"LMDB cannot open {partition!r}: {error}") from error
        else:
            env.reader_check()
            return env


def open_readonly(partition: str) -> lmdb.Environment:
    """The same for reading only, in a process that does not own the hub. Raises `HubBroken`."""
    return _open_readonly(partition, lock=True)


def open_unlocked(partition: str) -> lmdb.Environment:
    """The same without telling anybody that it is read: only while nobody can write to it. Raises `HubBroken`."""
    return _open_readonly(partition, lock=False)


def can_be_locked(partition: str) -> bool:
    """Whether this process may tell LMDB that it reads. Where the file system is read-only, LMDB would not say so."""
    lock_file = os.path.join(partition, "lock.mdb")
    return os.access(lock_file if os.path.exists(lock_file) else partition, os.W_OK)


def _open_readonly(partition: str, *, lock: bool) -> lmdb.Environment:
    map_size = MAP_SIZE_BYTES
    while True:
        try:
            return lmdb.open(
                partition, map_size=map_size, max_readers=READERS_MAX, max_spare_txns=2, readonly=True, lock=lock
            )
        except lmdb.MemoryError as error:
            map_size //= 2
            if map_size < MAP_SIZE_BYTES_MIN:
                raise HubBroken(f"not enough address space for {partition!r}: {error}") from error
        except lmdb.Error as error:
            raise HubBroken(f"LMDB cannot open {partition!r}: {error}") from error


def is_no_space(error: lmdb.Error, folder: str) -> bool:
    """Whether a failed write means that the disk or the map is full; nothing of its transaction was stored
    then.
    """
    if isinstance(error, lmdb.MapFullError):
        return True
    # py-lmdb sets no code on an error that did not come from LMDB.
    code: int = getattr(error, "code", 0)
    return code in NO_SPACE_CODES or (code == errno.EIO and not _has_room(folder))


def _has_room(folder: str) -> bool:
    free = free_bytes(folder)
    return free is None or free >= ROOM_BYTES_MIN


def _preallocate(lock_file: str) -> None:
    fd = os.open(lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        os.posix_fallocate(fd, 0, LOCK_FILE_BYTES)
    finally:
        os.close(fd)
