"""Bringing a hub of an older format up to date."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

import durio.storage
from durio.entities import keys as entity_keys
from durio.entities.changes import Indexed
from durio.entities.messages import encode_record
from durio.orchestration.index import facts_of, rows_of
from durio.orchestration.instance import Decoders
from durio.orchestration.records import HEAD, ORIGIN, Head
from durio.storage import Progress, from_text


def upgrade(
    hub: str | os.PathLike[str],
    *,
    backup: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> str | None:
    """Bring the closed hub at `hub` to the format of this durio; gives the path of the copy that was made before.

    First it is copied to `backup` (the hub's name with `.format-N` behind it, if none is given), and the copy checked.
    Then all data change in one transaction. Cut short at any point, it can be called again; a copy that is there
    already stays. A hub of the right format is left as it is, and None is returned. Blocks, and tells `progress` what
    is being done, how much of it is done, and of how much.

    Raises `NotAHub`, `FormatMismatch` (from a newer durio, or too old), `HubInUse`, `HubDamaged`, `NoSpace`,
    `HubBroken`, `FileExistsError` if something else is at `backup`, and `OSError`.
    """
    return durio.storage.upgrade(hub, index_of, backup=backup, progress=progress)


def index_of(rows: Iterable[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
    """The index of a hub, from all its rows in key order."""
    decoders, there = Decoders(), encode_record(Indexed())
    head: tuple[bytes, Head] | None = None
    for key, value in rows:
        if key[:1] != entity_keys.ACTOR or key[1:2] == b"@":
            continue
        address, start = from_text(key, 1)
        if key[start:] == HEAD:
            head = key[:start], decoders.head.decode(value)
        elif key[start:] == ORIGIN and head is not None and head[0] == key[:start]:
            for where in sorted(rows_of(address, facts_of(head[1], decoders.origin.decode(value)))):
                yield entity_keys.index(where), there
