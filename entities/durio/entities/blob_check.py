"""What must be true of the blobs of a hub, looked at on disk."""

from __future__ import annotations

from collections.abc import Iterator

import durio.entities.keys as keys
from durio.entities.blobs import DEAD, id_of, references_in, rows_of
from durio.storage import FIRST_KEY, Reads, from_u32

_ROWS = 16  # of up to 4 MiB each


class BlobChecks:
    """Looks at every record of a hub once, in any order.

    A record that refers to a blob is noted as its holder, and the other way round; a blob has all its rows, and
    somebody who holds it, or it waits to be deleted.
    """

    def __init__(self) -> None:
        self._holders: dict[bytes, frozenset[bytes]] = {}
        self._noted: dict[bytes, frozenset[bytes]] = {}
        self._dead: set[bytes] = set()
        self._rows: dict[bytes, set[int]] = {}

    def record(self, key: bytes, payload: bytes) -> None:
        """One record; of a blob the key is enough."""
        if key.startswith(DEAD):
            self._dead.add(payload)
        elif key.startswith(keys.HOLDER):
            self._noted[key[len(keys.HOLDER) :]] = frozenset(references_in(payload))
        elif key.startswith(keys.BLOB):
            self._rows.setdefault(key[len(keys.BLOB) : -4], set()).add(from_u32(key[-4:]))
        elif references := frozenset(references_in(payload)):
            self._holders[key] = references

    def end(self) -> Iterator[tuple[bytes, str]]:
        """What is wrong, each with a key."""
        for key in sorted(self._holders.keys() | self._noted.keys()):
            references, noted = self._holders.get(key, frozenset()), self._noted.get(key, frozenset())
            if references != noted:
                yield key, f"it refers to {len(references)} large payloads, and is noted as the holder of {len(noted)}"
        wanted = {id_of(reference): rows_of(reference) for reference in self._dead.union(*self._holders.values())}
        for blob in sorted(self._rows.keys() | wanted.keys()):
            rows = self._rows.get(blob, set())
            if blob not in wanted:
                yield keys.blob(blob), "it is a large payload that no record refers to"
            elif rows != set(range(wanted[blob])):
                yield keys.blob(blob), f"it is a large payload, and has {len(rows)} of {wanted[blob]} rows"


def check_blobs(store: Reads) -> list[str]:
    """What is wrong with the blobs of a hub: nothing, if all is well. Raises `CorruptRecord`."""
    checks = BlobChecks()
    for start, stop, limit in (
        (FIRST_KEY, keys.BLOB, 1000),
        (keys.BLOB, keys.stop_of(keys.BLOB), _ROWS),
        (keys.stop_of(keys.BLOB), None, 1000),
    ):
        first = start
        while rows := store.scan(first, stop, limit=limit):
            for key, payload in rows:
                checks.record(key, payload)
            first = rows[-1][0] + b"\0"
    return [f"{key!r}: {words}" for key, words in checks.end()]
