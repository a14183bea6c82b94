"""Parking: what cannot be run leaves its mailbox, becomes a dead letter, and whoever waits for it is told (G6)."""

from __future__ import annotations

import logging
from collections.abc import Callable

import durio.entities.keys as keys
from durio.entities.catalog import Activation
from durio.entities.changes import View
from durio.entities.errors import Poisoned
from durio.entities.letters import Letter, Letters, as_stored, told
from durio.entities.mailbox import readable
from durio.entities.messages import Message
from durio.entities.poison import Poison
from durio.entities.settlement import Settlement

logger = logging.getLogger("durio.entities")


class Parking:
    """Parks messages, in turns of their actors.

    Guarantees: no code of the actor runs on the way; the message, the dead letter, and what is said to those who wait
    change in one batch (G2).
    """

    def __init__(self, view: View, poison: Poison, letters: Letters, settlement: Callable[[str], Settlement]) -> None:
        self._view = view
        self._poison = poison
        self._letters = letters
        self._settlement = settlement

    def done(self, activation: Activation, apply: Callable[[Activation, Settlement], None]) -> bool:
        """Park what is to be parked before anything else of this actor, if there is something.

        False: the actor is not ready for it yet, ask again after others had their turn.
        """
        if not activation.mailbox.unreadable and activation.address not in self._poison.due:
            return True
        activation.kind.stop(activation.actor)
        if not activation.kind.prepare(activation.actor):
            return False
        due = self._poison.due.pop(activation.address, [])
        for key in due:
            why = f"it was running at {self._poison.times(key)} unclean ends of the process"
            if key.startswith(keys.ACTOR):
                self._code(activation, why, apply)
            else:
                message = self._message(activation, key)
                if message is not None:
                    self._mail(activation, key, message, why, apply)
        for key, message in sorted(activation.mailbox.unreadable.items()):
            if key not in due:
                self._mail(activation, key, message, f"it cannot be decoded: {message.why}", apply)
        activation.mailbox.rewind()
        return True

    def _mail(
        self,
        activation: Activation,
        key: bytes,
        message: Message,
        why: str,
        apply: Callable[[Activation, Settlement], None],
    ) -> None:
        settlement = self._settlement(activation.address)
        settlement.consume(key)
        times = self._poison.times(key)
        letter = Letter(activation.address, keys.mail_lane(key), as_stored(message), why, times, settlement.now_us)
        error = Poisoned(activation.address, told(message), why, self._letters.put(letter))
        logger.error("%s", error)
        settlement.count("messages parked")
        activation.kind.park(activation.actor, (key, message), error, settlement)
        apply(activation, settlement)

    def _code(self, activation: Activation, why: str, apply: Callable[[Activation, Settlement], None]) -> None:
        settlement = self._settlement(activation.address)
        error = Poisoned(activation.address, told(None), why)
        logger.error("%s", error)
        activation.kind.park(activation.actor, None, error, settlement)
        apply(activation, settlement)

    def _message(self, activation: Activation, key: bytes) -> Message | None:
        rows = self._view.scan(activation.mailbox.prefix, key, key + b"\0")
        if not rows:
            return None
        row = rows[0][1]
        if not isinstance(row, bytes):
            return row if isinstance(row, Message) else None
        return readable(row, activation.kind.decode)
