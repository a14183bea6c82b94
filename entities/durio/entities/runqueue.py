"""Who waits for a turn."""

from __future__ import annotations

from collections import deque


class RunQueue:
    """The actors that wait for their turn, who waits longest first; apart from it those that have control mail.

    Guarantee: an actor is in it once, however often it is woken (G8).
    """

    def __init__(self) -> None:
        self._waiting: deque[str] = deque()
        self._queued: set[str] = set()
        self._urgent: dict[str, None] = {}

    def __bool__(self) -> bool:
        return bool(self._waiting)

    @property
    def waiting(self) -> tuple[str, ...]:
        """All who wait, who waits longest first."""
        return tuple(self._waiting)

    @property
    def urgent(self) -> bool:
        """Whether an actor has control mail."""
        return bool(self._urgent)

    def wake(self, address: str) -> None:
        """The actor has something to do."""
        if address not in self._queued:
            self._queued.add(address)
            self._waiting.append(address)

    def urge(self, address: str) -> None:
        """The actor has control mail."""
        self._urgent[address] = None

    def calm(self, address: str) -> None:
        """The actor has none any more."""
        if self._urgent:
            self._urgent.pop(address, None)

    def take(self, address: str | None = None) -> str:
        """The turn of one of those that wait begins: of who waits longest, if none is named."""
        if address is None:
            address = self._waiting.popleft()
        else:
            self._waiting.remove(address)
        self._queued.discard(address)
        return address

    def take_urgent(self) -> str:
        """The turn of one that has control mail begins; it goes on waiting for the others that it has to have."""
        address = next(iter(self._urgent))
        del self._urgent[address]
        return address
