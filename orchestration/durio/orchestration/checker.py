"""What a check of a hub knows of durio's own records: `python -m durio.orchestration.checker`, started by `verify`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec

from durio.entities import EntityId, Letter, Lock, entity_messages
from durio.entities import keys as entity_keys
from durio.entities.blob_check import BlobChecks
from durio.entities.changes import Indexed
from durio.entities.entity import STATE, EntityRow
from durio.entities.locks import HALF, Half
from durio.entities.messages import Job, Request, Timer, Tombstone
from durio.entities.poison import Count
from durio.entities.posts import Taken, Watch
from durio.orchestration.history import Chunk
from durio.orchestration.index_check import IndexChecks
from durio.orchestration.messages import message_decoder
from durio.orchestration.records import (
    ALIVE,
    CHILD,
    FINAL,
    HEAD,
    HISTORY,
    LATE,
    ORIGIN,
    SECTION,
    Child,
    Head,
    OrchestrationRuntimeStatus,
    Origin,
    Outcome,
    Section,
    behind,
)
from durio.storage import from_text
from durio.storage.checker import Found, main, shown

_UNREADABLE: Final = (msgspec.MsgspecError, ValueError, RecursionError)
_ARRIVAL_BYTES: Final = (8, 12)
_TIMER_KEY_BYTES: Final = 17


class _Instance:
    """What was seen of one instance: its rows come one behind the other."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.head: Head | None = None
        self.origin: Origin | None = None
        self.rows: set[bytes] = set()
        self.chunks = 0


