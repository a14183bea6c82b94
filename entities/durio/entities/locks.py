"""Locks: who holds an entity, and what lock messages do to it (G12)."""

from __future__ import annotations

from typing import Final

import msgspec

import durio.entities.keys as keys
from durio.entities.changes import View
from durio.entities.messages import LockAnswered, LockRequest, Message, Operation, Refuse, Release
from durio.entities.settlement import Settlement, answer_operation

HALF: Final = b"h"
"""Where the rows of half-done requests lie among the rows of an entity."""


class Lock(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Who holds an entity: the instance, its request, and since when."""

    owner: str
    request: str
    since_us: int


class Half(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One half of a request that is not to be granted: the request or its release came, the other is on its way."""

    at_us: int


_LOCKS: Final = msgspec.msgpack.Decoder(Lock)
_HALVES: Final = msgspec.msgpack.Decoder(Half)


def find_lock(view: View, address: str) -> Lock | None:
    """Who holds an entity, if it is locked."""
    return view.get(keys.LOCK, keys.lock(address), _LOCKS)


def decode_lock(row: bytes) -> Lock:
    """A lock as it lies on disk."""
    return _LOCKS.decode(row)


class Locks:
    """The locks of the entities of a hub.

    Guarantees: one request at a time holds an entity; to every request belongs one release, which takes the lock back
    or, when the request is still unread, withdraws it; whichever of the two comes first, nothing is left when both
    have come.
    """

    def request(self, view: View, message: LockRequest, settlement: Settlement) -> Lock | None:
        """The entity is free and comes to a request: its new holder; None if the request was withdrawn."""
        if self._met(view, message.request, settlement):
            settlement.count("lock requests withdrawn")
            return None
        caller = message.caller
        lock = Lock(caller.address, message.request, settlement.now_us)
        settlement.list_in(keys.LOCK, lock)
        granted = LockAnswered(
            at_us=settlement.now_us, execution=caller.execution, action=caller.action, entity=settlement.address
        )
        settlement.send(caller.address, granted)
        return lock

    def release(self, view: View, lock: Lock | None, message: Release, settlement: Settlement) -> Lock | None:
        """A release came: who holds the entity then."""
        if lock is not None and lock.request == message.request:
            settlement.list_in(keys.LOCK, None)
            return None
        if not self._met(view, message.request, settlement):
            settlement.put(HALF + message.request.encode(), Half(settlement.now_us))
        return lock

    def refuse(self, view: View, message: Refuse, waiting: Message, settlement: Settlement) -> None:
        """The wait of an unread message would never end: it is answered, and had no effect."""
        at_us, failure = settlement.now_us, message.failure
        if isinstance(waiting, LockRequest):
            if self._met(view, waiting.request, settlement):
                return  # it was withdrawn meanwhile
            settlement.put(HALF + waiting.request.encode(), Half(at_us))
            caller = waiting.caller
            refused = LockAnswered(
                at_us=at_us,
                execution=caller.execution,
                action=caller.action,
                entity=settlement.address,
                failure=failure,
            )
            settlement.send(caller.address, refused)
        elif isinstance(waiting, Operation):
            answer_operation(waiting, None, failure, settlement, refusal=failure.type.rpartition(".")[2])

    def _met(self, view: View, request: str, settlement: Settlement) -> bool:
        """Whether the other half of a request came before; then both are done with."""
        suffix, group = HALF + request.encode(), settlement.group
        if view.get(group, group + suffix, _HALVES) is None:
            return False
        settlement.delete(suffix)
        return True
