"""listen: connections, as many as there may be, and their end. One that fails is closed, and the server goes on."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from typing import Any

import attrs
import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.utils import parse_socket_addr
from starlette.types import ASGIApp

from durio.entities import without_cancelled
from durio.hosting.connection import Address, Connection
from durio.hosting.limits import (
    ACCEPT_PAUSE_S,
    BACKLOG_MAX,
    CONNECTION_REQUESTS_MAX,
    CONNECTIONS_MAX,
    GRACE_S,
    HEAD_BYTES_MAX,
    KEEP_ALIVE_S,
    REQUEST_S,
    WARN_S,
)

logger = logging.getLogger("durio.hosting")


@attrs.frozen
class Bounds:
    """How many connections there may be, and how long they may be silent."""

    connections_max: int = attrs.field(default=CONNECTIONS_MAX, validator=attrs.validators.ge(1))
    keep_alive_s: float = attrs.field(default=KEEP_ALIVE_S, validator=attrs.validators.gt(0))
    request_s: float = attrs.field(default=REQUEST_S, validator=attrs.validators.gt(0))
    grace_s: float = attrs.field(default=GRACE_S, validator=attrs.validators.ge(0))


async def listen(
    api: ASGIApp,
    host: str,
    port: int,
    stopping: trio.Event,
    bounds: Bounds,
    *,
    task_status: trio.TaskStatus[list[str]] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Take connections until `stopping`, then end those that are idle; the others have `grace_s` seconds."""
    listeners = await trio.open_tcp_listeners(port, host=host, backlog=BACKLOG_MAX)
    task_status.started([_url(listener) for listener in listeners])
    await Server(api, bounds).run(listeners, stopping)


class Server:
    """Serves connections of listeners.

    `hypercorn.trio.serve` does the same, but there an error in one connection ends the whole server, and a client can
    bring one about (0.18: bytes behind a request, while its answer is sent); and there is no end to connections.
    """

    def __init__(self, api: ASGIApp, bounds: Bounds = Bounds()) -> None:
        self._api = ASGIWrapper(api)  # type: ignore[arg-type]
        self._bounds = bounds
        self._config = _config(bounds)
        self._context = WorkerContext(None)
        self._places = trio.Semaphore(bounds.connections_max)
        self._streams: set[trio.abc.HalfCloseableStream] = set()
        self._warned: dict[str, float] = {}

    async def run(self, listeners: Sequence[trio.abc.Listener[Any]], stopping: trio.Event) -> None:
        """Take connections until `stopping`, and end them in good order."""
        async with trio.open_nursery() as ending:
            async with trio.open_nursery() as connections:
                async with trio.open_nursery() as accepting:
                    for listener in listeners:
                        accepting.start_soon(self._accept, listener, connections)
                    await stopping.wait()
                    accepting.cancel_scope.cancel()
                await self._context.terminated.set()
                ending.start_soon(self._cut, connections.cancel_scope)
            ending.cancel_scope.cancel()

    async def _accept(self, listener: trio.abc.Listener[Any], connections: trio.Nursery) -> None:
        """Take connections, as long as there is a place for them; the kernel holds the others."""
        async with listener:
            while True:
                try:
                    stream = await listener.accept()
                except OSError as error:  # no descriptors, no memory: connections that end give some back
                    self._warn(f"no connections are taken for now: {error}")
                    await trio.sleep(ACCEPT_PAUSE_S)
                else:
                    await self._place(stream)
                    connections.start_soon(self._serve, stream)

    async def _place(self, stream: trio.abc.HalfCloseableStream) -> None:
        """Wait for a place for a connection."""
        if self._places.value == 0:
            self._warn(f"connections_max={self._bounds.connections_max} are served; others wait")
        try:
            await self._places.acquire()
        except trio.Cancelled:
            await trio.aclose_forcefully(stream)
            raise

    async def _serve(self, stream: trio.abc.HalfCloseableStream) -> None:
        self._streams.add(stream)
        made = self._api, self._config, self._context, self._bounds.request_s, stream
        try:
            await Connection(*made, *_addresses(stream)).run()
        except BaseException as error:
            if not without_cancelled(error):
                raise
            logger.info("a connection failed: %r", error)
        finally:
            self._streams.discard(stream)
            self._places.release()
            await trio.aclose_forcefully(stream)

    def _warn(self, words: str) -> None:
        if trio.current_time() - self._warned.get(words, -math.inf) >= WARN_S:
            self._warned[words] = trio.current_time()
            logger.warning("%s", words)

    async def _cut(self, connections: trio.CancelScope) -> None:
        """Close what is still open after `grace_s`: what is being sent is shielded, and would not end otherwise."""
        await trio.sleep(self._bounds.grace_s)
        for stream in list(self._streams):
            await trio.aclose_forcefully(stream)
        connections.cancel()


def _config(bounds: Bounds) -> Config:
    config = Config()
    config.include_server_header = False
    config.errorlog = logging.getLogger("durio.hosting.server")
    config.keep_alive_timeout = bounds.keep_alive_s
    config.keep_alive_max_requests = CONNECTION_REQUESTS_MAX
    config.h11_max_incomplete_size = HEAD_BYTES_MAX
    return config


def _addresses(stream: trio.abc.HalfCloseableStream) -> tuple[Address, Address]:
    """Where a connection comes from, and where it was taken. Raises `OSError` if it is gone."""
    if not isinstance(stream, trio.SocketStream):
        return None, None
    found = stream.socket
    client, server = found.getpeername(), found.getsockname()
    return parse_socket_addr(found.family, client), parse_socket_addr(found.family, server)


def _url(listener: trio.SocketListener) -> str:
    host, port = listener.socket.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
