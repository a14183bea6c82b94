"""A server whose connections are streams in memory, so that a test of its patience takes no time."""

from __future__ import annotations

import errno
import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import trio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from trio.testing import memory_stream_pair

from durio.hosting.listening import Bounds, Server
from durio.hosting.problems import BadRequest, refused

Stream = trio.abc.HalfCloseableStream


class Door(trio.abc.Listener[Stream]):
    """Where connections come in, and errors of `accept`: a number is an errno."""

    def __init__(self) -> None:
        self._comes, self._taken = trio.open_memory_channel[Stream | int](math.inf)
        self.asked = 0

    def knock(self, pair: Callable[[], tuple[Stream, Stream]] = memory_stream_pair) -> Stream:
        """Connect; the client's end is given."""
        client, server = pair()
        self._comes.send_nowait(server)
        return client

    def fail(self, number: int) -> None:
        """Let `accept` fail once."""
        self._comes.send_nowait(number)

    async def accept(self) -> Stream:
        self.asked += 1
        found = await self._taken.receive()
        if isinstance(found, int):
            raise OSError(found, errno.errorcode[found])
        return found

    async def aclose(self) -> None:
        self._taken.close()


LARGE = 200_000


async def now(request: Request) -> Response:
    return Response(b"now")


async def echo(request: Request) -> Response:
    return Response(await request.body())


async def later(request: Request) -> Response:
    await trio.sleep(float(request.query_params["s"]))
    return Response(b"later")


async def lazy(request: Request) -> Response:
    """It reads the body when it likes to."""
    await trio.sleep(1000)
    return Response(b"%d" % len(await request.body()))


async def large(request: Request) -> Response:
    return Response(b"x" * LARGE)


async def drops(request: Request) -> Response:
    """A byte from time to time."""

    async def parts() -> AsyncIterator[bytes]:
        for _ in range(10):
            await trio.sleep(1000)
            yield b"x"

    return StreamingResponse(parts())


def api() -> Starlette:
    names = ["GET", "POST"]
    routes = [Route(f"/{one.__name__}", one, methods=names) for one in (now, echo, later, lazy, large, drops)]
    return Starlette(routes=routes, exception_handlers={BadRequest: refused})


@asynccontextmanager
async def door(app: Any = None, **bounds: Any) -> AsyncIterator[Door]:
    """A server behind a door; at the end of the block it is told to stop, and ends."""
    found, stopping = Door(), trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(Server(api() if app is None else app, Bounds(**bounds)).run, [found], stopping)
        yield found
        stopping.set()


def request(target: str, body: bytes = b"", headers: str = "") -> bytes:
    """A POST as bytes."""
    headers += f"Host: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return f"POST {target} HTTP/1.1\r\n{headers}\r\n".encode() + body


async def rest(stream: Stream) -> bytes:
    """All that comes, until the connection is closed."""
    return b"".join([part async for part in stream])
