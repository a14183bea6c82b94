"""No room on the disk: what waits meanwhile, and when it is over (G32)."""

from __future__ import annotations

import logging

import trio

from durio.entities.limits import ROOM_POLL_S
from durio.entities.messages import Message
from durio.storage import NoSpace, Store

logger = logging.getLogger("durio.entities")


class Shortage:
    """Whether the disk of a hub is full, and what came meanwhile that must not be lost.

    Guarantees: while it lasts new work is refused, what was acknowledged stays; it ends by itself when there is room.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lasts = False
        self._results: dict[bytes, tuple[bytes, str, Message]] = {}

    def __bool__(self) -> bool:
        return self._lasts

    def keeps(self, key: bytes) -> bool:
        """Whether the result of this job waits: it has run, and is not to be started again."""
        return key in self._results

    def begin(self, error: NoSpace) -> bool:
        """A commit met a full disk. False: that was known."""
        if self._lasts:
            return False
        self._lasts = True
        self._store.release_ballast()
        logger.error("%s; until then new work is refused", error)
        return True

    def refusal(self) -> NoSpace:
        """What a new request is told."""
        return NoSpace(self._store.path)

    def keep(self, key: bytes, address: str, message: Message) -> None:
        """The result of a job came; it is taken in when there is room."""
        self._results[key] = (key, address, message)

    async def wait(self) -> None:
        """Wait until there is room."""
        while True:
            await trio.sleep(ROOM_POLL_S)
            if self._store.has_room():
                return

    def end(self) -> list[tuple[bytes, str, Message]]:
        """It is over, as far as one knows; gives the results that waited."""
        self._lasts = False
        self._store.restore_ballast()
        logger.warning("%s goes on: there may be room again", self._store.path)
        results, self._results = self._results, {}
        return list(results.values())
