"""HTTP over sockets of our own: one connection for each request, and bytes as they are."""

from __future__ import annotations

import json
from typing import Any

import trio

from tests.hosting.helpers import Answer

BYTES = 65536


async def ask(port: int, method: str, target: str, body: Any = None) -> Answer:
    """One request on a connection of its own. Raises `OSError` if the server goes away before its answer is whole."""
    data = b"" if body is None else json.dumps(body).encode()
    head = (
        f"{method} {target} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
    )
    return parsed(await exchange(port, head.encode() + data))


async def exchange(port: int, sent: bytes, *, close: bool = False) -> bytes:
    """What comes back, until the server closes the connection."""
    try:
        async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
            await stream.send_all(sent)
            if close:
                await stream.send_eof()
            parts = [part async for part in stream]
    except trio.BrokenResourceError as error:
        raise ConnectionResetError(str(error)) from None
    return b"".join(parts)


def parsed(data: bytes) -> Answer:
    """One response. Raises `ConnectionResetError` for one that is not whole."""
    head, found, rest = data.partition(b"\r\n\r\n")
    if not found:
        raise ConnectionResetError(f"no response: {data[:80]!r}")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if headers.get("transfer-encoding") == "chunked":
        rest = _unchunked(rest)
    elif len(rest) < int(headers.get("content-length", "0")):
        raise ConnectionResetError("half a response")
    return Answer(int(first.split(" ")[1]), headers, rest)


def _unchunked(data: bytes) -> bytes:
    found = b""
    while True:
        size, line_end, data = data.partition(b"\r\n")
        if not line_end:
            raise ConnectionResetError("half a response")
        length = int(size, 16)
        if length == 0:
            return found
        found, data = found + data[:length], data[length + 2 :]
