"""What the hub wants on disk and is not there yet: the batch that fills, the batches in flight, and reads over both."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any, Final, TypeVar

import msgspec

from durio.entities.blobs import Content, Vault
from durio.entities.keys import INDEX
from durio.entities.messages import Answer, Job, Message, encode_record
from durio.storage import Bulk, Reads, WriteSet

R = TypeVar("R")

Record = msgspec.Struct
Change = Record | None


class Indexed(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A row of an index: its key says all."""


_THERE: Final = Indexed()


class StartJob(msgspec.Struct, frozen=True, gc=False):
    """Output: the job is durable and may start."""

    key: bytes
    job: Job


class CancelJob(msgspec.Struct, frozen=True, gc=False):
    """Output: the job is no longer wanted."""

    key: bytes


class Reply(msgspec.Struct, frozen=True, gc=False):
    """Output: the answer for the client that waits under `token`."""

    token: str
    answer: Answer


class Offer(msgspec.Struct, frozen=True, gc=False):
    """Output: an actor's messages and state are durable and its turn may be decided outside of the kernel."""

    address: str
    number: int


class Ended(msgspec.Struct, frozen=True, gc=False):
    """Output: a life of an actor came to its end; `last` is what it was then, for those who wait for it."""

    address: str
    life: str
    last: msgspec.Struct


Output = StartJob | CancelJob | Reply | Offer | Ended


class Batch:
    """The write sets of many turns that will be one commit, and the outputs that wait for it (G2, G5).

    Records are kept as they are (nobody changes a record) and encoded once, when the batch is sealed: what is
    written and deleted within one batch is never encoded at all.
    """

    __slots__ = ("_vault", "blobs", "changes", "dropped", "fresh", "number", "outcomes", "outputs", "results", "tokens")

    def __init__(self, number: int, vault: Vault | None = None) -> None:
        self.number = number
        self._vault = vault
        self.blobs: list[Content] = []
        """Large payloads that become durable with it."""
        self.changes: dict[bytes, dict[bytes, Change]] = {}
        self.fresh: set[bytes] = set()
        self.outputs: list[Output] = []
        self.dropped: set[bytes] = set()
        """Jobs of this batch that were taken back: their outputs do not leave."""
        self.tokens: list[str] = []
        """Under which clients wait whose messages came with this batch: should it be void, they are refused (G32)."""
        self.results: list[tuple[bytes, str, Message]] = []
        """Results of jobs that came with this batch: should it be void, they are offered again (G32)."""
        self.outcomes: list[tuple[str, bytes, Any]] = []
        """The same of `async def` operations: the entity, the key of the message, what came of it."""

    def __bool__(self) -> bool:
        return bool(self.changes or self.outputs) or (self._vault is not None and self._vault.unfinished)

    def insert(self, group: bytes, key: bytes, record: Record) -> None:
        """Write a key that was never written before: if it is deleted in this batch, it never was."""
        self.put(group, key, record)
        self.fresh.add(key)

    def keep(self, data: bytes) -> None:
        """An encoded message inside a record refers to large payloads: they stay in memory until they are durable."""
        if self._vault is not None and 255 in data:
            self.blobs.extend(self._vault.contents_of(data))

    def put(self, group: bytes, key: bytes, record: Change) -> None:
        """Write a key, or delete it with None."""
        rows = self.changes.get(group)
        if rows is None:
            rows = self.changes[group] = {}
        rows[key] = record

    def index(self, key: bytes, present: bool) -> None:
        """Write, or delete, a row of an index. It says all by being there."""
        if not present:
            self.delete(INDEX, key)
        elif key in self.changes.get(INDEX, ()):  # deleted before in this batch: it may be on disk
            self.put(INDEX, key, _THERE)
        else:
            self.insert(INDEX, key, _THERE)

    def write(self, group: bytes, rows: Iterable[tuple[bytes, Change, bool]]) -> None:
        """Write keys, delete those with None; fresh ones were never written before."""
        for key, record, fresh in rows:
            if record is None:
                self.delete(group, key)
            elif fresh:
                self.insert(group, key, record)
            else:
                self.put(group, key, record)

    def delete(self, group: bytes, key: bytes) -> None:
        """Delete a key. One that this batch inserted vanishes without a trace."""
        if key in self.fresh:
            self.fresh.discard(key)
            rows = self.changes[group]
            del rows[key]
            if not rows:
                del self.changes[group]
            return
        others = self.changes.get(group)
        if others is None:
            others = self.changes[group] = {}
        others[key] = None

    def seal(self) -> WriteSet:
        """The changes as bytes, in the order of the keys, and the large payloads that come with them. Once a batch."""
        flat: list[tuple[bytes, bytes | None]] = [
            (key, None if record is None else encode_record(record))
            for rows in self.changes.values()
            for key, record in rows.items()
        ]
        bulk: tuple[Bulk, ...] = ()
        if self._vault is not None:
            blobs, bulk = self._vault.seal(flat)
            self.blobs += blobs
        flat.sort()
        return WriteSet(
            tuple(flat),
            tuple((key, value) for key, value in bulk if isinstance(value, bytes)),
            tuple((key, value) for key, value in bulk if isinstance(value, str)),
        )


