"""Connection: Hypercorn's HTTP/1.1 on one stream of Trio, in bounded time: nobody keeps a place by being silent."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final

import h11
import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config
from hypercorn.events import Closed, Event, Updated
from hypercorn.protocol.h11 import H11Protocol
from hypercorn.trio.task_group import TaskGroup, _handle
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ConnectionState

from durio.hosting.limits import BODY_PARTS_MAX, PIECE_BYTES, STALL_S
from durio.hosting.problems import BadRequest

Message = Any
Address = tuple[str, int] | None
DISCONNECTS: Final = ("http.disconnect", "websocket.disconnect")


class Connection(TCPServer):
    """One connection, from its first byte to its last.

    Some things of Hypercorn (0.18) are different here. It speaks HTTP/1.1 alone: over HTTP/2 a client may hold back an
    answer for ever, and be a hundred clients. The body of a request has `request_s`, and who does not take an answer
    for `STALL_S` is left. A request that is answered before its body was read does not hang, and who is gone does not
    keep the place until it would have been idle for too long. And one sends at a time: Hypercorn ends a stream while it
    sends, which Trio forbids.
    """

    def __init__(
        self,
        app: ASGIWrapper,
        config: Config,
        context: WorkerContext,
        request_s: float,
        stream: trio.abc.HalfCloseableStream,
        client: Address,
        server: Address,
    ) -> None:
        super().__init__(app, config, context, ConnectionState({}), _Stream(stream))  # type: ignore[arg-type]
        self._request_s = request_s
        self._client = client
        self._server = server
        self._gone = False

    async def run(self) -> None:
        """Serve it until one of both ends it."""
        try:
            async with _Tasks(self._request_s) as tasks:
                self._task_group = tasks
                made = (self.app, self.config, self.context, tasks, self.state, False, self._client, self._server)
                self.protocol = _Http1(*made, self.protocol_send)  # type: ignore[arg-type,assignment]
                await self.idle_task.restart(tasks, self._idle_timeout)
                await self._read_data()
                self._gone = True
                await self.idle_task.stop()
        finally:
            await self._close()

    async def protocol_send(self, event: Event) -> None:
        """Send to the client, or note that it is its turn; a client that is gone is not waited for."""
        if not (self._gone and isinstance(event, Updated)):
            await super().protocol_send(event)


class _Http1(H11Protocol):
    async def handle(self, event: Event) -> None:
        """Take what came in; end the connection where Hypercorn only ends the request: after a refused handshake."""
        await super().handle(event)
        if self.stream is not None and self.stream.closed:
            await self.send(Closed())

    async def _check_protocol(self, event: h11.Request) -> None:
        """Stay with HTTP/1.1, whatever the request would rather have."""


class _Tasks(TaskGroup):
    """Runs the application for each request of a connection."""

    def __init__(self, request_s: float) -> None:
        super().__init__()
        self._request_s = request_s

    async def spawn_app(
        self, app: Any, config: Config, scope: Any, send: Callable[[Any], Awaitable[None]]
    ) -> Callable[[Message], Awaitable[None]]:
        arriving = _Arriving(self._request_s if scope["type"] == "http" else None)
        threads = trio.to_thread.run_sync, trio.from_thread.run
        assert self._nursery is not None, "it is entered"
        self._nursery.start_soon(_handle, app, config, scope, arriving.receive, send, *threads)
        return arriving.put


class _Arriving:
    """What arrives of one request, for the application. The end of the connection never waits for who reads it."""

    def __init__(self, request_s: float | None) -> None:
        self._request_s = request_s
        self._patience_s = math.inf if request_s is None else request_s
        self._sending, self._receiving = trio.open_memory_channel[Message](BODY_PARTS_MAX)
        self._left: Message = None

    async def put(self, message: Message) -> None:
        if message["type"] in DISCONNECTS:
            self._left = message
            self._sending.close()
            return
        with suppress(trio.ClosedResourceError):  # it was answered meanwhile: nobody reads the rest
            await self._sending.send(message)

    async def receive(self) -> Message:
        """The next part. Raises `BadRequest` when the client let itself be waited for too long."""
        began = trio.current_time()
        try:
            with trio.fail_after(self._patience_s):
                message = await self._receiving.receive()
        except trio.EndOfChannel:
            return self._left
        except trio.TooSlowError:
            raise BadRequest(f"the body of the request did not arrive within {self._request_s:g} s", 408) from None
        more = message.get("more_body", False)
        self._patience_s = self._patience_s - (trio.current_time() - began) if more else math.inf
        return message


class _Stream:
    """A stream on which one sends at a time, and which is closed when nobody takes what is sent."""

    def __init__(self, stream: trio.abc.HalfCloseableStream) -> None:
        self._stream = stream
        self._sending = trio.Lock()

    async def send_all(self, data: bytes) -> None:
        async with self._sending:
            for at in range(0, len(data), PIECE_BYTES):
                with trio.move_on_after(STALL_S) as patience:
                    await self._stream.send_all(data[at : at + PIECE_BYTES])
                if patience.cancelled_caught:
                    await trio.aclose_forcefully(self._stream)
                    raise trio.BrokenResourceError(f"an answer was not taken for {STALL_S:g} s")

    async def send_eof(self) -> None:
        async with self._sending:
            await self._stream.send_eof()

    async def receive_some(self, max_bytes: int) -> bytes:
        return bytes(await self._stream.receive_some(max_bytes))

    async def aclose(self) -> None:
        await self._stream.aclose()
