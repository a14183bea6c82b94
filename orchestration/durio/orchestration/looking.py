"""look_at: a client that only reads, of a hub that this process may not write to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any, NoReturn, TypeVar

import trio

from durio.entities import MAIL_LANE, Answer, Env, Message, SystemEnv
from durio.entities.gathering import gather
from durio.entities.limits import PAYLOAD_BYTES_MAX
from durio.orchestration.app import App
from durio.orchestration.client import Client
from durio.orchestration.records import Snapshot
from durio.orchestration.remote import Hub, checked_app, client_over
from durio.storage import HubReader, HubReadOnly


class ReadingLink:
    """A `Link` that reads what was committed last; whatever is asked raises `HubReadOnly`."""

    def __init__(self, store: HubReader, env: Env) -> None:
        self._store = store
        self._env = env

    @property
    def env(self) -> Env:
        """The clock."""
        return self._env

    @property
    def store(self) -> HubReader:
        """What is durable."""
        return self._store

    def request_id(self, given: str | None) -> str | None:
        """The one given; there are no answers to remember."""
        return given

    def token(self, request_id: str | None) -> str:
        """Nothing is answered."""
        return ""

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
        self._refuse("that would change it")

    async def ended(self, address: str, life: str) -> Snapshot:
        self._refuse("nobody is there to wait for")

    async def checkpoint(self) -> None:
        await trio.lowlevel.checkpoint()

    async def gather(self, calls: Sequence[Callable[[], Coroutine[Any, Any, T]]]) -> list[T]:
        return await gather(calls)

    async def run_blocking(self, call: Callable[[], T]) -> T:
        return await self._env.run_blocking(call, trio.CapacityLimiter(1))

    def _refuse(self, why: str) -> NoReturn:
        raise HubReadOnly(self._store.path, why)


T = TypeVar("T")


@asynccontextmanager
async def look_at(
    hub: Hub, *, app: App | None = None, payload_bytes_max: int = PAYLOAD_BYTES_MAX
) -> AsyncIterator[Client]:
    """A client that reads a hub to which this process may not write, while nobody owns it: `async with look_at("hub")`.

    Nobody can own it meanwhile. What would change it raises `HubReadOnly`, and so does a hub that is owned. Other
    errors are those of `connect`.
    """
    checked_app(app)
    env = SystemEnv()
    store = HubReader.open(hub)
    try:
        yield client_over(ReadingLink(store, env), app, env, payload_bytes_max)
    finally:
        store.close()
