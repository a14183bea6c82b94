"""DiagnosisClient: finds instances that stand still, and instances whose code is not there."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from typing import Final

import attrs

from durio.entities import View, from_us
from durio.entities import keys as entity_keys
from durio.orchestration.instance import load
from durio.orchestration.limits import REPLAY_SLICE_MS
from durio.orchestration.missing_code import CodeSearch, UnregisteredCode
from durio.orchestration.names import OpenApp
from durio.orchestration.queries import Wanted, count_by_status
from durio.orchestration.query_client import PAGE_SIZE, QueryClient
from durio.orchestration.records import ALIVE, HEAD, Head
from durio.orchestration.waiting import Examination, has_mail
from durio.storage import Progress

IDLE_S: Final = 60.0
LOOKED_AT: Final = "instances looked at"


@attrs.frozen
class StuckInstance:
    """An instance that goes on, and for which nothing is under way: no message, timer, activity, child, call or lock.

    `waits_for`: what its code waits for, in words such as `event 'Approval'`; empty if that is not known here. `why`:
    a sentence. `certain`: nothing that can come would bring it on; otherwise an event from outside would. `since`: when
    it changed last.
    """

    instance_id: str
    name: str
    version: str | None
    since: datetime
    waits_for: tuple[str, ...]
    why: str
    certain: bool


class DiagnosisClient(QueryClient):
    """The part of the client that looks for what is wrong. It only reads, as of the last commit."""

    async def find_stuck(self, *, idle_s: float = IDLE_S, progress: Progress | None = None) -> list[StuckInstance]:
        """Running and pending instances that have not changed for `idle_s` seconds and stand still, the oldest first.

        Each such instance is replayed here with the code of this client's app, which runs and changes nothing, to see
        what the code awaits; what nobody awaits any more, such as a timer that lost a `task_any`, does not count. One
        that waits for an event stands still, too: `certain` tells it from one that nothing can bring on. A suspended
        instance does what it was told. `progress` is told how many were looked at, and how many go on.
        """
        if isinstance(idle_s, bool) or not isinstance(idle_s, int | float) or not 0 <= idle_s < float("inf"):
            raise ValueError(f"idle_s={idle_s!r} must be a number of seconds, at least 0")
        before_us = self._link.env.now_us() - int(idle_s * 1_000_000)
        wanted = Wanted(ALIVE, updated_us=(None, before_us))
        found: list[StuckInstance] = []
        seen: set[str] = set()
        token: str | None = None
        alive = 0 if progress is None else count_by_status(self._link.store, ALIVE)
        while True:
            page = await self._page(PAGE_SIZE, token, wanted)
            for address, _ in page.found:
                if address not in seen:  # one that was updated meanwhile comes twice
                    seen.add(address)
                    stuck = await self._examined(address, before_us)
                    found.extend(() if stuck is None else (stuck,))
            token = page.token
            if progress is not None:
                progress(LOOKED_AT, min(len(seen), alive), alive)
            if token is None:
                return sorted(found, key=lambda stuck: (stuck.since, stuck.instance_id))

    async def find_unregistered(self) -> list[UnregisteredCode]:
        """What waits for code that this client's app does not have: that for which most waits comes first.

        Instances by name and version of their orchestration, calls of activities, messages of entities. All of it
        waits, unchanged, until a hub is opened with an app that has the code (G20). Looks at what has not ended alone.
        Raises `ValueError` for a client without an app.
        """
        if isinstance(self._app, OpenApp):
            raise ValueError("this client has no app to compare with: pass one to connect(hub, app=app)")
        self._check_reading()
        search = CodeSearch(self._link.store, self._app.registry, self._decoders)
        await self._worked_off(search.run())
        return search.found

    async def _examined(self, address: str, before_us: int) -> StuckInstance | None:
        """What one instance shows; None if it does not stand still, or has changed meanwhile."""
        store, registry = self._link.store, self._app.registry
        instance = load(View(store), address, self._decoders)
        head, origin = instance.head, instance.origin
        if head is None or origin is None or not instance.alive or head.suspended or head.updated_us > before_us:
            return None
        code = None if isinstance(self._app, OpenApp) else registry.exact_orchestration(origin.name, origin.version)
        had_mail = has_mail(store, address)
        examination = Examination(instance, registry, self._payloads, self._decoders, store)
        with closing(examination.run(code)) as steps:
            await self._worked_off(steps)
        found = examination.found
        if found is None or self._has_changed(address, head) or has_mail(store, address) != had_mail:
            return None
        return StuckInstance(
            address,
            origin.name,
            origin.version,
            from_us(head.updated_us),
            found.waits_for,
            found.why,
            found.certain,
        )

    async def _worked_off(self, steps: Iterator[None]) -> None:
        """Take steps, and give way as long as they take (G8)."""
        await self._link.checkpoint()
        deadline = time.perf_counter() + REPLAY_SLICE_MS / 1000
        for _ in steps:
            if time.perf_counter() > deadline:
                await self._link.checkpoint()
                deadline = time.perf_counter() + REPLAY_SLICE_MS / 1000

    def _has_changed(self, address: str, before: Head) -> bool:
        data = self._link.store.get(entity_keys.actor(address) + HEAD)
        return data is None or self._decoders.head.decode(data) != before
