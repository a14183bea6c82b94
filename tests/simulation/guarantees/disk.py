"""What is on the disk of a simulated hub, decoded: what no client can see, and what a crash leaves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar

import msgspec

from durio.entities import Job, Message, Operation, is_entity
from durio.entities import keys as entity_keys
from durio.entities.entity import EntityRow
from durio.entities.messages import Request, Timer
from durio.orchestration.checker import HubChecks
from durio.orchestration.messages import message_decoder
from durio.orchestration.records import HEAD, ORIGIN, Head, Origin
from durio.simulation import Sim

T = TypeVar("T")


class Disk:
    """The rows of the last commit. It is read when it is asked, so one object serves one moment."""

    def __init__(self, sim: Sim) -> None:
        self._store = sim._process.store

    def rows(self, table: bytes) -> list[tuple[bytes, bytes]]:
        """All rows whose key starts so."""
        return self._store.scan(table, entity_keys.stop_of(table))

    @property
    def addresses(self) -> list[str]:
        """Every actor that has rows of its own."""
        return list(dict.fromkeys(entity_keys.address_of(key) for key, _ in self.rows(entity_keys.ACTOR)))

    def mail(self, address: str | None = None) -> list[tuple[str, bytes, Message]]:
        """Unread messages, of one actor or of all: whose, the key, the message."""
        table = entity_keys.MAIL if address is None else entity_keys.mailbox(address)
        return [(found, key, message_of(found, row)) for key, row in self.rows(table) for found in (_whose(key),)]

    @property
    def timers(self) -> list[tuple[bytes, str, Message]]:
        """Timers: the key, who gets the message, the message."""
        decoder = msgspec.msgpack.Decoder(Timer)
        timers = [(key, decoder.decode(row)) for key, row in self.rows(entity_keys.TIMER)]
        return [(key, timer.address, message_of(timer.address, timer.message)) for key, timer in timers]

    @property
    def jobs(self) -> dict[bytes, Job]:
        """Activities that were scheduled and have no result yet."""
        return {key: msgspec.msgpack.decode(row, type=Job) for key, row in self.rows(entity_keys.JOB)}

    def has(self, key: bytes) -> bool:
        """Whether there is such a row."""
        return self._store.get(key) is not None

    def head(self, address: str) -> Head | None:
        """What an instance is."""
        return self._read(entity_keys.actor(address) + HEAD, Head)

    def origin(self, address: str) -> Origin | None:
        """What the life of an instance was started with."""
        return self._read(entity_keys.actor(address) + ORIGIN, Origin)

    def request(self, request_id: str) -> Request | None:
        """What is known of a request id."""
        return self._read(entity_keys.request(request_id), Request)

    def actors(self) -> dict[bytes, bytes]:
        """All rows but those of request ids, which are forgotten after a day."""
        tables = (entity_keys.ACTOR, entity_keys.MAIL, entity_keys.TIMER, entity_keys.JOB, entity_keys.TOMBSTONE)
        return {key: row for table in tables for key, row in self.rows(table)}

    def states(self) -> Iterator[tuple[str, bytes]]:
        """Every entity that exists, and its state."""
        for key, row in self.rows(entity_keys.ACTOR):
            if is_entity(_whose(key)):
                yield _whose(key), msgspec.msgpack.decode(row, type=EntityRow).state

    @property
    def commit(self) -> int:
        """The number of the last commit."""
        return self._store.last_commit

    def wrong(self) -> list[str]:
        """What does not fit together: what `verify` would find."""
        checks = HubChecks()
        found = [why for key, row in self._store.scan(b"") for why in checks.record(key, row)]
        return found + [f"{where}: {why}" for where, why in checks.end()]

    def _read(self, key: bytes, type_: type[T]) -> T | None:
        row = self._store.get(key)
        return None if row is None else msgspec.msgpack.decode(row, type=type_)


def message_of(address: str, data: bytes) -> Message:
    """A message of the mailbox of an actor."""
    if is_entity(address):
        return msgspec.msgpack.decode(data, type=Operation)
    message: Any = message_decoder().decode(data)
    found: Message = message
    return found


def _whose(key: bytes) -> str:
    return entity_keys.address_of(key)
