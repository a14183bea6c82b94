"""What a turn wants to change on disk."""

from collections.abc import Iterator
from typing import Final, TypeAlias
from zlib import crc32

import msgspec

from durio.storage.codec import head, seal, unseal
from durio.storage.errors import CorruptRecord, KeyTooLong, ReservedKey
from durio.storage.keys import FIRST_KEY, u32
from durio.storage.limits import BULK_ROW_MAX, KEY_BYTES_MAX, RECORD_VERSION

Change: TypeAlias = tuple[bytes, bytes | None]
"""A key and its new value; None deletes the key, present or not."""

Bulk: TypeAlias = tuple[bytes, str | bytes]
"""A long value and the key under which it lies, cut into rows: row n at the key and u32(n)."""

_WIRE_KEY: Final = b"WriteSet"


class WriteSet(msgspec.Struct, frozen=True, array_like=True):
    """Changes that become durable together or not at all. Plain data, so it can be put on a wire.

    The last change of a key wins. The order of the others means nothing.
    """

    changes: tuple[Change, ...] = ()
    bulk: tuple[tuple[bytes, bytes], ...] = ()
    """Values too long for the thread that makes write sets: they are cut, copied and summed by the one that commits."""
    texts: tuple[tuple[bytes, str], ...] = ()
    """The same, of texts. They lie there as UTF-8, cut between characters."""

    def to_wire(self) -> bytes:
        """Bytes with a checksum, for a log or another process."""
        return seal(_WIRE_KEY, msgspec.msgpack.encode(self))

    @classmethod
    def from_wire(cls, wire: bytes) -> "WriteSet":
        """Back from `to_wire`. Raises `CorruptRecord` for anything else."""
        payload = unseal(_WIRE_KEY, wire)
        try:
            return msgspec.msgpack.decode(payload, type=cls)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise CorruptRecord(_WIRE_KEY, f"not a write set: {error}") from error

    def sealed(self) -> tuple[list[tuple[bytes, bytes]], list[bytes]]:
        """For stores: the records to put and the keys to delete, both in key order, each key once.

        Raises `ReservedKey` or `KeyTooLong` if any key cannot be written.
        """
        latest: dict[bytes, bytes | memoryview | None] = dict(self.changes)
        long: tuple[Bulk, ...] = (*self.bulk, *self.texts)
        for key, whole in long:
            latest.update((key + u32(number), row) for number, row in enumerate(_rows(whole)))
        keys = sorted(latest)
        if not keys:
            return [], []
        if keys[0] < FIRST_KEY:
            raise ReservedKey(keys[0])
        longest = max(map(len, keys))
        if longest > KEY_BYTES_MAX:
            raise KeyTooLong(longest, KEY_BYTES_MAX)
        puts = [
            (key, head(RECORD_VERSION, crc32(value, crc32(key))) + value)
            for key in keys
            if (value := latest[key]) is not None
        ]
        return puts, [key for key in keys if latest[key] is None] if len(puts) < len(keys) else []


def bulk_rows(value: str | bytes) -> int:
    """How many rows a long value is cut into."""
    return -(-len(value) // BULK_ROW_MAX)


def _rows(value: str | bytes) -> Iterator[bytes | memoryview]:
    whole = value if isinstance(value, str) else memoryview(value)
    for start in range(0, len(whole), BULK_ROW_MAX):
        row = whole[start : start + BULK_ROW_MAX]
        yield row.encode() if isinstance(row, str) else row
