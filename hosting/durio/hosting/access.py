"""Access: who may ask. Keys, and protection against web pages that speak to a server on the reader's own machine."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

import attrs
from starlette.datastructures import Headers, QueryParams
from starlette.requests import HTTPConnection
from starlette.types import Scope

LOOPBACK: Final = frozenset(("localhost", "127.0.0.1", "::1"))


def is_loopback(host: str) -> bool:
    """Whether an address to listen on is that of this machine alone."""
    return host in LOOPBACK or host.startswith("127.")


@attrs.frozen
class Access:
    """Decides about requests.

    - With `keys` every request needs one of them: `code` in the query, or the header `x-functions-key`. They are
      compared in constant time.
    - A request that a browser sends for a page of another origin is refused, unless that is one of `origins`.
    - With `hosts` only requests for these host names are taken: a page that makes its own name resolve to this machine
      gets nothing.
    """

    keys: Sequence[str] = attrs.field(default=(), repr=False)
    origins: Sequence[str] = ()
    hosts: frozenset[str] | None = None

    def refusal(self, scope: Scope) -> tuple[int, str] | None:
        """Why a request is refused: status code and words; None: it may go on."""
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if self.hosts is not None and _name(host) not in self.hosts:
            return 403, f"this server is there for {', '.join(sorted(self.hosts))}, not for {host!r}"
        origin = headers.get("origin")
        own = f"{HTTPConnection(scope).url.scheme}://{host}"
        if origin is not None and origin != own and origin not in self.origins and "*" not in self.origins:
            return 403, f"pages of {origin} may not ask this server; allow it with cors_origins"
        if self.keys and not self._has_key(scope, headers):
            return 401, "a key is needed: code=... in the query, or the header x-functions-key"
        return None

    def _has_key(self, scope: Scope, headers: Headers) -> bool:
        given = [value for name, value in QueryParams(scope["query_string"]).multi_items() if name.lower() == "code"]
        given.append(headers.get("x-functions-key", ""))
        # All are compared, so that the time says nothing about which of them came near.
        fits = [hmac.compare_digest(key.encode(), one.encode("utf-8", "replace")) for key in self.keys for one in given]
        return any(fits)


def _name(host: str) -> str:
    """The name in a Host header, without a port."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
