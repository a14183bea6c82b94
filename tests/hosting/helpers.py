"""What the HTTP tests share: an API over a hub in memory, asked without a socket."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import unquote

import attrs
import trio
from starlette.types import ASGIApp, Message

from durio.entities import VirtualEnv
from durio.hosting import http_api
from durio.orchestration import App, Client, open_hub
from durio.storage import MemoryDisk, MemoryStore


@attrs.frozen
class Answer:
    """A response."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()


@attrs.frozen
class Web:
    """Asks an ASGI application."""

    app: ASGIApp
    client: Client
    host: str = "127.0.0.1:7071"

    async def ask(
        self,
        method: str,
        target: str,
        body: Any = None,
        *,
        headers: dict[str, str] | None = None,
        raw: bytes | None = None,
    ) -> Answer:
        """One request. `body`: a value that is sent as JSON; `raw`: bytes that are sent as they are."""
        data = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
        sent = {"host": self.host}
        if body is not None:
            sent["content-type"] = "application/json"
        sent |= headers or {}
        path, _, query = target.partition("?")
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": unquote(path),
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in sent.items()],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 7071),
            "state": {},
        }
        parts = [data]
        told: list[Message] = []

        async def receive() -> Message:
            if not parts:
                await trio.sleep_forever()  # nobody leaves before the answer
            return {"type": "http.request", "body": parts.pop(), "more_body": False}

        async def send(message: Message) -> None:
            told.append(message)

        await self.app(scope, receive, send)
        start = next(message for message in told if message["type"] == "http.response.start")
        found = b"".join(message.get("body", b"") for message in told if message["type"] == "http.response.body")
        names = {name.decode().lower(): value.decode() for name, value in start["headers"]}
        return Answer(start["status"], names, found)

    async def get(self, target: str, **options: Any) -> Answer:
        return await self.ask("GET", target, **options)

    async def post(self, target: str, body: Any = None, **options: Any) -> Answer:
        return await self.ask("POST", target, body, **options)

    async def delete(self, target: str, **options: Any) -> Answer:
        return await self.ask("DELETE", target, **options)


@asynccontextmanager
async def web(app: App, **options: Any) -> AsyncIterator[Web]:
    """The API of a hub in memory, in virtual time."""
    async with open_hub(MemoryStore(MemoryDisk()), app, env=VirtualEnv()) as client:
        yield Web(http_api(client, app, **options), client)
