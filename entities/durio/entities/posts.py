"""Posts: what clients in other processes want of the owner, how far it has taken them, and which lives they watch."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

import durio.entities.keys as keys
from durio.entities.changes import Ended, Reply, View
from durio.entities.messages import MAIL_LANE, REQUEST_TOKEN, Answer, encode_record
from durio.entities.requests import Requests, session_of


class Post(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A row of the inbox: one thing that a client in another process wants. Fields are only appended.

    `own_id`: a request id of the session's own; its answer lies under that if the request has no other. `message` is
    for the actor at `address`; empty: nothing is sent. `watch`: the end of the life at `address` is wanted. `read`:
    own ids whose answers were read and may go. `open_names`: the client has no app, so the owner fills in the version.
    """

    own_id: str
    address: str = ""
    message: bytes = b""
    lane: int = MAIL_LANE
    tell: bool = False
    request_id: str = ""
    digest: bytes = b""
    due_us: int | None = None
    read: tuple[str, ...] = ()
    watch: bool = False
    open_names: bool = True


class Taken(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Up to which number the rows of the inbox were taken in."""

    number: int


class Watch(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Since when a client in another process waits for the end of a life."""

    at_us: int


class Posts:
    """The tables of posts in the hub.

    Guarantees: what is taken in and how far it was taken is one commit (G3); who watches a life is answered by the
    turn that ends it (G17), also after any number of owners.
    """

    def __init__(self, view: View, requests: Requests) -> None:
        self._view = view
        self._requests = requests
        row = view.get(keys.TAKEN, keys.TAKEN, msgspec.msgpack.Decoder(Taken))
        self.taken = 0 if row is None else row.number
        self._watches: dict[tuple[str, str], set[str]] = {}
        self._recover()

    def _recover(self) -> None:
        start = keys.WATCH
        while rows := self._view.scan(keys.WATCH, start, keys.stop_of(keys.WATCH), 1000):
            for key, _ in rows:
                address, life, own_id = keys.parts_of_watch(key)
                self._watches.setdefault((address, life), set()).add(own_id)
            start = rows[-1][0] + b"\0"

    def take(self, number: int) -> None:
        """The row with this number of the inbox is taken in with the batch that fills."""
        self.taken = number
        self._view.filling.put(keys.TAKEN, keys.TAKEN, Taken(number))

    def watch(self, address: str, life: str, own_id: str, now_us: int) -> None:
        """Answer the request `own_id` when the life ends."""
        self._watches.setdefault((address, life), set()).add(own_id)
        self._view.filling.put(keys.WATCH, keys.watch(address, life, own_id), Watch(now_us))

    def ended(self, end: Ended, now_us: int) -> list[Reply]:
        """A life ended: the answers for those who watched it, in the same batch."""
        watchers = sorted(self._watches.pop((end.address, end.life), ()))
        if not watchers:
            return []
        answer = Answer(value=encode_record(end.last))
        for own_id in watchers:
            self._view.filling.delete(keys.WATCH, keys.watch(end.address, end.life, own_id))
            self._requests.keep(own_id, answer, now_us)
        return [Reply(REQUEST_TOKEN + own_id, answer) for own_id in watchers]

    @property
    def watchers(self) -> frozenset[str]:
        """The sessions that watch a life."""
        return frozenset(session_of(own_id) for watchers in self._watches.values() for own_id in watchers)

    def unwatch(self, gone: Iterable[str]) -> None:
        """Sessions that are gone watch nothing any more."""
        dead = frozenset(gone)
        if not dead:
            return
        for (address, life), watchers in [*self._watches.items()]:
            for own_id in [own_id for own_id in watchers if session_of(own_id) in dead]:
                watchers.discard(own_id)
                self._view.filling.delete(keys.WATCH, keys.watch(address, life, own_id))
            if not watchers:
                del self._watches[address, life]
