"""What lies in the inbox: numbered rows, and a record of the numbers."""

from __future__ import annotations

from struct import Struct
from typing import Final

from durio.storage.codec import seal, unseal
from durio.storage.errors import HubBroken
from durio.storage.keys import from_u64, u64

STATE: Final = b"\x00state"
ROW: Final = b"r"
END: Final = b"s"
_NUMBERS: Final = Struct(">QQQ")


def row(number: int) -> bytes:
    """The key of a row."""
    return ROW + u64(number)


def number_of(key: bytes) -> int:
    """The number of a row. Raises `ValueError` for another key."""
    if key[:1] != ROW:
        raise ValueError(f"{key!r} is no key of an inbox")
    return from_u64(key[1:])


def state(last: int, bytes_in: int, first: int) -> bytes:
    """The record of the last number, of how many bytes wait, and of the first number that may still be there."""
    return seal(STATE, _NUMBERS.pack(last, bytes_in, first))


def state_of(record: bytes | None) -> tuple[int, int, int]:
    """Back from the record. Raises `HubBroken`."""
    if record is None:
        return 0, 0, 1
    try:
        last, bytes_in, first = _NUMBERS.unpack(unseal(STATE, record))
    except Exception as error:
        raise HubBroken(f"the inbox does not know its last number: {error}") from error
    return last, bytes_in, first
