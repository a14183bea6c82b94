"""Asking: what all clients share. Sends a message to an actor and waits for its durable answer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any, Final

from durio.entities import (
    CURRENT_GUARD,
    CURRENT_OPERATION,
    MAIL_LANE,
    Answer,
    AskInsideTurn,
    Message,
    Payloads,
    caller_line,
    contents_in,
    digest_of,
    is_blob,
)
from durio.orchestration.app import App
from durio.orchestration.instance import Decoders
from durio.orchestration.link import Link
from durio.orchestration.refusals import rebuild

INSTEAD: Final = (
    "a turn must not wait for another turn: in an orchestrator use its context, "
    "in an entity operation EntityContext.current(), or do it in an activity"
)


class Asking:
    """A client's way into an open hub.

    Guarantees: nothing is asked inside a turn (G13); the answer is durable when it comes (G5); a repeated
    `request_id` gets the first answer (G3).
    """

    def __init__(self, link: Link, app: App, payloads: Payloads | None = None) -> None:
        self._link = link
        self._app = app
        self._payloads = app.payloads if payloads is None else payloads
        self._decoders = Decoders()

    async def _ask(
        self,
        address: str,
        build: partial[Any],
        request_id: str | None,
        lane: int = MAIL_LANE,
        *,
        tell: bool = False,
        due_us: int | None = None,
        **more: Any,
    ) -> Answer:
        """`more`: fields of the message that are no part of what is asked."""
        if not tell:
            request_id = self._link.request_id(request_id)
        token = self._link.token(request_id)
        message: Message = build(at_us=self._link.env.now_us(), reply="" if tell else token, **more)
        digest = b""
        if request_id is not None:
            await self._work_off(content.digesting() for content in contents_in(message))
            digest = digest_of(build.func.__name__, address, tell, due_us, *sorted(build.keywords.items()))
        answer = await self._link.submit(address, message, token, lane=lane, tell=tell, digest=digest, due_us=due_us)
        if answer.refusal and answer.failure is not None:
            raise rebuild(answer.failure)
        return answer

    def _encode(self, value: object, what: str) -> bytes | None:
        return None if value is None else self._payloads.encode(value, what)

    async def _load(self, *payloads: bytes | None) -> None:
        """Bring large payloads into memory before they are decoded; others run meanwhile."""
        if any(map(is_blob, payloads)):
            await self._work_off(map(self._payloads.loading, payloads))

    async def _work_off(self, works: Iterable[Iterator[None]]) -> None:
        for work in works:
            for _ in work:
                await self._link.checkpoint()

    def _check_outside(self) -> None:
        """No client inside a turn: refused before any effect, and not to be swallowed (G13, G21)."""
        self._check_reading()
        if CURRENT_OPERATION.get() is not None:
            raise AskInsideTurn("a durio client was used in an entity operation", INSTEAD, caller_line())

    def _check_reading(self) -> None:
        """No reads either where code is replayed: they would see other data then."""
        guard = CURRENT_GUARD.get()
        if guard is not None:
            raise guard.refuse(AskInsideTurn("a durio client was used inside a turn", INSTEAD, caller_line()))
