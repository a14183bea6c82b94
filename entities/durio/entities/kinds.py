"""ActorKind: the protocol by which the kernel runs actors of any kind."""

from __future__ import annotations

from typing import Any, Generic, Protocol, TypeVar

import attrs

from durio.entities.changes import View
from durio.entities.errors import Poisoned
from durio.entities.mailbox import Mail, Mailbox
from durio.entities.messages import Answer, Message
from durio.entities.settlement import Settlement

A = TypeVar("A")


@attrs.define(eq=False)
class Taken(Generic[A]):
    """A prefix of a mailbox that one turn works on. It is pinned, not consumed: only settling consumes it."""

    mails: list[Mail]
    work: A
    """What the kind made of the messages: its own."""
    full: bool = False
    """Whether it holds so many bytes that the actor goes to the back of the queue after it (G8)."""


@attrs.define(eq=False)
class Deferred:
    """A decision that is not made in this step: the turn is offered outside, once all it rests on is durable."""


class ActorKind(Protocol):
    """One kind of actors: entities, orchestration instances.

    Guarantees asked of it: `take`, `prepare` and `decide` change nothing durable; `settle` runs no user code and is
    the only one that writes; what `load` reads is all that an actor is.
    """

    def decode(self, data: bytes) -> Message:
        """Decode a message of this kind's mailboxes."""
        ...

    def load(self, view: View, address: str) -> Any:
        """The actor's state in memory, read through the overlay."""
        ...

    def prepare(self, actor: Any) -> bool:
        """Get ready for a turn (replay); False: not ready yet, ask again after others had their turn (G8)."""
        ...

    def take(self, actor: Any, mailbox: Mailbox, messages_max: int) -> Taken[Any] | None:
        """Choose what the next turn works on; None: nothing that can be done now."""
        ...

    def decide(self, actor: Any, taken: Taken[Any], now_us: int) -> Any:
        """The executor's part: run user code. `Deferred` when somebody else will decide."""
        ...

    def settle(self, actor: Any, taken: Taken[Any], decision: Any, settlement: Settlement) -> None:
        """Turn what was taken and decided into changes and outputs."""
        ...

    def object_to(self, view: View, address: str, message: Message) -> Answer | None:
        """Why a client's message that comes from inside of this kind's work must not be taken in; None if it may."""
        ...

    def stop(self, actor: Any) -> None:
        """A message of this actor is going to be parked: no code of it runs until `park` was called, nor in it."""
        ...

    def park(self, actor: Any, mail: Mail | None, error: Poisoned, settlement: Settlement) -> None:
        """A message cannot be run (without one: the actor's code cannot): tell whoever waits. It is consumed."""
        ...

    def drop(self, actor: Any) -> None:
        """The actor leaves memory; close what user code holds."""
        ...
