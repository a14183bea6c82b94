"""SimLink: how the production client reaches a simulated hub. Its calls are coroutines that the simulation drives."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator, Sequence
from typing import Any, TypeVar

import attrs
import trio

from durio.entities import MAIL_LANE, Answer, Env, Message
from durio.orchestration.records import Snapshot
from durio.simulation.process import Process
from durio.storage import Store

T = TypeVar("T")


@attrs.frozen
class Waits:
    """What a client's coroutine yields: it waits for an answer, or for the end of a life."""

    key: object

    def __await__(self) -> Generator[Waits, Any, Any]:
        return (yield self)


class SimLink:
    """A `Link` into the process that lives now.

    A client outside is suspended by yielding `Waits`; one inside an activity waits as a Trio task.
    """

    def __init__(self, process: Process) -> None:
        self._process = process

    @property
    def env(self) -> Env:
        return self._process.env

    @property
    def store(self) -> Store:
        return self._process.store

    def request_id(self, given: str | None) -> str | None:
        return given

    def token(self, request_id: str | None) -> str:
        return self._process.token(request_id)

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
        self._process.take_in(address, message, token, lane=lane, tell=tell, digest=digest, due_us=due_us)
        answer: Answer = await self._wait(token)
        return answer

    async def ended(self, address: str, life: str) -> Snapshot:
        snapshot: Snapshot = await self._wait((address, life))
        return snapshot

    async def checkpoint(self) -> None:
        return None

    async def gather(self, calls: Sequence[Callable[[], Coroutine[Any, Any, T]]]) -> list[T]:
        return [await call() for call in calls]

    async def run_blocking(self, call: Callable[[], T]) -> T:
        return call()

    async def _wait(self, key: object) -> Any:
        if not trio.lowlevel.in_trio_task():
            return await Waits(key)
        heard: list[Any] = []
        event = trio.Event()

        def hear(value: Any) -> None:
            heard.append(value)
            event.set()

        self._process.listen(key, hear)
        await event.wait()
        return heard[0]
