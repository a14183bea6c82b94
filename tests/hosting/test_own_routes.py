"""WebSockets among the routes of a program: they are behind the same gate."""

from __future__ import annotations

import pytest
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

from tests.hosting.door import door
from tests.hosting.helpers import web
from tests.hosting.sockets import parsed
from tests.hosting.town import app

SHAKE = (
    "GET /talk HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\nOrigin: {origin}\r\n\r\n"
)


async def talk(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_text("how are you?")


@pytest.mark.parametrize(
    ("host", "origin", "code"),
    [
        ("127.0.0.1", "http://127.0.0.1", 101),
        ("127.0.0.1", "http://good.example", 101),
        ("127.0.0.1", "http://evil.example", 403),
        ("evil.example", "http://evil.example", 403),
    ],
)
async def test_a_page_of_somebody_else_cannot_talk(autojump_clock: object, host: str, origin: str, code: int) -> None:
    """A page of another origin opens no WebSocket, nor does one whose name was made to resolve to this machine."""
    options = {"hosts": ["127.0.0.1"], "cors_origins": ["http://good.example"]}
    async with web(app, routes=[WebSocketRoute("/talk", talk)], **options) as api, door(api.app) as at:
        stream = at.knock()
        await stream.send_all(SHAKE.format(host=host, origin=origin).encode())
        found = b"".join([part async for part in stream])
        assert parsed(found).status == code
        assert (b"how are you?" in found) is (code == 101)