class HubChecks:
    """Every record decodes as what its key says; histories and large payloads are whole; instances, jobs, cuts, the
    index fit.

    Tables and rows that it does not know are left to their checksums.
    """

    def __init__(self) -> None:
        self._tables: dict[bytes, Callable[[bytes, bytes], Iterator[str]]] = {
            entity_keys.ACTOR: self._actor,
            entity_keys.MAIL: self._mail,
            entity_keys.TIMER: self._timer,
            entity_keys.JOB: self._job,
            entity_keys.LOCK: _plain(Lock),
            entity_keys.REQUEST: _plain(Request),
            entity_keys.REQUEST_TIME: _plain(Request),
            entity_keys.TOMBSTONE: self._tombstone,
            entity_keys.TAKEN: _plain(Taken),
            entity_keys.WATCH: _plain(Watch),
            entity_keys.POISON: _plain(Count),
            entity_keys.LETTER: _plain(Letter),
            entity_keys.INDEX: self._index_row,
        }
        self._rows: dict[bytes, Callable[[bytes], Any]] = {
            HEAD: msgspec.msgpack.Decoder(Head).decode,
            ORIGIN: msgspec.msgpack.Decoder(Origin).decode,
            FINAL: msgspec.msgpack.Decoder(Outcome).decode,
            SECTION: msgspec.msgpack.Decoder(Section).decode,
            CHILD: msgspec.msgpack.Decoder(Child).decode,
            HISTORY: msgspec.msgpack.Decoder(Chunk).decode,
            LATE: message_decoder().decode,
        }
        self._entity_rows: dict[bytes, Callable[[bytes], Any]] = {
            STATE: msgspec.msgpack.Decoder(EntityRow).decode,
            HALF: msgspec.msgpack.Decoder(Half).decode,
        }
        self._entity_message, self._instance_message = entity_messages(), message_decoder()
        self._jobs, self._timers = msgspec.msgpack.Decoder(Job), msgspec.msgpack.Decoder(Timer)
        self._tombstones, self._indexed = msgspec.msgpack.Decoder(Tombstone), msgspec.msgpack.Decoder(Indexed)
        self._blobs, self._index = BlobChecks(), IndexChecks()
        self._instance = _Instance("")
        self._instances: set[str] = set()
        self._job_owners: dict[str, bytes] = {}
        self._cut: list[Tombstone] = []
        self._left_over: list[bytes] = []
        self._late: list[Found] = []

    def record(self, key: bytes, payload: bytes) -> Iterator[str]:
        """What is wrong with one record."""
        self._blobs.record(key, payload)
        if key[:1] != entity_keys.ACTOR:
            self._finish_instance()
        check = self._tables.get(key[:1])
        if check is None:
            return
        try:
            yield from check(key, payload)
        except _UNREADABLE as error:
            yield f"it is not what its key says: {error}"

    def end(self) -> Iterator[Found]:
        """What does not fit together."""
        self._finish_instance()
        yield from self._late
        for damaged, words in self._blobs.end():
            yield shown(damaged), words
        yield from self._index.end()
        for address, key in self._job_owners.items():
            if address not in self._instances:
                yield shown(key), f"it is a job of {address!r}, and there is no such instance"
        for key in self._left_over:
            if not any(tombstone.start <= key < tombstone.stop for tombstone in self._cut):
                yield shown(key), "it belongs to no execution that goes on, and nothing says that it is to be deleted"

    def _actor(self, key: bytes, payload: bytes) -> Iterator[str]:
        address, start = from_text(key, 1)
        suffix = key[start:]
        if address.startswith("@"):
            EntityId.parse(address)
            decode = self._entity_rows.get(suffix[:1])
            if decode is not None:
                decode(payload)
            return
        if address != self._instance.address:
            self._finish_instance()
            self._instance = _Instance(address)
        decode = self._rows.get(suffix[:1])
        if decode is None:
            return
        row = decode(payload)
        self._instance.rows.add(suffix[:1])
        if suffix == HEAD:
            self._instance.head = row
            self._instances.add(address)
            if row.status not in OrchestrationRuntimeStatus.__members__:
                yield f"there is no status {row.status!r}"
        elif suffix == ORIGIN:
            self._instance.origin = row
        elif suffix[:1] == HISTORY:
            yield from self._history(key, suffix)

    def _history(self, key: bytes, suffix: bytes) -> Iterator[str]:
        if len(suffix) != 13:
            yield "it is no row of a history"
            return
        generation, chunk = int.from_bytes(suffix[1:7], "big"), int.from_bytes(suffix[7:], "big")
        instance = self._instance
        if instance.head is None or generation != instance.head.generation:
            self._left_over.append(key)
            return
        expected = behind(instance.head, instance.chunks)
        if chunk != expected:
            yield f"row {expected} of the history should be here, this is row {chunk}"
        instance.chunks = chunk + 1

    def _finish_instance(self) -> None:
        """All rows of an instance were seen."""
        instance, self._instance = self._instance, _Instance("")
        head, rows = instance.head, instance.rows
        if not instance.address:
            return
        if head is not None or not rows <= {HISTORY, LATE}:  # of what was purged, history may still be there
            self._index.instance(instance.address, head, instance.origin)
        where = f"instance {instance.address!r}"
        if head is None:
            if rows - {HISTORY, LATE}:
                self._late.append((where, "it has rows, but none that says what it is"))
            return
        if ORIGIN not in rows:
            self._late.append((where, "what it was started with is missing"))
        if head.status not in ALIVE and FINAL not in rows:
            self._late.append((where, f"it is {head.status}, and how it ended is missing"))
        if behind(head, instance.chunks) != head.chunks:
            self._late.append((where, f"its history has {instance.chunks} rows, {head.chunks} were written"))

    def _index_row(self, key: bytes, payload: bytes) -> Iterator[str]:
        self._indexed.decode(payload)
        yield from self._index.row(key)

    def _message(self, address: str, message: bytes) -> None:
        decoder = self._entity_message if address.startswith("@") else self._instance_message
        decoder.decode(message)

    def _mail(self, key: bytes, payload: bytes) -> Iterator[str]:
        address, start = from_text(key, 1)
        if len(key) - start - 1 not in _ARRIVAL_BYTES:
            yield "its key is not that of a message"
        self._message(address, payload)

    def _timer(self, key: bytes, payload: bytes) -> Iterator[str]:
        if len(key) != _TIMER_KEY_BYTES:
            yield "its key is not that of a timer"
        timer = self._timers.decode(payload)
        self._message(timer.address, timer.message)

    def _job(self, key: bytes, payload: bytes) -> Iterator[str]:
        job = self._jobs.decode(payload)
        if entity_keys.job(job.address, job.execution, job.action) != key:
            yield f"it holds action {job.action} of {job.address!r}, another one than its key says"
        self._job_owners.setdefault(job.address, key)

    def _tombstone(self, key: bytes, payload: bytes) -> Iterator[str]:
        tombstone = self._tombstones.decode(payload)
        self._cut.append(tombstone)
        if tombstone.start > tombstone.stop:
            yield "it ends before it begins"


def _plain(type_: type[Any]) -> Callable[[bytes, bytes], Iterator[str]]:
    decode = msgspec.msgpack.Decoder(type_).decode

    def check(key: bytes, payload: bytes) -> Iterator[str]:
        decode(payload)
        return iter(())

    return check


if __name__ == "__main__":
    main(HubChecks())
