"""Access: who may ask. Keys, and protection against web pages that speak to a server on the reader's own machine."""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

import attrs
from starlette.datastructures import Headers, QueryParams
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from durio.hosting.problems import BadRequest, problem

LOOPBACK: Final = frozenset(("localhost", "127.0.0.1", "::1"))


def is_loopback(host: str) -> bool:
    """Whether an address to listen on is that of this machine alone."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def reached_by_others(host: str, base_url: str, trust_forwarded: bool) -> str:
    """What makes a server one that others can reach, in words; empty: only this machine can."""
    if not is_loopback(host):
        return f"host={host!r}"
    if trust_forwarded:
        return "what stands behind a proxy (trust_forwarded)"
    return "" if not base_url or is_loopback(urlsplit(base_url).hostname or "") else base_url


def checked_keys(keys: Sequence[str]) -> tuple[str, ...]:
    """Give keys back. Raises `TypeError` for a single text, `ValueError` for a key that is empty or no text."""
    if isinstance(keys, str | bytes):
        raise TypeError("keys is a list of keys: a single text would be one key for each letter")
    if not all(isinstance(key, str) and key for key in keys):
        raise ValueError("a key must be text that is not empty")
    return tuple(keys)


@attrs.frozen
class Access:
    """Decides about requests.

    - With `keys` a request needs one of them: `code` in the query, or the header `x-functions-key`. They are compared
      in constant time. With `local_rpc` requests from this machine that no proxy passes on need none under the path of
      client libraries: those send none.
    - A request that a browser sends for a page of another origin is refused, unless that is one of `origins`.
    - With `hosts` only requests for these host names are taken: a page that makes its own name resolve to this machine
      gets nothing.
    """

    keys: tuple[str, ...] = attrs.field(default=(), repr=False, converter=checked_keys)
    origins: tuple[str, ...] = ()
    hosts: frozenset[str] | None = None
    local_rpc: bool = False

    def stranger(self, scope: Scope) -> str | None:
        """Why a request is refused, whatever it asks for; None: it is not."""
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if self.hosts is not None and _name(host) not in self.hosts:
            return f"this server is there for {', '.join(sorted(self.hosts))}, not for {host!r}"
        origin = headers.get("origin")
        own = f"{HTTPConnection(scope).url.scheme.replace('ws', 'http')}://{host}"
        if origin is not None and origin != own and origin not in self.origins and "*" not in self.origins:
            return f"pages of {origin} may not ask this server; allow it with cors_origins"
        return None

    def lacks_key(self, scope: Scope, *, rpc: bool = False) -> str | None:
        """Why a request needs a key that it does not have; None: it may go on."""
        headers = Headers(scope=scope)
        if not self.keys or self._has_key(scope, headers) or (rpc and self.local_rpc and _is_local(scope, headers)):
            return None
        return "a key is needed: code=... in the query, or the header x-functions-key"

    def _has_key(self, scope: Scope, headers: Headers) -> bool:
        given = [value for name, value in QueryParams(scope["query_string"]).multi_items() if name.lower() == "code"]
        given.append(headers.get("x-functions-key", ""))
        # All are compared, so that the time says nothing about which of them came near.
        fits = [hmac.compare_digest(key.encode(), one.encode("utf-8", "replace")) for key in self.keys for one in given]
        return any(fits)


@attrs.frozen(eq=False)
class Gate:
    """Refuses strangers, in front of all routes."""

    app: ASGIApp
    access: Access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = None if scope["type"] == "lifespan" else self.access.stranger(scope)
        if refusal is None:
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close"})  # which becomes 403
        else:
            await problem(BadRequest(refusal, 403), 403)(scope, receive, send)


def _is_local(scope: Scope, headers: Headers) -> bool:
    client = scope.get("client")
    passed_on = any(name == "forwarded" or name.startswith("x-forwarded") for name in headers)
    return client is not None and is_loopback(client[0]) and not passed_on


def _name(host: str) -> str:
    """The name in a Host header, without a port."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
