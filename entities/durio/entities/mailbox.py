"""The unread messages of one actor, as far as they are in memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import msgspec

import durio.entities.keys as keys
from durio.entities.changes import View
from durio.entities.limits import MAILBOX_WINDOW_MAX
from durio.entities.messages import CONTROL_LANE, Message

Mail = tuple[bytes, Message]
"""An unread message and its key."""


class Mailbox:
    """A window on the durable mailbox of one actor.

    Guarantees: messages come in the order of their keys (lane, then arrival); every durable message comes, however
    few are in memory; taking one from the window does not delete it: its turn does, in its own commit (G2, G4, G7).
    """

    __slots__ = ("_control", "_cursor", "_decode", "_more", "_queue", "_view", "prefix")

    def __init__(self, view: View, address: str, decode: Callable[[bytes], Message]) -> None:
        self.prefix = keys.mailbox(address)
        self._view = view
        self._decode = decode
        self._control: deque[Mail] = deque()
        self._queue: deque[Mail] = deque()
        self._more = False
        self._cursor = self.prefix
        self.rewind()

    def __bool__(self) -> bool:
        return bool(self._control or self._queue or self._more)

    def push(self, key: bytes, message: Message) -> None:
        """A message was taken in; it lies behind all others of its lane."""
        if keys.mail_lane(key) == CONTROL_LANE:
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
        return self._control.popleft()

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
        """Read again from the first message that is not deleted: held messages come up once more."""
        self._cursor = self.prefix + bytes((CONTROL_LANE + 1,))
        rows = self._rows(self.prefix, keys.stop_of(self.prefix), MAILBOX_WINDOW_MAX)
        self._more = len(rows) == MAILBOX_WINDOW_MAX
        if self._more and rows[-1][0] < self._cursor:
            rows = self._rows(self.prefix, self._cursor, None)  # all of the control lane is always there
        self._control = deque(row for row in rows if row[0] < self._cursor)
        self._queue = deque(row for row in rows if row[0] >= self._cursor)

    def _refill(self) -> None:
        rows = self._rows(self._cursor, keys.stop_of(self.prefix), MAILBOX_WINDOW_MAX)
        self._queue.extend(rows)
        self._more = len(rows) == MAILBOX_WINDOW_MAX

    def _rows(self, start: bytes, stop: bytes, limit: int | None) -> list[Mail]:
        rows: list[Mail] = []
        for key, row in self._view.scan(self.prefix, start, stop, limit):
            message = self._decode(row) if isinstance(row, bytes) else row
            if not isinstance(message, Message):
                raise msgspec.ValidationError(f"{key!r} holds no message")
            rows.append((key, message))
        return rows
