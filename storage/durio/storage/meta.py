"""The store's own record: who owns the hub, and how many commits it holds."""

from struct import Struct
from typing import Final, Self

import attrs

from durio.storage.codec import seal, unseal
from durio.storage.errors import CorruptRecord
from durio.storage.keys import FORMAT_KEY, META_KEY, from_u32

_PAIR: Final = Struct(">QQ")


@attrs.frozen
class Meta:
    """`epoch` grows by 1 with every owner, `commit` by 1 with every commit of a write set (not with an
    opening).
    """

    epoch: int
    commit: int

    def record(self) -> bytes:
        """The sealed record to be stored under `META_KEY`."""
        return seal(META_KEY, _PAIR.pack(self.epoch, self.commit))

    @classmethod
    def from_record(cls, record: bytes | None) -> Self:
        """Back from the record; `CorruptRecord` when it is missing or damaged."""
        if record is None:
            raise CorruptRecord(META_KEY, "the record with the epoch is missing")
        payload = unseal(META_KEY, record)
        if len(payload) != _PAIR.size:
            raise CorruptRecord(META_KEY, f"{len(payload)} bytes instead of {_PAIR.size}")
        return cls(*_PAIR.unpack(payload))


def format_of(record: bytes | None) -> int:
    """The number of the format that the data have. Raises `CorruptRecord` for a damaged record."""
    if record is None:
        return 1
    try:
        return from_u32(unseal(FORMAT_KEY, record))
    except ValueError as error:
        raise CorruptRecord(FORMAT_KEY, str(error)) from error
