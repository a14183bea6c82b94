"""Times at the edges: aware datetimes outside, integer microseconds UTC inside (G28)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def to_us(moment: datetime, what: str) -> int:
    """Microseconds since 1970 of an aware datetime. Raises `ValueError` for a naive one: it names no moment."""
    if not isinstance(moment, datetime):
        raise TypeError(f"{what} is a datetime, not {type(moment).__name__} ({moment!r})")
    if moment.tzinfo is None or moment.utcoffset() is None:
        raise ValueError(f"{what}={moment!r} is naive: add a time zone, e.g. tzinfo=timezone.utc")
    return (moment - EPOCH) // timedelta(microseconds=1)


def from_us(at_us: int) -> datetime:
    """The aware UTC datetime of microseconds since 1970."""
    return EPOCH + timedelta(microseconds=at_us)
