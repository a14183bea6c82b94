"""What must be true of the blobs of a hub, looked at on disk."""

from __future__ import annotations

from collections.abc import Iterator

import durio.entities.keys as keys
from durio.entities.blobs import DEAD, id_of, references_in, rows_of
from durio.storage import FIRST_KEY, Reads, from_u32

_ROWS = 16  # of up to 4 MiB each


def check_blobs(store: Reads) -> Iterator[str]:
    """Every sentence is something wrong; none when all is well. Raises `CorruptRecord` for a row that cannot be read.

    A record that refers to a blob is noted as its holder, and the other way round; a blob has all its rows, and
    somebody who holds it, or it waits to be deleted.
    """
    held: dict[bytes, set[bytes]] = {}
    dead: set[bytes] = set()
    for key, row in _scan(store, keys.HOLDER, keys.stop_of(keys.HOLDER), 1000):
        if key.startswith(DEAD):
            dead.add(row)
        else:
            held[key[len(keys.HOLDER) :]] = set(references_in(row))
    wanted = {
        id_of(reference): rows_of(reference) for reference in {*dead, *(r for refs in held.values() for r in refs)}
    }
    found: dict[bytes, int] = {}
    for key, _ in _scan(store, keys.BLOB, keys.stop_of(keys.BLOB), _ROWS):
        blob, number = key[len(keys.BLOB) : -4], from_u32(key[-4:])
        if number != found.get(blob, 0):
            yield f"row {number} of blob {blob.hex()} does not follow the one before"
        found[blob] = found.get(blob, 0) + 1
    for blob in sorted(found.keys() | wanted.keys()):
        if blob not in wanted:
            yield f"nobody holds blob {blob.hex()}"
        elif found.get(blob, 0) != wanted[blob]:
            yield f"blob {blob.hex()} has {found.get(blob, 0)} of {wanted[blob]} rows"
    for key, row in _records(store):
        references = set(references_in(row))
        noted = held.pop(key, set())
        if references != noted:
            yield f"{key!r} refers to {len(references)} blobs, {len(references & noted)} of them noted"
    for key in held:
        yield f"{key!r} is noted as the holder of a blob, and is not there"


def _records(store: Reads) -> Iterator[tuple[bytes, bytes]]:
    yield from _scan(store, FIRST_KEY, keys.BLOB, 1000)
    yield from _scan(store, keys.stop_of(keys.BLOB), keys.HOLDER, 1000)
    yield from _scan(store, keys.stop_of(keys.HOLDER), b"\xff" * 512, 1000)


def _scan(store: Reads, start: bytes, stop: bytes, limit: int) -> Iterator[tuple[bytes, bytes]]:
    while rows := store.scan(start, stop, limit=limit):
        yield from rows
        start = rows[-1][0] + b"\0"
