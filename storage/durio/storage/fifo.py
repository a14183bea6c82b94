"""A FIFO as a bell: whoever rings wakes the one who listens. It is a hint only; behind it stands a poll."""

from __future__ import annotations

import contextlib
import os
from typing import Self


class Bell:
    """The listening end of a FIFO.

    Guarantees: to ring never blocks and never fails; a bell rung before `drain` is heard; a name in the folder always
    has a listener, unless that one died.
    """

    def __init__(self, path: str, fd: int) -> None:
        """Use `hang`."""
        self.path = path
        self.fd = fd

    @classmethod
    def hang(cls, path: str) -> Self:
        """Listen at `path`; what is there is replaced. Raises `OSError`."""
        folder, name = os.path.split(path)
        temporary = os.path.join(folder, f".{name}.{os.getpid()}")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        os.mkfifo(temporary, 0o622)
        try:
            # Open for both: a FIFO without a writer would be readable all the time.
            fd = os.open(temporary, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
            os.rename(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
        return cls(path, fd)

    def drain(self) -> None:
        """Forget that it rang. Look for what it rang about after this, never before."""
        with contextlib.suppress(OSError):
            while len(os.read(self.fd, 4096)) == 4096:
                pass

    def take_down(self) -> None:
        """Listen no more. May be called again."""
        fd, self.fd = self.fd, -1
        if fd >= 0:
            with contextlib.suppress(OSError):
                os.unlink(self.path)
            os.close(fd)


def ring(path: str) -> bool:
    """Ring the bell at `path`; whether somebody listens there."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        os.write(fd, b".")
    except OSError:  # it is full: the listener is about to wake
        pass
    finally:
        os.close(fd)
    return True


def is_heard(path: str) -> bool:
    """Whether somebody listens at `path`."""
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC))
    except OSError:
        return False
    return True
