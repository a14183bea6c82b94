"""Link: what a client needs of a hub, wherever the hub runs."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Protocol, TypeVar

from durio.entities import MAIL_LANE, Answer, Env, Message
from durio.orchestration.records import Snapshot
from durio.storage import Reads

T = TypeVar("T")


class Link(Protocol):
    """A client's way into a hub: the runtime of an open one, or a simulated one.

    Guarantees asked of it: an answer is durable when it comes (G5); a repeated request id gets the first answer (G3).
    """

    @property
    def env(self) -> Env:
        """The clock, and fresh ids."""
        ...

    @property
    def store(self) -> Reads:
        """What is durable, for reading."""
        ...

    def request_id(self, given: str | None) -> str | None:
        """The id under which a request is remembered: the given one, or one of the link's own; None: it is not."""
        ...

    def token(self, request_id: str | None) -> str:
        """A reply token: a fresh one, or that of the request id. Raises `InvalidAddress` for an unusable id."""
        ...

    async def submit(
        self,
        address: str,
        message: Message,
        token: str,
        *,
        lane: int = MAIL_LANE,
        tell: bool = False,
        digest: bytes = b"",
        due_us: int | None = None,
    ) -> Answer:
        """Tell or ask, and wait for the durable answer. Cancelling never retracts the message."""
        raise NotImplementedError

    async def ended(self, address: str, life: str) -> Snapshot:
        """Wait until a life that goes on has ended; gives what it was then."""
        raise NotImplementedError

    async def checkpoint(self) -> None:
        """Let others run."""
        raise NotImplementedError

    async def gather(self, calls: Sequence[Callable[[], Coroutine[Any, Any, T]]]) -> list[T]:
        """Make calls side by side; gives their results in order. The first error cancels the others, and is raised."""
        raise NotImplementedError

    async def run_blocking(self, call: Callable[[], T]) -> T:
        """Run what blocks, beside everything else; cancelling abandons it."""
        raise NotImplementedError
