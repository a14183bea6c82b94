"""http_api: the HTTP API of a hub, as an ASGI application."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from typing import Any, Final

import attrs
import trio
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount
from starlette.routing import Route as WebRoute
from starlette.types import ASGIApp, Receive, Scope, Send

import durio.hosting.entity_routes as entity_routes
import durio.hosting.instance_routes as instance_routes
import durio.hosting.starters as starters
from durio.entities.limits import PAYLOAD_BYTES_MAX
from durio.hosting.access import Access, Gate
from durio.hosting.call import Call, Options
from durio.hosting.health import Health
from durio.hosting.http_client import DurableOrchestrationClient
from durio.hosting.links import WEBHOOKS, Links
from durio.hosting.metrics import NO_ROUTE, Metrics, MetricsPage
from durio.hosting.openapi import document
from durio.hosting.problems import BadRequest, code_of, problem, refused
from durio.hosting.table import Route, Table
from durio.orchestration import App, Client

logger = logging.getLogger("durio.hosting")

MANAGEMENT: Final = Table((*starters.MANAGED, *instance_routes.ROUTES, *entity_routes.ROUTES))
"""What can be asked of the management API."""

STARTERS: Final = Table(starters.OUTSIDE)
"""What can be asked under `/api`."""

RPC: Final = "/durabletask"
BASES: Final = (WEBHOOKS, RPC, "/admin/extensions/DurableTaskExtension")
"""Where the management API lies: as links say, as client libraries call it, and as in 2018."""


@attrs.frozen(eq=False)
class _Api:
    """One table under one base."""

    _table: Table
    _client: DurableOrchestrationClient
    _app: App
    _options: Options
    _access: Access
    _metrics: Metrics
    _managed: bool
    _rpc: bool

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request, began = Request(scope, receive), trio.current_time()
        with self._metrics.under_way():
            route, response = await self._answer(request)
            base = "" if self._managed else "api/"
            label = NO_ROUTE if route is None else f"{base}{route.path}"
            self._metrics.note(label, request.method, response.status_code, trio.current_time() - began)
            await response(scope, receive, send)

    async def _answer(self, request: Request) -> tuple[Route | None, Response]:
        refusal = self._access.lacks_key(request.scope, rpc=self._rpc)
        if refusal is not None:
            return None, problem(BadRequest(refusal, 401), 401)
        route: Route | None = None
        try:
            found = self._table.find(request.method, _below(request.scope))
            if found is None:
                raise BadRequest(self._nothing(request), 404)
            route, path = found
            call = Call(request, self._client, self._app, self._options, path, self._managed)
            return route, await route.handler(call)
        except ClientDisconnect:
            return route, Response(status_code=400)  # nobody reads it
        except Exception as error:
            code = code_of(error)
            if code is None:
                logger.exception("%s %s failed", request.method, request.url.path)
                code = 500
            return route, problem(error, code)

    def _nothing(self, request: Request) -> str:
        """What is said of a path where nothing is, or nothing for this method."""
        methods = self._table.methods(_below(request.scope))
        there = f"; {' and '.join(methods)} can be asked there" if methods else ""
        return f"there is no {request.method} {request.url.path}{there}; /openapi.json lists what there is"


class _Below(Mount):
    """Everything below a base, line breaks in ids too: what is wrong about them is said by who knows."""

    def __init__(self, path: str, app: ASGIApp) -> None:
        super().__init__(path, app)
        self.path_regex = re.compile(self.path_regex.pattern, re.DOTALL)


def http_api(
    client: Client,
    app: App,
    *,
    keys: Sequence[str] = (),
    base_url: str = "",
    task_hub: str = "durio",
    trust_forwarded: bool = False,
    cors_origins: Sequence[str] = (),
    hosts: Sequence[str] | None = None,
    request_bytes_max: int = PAYLOAD_BYTES_MAX,
    unwrap_json_strings: bool | None = None,
    local_rpc: bool = False,
    routes: Sequence[BaseRoute] = (),
) -> Starlette:
    """The HTTP API of the hub that `client` is a client of, to be served or mounted by any ASGI server on Trio.

    The management API of Azure Durable Functions under `/runtime/webhooks/durabletask`, `/durabletask` and
    `/admin/extensions/DurableTaskExtension`, starters under `/api/orchestrators`, `/health/live`, `/health/ready`,
    `/metrics` for Prometheus, and `/openapi.json`.

    `keys`: every request needs one of them, but those for health and `/openapi.json`. `base_url`: where the API is, as
    others see it; links begin with it (without it: with what the request says; `trust_forwarded`: with what a proxy
    says). `cors_origins`: pages of these origins may ask, `"*"`: all. `hosts`: only requests for these names are taken.
    `request_bytes_max`: larger bodies are refused. `unwrap_json_strings`: undo the double encoding of Azure's Python
    client; None: in what comes from aiohttp, as its requests do. `local_rpc`: no key is needed under `/durabletask` by
    clients on this machine. `routes`: your own, behind the same rules for hosts and pages but no keys; their handlers
    find a `DurableOrchestrationClient` in `request.app.state.client`.
    """
    links = Links(base_url, task_hub, code=keys[0] if keys else "", trust_forwarded=trust_forwarded)
    durable = DurableOrchestrationClient(client, links)
    options = Options(request_bytes_max, unwrap_json_strings)
    access = Access(keys, tuple(cors_origins), None if hosts is None else frozenset(hosts), local_rpc)
    cors = Middleware(
        CORSMiddleware,
        allow_origins=list(cors_origins),
        allow_methods=["GET", "POST", "DELETE"],
        allow_headers=["*"],
        expose_headers=["Location", "Retry-After", instance_routes.TOKEN],
    )
    found = Starlette(
        routes=_routes(durable, app, options, access, routes),
        middleware=[*([cors] if cors_origins else []), Middleware(Gate, access)],
        exception_handlers={BadRequest: refused},  # your own routes may meet one, too: of a body that is late
    )
    found.router.redirect_slashes = False  # paths are what they are: what is not there is 404
    found.state.client = durable
    return found


def _routes(
    client: DurableOrchestrationClient, app: App, options: Options, access: Access, own: Sequence[BaseRoute]
) -> list[BaseRoute]:
    metrics = Metrics()
    told = document({WEBHOOKS: MANAGEMENT, "/api": STARTERS}, keys=bool(access.keys))

    async def openapi(_: Request) -> Response:
        return JSONResponse(told)

    def api(table: Table, base: str) -> _Api:
        return _Api(table, client, app, options, access, metrics, base in BASES, base == RPC)

    return [
        *(_Below(base, api(MANAGEMENT, base)) for base in BASES),
        WebRoute("/openapi.json", openapi),
        WebRoute("/metrics", MetricsPage(metrics, client, access), methods=["GET"]),
        Mount("/health", Health(client)),
        *own,
        _Below("/api", api(STARTERS, "/api")),
    ]


def _below(scope: Scope) -> str:
    """The path below the base, as it was sent: a slash that is part of an id is still encoded."""
    raw: Any = scope.get("raw_path") or scope["path"].encode()
    path: str = raw.decode("latin-1").partition("?")[0]
    base = scope.get("root_path", "").strip("/")
    depth = len(base.split("/")) if base else 0
    return "/".join(path.lstrip("/").split("/")[depth:])
