"""Durio's own parts, with checks beside them that nobody outside can make: each calls the production part."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import trio

from durio.entities import STATE, EntityKind, Job, Kernel, Operation
from durio.entities import keys as entity_keys
from durio.entities.changes import View
from durio.entities.entity import Entity, EntityRow, Outcome
from durio.entities.messages import Timer
from durio.entities.registry import Behaviour
from durio.entities.timers import Timers
from durio.orchestration.activities import ActivityRunner
from durio.simulation import Parts
from durio.storage import Store


class CheckedTimers(Timers):
    """No timer is given out before the wall clock shows its time (G28)."""

    def __init__(self, view: View, clock_us: Callable[[], int]) -> None:
        super().__init__(view)
        self._clock_us = clock_us

    def due(self, now_us: int, limit: int) -> list[tuple[bytes, Timer]]:
        rows = super().due(now_us, limit)
        for key, timer in rows:
            early_us = entity_keys.timer_due_us(key) - self._clock_us()
            assert early_us <= 0, f"a timer of {timer.address} fires {early_us} us early"
        return rows


class CheckedKernel(Kernel):
    """An operation that runs outside of turns rests on a message and a state that are on disk (G5, G10)."""

    def __init__(self, store: Store, *args: Any, **options: Any) -> None:
        super().__init__(store, *args, **options)
        self._disk = store
        self.timers = CheckedTimers(self.view, self._now_us)

    def pinned(self, address: str, number: int) -> tuple[Any, Any] | None:
        found = super().pinned(address, number)
        if found is not None:
            actor, taken = found
            for key, message in taken.mails:
                assert self._disk.get(key) is not None, f"{message} runs before it is on disk"
            row = self._disk.get(entity_keys.actor(address) + STATE)
            state = None if row is None else msgspec.msgpack.decode(row, type=EntityRow).state
            assert state == actor.state, f"{address} runs with {actor.state!r}, on disk is {state!r}"
        return found


class CheckedEntities(EntityKind):
    """One operation of an entity runs at a time, whatever it waits for (G1)."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._busy: set[str] = set()

    def run(
        self, actor: Entity, behaviour: Behaviour, operation: Operation, state: bytes | None, now_us: int
    ) -> Outcome:
        self._alone(actor)
        return super().run(actor, behaviour, operation, state, now_us)

    async def run_async(self, actor: Entity, operation: Operation, now_us: int) -> Outcome:
        self._alone(actor)
        self._busy.add(str(actor.entity_id))
        try:
            return await super().run_async(actor, operation, now_us)
        finally:
            self._busy.discard(str(actor.entity_id))

    def _alone(self, actor: Entity) -> None:
        assert str(actor.entity_id) not in self._busy, f"{actor.entity_id} runs twice at the same time"


class CheckedActivities(ActivityRunner):
    """An activity begins when it is on disk that it was scheduled (G5, G24)."""

    def start(self, key: bytes, job: Job, nursery: trio.Nursery) -> None:
        process: Any = self._report
        assert process.store.get(key) is not None, f"activity {job.name} of {job.address} runs before it is on disk"
        super().start(key, job, nursery)


CHECKED = Parts(kernel=CheckedKernel, entities=CheckedEntities, activities=CheckedActivities)
