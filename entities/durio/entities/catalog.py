"""The actors that are in memory."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

import attrs

from durio.entities.kinds import ActorKind, Taken
from durio.entities.mailbox import Mailbox


@attrs.define(eq=False)
class Activation:
    """An actor held in memory."""

    address: str
    kind: ActorKind
    actor: Any
    mailbox: Mailbox
    runnable: bool = False
    pinned: Taken[Any] | None = None
    """What a deferred turn works on: until it is settled the actor has no other turn (G1)."""
    offer: int = 0
    """The number of the offer in force; the answer to an older one is refused."""
    batch: int = -1
    """The batch that holds the newest change of this actor."""
    used_us: int = 0


class Catalog:
    """All activations, the least recently used first.

    Guarantees: one activation an address; an activation is dropped only when nothing of it is undurable and it is
    neither running nor runnable (G1, G7).
    """

    def __init__(self, activations_max: int) -> None:
        self._activations_max = activations_max
        self._activations: OrderedDict[str, Activation] = OrderedDict()

    def __len__(self) -> int:
        return len(self._activations)

    def __iter__(self) -> Iterator[Activation]:
        return iter(list(self._activations.values()))

    def get(self, address: str) -> Activation | None:
        """The activation of an address, if it is in memory."""
        return self._activations.get(address)

    def add(self, activation: Activation) -> None:
        """A new activation, the most recently used."""
        self._activations[activation.address] = activation

    def touch(self, activation: Activation, now_us: int) -> None:
        """The activation had a turn."""
        activation.used_us = now_us
        self._activations.move_to_end(activation.address)

    def collect(self, undurable: int, idle_before_us: int) -> int:
        """Drop what is idle since before `idle_before_us`, and beyond the bound whatever may be dropped.

        `undurable` is the number of the oldest batch not yet on disk. Returns how many were dropped. O(dropped) in
        normal work: the oldest come first, and the walk ends at the first that is young enough.
        """
        dropped = 0
        for address, activation in list(self._oldest(idle_before_us)):
            if activation.runnable or activation.pinned is not None or activation.batch >= undurable:
                continue
            del self._activations[address]
            activation.kind.drop(activation.actor)
            dropped += 1
        return dropped

    def drop(self, address: str) -> None:
        """Drop one activation, whatever it does: what it was is void or on disk."""
        activation = self._activations.pop(address, None)
        if activation is not None:
            activation.kind.drop(activation.actor)

    @property
    def oldest_used_us(self) -> int | None:
        """When the activation that is idle longest was last used."""
        for activation in self._activations.values():
            return activation.used_us
        return None

    def _oldest(self, idle_before_us: int) -> Iterator[tuple[str, Activation]]:
        surplus = len(self._activations) - self._activations_max
        for number, (address, activation) in enumerate(self._activations.items()):
            if number >= surplus and activation.used_us >= idle_before_us:
                return
            yield address, activation
