"""Lock status: who holds which entity, since when, and who waits for it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final, Literal

import attrs
import msgspec

from durio.entities import (
    MAIL_LANE,
    EntityId,
    Lock,
    LockRequest,
    Operation,
    View,
    decode_lock,
    entity_messages,
    find_lock,
    from_us,
)
from durio.entities import keys as entity_keys
from durio.orchestration.limits import LOCK_MAIL_MAX, LOCK_WAITERS_MAX
from durio.orchestration.records import ALIVE, HEAD, Head, OrchestrationRuntimeStatus

_HEAD: Final = msgspec.msgpack.Decoder(Head)
_MAIL: Final = entity_messages()


@attrs.frozen
class LockWaiter:
    """One that waits for a locked entity, since `since`.

    `instance_id`: an orchestration that asked for the lock, or that called the entity; None for a client's call.
    """

    kind: Literal["lock", "call"]
    instance_id: str | None
    since: datetime


@attrs.frozen
class EntityLock:
    """A locked entity: the instance that holds it and its status, since when (`age_s`), and who waits, in order.

    `runtime_status` is None if the instance is gone. Only the first unread messages are looked through for waiters
    (1,000), and the first 100 shown; `more` says that there may be others.
    """

    entity_id: EntityId
    instance_id: str
    runtime_status: OrchestrationRuntimeStatus | None
    since: datetime
    age_s: float
    waiters: tuple[LockWaiter, ...]
    more: bool


def list_locks(view: View, now_us: int, locks_max: int) -> list[EntityLock]:
    """The locks of a hub, in the order of their entities."""
    rows = view.scan(entity_keys.LOCK, entity_keys.LOCK, entity_keys.stop_of(entity_keys.LOCK), locks_max)
    found = ((entity_keys.address_of(key), row) for key, row in rows)
    return [status_of_lock(view, address, _lock(row), now_us) for address, row in found]


def lock_of(view: View, entity_id: EntityId, now_us: int) -> EntityLock | None:
    """The lock of one entity; None if it is free."""
    lock = find_lock(view, str(entity_id))
    return None if lock is None else status_of_lock(view, str(entity_id), lock, now_us)


def status_of_lock(view: View, address: str, lock: Lock, now_us: int) -> EntityLock:
    """What people want to know of a lock."""
    group = entity_keys.actor(lock.owner)
    head = view.get(group, group + HEAD, _HEAD)
    status = None
    if head is not None:
        suspended = head.suspended and head.status in ALIVE
        status = OrchestrationRuntimeStatus("Suspended" if suspended else head.status)
    box = entity_keys.mailbox(address)
    rows = view.scan(box, box + bytes((MAIL_LANE,)), entity_keys.stop_of(box), LOCK_MAIL_MAX)
    waiters = list(_waiters(row for _, row in rows))
    return EntityLock(
        entity_id=EntityId.parse(address),
        instance_id=lock.owner,
        runtime_status=status,
        since=from_us(lock.since_us),
        age_s=max(now_us - lock.since_us, 0) / 1_000_000,
        waiters=tuple(waiters[:LOCK_WAITERS_MAX]),
        more=len(rows) == LOCK_MAIL_MAX or len(waiters) > LOCK_WAITERS_MAX,
    )


def _waiters(rows: Iterator[bytes | msgspec.Struct]) -> Iterator[LockWaiter]:
    for row in rows:
        message = _MAIL.decode(row) if isinstance(row, bytes) else row
        if isinstance(message, LockRequest):
            yield LockWaiter("lock", message.caller.address, from_us(message.at_us))
        elif isinstance(message, Operation) and (message.caller is not None or message.reply):
            instance_id = None if message.caller is None else message.caller.address
            yield LockWaiter("call", instance_id, from_us(message.at_us))


def _lock(row: bytes | msgspec.Struct) -> Lock:
    lock = decode_lock(row) if isinstance(row, bytes) else row
    assert isinstance(lock, Lock), "the table of locks holds nothing else"
    return lock
