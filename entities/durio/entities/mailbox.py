"""The unread messages of one actor, as far as they are in memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

import durio.entities.keys as keys
from durio.entities.changes import Record, View
from durio.entities.limits import MAILBOX_READ_MIN, MAILBOX_WINDOW_MAX
from durio.entities.messages import CONTROL_LANE, UNDECODABLE, Message, Unreadable, encode_record
from durio.storage import CorruptRecord

Mail = tuple[bytes, Message]
"""An unread message and its key."""


class Mailbox:
    """A window on the durable mailbox of one actor.

    Guarantees: messages come in the order of their keys (lane, then arrival); every durable message comes, however
    few are in memory; taking one from the window does not delete it: its turn does, in its own commit (G2, G4, G7).
    """

    __slots__ = ("_control", "_cursor", "_decode", "_more", "_queue", "_reads", "_view", "prefix", "unreadable")

    def __init__(self, view: View, address: str, decode: Callable[[bytes], Message]) -> None:
        self.prefix = keys.mailbox(address)
        self._view = view
        self._decode = decode
        self._control: list[Mail] = []
        self._queue: deque[Mail] = deque()
        self._more = False
        self.unreadable: dict[bytes, Unreadable] = {}
        """Messages that came up and cannot be decoded: they are to be parked (G6)."""
        self._cursor = self.prefix
        self._reads = MAILBOX_READ_MIN
        self.rewind()

    def __bool__(self) -> bool:
        return bool(self._control or self._queue or self._more or self.unreadable)

    def push(self, key: bytes, message: Message) -> None:
        """A message was taken in; it lies behind all others of its lane."""
        if isinstance(message, Unreadable):
            self.unreadable[key] = message
        elif keys.mail_lane(key) == CONTROL_LANE:
            self._control.append((key, message))
        elif self._more or len(self._queue) >= MAILBOX_WINDOW_MAX:
            self._more = True  # it is durable, or will be: the window comes to it
        else:
            self._queue.append((key, message))

    def peek_control(self) -> Mail | None:
        """The next terminate, suspend or resume."""
        return self._control[0] if self._control else None

    def pop_control(self) -> Mail:
        """Take it out of the window."""
        return self._control.pop(0)

    def peek(self) -> Mail | None:
        """The next message of the other lanes."""
        if not self._queue and self._more:
            self._refill()
        return self._queue[0] if self._queue else None

    def pop(self) -> Mail:
        """Take it out of the window."""
        mail = self._queue.popleft()
        self._cursor = mail[0] + b"\0"
        return mail

    def rewind(self) -> None:
        """Read again from the first message that is not deleted: held messages come up once more.

        A few at first, then twice as many each time: an execution that ends after one message must not pay for a
        thousand that wait behind it (G23).
        """
        self.unreadable = {}
        self._cursor = self.prefix + bytes((CONTROL_LANE + 1,))
        self._reads = min(MAILBOX_READ_MIN, MAILBOX_WINDOW_MAX)
        rows = self._rows(self.prefix, keys.stop_of(self.prefix), self._reads)
        self._more = len(rows) == self._reads
        if self._more and rows[-1][0] < self._cursor:
            rows = self._rows(self.prefix, self._cursor, None)  # all of the control lane is always there
        rows = self._readable(rows)
        self._control = [row for row in rows if row[0] < self._cursor]
        self._queue = deque(row for row in rows if row[0] >= self._cursor)

    def _refill(self) -> None:
        self._reads = min(2 * self._reads, MAILBOX_WINDOW_MAX)
        rows = self._rows(self._cursor, keys.stop_of(self.prefix), self._reads)
        self._queue.extend(self._readable(rows))
        self._more = len(rows) == self._reads

    def _rows(self, start: bytes, stop: bytes, limit: int | None) -> list[Mail]:
        return [(key, self._message(row)) for key, row in self._view.scan(self.prefix, start, stop, limit)]

    def _message(self, row: bytes | Record) -> Message:
        if isinstance(row, Message):
            return row
        return readable(row if isinstance(row, bytes) else encode_record(row), self._decode)

    def _readable(self, rows: list[Mail]) -> list[Mail]:
        """Those that can be decoded; the others are kept apart."""
        self.unreadable.update((key, message) for key, message in rows if isinstance(message, Unreadable))
        return [mail for mail in rows if not isinstance(mail[1], Unreadable)] if self.unreadable else rows


def readable(data: bytes, decode: Callable[[bytes], Message]) -> Message:
    """A message of a row; what stands for it, if it cannot be decoded."""
    try:
        return decode(data)
    except UNDECODABLE as error:
        return Unreadable.of(data, error)


def waiting_mail(view: View) -> Iterator[tuple[str, int]]:
    """Who has unread mail, and the lane of the first message. A damaged row counts: its own actor is held for it."""
    start = keys.MAIL
    while True:
        try:
            rows = view.scan(keys.MAIL, start, keys.stop_of(keys.MAIL), 1)
            if not rows:
                return
            key = rows[0][0]
        except CorruptRecord as damaged:
            key = damaged.key
        address = keys.address_of(key)
        yield address, keys.mail_lane(key)
        start = keys.stop_of(keys.mailbox(address))
