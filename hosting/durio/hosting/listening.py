"""listen: Hypercorn's connections on Trio's listeners. One that fails is closed, and the server goes on."""

from __future__ import annotations

import logging
from functools import partial
from typing import Final

import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ConnectionState
from starlette.applications import Starlette

BACKLOG: Final = 1024

logger = logging.getLogger("durio.hosting")


async def listen(
    api: Starlette,
    host: str,
    port: int,
    stopping: trio.Event,
    grace_s: float,
    *,
    task_status: trio.TaskStatus[list[str]] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Take connections until `stopping`, then end those that are idle; the others have `grace_s` seconds.

    `hypercorn.trio.serve` does the same, but there an error in one connection ends the whole server, and a client can
    bring one about (0.18: bytes behind a request, while its answer is sent).
    """
    config = _config()
    context = WorkerContext(None)
    connection = partial(_connection, ASGIWrapper(api), config, context)  # type: ignore[arg-type]
    async with trio.open_nursery() as connections:
        listeners = await trio.open_tcp_listeners(port, host=host, backlog=BACKLOG)
        async with trio.open_nursery() as accepting:
            accepting.start_soon(partial(trio.serve_listeners, connection, listeners, handler_nursery=connections))
            task_status.started([_url(listener) for listener in listeners])
            await stopping.wait()
            accepting.cancel_scope.cancel()
        await context.terminated.set()
        connections.cancel_scope.deadline = trio.current_time() + grace_s


class _Stream:
    """A connection on which one sends at a time. Hypercorn ends it while it sends, which Trio forbids."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.socket = stream.socket
        self._stream = stream
        self._sending = trio.Lock()

    async def send_all(self, data: bytes) -> None:
        async with self._sending:
            await self._stream.send_all(data)

    async def send_eof(self) -> None:
        async with self._sending:
            await self._stream.send_eof()

    async def receive_some(self, max_bytes: int) -> bytes:
        return await self._stream.receive_some(max_bytes)

    async def aclose(self) -> None:
        await self._stream.aclose()


async def _connection(app: ASGIWrapper, config: Config, context: WorkerContext, stream: trio.SocketStream) -> None:
    try:
        await TCPServer(app, config, context, ConnectionState({}), _Stream(stream))  # type: ignore[arg-type]
    except Exception as error:
        logger.info("a connection failed: %r", error)
        await trio.aclose_forcefully(stream)


def _config() -> Config:
    config = Config()
    config.include_server_header = False
    config.errorlog = logging.getLogger("durio.hosting.server")
    return config


def _url(listener: trio.SocketListener) -> str:
    host, port = listener.socket.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
