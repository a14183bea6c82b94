"""The ways in which a client reaches a hub, for tests that must hold over each of them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, cast

import attrs
import trio
from trio.testing import wait_all_tasks_blocked

from durio.entities import VirtualEnv
from durio.orchestration import App, Client, SyncClient, connect, connect_asyncio, connect_sync, open_hub
from durio.orchestration.remote import RemoteLink


@asynccontextmanager
async def _owner(folder: Path, app: App, options: dict[str, Any]) -> AsyncIterator[Client]:
    async with open_hub(folder, app, env=VirtualEnv(), **options) as client:
        yield client


@asynccontextmanager
async def _connected(folder: Path, app: App, options: dict[str, Any]) -> AsyncIterator[Client]:
    async with open_hub(folder, app, env=VirtualEnv(), **options), connect(folder, env=VirtualEnv()) as client:
        yield client


@asynccontextmanager
async def _with_app(folder: Path, app: App, options: dict[str, Any]) -> AsyncIterator[Client]:
    env = VirtualEnv()
    async with open_hub(folder, app, env=env, **options), connect(folder, app=app, env=VirtualEnv()) as client:
        yield client


class Elsewhere:
    """Looks like a `Client` to a test on Trio; its calls run in other threads, on a client that is no Trio client."""

    def __init__(self, client: Any, call: Callable[[str, tuple[Any, ...], dict[str, Any]], Any]) -> None:
        self.client = client
        self._call = call
        self.calls = 0

    def __getattr__(self, name: str) -> Any:
        async def call(*args: Any, **options: Any) -> Any:
            self.calls += 1
            try:
                return await self._call(name, args, options)
            finally:
                self.calls -= 1

        return call

    async def settle(self) -> None:
        """Wait until everything that was asked is in the inbox."""
        inner = self.client._client if isinstance(self.client, SyncClient) else self.client
        link = inner._link
        assert isinstance(link, RemoteLink)
        session = link._session
        while session.queued or sum(w.number > 0 for w in [*session._waits.values()]) < self.calls:
            await trio.sleep(0.001)


@asynccontextmanager
async def _sync(folder: Path, app: App, options: dict[str, Any]) -> AsyncIterator[Client]:
    async with open_hub(folder, app, **options):
        with connect_sync(folder) as client:

            async def call(name: str, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
                run, found = partial(getattr(client, name), *args, **options), None
                with trio.CancelScope(shield=trio.current_effective_deadline() == -float("inf")):
                    found = await trio.to_thread.run_sync(run, abandon_on_cancel=True)
                await trio.lowlevel.checkpoint_if_cancelled()
                return found

            yield cast(Client, Elsewhere(client, call))


@contextmanager
def _loop() -> Any:
    """An asyncio loop in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()


async def _on(loop: asyncio.AbstractEventLoop, run: Callable[[], Any]) -> Any:
    """Await a coroutine on that loop; once it has begun, cancelling the caller cancels it."""
    token, begun, done = trio.lowlevel.current_trio_token(), trio.Event(), trio.Event()

    async def begin() -> Any:
        token.run_sync_soon(begun.set)
        return await run()

    future = asyncio.run_coroutine_threadsafe(begin(), loop)
    future.add_done_callback(lambda _: token.run_sync_soon(done.set))
    try:
        with trio.CancelScope(shield=True):
            await begun.wait()
        await done.wait()
    except trio.Cancelled:
        future.cancel()
        raise
    return future.result()


@asynccontextmanager
async def _asyncio(folder: Path, app: App, options: dict[str, Any]) -> AsyncIterator[Client]:
    async with open_hub(folder, app, **options):
        with _loop() as loop:
            connection = connect_asyncio(folder)
            client = await _on(loop, connection.__aenter__)

            async def call(name: str, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
                run = partial(getattr(client, name), *args, **options)
                if loop.is_closed():
                    return await trio.to_thread.run_sync(lambda: asyncio.run(run()))
                return await _on(loop, run)

            try:
                yield cast(Client, Elsewhere(client, call))
            finally:
                with trio.CancelScope(shield=True):
                    await _on(loop, partial(connection.__aexit__, None, None, None))


@attrs.frozen
class Way:
    """A way to reach a hub. `virtual`: on a Trio loop in virtual time, together with the owner."""

    open: Callable[[Path, App, dict[str, Any]], AbstractAsyncContextManager[Client]]
    virtual: bool = True


LINKS: Final = MappingProxyType(
    {
        "owner": Way(_owner),
        "connect": Way(_connected),
        "connect with app": Way(_with_app),
        "sync": Way(_sync, virtual=False),
        "asyncio": Way(_asyncio, virtual=False),
    }
)


@attrs.frozen
class Opened:
    """Opens a hub below a folder, and a client that reaches it in some way."""

    way: Way

    def __call__(self, tmp_path: Path, app: App, **options: Any) -> AbstractAsyncContextManager[Client]:
        return self.way.open(tmp_path / "hub", app, options)

    async def settle(self, client: Client) -> None:
        """Wait until all that was asked so far is on its way."""
        await wait_all_tasks_blocked()
        if isinstance(client, Elsewhere):
            await client.settle()
