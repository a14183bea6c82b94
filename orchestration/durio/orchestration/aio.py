"""connect_asyncio: a client for asyncio programs, of a hub that another process owns."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any, Final, TypeVar

from durio.entities import MAIL_LANE, Answer, Env, Message, SystemEnv
from durio.entities.limits import PAYLOAD_BYTES_MAX
from durio.orchestration.app import App
from durio.orchestration.client import Client
from durio.orchestration.limits import CLIENT_POLL_S, OWNER_TIMEOUT_S
from durio.orchestration.records import Snapshot
from durio.orchestration.remote import Hub, RemoteLink, checked_app, client_over, outcome_of, snapshot_in
from durio.orchestration.session import Session, Wait

T = TypeVar("T")

_NO_ROOM_S: Final = 0.02


class AsyncioLink(RemoteLink):
    """A `Link` whose coroutines are awaited on asyncio's loop."""

    def __init__(self, session: Session, env: Env, open_names: bool) -> None:
        super().__init__(session, env, open_names)
        self._loop = asyncio.get_running_loop()
        self._pen = asyncio.Event()
        self._tick: asyncio.TimerHandle | None = None

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
        return await self._outcome(self._asked(address, message, token, lane, tell, digest, due_us))

    async def ended(self, address: str, life: str) -> Snapshot:
        return snapshot_in(await self._outcome(self._session.watch(address)))

    async def checkpoint(self) -> None:
        await asyncio.sleep(0)

    async def gather(self, calls: Sequence[Callable[[], Coroutine[Any, Any, T]]]) -> list[T]:
        tasks = [self._loop.create_task(call()) for call in calls]
        try:
            return list(await asyncio.gather(*tasks))
        finally:
            for task in tasks:
                task.cancel()

    async def run_blocking(self, call: Callable[[], T]) -> T:
        return await self._loop.run_in_executor(None, call)

    async def _outcome(self, wait: Wait) -> Answer:
        done = self._loop.create_future()
        wait.wake = lambda: None if done.done() else done.set_result(None)
        self._pen.set()
        try:
            await done
        except BaseException:
            self._session.give_up(wait)
            raise
        return outcome_of(wait)

    async def write(self) -> None:
        """Write what was asked, as it comes, many at a time, in a thread; until cancelled."""
        while True:
            await self._pen.wait()
            self._pen.clear()
            while self._session.queued:
                room = await asyncio.shield(self._loop.run_in_executor(None, self._session.flush, time.monotonic()))
                self._session.wake()
                self.hear()
                if not room:
                    await asyncio.sleep(_NO_ROOM_S)

    def hear(self) -> None:
        """The bell rang, or it is time to look anyway."""
        if self._tick is not None:
            self._tick.cancel()
            self._tick = None
        self._session.bell.drain()
        self._session.look()
        self._session.wake()
        if self._session.busy:
            self._tick = self._loop.call_later(CLIENT_POLL_S, self.hear)

    def deafen(self) -> None:
        """Look no more."""
        if self._tick is not None:
            self._tick.cancel()


def connect_asyncio(
    hub: Hub,
    *,
    app: App | None = None,
    timeout_s: float = OWNER_TIMEOUT_S,
    payload_bytes_max: int = PAYLOAD_BYTES_MAX,
) -> AbstractAsyncContextManager[Client]:
    """As `connect`, for a program on asyncio: `async with connect_asyncio("hub") as client:`. Trio does not run."""
    checked_app(app)
    return _connected(hub, app, timeout_s, payload_bytes_max)


@asynccontextmanager
async def _connected(hub: Hub, app: App | None, timeout_s: float, payload_bytes_max: int) -> AsyncIterator[Client]:
    loop, env = asyncio.get_running_loop(), SystemEnv()
    session = Session.open(hub, timeout_s, time.monotonic)
    link = AsyncioLink(session, env, app is None)
    loop.add_reader(session.bell.fd, link.hear)
    writer = loop.create_task(link.write())
    try:
        yield client_over(link, app, env, payload_bytes_max)
    finally:
        writer.cancel()
        with suppress(asyncio.CancelledError):
            await writer
        loop.remove_reader(session.bell.fd)
        link.deafen()
        await asyncio.shield(loop.run_in_executor(None, session.close, time.monotonic()))
        session.wake()
