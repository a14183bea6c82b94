"""Health: whether the process lives, and whether its hub takes new work."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from durio.hosting.http_client import DurableOrchestrationClient
from durio.hosting.problems import code_of, problem


class Health:
    """Answers `live` and `ready`. No key is needed: it says nothing that a port scan would not."""

    def __init__(self, client: DurableOrchestrationClient) -> None:
        self._client = client

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        path = scope["path"].removeprefix(scope.get("root_path", "")).strip("/").lower()
        response = Response(status_code=404)
        if request.method in ("GET", "HEAD") and path == "live":
            response = JSONResponse({"status": "live"})
        elif request.method in ("GET", "HEAD") and path == "ready":
            response = await self._ready()
        await response(scope, receive, send)

    async def _ready(self) -> Response:
        try:
            await self._client.get_status_page(1)  # that the hub can be read says that it is open
        except Exception as error:
            return problem(error, code_of(error) or 503)
        return JSONResponse({"status": "ready"})
