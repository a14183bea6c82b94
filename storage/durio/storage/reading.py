"""Reading sealed records of an LMDB environment: what every reader of a hub does, its owner or not."""

from __future__ import annotations

from itertools import islice
from typing import Final
from zlib import crc32

import lmdb

from durio.storage.codec import HEAD_BYTES, head, unseal
from durio.storage.keys import FIRST_KEY
from durio.storage.limits import KEY_BYTES_MAX, RECORD_VERSION

_PAST_ALL_KEYS: Final = b"\xff" * (KEY_BYTES_MAX + 1)


def read_row(env: lmdb.Environment, key: bytes) -> bytes | None:
    """The value of `key`, or None. Raises `CorruptRecord` and `lmdb.Error`."""
    if key < FIRST_KEY:
        return None
    with env.begin() as txn:
        record = txn.get(key)
    return None if record is None else unseal(key, record)


def read_rows(
    env: lmdb.Environment, start: bytes, stop: bytes | None = None, *, limit: int | None = None
) -> list[tuple[bytes, bytes]]:
    """Keys in [start, stop) with their values, in order, at most `limit`. Raises `CorruptRecord` and `lmdb.Error`."""
    if limit is not None and limit < 0:
        raise ValueError(f"limit {limit} is negative: give None for no limit")
    ceiling = _PAST_ALL_KEYS if stop is None else stop
    found: list[tuple[bytes, bytes]] = []
    with env.begin() as txn:
        cursor = txn.cursor()
        if not cursor.set_range(max(start, FIRST_KEY)):
            return found
        for key, record in islice(cursor.iternext(), limit):
            if key >= ceiling:
                break
            payload = record[HEAD_BYTES:]
            # `unseal` inline; it is called only to say what is wrong.
            if head(RECORD_VERSION, crc32(payload, crc32(key))) != record[:HEAD_BYTES]:
                unseal(key, record)
            found.append((key, payload))
    return found
