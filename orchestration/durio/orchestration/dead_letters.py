"""Dead letters, for clients: list them, retry them, drop them (G6)."""

from __future__ import annotations

from datetime import datetime
from functools import partial

import attrs
import msgspec

from durio.entities import (
    UNDECODABLE,
    HubCommand,
    Letter,
    Message,
    PayloadError,
    check_text,
    entity_messages,
    from_us,
    is_entity,
    letter_id,
    letter_number,
    told,
)
from durio.entities import keys as entity_keys
from durio.orchestration.asking import Asking
from durio.orchestration.messages import message_decoder

LETTERS_MAX = 1000


@attrs.frozen
class DeadLetter:
    """A message that was parked: running it ended the process again and again, or it cannot be decoded.

    `address`: the entity (`@name@key`) or the instance that it was for. `what`: what it asked, in words. `input_`: its
    input, where it has one. `why`: why it was parked. `times`: at how many unclean ends it was running.
    """

    id: str
    address: str
    what: str
    input_: object
    why: str
    times: int
    parked_at: datetime


class DeadLetterClient(Asking):
    """The part of the client that deals with dead letters."""

    async def list_dead_letters(self, *, after: str | None = None, limit: int = LETTERS_MAX) -> list[DeadLetter]:
        """The dead letters of the hub at its last commit, the oldest first; those behind the id `after`.

        Raises `ValueError` for an id that no dead letter can have, and for a limit below 1.
        """
        self._check_reading()
        if limit < 1:
            raise ValueError(f"limit={limit} must be at least 1")
        number = -1 if after is None else letter_number(after)
        if number is None:
            raise ValueError(f"after={after!r} is no id of a dead letter")
        await self._link.checkpoint()
        start, stop = entity_keys.letter(number + 1), entity_keys.stop_of(entity_keys.LETTER)
        decoder = msgspec.msgpack.Decoder(Letter)
        rows = self._link.store.scan(start, stop, limit=limit)
        return [await self._shown(int.from_bytes(key[1:], "big"), decoder.decode(row)) for key, row in rows]

    async def retry_dead_letter(self, letter_id: str, *, request_id: str | None = None) -> None:
        """Put the message back as a new one, at the tail of its mailbox, and forget the dead letter.

        Whoever waited has been told that it was parked; it is done once more, and nobody gets its answer. Raises
        `DeadLetterNotFound`, and `DeadLetterUnreadable` when it still cannot be decoded.
        """
        await self._command("retry_dead_letter", letter_id, request_id)

    async def drop_dead_letter(self, letter_id: str, *, request_id: str | None = None) -> None:
        """Forget a dead letter: it is never done. Raises `DeadLetterNotFound`."""
        await self._command("drop_dead_letter", letter_id, request_id)

    async def _command(self, name: str, subject: str, request_id: str | None) -> None:
        self._check_outside()
        await self._ask("", partial(HubCommand, name=name, subject=check_text(subject, "letter_id")), request_id)

    async def _shown(self, number: int, letter: Letter) -> DeadLetter:
        what, input_ = "a message that cannot be decoded", None
        decoder = entity_messages() if is_entity(letter.address) else message_decoder()
        try:
            message: Message = decoder.decode(letter.message)
            what, data = told(message), getattr(message, "input", None)
            await self._load(data)
            input_ = None if data is None else self._payloads.decode(data)
        except (*UNDECODABLE, PayloadError):
            pass  # what can be shown of it is shown
        return DeadLetter(
            letter_id(number), letter.address, what, input_, letter.why, letter.times, from_us(letter.at_us)
        )
