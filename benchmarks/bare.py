"""The bare ceiling: what one Trio loop, one committer thread and LMDB can do with nothing on top.

One synced LMDB transaction per batch, records in msgpack. No ordering, no errors, no types, no recovery, no durio.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import lmdb
import msgspec
import trio

_MAP_BYTES: Final = 1 << 34
_SWITCH_INTERVAL_S: Final = 1e-4  # as an open hub has it, or the loop would keep the GIL from the committer


class Bare:
    """Rows that become durable in batches: while one batch is on its way to the disk, the next one fills."""

    def __init__(self, env: lmdb.Environment) -> None:
        self._env = env
        self._rows: dict[bytes, bytes] = {}
        self._durable, self._flying = trio.Event(), trio.Event()
        self._flying.set()
        self._bell = trio.Event()
        self.commits = 0

    def put(self, key: str, record: object) -> None:
        """Write a row with the batch that fills."""
        self._rows[key.encode()] = msgspec.msgpack.encode(record)

    async def durable(self) -> None:
        """Wait until everything put so far is on disk."""
        if self._rows:
            self._bell.set()
            await self._durable.wait()
        else:
            await self._flying.wait()

    def rows(self) -> list[tuple[bytes, object]]:
        """All that is on disk."""
        with self._env.begin() as txn:
            return [(key, msgspec.msgpack.decode(record)) for key, record in txn.cursor().iternext()]

    async def run(self) -> None:
        """Commit batch after batch, for ever."""
        while True:
            if not self._rows:
                await self._bell.wait()
                self._bell = trio.Event()
                continue
            rows, self._rows = self._rows, {}
            durable = self._flying = self._durable
            self._durable = trio.Event()
            self.commits += 1
            await trio.to_thread.run_sync(self._commit, rows)
            durable.set()

    def _commit(self, rows: dict[bytes, bytes]) -> None:
        with self._env.begin(write=True) as txn:
            txn.cursor().putmulti(sorted(rows.items()))


@asynccontextmanager
async def open_bare(folder: Path) -> AsyncIterator[Bare]:
    """A committer on a new or old environment in `folder`, running while the block runs."""
    folder.mkdir(exist_ok=True)
    interval_s = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    try:
        with lmdb.open(str(folder), map_size=_MAP_BYTES) as env:
            bare = Bare(env)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(bare.run)
                yield bare
                nursery.cancel_scope.cancel()
    finally:
        sys.setswitchinterval(interval_s)
