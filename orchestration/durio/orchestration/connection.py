"""connect: a client of a hub that another process owns, for programs on Trio."""

from __future__ import annotations

import math
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from types import TracebackType
from typing import Any, Final, TypeVar

import attrs
import trio

from durio.entities import MAIL_LANE, Answer, Env, Message, SystemEnv, holds_cancelled, single
from durio.entities.gathering import gather
from durio.entities.limits import PAYLOAD_BYTES_MAX
from durio.entities.waiters import Bell
from durio.orchestration.app import App
from durio.orchestration.client import Client
from durio.orchestration.limits import CLIENT_POLL_S, OWNER_TIMEOUT_S
from durio.orchestration.records import Snapshot
from durio.orchestration.remote import Hub, RemoteLink, checked_app, client_over, outcome_of, snapshot_in
from durio.orchestration.session import Session, Wait

T = TypeVar("T")

_NO_ROOM_S: Final = 0.02


class TrioLink(RemoteLink):
    """A `Link` to the owner in another process, for Trio.

    Guarantees: what was asked is written even if its caller is cancelled; an answer that no bell told of is found by
    looking.
    """

    def __init__(self, session: Session, env: Env, open_names: bool, timeout_s: float) -> None:
        super().__init__(session, env, open_names)
        self._pen = Bell()
        self._listening = trio.CancelScope()
        # In virtual time nobody else is there, and looking again and again would only take time.
        self._poll_s = timeout_s / 2 if math.isinf(env.clock_read_s) else CLIENT_POLL_S

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
        await trio.lowlevel.checkpoint()

    async def gather(self, calls: Sequence[Callable[[], Coroutine[Any, Any, T]]]) -> list[T]:
        return await gather(calls)

    async def run_blocking(self, call: Callable[[], T]) -> T:
        return await self.env.run_blocking(call, trio.CapacityLimiter(1))

    async def _outcome(self, wait: Wait) -> Answer:
        event = trio.Event()
        wait.wake = event.set
        self._pen.ring()
        try:
            await event.wait()
        except BaseException:
            self._session.give_up(wait)
            raise
        return outcome_of(wait)

    async def write(self) -> None:
        """Write what was asked, as it comes, many at a time."""
        while True:
            await self._pen.wait()
            while self._session.queued:
                done = await self._env.run_commit(partial(self._session.flush, trio.current_time()))
                self._session.wake()
                self._listening.cancel()  # it may have gone to sleep for as long as nothing is asked
                if not done:
                    await trio.sleep(_NO_ROOM_S)

    async def listen(self) -> None:
        """Look for answers when the bell rings, and now and then anyway."""
        session = self._session
        while True:
            pause_s = self._poll_s if session.busy else math.inf
            with trio.CancelScope(deadline=trio.current_time() + pause_s) as self._listening:
                await trio.lowlevel.wait_readable(session.bell.fd)
            session.bell.drain()
            session.look()
            session.wake()


@attrs.define(eq=False)
class _Connection(AbstractAsyncContextManager[Client]):
    hub: Hub
    app: App | None
    env: Env
    timeout_s: float
    payload_bytes_max: int
    _nurseries: AbstractAsyncContextManager[trio.Nursery] | None = None
    _nursery: trio.Nursery | None = None
    _session: Session | None = None

    async def __aenter__(self) -> Client:
        session = self._session = Session.open(self.hub, self.timeout_s, trio.current_time)
        link = TrioLink(session, self.env, self.app is None, self.timeout_s)
        self._nurseries = trio.open_nursery()
        self._nursery = await self._nurseries.__aenter__()
        self._nursery.start_soon(link.write)
        self._nursery.start_soon(link.listen)
        return client_over(link, self.app, self.env, self.payload_bytes_max)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        assert self._nurseries is not None and self._nursery is not None and self._session is not None, "entered"
        self._nursery.cancel_scope.cancel()
        try:
            if error is None or holds_cancelled(error):
                return bool(await self._nurseries.__aexit__(kind, error, trace))
            await self._nurseries.__aexit__(None, None, None)
        except BaseExceptionGroup as group:
            raise single(group) from None
        finally:
            with trio.CancelScope(shield=True):
                await self.env.run_commit(partial(self._session.close, trio.current_time()))
            self._session.wake()
        return False


def connect(
    hub: Hub,
    *,
    app: App | None = None,
    timeout_s: float = OWNER_TIMEOUT_S,
    payload_bytes_max: int = PAYLOAD_BYTES_MAX,
    env: Env | None = None,
) -> AbstractAsyncContextManager[Client]:
    """Be a client of a hub that another process owns, or will own: `async with connect("hub") as client:`.

    Its methods are those of the owner's client. What is told is durable when the call returns, whether an owner runs
    or not. What is asked waits for the owner; when none takes it for `timeout_s` the call raises `NoOwner`, or
    `OwnerSilent` when the owner is stopped, and what was asked stays queued.

    `app`: if this program has it, names are checked at the call and results are decoded by its annotations. Without
    it orchestrations and entities are given as text, or as functions that say what they take and give. A start
    without a version gets the default of the owner.

    Raises `NotAHub` for a folder that was never a hub, `FormatMismatch`, `NetworkFileSystem`, `OSError`.
    """
    return _Connection(hub, checked_app(app), env or SystemEnv(), timeout_s, payload_bytes_max)
