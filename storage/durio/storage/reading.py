"""Reading sealed records of an LMDB environment: what every reader of a hub does, its owner or not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from heapq import merge
from itertools import islice
from typing import Final
from zlib import crc32

import lmdb

from durio.storage.codec import HEAD_BYTES, head, unseal
from durio.storage.keys import FIRST_KEY, after
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
    found: list[tuple[bytes, bytes]] = []
    with env.begin() as txn:
        found.extend(islice(_rows(txn, max(start, FIRST_KEY), stop), limit))
    return found


def merge_rows(
    env: lmdb.Environment, prefixes: Sequence[bytes], start: bytes, stop: bytes | None, *, limit: int
) -> list[tuple[bytes, bytes]]:
    """Pairs under any of `prefixes` by the rest of their keys, in one snapshot. Raises as `read_rows`."""
    with env.begin() as txn:
        ranges = merge_ranges(prefixes, start, stop, limit)
        under = [_rows(txn, first, last) for first, last in ranges]
        return list(islice(merge(*under, key=lambda pair: pair[0][len(prefixes[0]) :]), limit))


def all_rows(txn: lmdb.Transaction) -> Iterator[tuple[bytes, bytes]]:
    """All pairs, in key order. Raises `CorruptRecord` and `lmdb.Error`."""
    return _rows(txn, FIRST_KEY, None)


def merge_ranges(
    prefixes: Sequence[bytes], start: bytes, stop: bytes | None, limit: int
) -> list[tuple[bytes, bytes | None]]:
    """The range of keys of each prefix. Raises `ValueError` for prefixes of several lengths and a negative limit."""
    if limit < 0:
        raise ValueError(f"limit {limit} is negative")
    if len({len(prefix) for prefix in prefixes}) > 1:
        raise ValueError(f"prefixes of several lengths have no common order: {prefixes!r}")
    return [(prefix + start, after(prefix) if stop is None else prefix + stop) for prefix in prefixes]


def _rows(txn: lmdb.Transaction, start: bytes, stop: bytes | None) -> Iterator[tuple[bytes, bytes]]:
    ceiling = _PAST_ALL_KEYS if stop is None else stop
    cursor = txn.cursor()
    if not cursor.set_range(start):
        return
    pairs: Iterator[tuple[bytes, bytes]] = iter(cursor.iternext())  # type: ignore[arg-type]  # no buffers were asked for
    for key, record in pairs:
        if key >= ceiling:
            return
        payload = record[HEAD_BYTES:]
        # `unseal` inline; it is called only to say what is wrong.
        if head(RECORD_VERSION, crc32(payload, crc32(key))) != record[:HEAD_BYTES]:
            unseal(key, record)
        yield key, payload
