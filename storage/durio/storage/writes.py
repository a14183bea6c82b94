"""What a turn wants to change on disk."""

from typing import Final, TypeAlias
from zlib import crc32

import msgspec

from durio.storage.codec import head, seal, unseal
from durio.storage.errors import CorruptRecord, KeyTooLong, ReservedKey
from durio.storage.keys import FIRST_KEY
from durio.storage.limits import KEY_BYTES_MAX, RECORD_VERSION

Change: TypeAlias = tuple[bytes, bytes | None]
"""A key and its new value; None deletes the key, present or not."""

_WIRE_KEY: Final = b"WriteSet"


class WriteSet(msgspec.Struct, frozen=True, array_like=True):
    """Changes that become durable together or not at all. Plain data, so it can be put on a wire.

    The last change of a key wins. The order of the others means nothing.
    """

    changes: tuple[Change, ...] = ()

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
        latest = dict(self.changes)
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
