"""The gate in front of the kernel: who sends faster than the disk takes waits here."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

import attrs
import trio

from durio.entities.blobs import payload_size
from durio.entities.limits import INTAKE_BYTES_MAX, INTAKE_CONTROL_BYTES, MESSAGE_BYTES, TURNS_MS
from durio.entities.messages import Message
from durio.entities.waiters import Bell

T = TypeVar("T")


@attrs.define(eq=False)
class _Entrant:
    """Something that waits until there is room for it."""

    size_bytes: int
    step: Callable[[], Any]
    done: trio.Event = attrs.Factory(trio.Event)
    value: Any = None
    error: BaseException | None = None


class Intake:
    """Bounds what was taken in and is not durable yet.

    Guarantees: it holds at most `bytes_max`, or one message that is larger; beyond that whoever brings more waits for
    commits; who comes first enters first, whoever waits (G4); control mail has a queue and room of its own, so that a
    crowd of senders never stands before it (G26); one that is cancelled while it waits never enters.
    """

    def __init__(self, fills: Callable[[], object], bytes_max: int = INTAKE_BYTES_MAX) -> None:
        """`fills` says whether something is in the batch that fills: only then a commit comes, and makes room."""
        self._fills = fills
        self._bytes_max = bytes_max
        self._filling_bytes = 0
        self._in_flight_bytes = 0
        self._control: dict[_Entrant, None] = {}
        self._waiting: dict[_Entrant, None] = {}
        self._bell = Bell()
        self._failed: BaseException | None = None

    @property
    def held_bytes(self) -> int:
        """How much was taken in and is not durable yet."""
        return self._filling_bytes + self._in_flight_bytes

    @property
    def waiting(self) -> int:
        """How many wait at the gate."""
        return len(self._control) + len(self._waiting)

    async def take(self, size_bytes: int, step: Callable[[], T], *, control: bool = False) -> T:
        """Call `step`, which takes something in, at once or when there is room; gives its result, raises its error.

        Cancelled while it waits it is never called. Raises what `fail` was given.
        """
        if self._failed is not None:
            raise self._failed
        queue = self._control if control else self._waiting
        if not queue and self._has_room(size_bytes, control):
            return self._enter(size_bytes, step)
        entrant = _Entrant(size_bytes, step)
        queue[entrant] = None
        try:
            await entrant.done.wait()
        except BaseException:
            queue.pop(entrant, None)
            self._bell.ring()  # who stands behind it may be smaller
            raise
        if entrant.error is not None:
            raise entrant.error
        return entrant.value  # type: ignore[no-any-return]  # what `step` returned

    def sealed(self) -> None:
        """The batch that filled is on its way to the disk."""
        self._in_flight_bytes += self._filling_bytes
        self._filling_bytes = 0

    def landed(self) -> None:
        """What was on its way is durable, or void: there is room again."""
        self._in_flight_bytes = 0
        if not self._fills():
            self._filling_bytes = 0
        self._bell.ring()

    async def run(self) -> None:
        """Let in who waits, in order, and give way to others every few milliseconds (G8)."""
        while True:
            started = time.perf_counter()
            queue = self._next()
            if queue is None:
                await self._bell.wait()
                continue
            while queue is not None and time.perf_counter() - started < TURNS_MS / 1000:
                entrant = next(iter(queue))
                del queue[entrant]
                self._admit(entrant)
                queue = self._next()
            await trio.lowlevel.checkpoint()

    def fail(self, error: BaseException) -> None:
        """Raise `error` in all who wait, and in all who will come."""
        self._failed = error
        for queue in (self._control, self._waiting):
            for entrant in queue:
                entrant.error = error
                entrant.done.set()
            queue.clear()

    def _next(self) -> dict[_Entrant, None] | None:
        for queue in (self._control, self._waiting):
            if queue and self._has_room(next(iter(queue)).size_bytes, queue is self._control):
                return queue
        return None

    def _admit(self, entrant: _Entrant) -> None:
        try:
            entrant.value = self._enter(entrant.size_bytes, entrant.step)
        except Exception as error:
            entrant.error = error
        entrant.done.set()

    def _enter(self, size_bytes: int, step: Callable[[], T]) -> T:
        value = step()
        if self._fills():  # else it was refused, and no commit comes to make its room free again
            self._filling_bytes += size_bytes
        return value

    def _has_room(self, size_bytes: int, control: bool) -> bool:
        held_bytes = self.held_bytes
        bytes_max = self._bytes_max + (INTAKE_CONTROL_BYTES if control else 0)
        return held_bytes == 0 or held_bytes + size_bytes <= bytes_max


def size_of(message: Message) -> int:
    """About how many bytes a message holds in memory, on its way to the disk."""
    size = MESSAGE_BYTES + payload_size(getattr(message, "input", None))
    size += payload_size(getattr(message, "result", None))
    for _, data in getattr(message, "events", ()):
        size += MESSAGE_BYTES + payload_size(data)
    return size
