"""Request ids: a retried request gets the first answer (G3)."""

from __future__ import annotations

import hashlib
import uuid
from typing import Final

import msgspec

import durio.entities.keys as keys
from durio.entities.blobs import Reference
from durio.entities.changes import View
from durio.entities.errors import InvalidAddress, RequestExpired, RequestIdReused
from durio.entities.limits import REQUEST_DEDUPE_S, REQUEST_ID_BYTES_MAX
from durio.entities.messages import Answer, Request

SWEEP_MAX: Final = 1000

SESSION: Final = "~"
"""Begins the request ids that clients in other processes make for themselves: `~<session>.<number>`."""


def session_of(request_id: str) -> str:
    """The session that made this request id; empty if none did."""
    return request_id[1 : request_id.find(".")] if request_id.startswith(SESSION) and "." in request_id else ""


class Requests:
    """The table of request ids.

    Guarantees: within `dedupe_s` an id is taken once; the same id with other content is refused; ids that carry
    their time (UUIDv7) and are older than that are refused instead of being done twice.
    """

    def __init__(self, view: View, dedupe_s: float = REQUEST_DEDUPE_S) -> None:
        self._view = view
        self._dedupe_us = int(dedupe_s * 1_000_000)
        self._decoder = msgspec.msgpack.Decoder(Request)

    def find(self, request_id: str) -> Request | None:
        """What is known of an id."""
        return self._view.get(keys.REQUEST, keys.request(request_id), self._decoder)

    def check(self, request_id: str, digest: bytes, now_us: int) -> Request | None:
        """The earlier request with this id, or None if it is new.

        Raises `RequestIdReused` for other content, `RequestExpired` for an id that is too old to tell.
        """
        check_request_id(request_id)
        known = self.find(request_id)
        if known is not None:
            if known.digest != digest:
                raise RequestIdReused(request_id)
            return known
        born_us = _time_of_uuid7_us(request_id)
        if born_us is not None and now_us - born_us > self._dedupe_us:
            raise RequestExpired(request_id, (now_us - born_us) / 1e6, self._dedupe_us / 1e6)
        return None

    def take(self, request_id: str, digest: bytes, now_us: int) -> None:
        """Remember a new id, in the batch that takes its message in."""
        batch = self._view.filling
        batch.put(keys.REQUEST, keys.request(request_id), Request(digest, now_us))
        batch.put(keys.REQUEST_TIME, keys.request_time(now_us, request_id), Request(digest, now_us))

    def answer(self, request_id: str, answer: Answer, now_us: int) -> None:
        """Keep the answer, in the batch of the turn that gave it. The first answer stays."""
        known = self.find(request_id)
        if known is None and request_id.startswith(SESSION):
            self.keep(request_id, answer, now_us)  # asked longer than `dedupe_s` ago, and still waited for
        if known is not None and known.answer is None:
            row = Request(known.digest, known.at_us, answer)
            self._view.filling.put(keys.REQUEST, keys.request(request_id), row)

    def keep(self, request_id: str, answer: Answer, now_us: int) -> None:
        """Keep an answer for a client in another process that will look for it."""
        row = Request(b"", now_us, answer)
        self._view.filling.put(keys.REQUEST, keys.request(request_id), row)
        self._view.filling.put(keys.REQUEST_TIME, keys.request_time(now_us, request_id), row)

    def drop(self, request_id: str) -> None:
        """The client has read the answer, and will not ask again."""
        known = self.find(request_id)
        if known is not None:
            self._view.filling.delete(keys.REQUEST, keys.request(request_id))
            self._view.filling.delete(keys.REQUEST_TIME, keys.request_time(known.at_us, request_id))

    def forget(self, now_us: int) -> int:
        """Delete ids that were taken longer than `dedupe_s` ago, a bounded number; returns how many."""
        stop = keys.REQUEST_TIME + max(now_us - self._dedupe_us, 0).to_bytes(8, "big")
        rows = self._view.scan(keys.REQUEST_TIME, keys.REQUEST_TIME, stop, SWEEP_MAX)
        for key, _ in rows:
            self._view.filling.delete(keys.REQUEST_TIME, key)
            self._view.filling.delete(keys.REQUEST, keys.REQUEST + key[9:])
        return len(rows)


def digest_of(*parts: object) -> bytes:
    """A digest of what a request asks, to tell a retry from another request under the same id."""
    return hashlib.blake2b(msgspec.msgpack.encode(parts, enc_hook=_what_it_holds), digest_size=16).digest()


def _what_it_holds(value: object) -> bytes:
    """The same large payload has another reference each time it is given."""
    if isinstance(value, Reference):
        for _ in value.content.digesting():
            pass
        return value.content.digest
    raise NotImplementedError(type(value))


def check_request_id(request_id: object) -> str:
    """Give a request id back if it can be one. Raises `InvalidAddress`."""
    if not isinstance(request_id, str) or not request_id or "\0" in request_id:
        raise InvalidAddress(str(request_id), "a request id is a str that is not empty and holds no NUL")
    try:
        size = len(request_id.encode())
    except UnicodeEncodeError:
        raise InvalidAddress(request_id, "a request id holds no lone surrogates") from None
    if size > REQUEST_ID_BYTES_MAX:
        raise InvalidAddress(request_id, f"a request id has at most {REQUEST_ID_BYTES_MAX} bytes")
    return request_id


def _time_of_uuid7_us(request_id: str) -> int | None:
    if len(request_id) != 36 or request_id[14] != "7":
        return None
    try:
        number = uuid.UUID(request_id)
    except ValueError:
        return None
    return (number.int >> 80) * 1000
