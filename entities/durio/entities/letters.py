"""Dead letters: messages that were parked because they cannot be run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec

import durio.entities.keys as keys
from durio.entities.changes import View
from durio.entities.errors import DeadLetterNotFound, DeadLetterUnreadable
from durio.entities.kinds import ActorKind
from durio.entities.messages import UNDECODABLE, Answer, HubCommand, Message, Unreadable, encode_record, refuse


class Letter(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A parked message: as it lay in its mailbox, why it was parked, and at how many unclean ends it was running."""

    address: str
    lane: int
    message: bytes
    why: str
    times: int
    at_us: int


class Delivers(Protocol):
    """Puts a message into a mailbox, behind all others of its lane."""

    def __call__(self, address: str, message: Message, lane: int, /) -> None: ...


class Letters:
    """The table of dead letters.

    Guarantees: a parked message is in its mailbox or here, in every commit (G2, G6); a retried one is a new message at
    the tail of its lane; an id is never used again.
    """

    def __init__(
        self,
        view: View,
        arrival: Callable[[], int],
        deliver: Delivers,
        kind: Callable[[str], ActorKind],
    ) -> None:
        self._view = view
        self._arrival = arrival
        self._deliver = deliver
        self._kind = kind
        self._letters = msgspec.msgpack.Decoder(Letter)

    def put(self, letter: Letter) -> str:
        """Keep a message that is being taken out of its mailbox; returns the id of the dead letter."""
        number = self._arrival()
        self._view.filling.insert(keys.LETTER, keys.letter(number), letter)
        return letter_id(number)

    def retry(self, command: HubCommand) -> Answer:
        """Put a message back, as a new one. Refuses `DeadLetterNotFound`, `DeadLetterUnreadable`."""
        key, letter = self._find(command.subject)
        if letter is None:
            return refuse(DeadLetterNotFound(command.subject))
        try:
            message = self._kind(letter.address).decode(letter.message)
        except UNDECODABLE as error:
            return refuse(DeadLetterUnreadable(command.subject, str(error)))
        self._view.filling.delete(keys.LETTER, key)
        self._deliver(letter.address, message, letter.lane)
        return Answer()

    def drop(self, command: HubCommand) -> Answer:
        """Forget a message. Refuses `DeadLetterNotFound`."""
        key, letter = self._find(command.subject)
        if letter is None:
            return refuse(DeadLetterNotFound(command.subject))
        self._view.filling.delete(keys.LETTER, key)
        return Answer()

    def _find(self, subject: str) -> tuple[bytes, Letter | None]:
        number = letter_number(subject)
        key = keys.letter(0 if number is None else number)
        return key, None if number is None else self._view.get(keys.LETTER, key, self._letters)


def letter_id(number: int) -> str:
    """The id of a dead letter: the epoch in which it was parked, and a number."""
    return f"{number >> 40}.{number & (1 << 40) - 1}"


def letter_number(id_: str) -> int | None:
    """Back from `letter_id`; None if no letter can have that id."""
    epoch, _, number = id_.partition(".")
    if not (epoch.isdecimal() and number.isdecimal() and len(id_) <= 32):
        return None
    found = (int(epoch) << 40) + int(number)
    return found if letter_id(found) == id_ and found < 1 << 64 else None


def as_stored(message: Message) -> bytes:
    """A message as it lies in a mailbox."""
    return message.raw if isinstance(message, Unreadable) else encode_record(message)


def told(message: Message | None) -> str:
    """What a message is, for people."""
    if message is None:
        return "its code"
    if isinstance(message, Unreadable):
        return "a message that cannot be decoded"
    kind = str(message.__struct_config__.tag)
    name = getattr(message, "name", None)
    words = {"op": "operation", "event": "event", "start": "start of", "done": "an activity's result", "due": "a start"}
    what = words.get(kind, kind)
    return what if name is None else f"{what} {name!r}"
