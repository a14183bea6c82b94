"""Room on the disk: how much there is, and a file that keeps some of it back for the day when there is none."""

import contextlib
import os

import attrs

from durio.storage.limits import ROOM_BYTES_MIN


def free_bytes(folder: str) -> int | None:
    """How much this process may still write to the file system of `folder`; None if the system does not say.

    A quota is not in it: only trying shows that one is used up.
    """
    try:
        stat = os.statvfs(folder)
    except OSError:
        return None
    return stat.f_bavail * stat.f_frsize


@attrs.define
class Ballast:
    """A file of allocated blocks beside a hub's data, given back to the file system when a commit finds no room.

    What still has to be written then (ends, terminations, purges) has its bytes for a while. The file holds no data:
    whoever needs the room may remove it at any time. Nothing here raises: a hub goes on without a ballast.
    """

    path: str
    size_bytes: int
    held: bool = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.held = self._is_whole()

    @property
    def has_room(self) -> bool:
        """Whether the file system can hold what the ballast lacks, and something beside it."""
        free = free_bytes(os.path.dirname(self.path))
        return free is None or free >= (0 if self.held else self.size_bytes) + ROOM_BYTES_MIN

    def make(self) -> bool:
        """Allocate the file if it is not there and there is room for it; whether it is there now."""
        if not self.held and self.has_room:
            self.held = self._allocate()
        return self.held

    def release(self) -> bool:
        """Give the bytes back; whether there were any."""
        held, self.held = self.held, False
        with contextlib.suppress(OSError):
            os.truncate(self.path, 0)  # first, in case that the folder takes no change
        with contextlib.suppress(OSError):
            os.unlink(self.path)
        return held

    def _is_whole(self) -> bool:
        try:
            stat = os.stat(self.path)
        except OSError:
            return False
        return stat.st_size >= self.size_bytes and stat.st_blocks * 512 >= self.size_bytes

    def _allocate(self) -> bool:
        try:
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        except OSError:
            return False
        try:
            os.posix_fallocate(fd, 0, self.size_bytes)
        except OSError:
            self.release()
            return False
        finally:
            os.close(fd)
        return True
