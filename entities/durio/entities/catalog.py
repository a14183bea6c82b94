"""The actors that are in memory."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

import attrs

from durio.entities.kinds import ActorKind, Taken
from durio.entities.mailbox import Mailbox

WALK_MAX: Final = 1000
"""How many activations one collection looks at: there may be many more that cannot be dropped now."""


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

    def add(self, activation: Activation, undurable: int) -> None:
        """A new activation, the most recently used; for it the oldest goes, if there are too many and it may.

        One in, one out: as many objects leave memory as come. Python's garbage collector counts the difference, and
        would come by all the time (and stop everything for as long as it takes to look at all that is in memory) if
        they left in bulk.
        """
        if len(self._activations) >= self._activations_max:
            oldest = next(iter(self._activations.values()), None)
            if oldest is not None and self._may_go(oldest, undurable):
                self.drop(oldest.address)
        self._activations[activation.address] = activation

    def touch(self, activation: Activation, now_us: int) -> None:
        """The activation had a turn."""
        activation.used_us = now_us
        self._activations.move_to_end(activation.address)

    def collect(self, undurable: int, now_us: int, idle_us: int) -> int:
        """Drop what is idle for `idle_us`, and beyond the bound whatever may be dropped; returns how many were.

        `undurable` is the number of the oldest batch not yet on disk. The oldest come first, the walk ends at the first
        that is young enough, and a call looks at a bounded number: what cannot be dropped goes to the end.
        """
        dropped = 0
        for activation in list(islice(self._oldest(now_us, idle_us), WALK_MAX)):
            if self._may_go(activation, undurable):
                self.drop(activation.address)
                dropped += 1
            else:
                self._activations.move_to_end(activation.address)
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

    @staticmethod
    def _may_go(activation: Activation, undurable: int) -> bool:
        return not (activation.runnable or activation.pinned is not None or activation.batch >= undurable)

    def _oldest(self, now_us: int, idle_us: int) -> Iterator[Activation]:
        surplus = len(self._activations) - self._activations_max
        for number, activation in enumerate(self._activations.values()):
            # One that seems to be used later than now was used before the clock went back.
            if number >= surplus and now_us - idle_us <= activation.used_us <= now_us:
                return
            yield activation
