"""The table of routes: what can be asked over HTTP, and what it answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Final, Literal
from urllib.parse import unquote

import attrs
from starlette.responses import Response

from durio.hosting.call import Call
from durio.hosting.problems import BadRequest

Handler = Callable[[Call], Awaitable[Response]]
Kind = Literal["string", "boolean", "integer", "number", "date-time"]


@attrs.frozen
class Param:
    """A parameter of the query."""

    name: str
    kind: Kind
    what: str
    required: bool = False


EMPTY: Final[Mapping[int, str]] = MappingProxyType({})
JSON_OR_TEXT: Final = ("application/json", "text/plain")


@attrs.frozen(eq=False)
class Route:
    """One thing that can be asked. `path` has its parameters in braces, and no base in front.

    `body`: what the body is, in words; empty: none is read. `answers`: each status code that it may have, besides those
    that every route may have, with what it says. `shows`: which kind of body an answer has: a schema of the OpenAPI
    document, or `Text`, or `|` between them; without one it has none.
    """

    method: str
    path: str
    handler: Handler
    what: str
    answers: Mapping[int, str]
    query: tuple[Param, ...] = ()
    body: str = ""
    body_types: tuple[str, ...] = ("application/json",)
    shows: Mapping[int, str] = EMPTY

    @property
    def segments(self) -> tuple[str, ...]:
        """The parts of the path."""
        return tuple(self.path.split("/"))


EVERYWHERE: Final[Mapping[int, str]] = MappingProxyType(
    {
        400: "Something about the request cannot be understood; `ExceptionMessage` says what.",
        401: "A key is needed: `code` in the query, or the header `x-functions-key`.",
        403: "The request comes from a page of somebody else, or is for another host.",
        408: "The body did not arrive in time (`request_s`); nothing was started.",
        413: "The body is too large.",
        503: "The hub is closing, broken, or owned by nobody; try again after `Retry-After` seconds.",
        507: "The disk is full; ending and purging instances still works.",
    }
)
"""What every route may answer."""


class Table:
    """Finds the route of a request. Words of the path are compared in any case; parameters are decoded after that."""

    def __init__(self, routes: tuple[Route, ...]) -> None:
        self.routes = routes

    def __iter__(self) -> Iterator[Route]:
        return iter(self.routes)

    def find(self, method: str, path: str) -> tuple[Route, dict[str, str]] | None:
        """The route of a raw path below the base, and its parameters; None if there is none."""
        return next((found for found in self._at(path) if found[0].method == method), None)

    def methods(self, path: str) -> list[str]:
        """The methods by which a raw path can be asked."""
        return sorted({route.method for route, _ in self._at(path)})

    def _at(self, path: str) -> Iterator[tuple[Route, dict[str, str]]]:
        parts = path.split("/")
        if len(parts) > 1 and not parts[-1]:
            parts.pop()
        for route in self.routes:
            found = _matched(route.segments, parts) if len(route.segments) == len(parts) else None
            if found is not None:
                yield route, found


def _matched(segments: tuple[str, ...], parts: list[str]) -> dict[str, str] | None:
    found: dict[str, str] = {}
    for segment, part in zip(segments, parts, strict=True):
        if segment.startswith("{"):
            if not part:
                return None
            found[segment[1:-1]] = _decoded(part)
        elif segment.lower() != unquote(part, errors="replace").lower():
            return None
    return found


def _decoded(part: str) -> str:
    try:
        return unquote(part, errors="strict") if "%" in part else part
    except UnicodeDecodeError:
        raise BadRequest(f"{part!r} in the path is not percent-encoded UTF-8") from None