class View:
    """The truth about every actor: what is durable, and over it every change that is not durable yet (the overlay).

    A *group* is the prefix under which keys are scanned; a key is always written under the same group.
    Guarantees: a read sees every write set applied before it, whoever wrote it; records of the overlay are given as
    they are, those of the disk are decoded.
    """

    def __init__(self, store: Reads, vault: Vault | None = None) -> None:
        """Without a `vault` for reading alone."""
        self._store = store
        self._vault = vault
        self._next = 1
        self.filling = Batch(0, vault)
        self._in_flight: deque[Batch] = deque()

    @property
    def undurable(self) -> int:
        """The number of the oldest batch that is not durable yet."""
        return self._in_flight[0].number if self._in_flight else self.filling.number

    @property
    def in_flight(self) -> tuple[Batch, ...]:
        """The batches that are sealed and not durable yet, the oldest first."""
        return tuple(self._in_flight)

    def seal(self) -> Batch:
        """Close the batch that fills and open the next one."""
        batch = self.filling
        self._in_flight.append(batch)
        self.filling = Batch(self._next, self._vault)
        self._next += 1
        return batch

    def durable(self, batch: Batch) -> None:
        """`batch`, the oldest in flight, is on disk."""
        if self._in_flight.popleft() is not batch:
            raise RuntimeError("batches become durable in order")
        if batch.blobs and self._vault is not None:
            self._vault.landed(batch.blobs)

    def touches(self, group: bytes) -> bool:
        """Whether something of this group is not durable yet."""
        return any(group in batch.changes for batch in self._newest_first())

    def get(self, group: bytes, key: bytes, decoder: msgspec.msgpack.Decoder[R]) -> R | None:
        """One record, or None."""
        for batch in self._newest_first():
            rows = batch.changes.get(group)
            if rows is not None and key in rows:
                record: Any = rows[key]
                return record  # type: ignore[no-any-return]  # what the decoder would make of it
        data = self._store.get(key)
        return None if data is None else decoder.decode(data)

    def scan(
        self, group: bytes, start: bytes, stop: bytes, limit: int | None = None
    ) -> list[tuple[bytes, bytes | Record]]:
        """The rows of `group` with keys in [start, stop), in order: records of the overlay, bytes of the disk."""
        over = self._overlay(group, start, stop)
        if not over:
            return list(self._store.scan(start, stop, limit=limit))
        ask = None if limit is None else limit + len(over)
        merged: dict[bytes, bytes | Change] = dict(self._store.scan(start, stop, limit=ask))
        horizon = None
        if ask is not None and len(merged) == ask:
            horizon = max(merged)  # what the disk holds behind this key was not read
        merged.update(over)
        rows = [
            (key, row)
            for key, row in sorted(merged.items(), key=lambda item: item[0])
            if row is not None and (horizon is None or key <= horizon)
        ]
        return rows if limit is None else rows[:limit]

    def _overlay(self, group: bytes, start: bytes, stop: bytes) -> dict[bytes, Change]:
        over: dict[bytes, Change] = {}
        for batch in (*self._in_flight, self.filling):
            rows = batch.changes.get(group)
            if rows:
                over.update((key, row) for key, row in rows.items() if start <= key < stop)
        return over

    def _newest_first(self) -> Iterator[Batch]:
        yield self.filling
        yield from reversed(self._in_flight)
