"""The list of entities: those that have a state, in the order of their ids (G17)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, Final

import attrs

from durio.entities import STATE, EntityId, View, check_text, find_lock, from_us, to_us
from durio.entities import keys as entity_keys
from durio.entities.entity import EntityRow
from durio.entities.limits import ADDRESS_BYTES_MAX
from durio.storage import Reads, after, from_text

ROWS_MAX: Final = 256
"""So many rows are read before others have their turn (G8)."""

_PLACE_BYTES_MAX: Final = ADDRESS_BYTES_MAX + 4


@attrs.frozen
class EntityMetadata:
    """An entity at its last commit: when it was changed last, who has locked it, and its state if it was asked for."""

    entity_id: EntityId
    last_operation_time: datetime
    locked_by: str | None = None
    state: Any = None


@attrs.frozen
class EntityPage:
    """Some of the entities that match, and the token for the next page; None: these are the last."""

    entities: list[EntityMetadata]
    continuation_token: str | None


@attrs.frozen
class FoundEntity:
    """An entity as it lies on disk."""

    entity_id: EntityId
    row: EntityRow
    locked_by: str | None


class EntityFinder:
    """Reads pages of the list of entities: as many rows as entities, and those of half-done lock requests."""

    def __init__(self, store: Reads, decode: Callable[[bytes], EntityRow], name: str | None, key_prefix: str) -> None:
        check_text(key_prefix, "key_prefix")
        if key_prefix and name is None:
            raise ValueError(f"key_prefix={key_prefix!r} needs the name of the entities, too")
        self._store = store
        self._decode = decode
        self._stem = "@" if name is None else f"@{name.lower()}@{key_prefix}"

    def pages(
        self, size: int, token: str | None, time_from: datetime | None, time_to: datetime | None
    ) -> Iterator[tuple[list[FoundEntity], str | None] | None]:
        """One page and the token of the next; before it None whenever others should have their turn."""
        stem = entity_keys.ACTOR + self._stem.encode()
        place, stop = max(self._place_of(token), stem), after(stem)
        first_us = None if time_from is None else to_us(time_from, "last_operation_time_from")
        last_us = None if time_to is None else to_us(time_to, "last_operation_time_to")
        found: list[FoundEntity] = []
        resume = place
        while len(stem) <= _PLACE_BYTES_MAX:
            rows = self._store.scan(place, stop, limit=min(size - len(found) + 1, ROWS_MAX))
            for key, data in rows:
                place = key + b"\0"
                address, end = from_text(key, 1)
                if key[end:] != STATE:
                    continue
                row = self._decode(data)
                early = first_us is not None and row.modified_us < first_us
                if early or (last_us is not None and row.modified_us > last_us):
                    continue
                if len(found) == size:
                    yield found, base64.urlsafe_b64encode(resume).decode().rstrip("=")
                    return
                lock = find_lock(View(self._store), address)
                found.append(FoundEntity(EntityId.parse(address), row, None if lock is None else lock.owner))
                resume = place
            if not rows:
                break
            yield None
        yield found, None

    def _place_of(self, token: str | None) -> bytes:
        if not token:
            return b""
        wrong = ValueError(f"{token!r} is no continuation token of these entities: pass the one of the page before")
        try:
            place = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raise wrong from None
        if not place.startswith(entity_keys.ACTOR + self._stem.encode()) or len(place) > _PLACE_BYTES_MAX:
            raise wrong
        return place


def metadata_of(found: FoundEntity, state: Any) -> EntityMetadata:
    """What a client sees of it."""
    return EntityMetadata(found.entity_id, from_us(found.row.modified_us), found.locked_by, state)
