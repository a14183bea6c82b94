"""Call: one request, read: its parts of the path, its query, its body."""

from __future__ import annotations

import json
import math
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any, Final

import attrs
from starlette.requests import Request

from durio.hosting.http_client import DurableOrchestrationClient
from durio.hosting.limits import WAIT_S_MAX
from durio.hosting.problems import BadRequest
from durio.orchestration import App

TRUE: Final = frozenset(("true", "1", "yes"))
FALSE: Final = frozenset(("false", "0", "no", ""))
NO_BODY: Final = object()
"""What stands for a body that is not there."""


@attrs.frozen(eq=False)
class Options:
    """How the API behaves.

    `unwrap_json_strings`: Azure's Python client encodes twice; whether under the management paths a body that is a JSON
    string which holds JSON itself is taken as what it holds. None: if it comes from aiohttp, as that client's do.
    """

    request_bytes_max: int
    unwrap_json_strings: bool | None = None


@attrs.frozen(eq=False)
class Call:
    """A request on its way to a handler."""

    request: Request
    client: DurableOrchestrationClient
    app: App
    options: Options
    path: dict[str, str]
    managed: bool
    """Whether it came by one of the paths of the management API, and not by one of a starter."""

    # The query

    def text(self, name: str) -> str | None:
        """The last value of a query parameter, whose name is compared in any case; None if it is not there."""
        values = self.texts(name)
        return values[-1] if values else None

    def texts(self, name: str) -> list[str]:
        """All values of a query parameter."""
        return [value for key, value in self.request.query_params.multi_items() if key.lower() == name.lower()]

    def flag(self, name: str, default: bool = False) -> bool:
        """A query parameter that is true or false, in any case. Raises `BadRequest`."""
        value = self.text(name)
        if value is None:
            return default
        if value.lower() in TRUE:
            return True
        if value.lower() in FALSE:
            return False
        raise BadRequest(f"{name}={value!r} is neither true nor false")

    def number(self, name: str, largest: int) -> int | None:
        """A query parameter that is a whole number from 1 on; at most `largest` is given. Raises `BadRequest`."""
        value = self.text(name)
        if not value:
            return None
        if not (value.isascii() and value.isdecimal()) or len(value) > 18 or int(value) < 1:
            raise BadRequest(f"{name}={value!r} is no whole number from 1 on")
        return min(int(value), largest)

    def span_s(self, name: str) -> float | None:
        """A query parameter that is a time span in seconds. Raises `BadRequest`."""
        value = self.text(name)
        if value is None:
            return None
        try:
            span_s = float(value)
        except ValueError:
            span_s = math.nan
        if not 0 <= span_s <= WAIT_S_MAX:
            raise BadRequest(f"{name}={value!r} is no time span of 0 to {WAIT_S_MAX:g} seconds")
        return span_s

    def time(self, name: str) -> datetime | None:
        """A query parameter that is an ISO 8601 time; without a zone it is UTC. Raises `BadRequest`."""
        value = self.text(name)
        if not value:
            return None
        try:
            time = datetime.fromisoformat(value.replace(" ", "+") if "T" in value else value)
            return (time if time.tzinfo is not None else time.replace(tzinfo=UTC)).astimezone(UTC)
        except (ValueError, OverflowError):
            raise BadRequest(f"{name}={value!r} is no time, such as 2026-01-31T12:00:00Z") from None

    # The body

    async def body(self) -> bytes:
        """The whole body. Raises `BadRequest` for one that is too large."""
        parts: list[bytes] = []
        size, limit = 0, self.options.request_bytes_max
        async with aclosing(self.request.stream()) as stream:
            async for part in stream:
                size += len(part)
                if size > limit:
                    said = f"the body of the request has more than {limit:,} bytes (request_bytes_max); "
                    raise BadRequest(f"{said}store it elsewhere and pass a reference", 413)
                parts.append(part)
        return b"".join(parts)

    async def json_body(self, *, text_type: bool = False, strict: bool = False) -> Any:
        """The body as a value; `NO_BODY` if there is none. Raises `BadRequest`.

        `text_type`: whether the receiver declares text. `strict`: nothing but JSON is taken, or nothing at all.
        """
        kind = self.request.headers.get("content-type", "").partition(";")[0].strip().lower()
        data = await self.body()
        if strict and kind != "application/json" and (kind or data):
            raise BadRequest(f"Only application/json request content is supported, not {kind!r}")
        if not data:
            return NO_BODY
        if kind == "text/plain" and not strict:
            return _decoded(data)
        try:
            value = json.loads(_decoded(data), parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            raise BadRequest(f"Invalid JSON content: {error}") from None
        if not self.managed or not isinstance(value, str):
            return value
        if value == "" and not text_type and self.options.unwrap_json_strings is not False:
            return NO_BODY  # the JavaScript client's way to say nothing
        return self._unwrapped(value)

    def _unwrapped(self, value: str) -> Any:
        """What a JSON string holds, if who sent it encodes twice and it holds JSON."""
        unwrap = self.options.unwrap_json_strings
        if unwrap is None:
            unwrap = "aiohttp" in self.request.headers.get("user-agent", "").lower()
        try:
            return json.loads(value, parse_constant=_refuse_constant) if unwrap else value
        except (ValueError, RecursionError):
            return value


def _decoded(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadRequest(f"Invalid JSON content: it is no UTF-8: {error.reason} at byte {error.start}") from None


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")
