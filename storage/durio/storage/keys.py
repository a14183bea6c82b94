"""Parts of ordered keys: bytes that compare like the values they are made of."""

from typing import Final

FIRST_KEY: Final = b"\x01"
"""Smallest key a user of the store may write. Keys below (empty, or starting with a zero byte) are the
store's own.
"""

FORMAT_KEY: Final = b"\x00format"
"""Where the store keeps the number of its format; a hub of format 1 has none."""

META_KEY: Final = b"\x00meta"
"""Where the store keeps its epoch and its commit number."""


def u64(number: int) -> bytes:
    """8 bytes that sort like the number. Raises `ValueError` outside 0 … 2**64-1."""
    return _unsigned(number, 8)


def from_u64(part: bytes) -> int:
    """The number in 8 bytes made by `u64`. Raises `ValueError` for another length."""
    return _number(part, 8)


def u32(number: int) -> bytes:
    """4 bytes that sort like the number. Raises `ValueError` outside 0 … 2**32-1."""
    return _unsigned(number, 4)


def from_u32(part: bytes) -> int:
    """The number in 4 bytes made by `u32`. Raises `ValueError` for another length."""
    return _number(part, 4)


def text(value: str) -> bytes:
    """UTF-8 and a zero byte: sorts by code point, and no text is a prefix of another one.

    Raises `ValueError` for text with a NUL character or with a lone surrogate.
    """
    if "\x00" in value:
        raise ValueError(f"{value!r} has a NUL character, which ends a text in a key: remove it")
    return value.encode() + b"\x00"


def from_text(key: bytes, start: int = 0) -> tuple[str, int]:
    """The text that `text` put at `start` of a key, and where the part behind it starts.

    Raises `ValueError` when no zero byte follows, or the bytes are not UTF-8.
    """
    end = key.find(b"\x00", start)
    if end < 0:
        raise ValueError(f"no text ends in key {key!r} behind byte {start}: it was not made by text()")
    return key[start:end].decode(), end + 1


def after(prefix: bytes) -> bytes | None:
    """The smallest key greater than every key that starts with `prefix`; None if there is none.

    `scan(prefix, after(prefix))` reads everything under a prefix.
    """
    stem = prefix.rstrip(b"\xff")
    return stem[:-1] + bytes((stem[-1] + 1,)) if stem else None


def _unsigned(number: int, size: int) -> bytes:
    try:
        return number.to_bytes(size, "big")
    except OverflowError:
        raise ValueError(f"{number} does not fit a key part of {size} bytes: 0 … 2**{8 * size}-1") from None


def _number(part: bytes, size: int) -> int:
    if len(part) != size:
        raise ValueError(f"{part!r} has {len(part)} bytes, a number in this key has {size}")
    return int.from_bytes(part, "big")
