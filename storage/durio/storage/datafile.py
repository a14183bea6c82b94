"""LMDB's file of data, looked at from outside: without a map, so that no damage in it can end this process."""

import os
from struct import Struct, error
from typing import Final

import attrs

_HEADER: Final = Struct("=QHHI")
_META: Final = Struct("=IIQQ")
_DB_BYTES: Final = 48
_LAST_PAGE_AND_TXN: Final = Struct("=QQ")
_META_BYTES: Final = _HEADER.size + _META.size + 2 * _DB_BYTES + _LAST_PAGE_AND_TXN.size
_MAGIC: Final = 0xBEEFC0DE
_VERSION: Final = 1
_META_PAGE: Final = 0x08


@attrs.frozen
class _Root:
    page: int
    page_bytes: int
    last_page: int
    txn: int

    @classmethod
    def read(cls, fd: int, page: int, page_bytes: int) -> "_Root":
        """One of the two roots. Raises `ValueError` and `struct.error` for what is none."""
        raw = os.pread(fd, _META_BYTES, page * page_bytes)
        number, _, flags, _ = _HEADER.unpack_from(raw)
        magic, version, _, _ = _META.unpack_from(raw, _HEADER.size)
        if (number, flags, magic, version) != (page, _META_PAGE, _MAGIC, _VERSION):
            raise ValueError(f"page {page} is no root of LMDB")
        database = _HEADER.size + _META.size
        size = int.from_bytes(raw[database : database + 4], "little" if raw[16] == 0xDE else "big")
        last_page, txn = _LAST_PAGE_AND_TXN.unpack_from(raw, database + 2 * _DB_BYTES)
        return cls(page, size, last_page, txn)


@attrs.frozen
class DataFile:
    """What can be seen of a data file at once: its size, when it was changed, its last transaction, what is odd."""

    size_bytes: int
    changed_ns: int
    txn: int
    needed_bytes: int
    """How long the last transaction says that the file is. LMDB itself may leave it shorter."""
    odd: str
    """What is odd with it at first sight; empty if nothing is."""
    wrong: str = ""
    """What LMDB never leaves behind, so that it is damage whatever a closer look shows: an old root that was made the
    newest one shows old data, all of them whole.
    """

    @classmethod
    def look(cls, path: str) -> "DataFile | None":
        """Look at the file; None if it is not there, or nothing was ever written to it. Raises `OSError`."""
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            stat = os.fstat(fd)
            return cls._of(fd, stat) if stat.st_size else None
        finally:
            os.close(fd)

    @classmethod
    def _of(cls, fd: int, stat: os.stat_result) -> "DataFile":
        size, changed = stat.st_size, stat.st_mtime_ns
        try:
            first = _Root.read(fd, 0, 0)
            if first.page_bytes not in (1 << n for n in range(8, 17)):
                raise ValueError(f"its pages cannot have {first.page_bytes} bytes")
            second = _Root.read(fd, 1, first.page_bytes)
        except (ValueError, error) as wrong:
            why = f"its first pages are damaged ({wrong})"
            return cls(size, changed, 0, size, why, why)
        last = max(first, second, key=lambda root: root.txn)
        needed = (last.last_page + 1) * first.page_bytes
        torn = _torn(first, second)
        short = f"it has {size:,} bytes, its root says {needed:,}" if size < needed else ""
        return cls(size, changed, last.txn, needed, torn or short, torn)


def _torn(first: _Root, second: _Root) -> str:
    if first.page_bytes != second.page_bytes:
        return f"its two roots disagree on the size of a page ({first.page_bytes} and {second.page_bytes} bytes)"
    # Each transaction writes one root, in turns: a root that is not the one before the last one is not LMDB's.
    if first.txn % 2 or (second.txn % 2 == 0 and second.txn) or abs(first.txn - second.txn) > 1:
        return f"its two roots do not follow each other (transactions {first.txn} and {second.txn})"
    return ""
