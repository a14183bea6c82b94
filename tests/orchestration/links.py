"""The ways in which a client reaches a hub, for tests that must hold over each of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import attrs
from trio.testing import wait_all_tasks_blocked

from durio.entities import VirtualEnv
from durio.orchestration import App, Client, connect, open_hub


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


@attrs.frozen
class Way:
    """A way to reach a hub. `virtual`: on a Trio loop in virtual time, together with the owner."""

    open: Callable[[Path, App, dict[str, Any]], AbstractAsyncContextManager[Client]]
    virtual: bool = True


LINKS: Final = MappingProxyType({"owner": Way(_owner), "connect": Way(_connected), "connect with app": Way(_with_app)})


@attrs.frozen
class Opened:
    """Opens a hub below a folder, and a client that reaches it in some way."""

    way: Way

    def __call__(self, tmp_path: Path, app: App, **options: Any) -> AbstractAsyncContextManager[Client]:
        return self.way.open(tmp_path / "hub", app, options)

    async def settle(self) -> None:
        """Wait until all that was asked so far is on its way."""
        await wait_all_tasks_blocked()
