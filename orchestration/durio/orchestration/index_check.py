"""IndexChecks: what a check of a hub knows of the index: it says what the instances say, no more and no less."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Final

from durio.entities import keys as entity_keys
from durio.orchestration.index import STATUSES, address_in, facts_of, rows_of, shown_status
from durio.orchestration.records import Head, Origin

_DIGEST_BYTES: Final = 8


class IndexChecks:
    """Compares the rows of the index with the instances, of which each leaves one number in memory.

    The rows of an instance are added up without order: a sum that is not zero in the end means that one is missing,
    wrong or left over. The table of instances comes before that of the index.
    """

    def __init__(self) -> None:
        self._sums: dict[str, int] = {}
        self._unknown: set[str] = set()
        """Instances that cannot be read: what their rows should be, nobody knows."""

    def instance(self, address: str, head: Head | None, origin: Origin | None) -> None:
        """All rows of an instance were seen."""
        facts = None if head is None or shown_status(head) not in STATUSES else facts_of(head, origin)
        if facts is None:
            self._unknown.add(address)
            return
        self._sums[address] = 0
        for where in rows_of(address, facts):
            self._sums[address] ^= _number(where)

    def row(self, key: bytes) -> Iterator[str]:
        """What is wrong with one row of the index. Raises `ValueError` if it is none."""
        where = key[len(entity_keys.INDEX) :]
        address = address_in(where)
        if address in self._sums:
            self._sums[address] ^= _number(where)
        elif address not in self._unknown:
            yield f"it leads to instance {address!r}, and there is no such instance"

    def end(self) -> Iterator[tuple[str, str]]:
        """What does not fit together."""
        for address, number in self._sums.items():
            if number:
                yield (
                    f"instance {address!r}",
                    "its rows in the index are not those that it should have: queries miss it, or find it in vain",
                )


def _number(where: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(where, digest_size=_DIGEST_BYTES).digest())
