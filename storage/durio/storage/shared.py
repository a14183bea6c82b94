"""One LMDB environment of a folder in this process, however many use it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ClassVar, Self

import lmdb

from durio.storage.errors import HubBroken, HubClosed, UsedAfterFork

Opener = Callable[[str], lmdb.Environment]


class SharedEnvironment:
    """The environment of one folder; everybody in this process who uses it holds a lease.

    - A process never has an environment twice, and so never closes `lock.mdb` while it has one open: that would drop
      LMDB's own locks.
    - The owner gets an environment of its own making: what a reader had opened before is closed, and readers go on
      with the owner's.
    - After a fork the child begins with none. What it inherited is never closed there.
    """

    _all: ClassVar[dict[tuple[int, int, int], SharedEnvironment]] = {}
    _guard: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self, env: lmdb.Environment, folder: str, key: tuple[int, int, int]) -> None:
        """Use `Lease.take`."""
        self.env: lmdb.Environment | None = env
        self.folder = folder
        self.key = key
        self.reading = threading.Lock()
        self.leases = 0


class Lease:
    """The right to use the environment of a folder until `close`."""

    def __init__(self, shared: SharedEnvironment) -> None:
        """Use `take`."""
        self._shared: SharedEnvironment = shared
        self._pid = os.getpid()
        self._closed = False

    @classmethod
    def take(cls, folder: str, opener: Opener, *, anew: bool = False) -> Self:
        """A lease on the environment of `folder`, opened by `opener` if none is, or if it is to be opened `anew`."""
        stat = os.stat(folder)  # not its name: a hub may be moved while it is open, and another take its place
        key = (os.getpid(), stat.st_dev, stat.st_ino)
        with SharedEnvironment._guard:
            shared = SharedEnvironment._all.get(key)
            if shared is None:
                shared = SharedEnvironment._all[key] = SharedEnvironment(opener(folder), folder, key)
            elif anew or shared.env is None:
                with shared.reading:
                    env, shared.env = shared.env, None
                    if env is not None:
                        env.close()
                    shared.env = opener(folder)
            shared.leases += 1
            return cls(shared)

    @property
    def env(self) -> lmdb.Environment:
        """The environment as it is now. Nobody else replaces it while the lease of who opened it anew is held."""
        pid = os.getpid()
        if pid != self._pid:
            raise UsedAfterFork(pid, self._pid)
        if self._closed:
            raise HubClosed(self._shared.folder)
        env = self._shared.env
        if env is None:
            raise HubBroken(f"LMDB could not be opened again in {self._shared.folder!r}")
        return env

    @contextmanager
    def reading(self) -> Iterator[lmdb.Environment]:
        """The environment; it is not replaced within the block. Raises `HubClosed`, `UsedAfterFork`."""
        with self._shared.reading:
            yield self.env

    def close(self) -> None:
        """Give the lease back; the last one closes the environment. May be called again."""
        if self._closed or os.getpid() != self._pid:
            return
        self._closed = True
        shared = self._shared
        with SharedEnvironment._guard:
            shared.leases -= 1
            if shared.leases:
                return
            del SharedEnvironment._all[shared.key]
            with shared.reading:
                env, shared.env = shared.env, None
                if env is not None:
                    env.close()
