"""The seal around every stored payload: version byte, crc32 over key and payload, payload.

The key is part of the checksum, so a record that ends up under another key is found too.
"""

from struct import Struct
from typing import Final
from zlib import crc32

from durio.storage.errors import CorruptRecord
from durio.storage.limits import RECORD_VERSION

_HEAD: Final = Struct(">BI")

HEAD_BYTES: Final = _HEAD.size
"""Length of what `seal` puts before a payload, in bytes."""

head = _HEAD.pack
"""`head(RECORD_VERSION, crc)`: the bytes before a payload. For the hot paths, which seal and unseal
inline.
"""


def seal(key: bytes, payload: bytes) -> bytes:
    """The record that stores `payload` under `key`."""
    return head(RECORD_VERSION, crc32(payload, crc32(key))) + payload


def unseal(key: bytes, record: bytes) -> bytes:
    """The payload that was sealed for `key`.

    Raises `CorruptRecord` when the record is too short, of another version, or does not fit its checksum.
    """
    payload = record[HEAD_BYTES:]
    if record[:HEAD_BYTES] == head(RECORD_VERSION, crc32(payload, crc32(key))):
        return payload
    if len(record) < HEAD_BYTES:
        raise CorruptRecord(key, f"{len(record)} bytes are too few, {HEAD_BYTES} is the least")
    if record[0] != RECORD_VERSION:
        raise CorruptRecord(key, f"record version {record[0]} is not known, {RECORD_VERSION} is expected")
    raise CorruptRecord(key, "the checksum over key and value does not fit")
