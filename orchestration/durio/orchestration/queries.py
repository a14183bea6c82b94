"""Queries: which instances match, read from the index a page at a time, in one order (G17)."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final, TypedDict

import attrs

from durio.entities import check_text, checked_tags, to_us
from durio.entities import keys as entity_keys
from durio.entities.limits import ADDRESS_BYTES_MAX
from durio.orchestration.index import (
    BUCKET_BITS,
    BY_STATUS,
    BY_UPDATE,
    STATUSES,
    by_name,
    by_tag,
    codes_of,
    shown_status,
)
from durio.orchestration.instance import Decoders
from durio.orchestration.records import FINAL, HEAD, ORIGIN, OrchestrationRuntimeStatus, Snapshot
from durio.storage import Reads, after, from_text, text, u64

Statuses = OrchestrationRuntimeStatus | str | Iterable[OrchestrationRuntimeStatus | str] | None

COUNTED_AT_ONCE: Final = 1000
ROWS_MAX: Final = 256
"""So many candidates are looked at before others have their turn (G8)."""

_TIME_BYTES: Final = 8
_PLACE_BYTES_MAX: Final = _TIME_BYTES + ADDRESS_BYTES_MAX + 4


class InstanceFilter(TypedDict, total=False):
    """What all queries for instances may ask for. All of it has to fit; what is None is not asked for.

    Times are aware, and include both ends. `runtime_status`: one, or several. `name`: of the orchestration, or the
    function itself. `tags`: an instance must have all of them.
    """

    created_time_from: datetime | None
    created_time_to: datetime | None
    updated_time_from: datetime | None
    updated_time_to: datetime | None
    runtime_status: Statuses
    name: str | Callable[..., object] | None
    instance_id_prefix: str | None
    tags: Mapping[str, str] | None


@attrs.frozen
class Wanted:
    """A filter, checked."""

    statuses: tuple[str, ...] = tuple(STATUSES)
    created_us: tuple[int | None, int | None] = (None, None)
    updated_us: tuple[int | None, int | None] = (None, None)
    name: str | None = None
    prefix: str = ""
    tags: tuple[tuple[str, str], ...] = ()

    @staticmethod
    def of(
        name: str | None,
        *,
        created_time_from: datetime | None = None,
        created_time_to: datetime | None = None,
        updated_time_from: datetime | None = None,
        updated_time_to: datetime | None = None,
        runtime_status: Statuses = None,
        instance_id_prefix: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> Wanted:
        """Raises `ValueError` for an unknown status, a naive time, an unusable prefix; `TypeError` for wrong tags."""
        return Wanted(
            _statuses(runtime_status),
            (_us(created_time_from, "created_time_from"), _us(created_time_to, "created_time_to")),
            (_us(updated_time_from, "updated_time_from"), _us(updated_time_to, "updated_time_to")),
            name,
            "" if instance_id_prefix is None else check_text(instance_id_prefix, "instance_id_prefix"),
            tuple(sorted((checked_tags(tags) or {}).items())),
        )

    def fits(self, address: str, snapshot: Snapshot) -> bool:
        """Whether an instance is wanted, as it is now."""
        head, origin = snapshot.head, snapshot.origin
        return (
            address.startswith(self.prefix)
            and shown_status(head) in self.statuses
            and (self.name is None or origin.name == self.name)
            and _within(head.created_us, self.created_us)
            and _within(head.updated_us, self.updated_us)
            and all((origin.tags or {}).get(name) == value for name, value in self.tags)
        )

    @property
    def fingerprint(self) -> bytes:
        """Tells filters apart, in continuation tokens."""
        return hashlib.blake2b(repr(attrs.astuple(self)).encode(), digest_size=8).digest()


@attrs.frozen
class Page:
    """Some of the instances that match, as they were at one commit each, and where the next ones begin."""

    found: list[tuple[str, Snapshot]]
    token: str | None
    """None: these were the last."""


class Finder:
    """Reads pages of one query.

    Guarantees: pages are full, and in one order: by creation and id; by id if a prefix of it is asked for, and neither
    name, tags nor creation; by update (to 67 s) and id if that is asked for, and none of these. What is there and fits
    all the time comes exactly once; in the order of updates also again, if it is updated meanwhile.
    """

    def __init__(self, store: Reads, wanted: Wanted, decoders: Decoders) -> None:
        self._store = store
        self._wanted = wanted
        self._decoders = decoders

    def pages(self, size: int, token: str | None) -> Iterator[Page | None]:
        """One page; before it None whenever others should have their turn. Raises `ValueError` for a wrong token."""
        place = resume = self._place_of(token)
        found: list[tuple[str, Snapshot]] = []
        while True:
            wanted = min(size - len(found) + 1, ROWS_MAX)
            candidates = self._candidates(place, wanted)
            for at, address in candidates:
                place = at + b"\0"
                snapshot = self._snapshot(address) if address.startswith(self._wanted.prefix) else None
                if snapshot is None or not self._wanted.fits(address, snapshot):
                    continue
                if len(found) == size:
                    yield Page(found, self._token(resume))
                    return
                found.append((address, snapshot))
                resume = place
            if len(candidates) < wanted:
                yield Page(found, None)
                return
            yield None

    def _candidates(self, place: bytes, limit: int) -> list[tuple[bytes, str]]:
        """The next ones in the order, each with its place."""
        wanted = self._wanted
        if not wanted.statuses or len(wanted.prefix.encode()) > ADDRESS_BYTES_MAX:
            return []
        start, stop = _range(wanted.created_us, 0)
        if wanted.tags:
            table = by_tag(*wanted.tags[0])
        elif wanted.name is not None:
            table = by_name(wanted.name)
        elif wanted.prefix and wanted.created_us == (None, None):
            return self._by_id(place, limit)
        elif wanted.updated_us != (None, None) and wanted.created_us == (None, None):
            table, (start, stop) = BY_UPDATE, _range(wanted.updated_us, BUCKET_BITS)
        else:
            table = BY_STATUS
        prefixes = [entity_keys.index(table + code) for code in codes_of(wanted.statuses)]
        skip = len(prefixes[0])
        rows = self._store.merge(prefixes, max(place, start), stop, limit=limit)
        return [(key[skip:], from_text(key, skip + _TIME_BYTES)[0]) for key, _ in rows]

    def _by_id(self, place: bytes, limit: int) -> list[tuple[bytes, str]]:
        """One read for each instance: behind its first row, its others are skipped."""
        stem = entity_keys.ACTOR + self._wanted.prefix.encode()
        start, stop = max(entity_keys.ACTOR + place, stem), after(stem)
        found: list[tuple[bytes, str]] = []
        while len(found) < limit:
            rows = self._store.scan(start, stop, limit=1)
            if not rows:
                break
            address, _ = from_text(rows[0][0], 1)
            start = entity_keys.stop_of(entity_keys.actor(address))
            if address.startswith("@"):
                start = entity_keys.stop_of(entity_keys.ACTOR + b"@")
            else:
                found.append((text(address) + b"\xff", address))
        return found

    def _snapshot(self, address: str) -> Snapshot | None:
        group, store, decoders = entity_keys.actor(address), self._store, self._decoders
        rows = dict(store.scan(group + HEAD, group + FINAL + b"\0"))
        head, origin, final = rows.get(group + HEAD), rows.get(group + ORIGIN), rows.get(group + FINAL)
        if head is None or origin is None:
            return None
        outcome = None if final is None else decoders.outcome.decode(final)
        return Snapshot(decoders.head.decode(head), decoders.origin.decode(origin), outcome)

    def _token(self, place: bytes) -> str:
        return base64.urlsafe_b64encode(self._wanted.fingerprint + place).decode().rstrip("=")

    def _place_of(self, token: str | None) -> bytes:
        if not token:
            return b""
        fingerprint = self._wanted.fingerprint
        try:
            data = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raise ValueError(f"{token!r} is no continuation token: pass the one of the page before") from None
        if data[: len(fingerprint)] != fingerprint:
            raise ValueError("the continuation token is that of another query: pass the same filter with it")
        place = data[len(fingerprint) :]
        if len(place) > _PLACE_BYTES_MAX:
            raise ValueError(f"{token!r} is no continuation token: pass the one of the page before")
        return place


def count_by_status(store: Reads, statuses: Iterable[str]) -> int:
    """How many instances have one of the statuses, as of now or a moment later."""
    counted = 0
    for code in codes_of(statuses):
        prefix = entity_keys.index(BY_STATUS + code)
        start, rows = prefix, COUNTED_AT_ONCE
        while rows == COUNTED_AT_ONCE:
            found = store.scan(start, entity_keys.stop_of(prefix), limit=COUNTED_AT_ONCE)
            rows = len(found)
            counted += rows
            start = found[-1][0] + b"\0" if found else start
    return counted


def _range(bounds_us: tuple[int | None, int | None], bits: int) -> tuple[bytes, bytes | None]:
    """Where the places of a range of times begin and end."""
    first, last = bounds_us
    start = b"" if first is None else u64(max(first, 0) >> bits)
    return start, None if last is None else u64((max(last, -1) >> bits) + 1)


def _within(us: int, bounds_us: tuple[int | None, int | None]) -> bool:
    first, last = bounds_us
    return (first is None or us >= first) and (last is None or us <= last)


def _us(time: datetime | None, what: str) -> int | None:
    return None if time is None else to_us(time, what)


def _statuses(given: Statuses) -> tuple[str, ...]:
    if given is None:
        return tuple(STATUSES)
    several: Any = (given,) if isinstance(given, str) else tuple(given)
    known = {status.casefold(): status for status in OrchestrationRuntimeStatus.__members__}
    found: list[str] = []
    for status in several:
        name = known.get(str(status).casefold()) if isinstance(status, str) else None
        if name is None:
            raise ValueError(f"runtime_status {status!r} is none of {', '.join(known.values())}")
        found.append(name)
    return tuple(name for name in STATUSES if name in found)  # ContinuedAsNew is never shown: nothing has it
