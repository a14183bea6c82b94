"""A request of a client on its way, and what becomes of it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import attrs

from durio.entities import Answer, EntityId, from_us
from durio.orchestration import Client
from durio.simulation.plan import Request


@attrs.define(eq=False)
class Call:
    """A request of a client, and how it went. Times are numbers of steps.

    While `returned` is None nobody knows how it went. `value`: what the client's method returned; `error`: what it
    raised. `answers`: every answer that came, also to repeated sends: they must be equal (G3).
    """

    number: int
    request: Request | None
    what: str
    client: int
    make: Callable[[Client, str], Coroutine[Any, Any, Any]] = attrs.field(repr=False)
    invoked: int = 0
    invoked_us: int = attrs.field(default=0, repr=False)
    returned: int | None = None
    value: Any = None
    error: Exception | None = None
    answers: list[Answer] = attrs.field(factory=list, repr=False)
    sent: int = attrs.field(default=0, repr=False)
    lost: bool = attrs.field(default=False, repr=False)
    """Whether it waited in a process that died, and was not sent again yet."""

    @property
    def request_id(self) -> str:
        """The id under which it is sent, and sent again."""
        return f"q{self.number}"

    @property
    def known(self) -> bool:
        """Whether the client knows how it went."""
        return self.returned is not None

    @property
    def pending(self) -> bool:
        """Whether it was sent and has no answer yet."""
        return self.sent > 0 and self.returned is None

    def __str__(self) -> str:
        return self.what


def ask(client: Client, request: Request, value: Any, request_id: str, at_us: int) -> Coroutine[Any, Any, Any]:
    """The client's method that a request stands for; `at_us` is when it was sent for the first time."""
    options: dict[str, Any] = dict(request.options)
    after_s = options.pop("after_s", None)
    due = None if after_s is None else from_us(at_us + round(after_s * 1_000_000))
    if request.kind == "call":
        return client.call_entity(EntityId.parse(request.target), request.name, value, request_id=request_id)
    if request.kind == "signal":
        entity = EntityId.parse(request.target)
        return client.signal_entity(entity, request.name, value, signal_time=due, request_id=request_id)
    if request.kind == "start":
        return client.start_new(request.name, request.target, value, start_at=due, request_id=request_id, **options)
    if request.kind == "event":
        return client.raise_event(request.target, request.name, value, request_id=request_id)
    if request.kind == "terminate":
        return client.terminate(request.target, request_id=request_id, **options)
    if request.kind == "cancel":
        return client.cancel(request.target, request_id=request_id)
    if request.kind == "suspend":
        return client.suspend(request.target, request_id=request_id)
    if request.kind == "rewind":
        return client.rewind(request.target, request_id=request_id)
    return client.resume(request.target, request_id=request_id)
