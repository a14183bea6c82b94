"""The index: small rows by which instances are found, changed in the same commit as the instances (G17)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from durio.entities import Settlement
from durio.orchestration.records import ALIVE, Head, OrchestrationRuntimeStatus, Origin
from durio.storage import from_text, text, u64

BY_STATUS: Final = b"s"
BY_NAME: Final = b"n"
BY_TAG: Final = b"t"
BY_UPDATE: Final = b"u"

STATUSES: Final[Mapping[str, bytes]] = MappingProxyType(
    {
        "Pending": b"\x01",
        "Running": b"\x02",
        "Suspended": b"\x03",
        "Completed": b"\x04",
        "Failed": b"\x05",
        "Terminated": b"\x06",
        "Canceled": b"\x07",
    }
)
"""The statuses that are shown, each with its byte in a key."""

ENDED: Final = ("Completed", "Failed", "Terminated", "Canceled")

SHOWN_ALIVE: Final = ("Pending", "Running", "Suspended")

BUCKET_BITS: Final = 26
"""Times of update are kept to 2**26 microseconds (67 s): a busy instance must not rewrite its row at every turn."""

_DIGEST_BYTES: Final = 12
_TIME_BYTES: Final = 8
_SKIPPED: Final[Mapping[bytes, int]] = MappingProxyType(
    {
        BY_STATUS: 2 + _TIME_BYTES,
        BY_UPDATE: 2 + _TIME_BYTES,
        BY_NAME: 2 + _DIGEST_BYTES + _TIME_BYTES,
        BY_TAG: 2 + _DIGEST_BYTES + _TIME_BYTES,
    }
)
"""What comes before the id in each kind of row: its letter, a digest, a status, a time."""

Facts = tuple[str, int, int, str, tuple[tuple[str, str], ...]]
"""What the rows of an instance follow from: its shown status, when it was created, the bucket of its last update, its
name and tags."""


def shown_status(head: Head) -> str:
    """The status as a client sees it."""
    return "Suspended" if head.suspended and head.status in ALIVE else head.status


def facts_of(head: Head | None, origin: Origin | None) -> Facts | None:
    """What the rows of an instance follow from; None if there is no instance."""
    if head is None or origin is None:
        return None
    tags = tuple(sorted(origin.tags.items())) if origin.tags else ()
    status = "Suspended" if head.suspended and head.status in ALIVE else head.status
    return status, head.created_us, head.updated_us >> BUCKET_BITS, origin.name, tags


def rows_of(address: str, facts: Facts | None) -> set[bytes]:
    """The rows of an instance, as keys of the index."""
    if facts is None:
        return set()
    status, created_us, bucket, name, tags = facts
    code, place = STATUSES[status], u64(created_us) + text(address)
    rows = {
        BY_STATUS + code + place,
        by_name(name) + code + place,
        BY_UPDATE + code + u64(bucket) + text(address),
    }
    rows.update(by_tag(*tag) + code + place for tag in tags)
    return rows


def reindex(address: str, before: Facts | None, after: Facts | None, settlement: Settlement) -> None:
    """Write the rows of an instance anew, as far as they have changed."""
    old, new = rows_of(address, before), rows_of(address, after)
    for where in old - new:
        settlement.index(where, False)
    for where in new - old:
        settlement.index(where, True)


def address_in(where: bytes) -> str:
    """The instance that a row leads to. Raises `ValueError` for what is no row."""
    start = _SKIPPED.get(where[:1])
    if start is None or where[start - _TIME_BYTES - 1 : start - _TIME_BYTES] not in STATUSES.values():
        raise ValueError(f"there is no such row of the index: {where!r}")
    address, end = from_text(where, start)
    if end != len(where):
        raise ValueError(f"there is no such row of the index: {where!r}")
    return address


def by_name(name: str) -> bytes:
    """What the rows of a name begin with. A digest: names may be long, and keys have a limit."""
    return BY_NAME + _digest(name)


def by_tag(name: str, value: str) -> bytes:
    """What the rows of a tag begin with."""
    return BY_TAG + _digest(f"{name}\0{value}")


def codes_of(statuses: Iterable[OrchestrationRuntimeStatus | str]) -> list[bytes]:
    """The bytes of some statuses. Raises `KeyError` for one that is never shown."""
    return [STATUSES[str(status)] for status in statuses]


def _digest(value: str) -> bytes:
    return hashlib.blake2b(value.encode(), digest_size=_DIGEST_BYTES).digest()
