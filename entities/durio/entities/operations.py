"""Runs `async def` operations: Trio tasks of their own, outside of turns, settled by the kernel when they end (G10)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Protocol

import attrs
import trio

from durio.entities.changes import Offer
from durio.entities.entity import Entity, EntityKind, Outcome
from durio.entities.env import Env
from durio.entities.errors import OperationTimeout
from durio.entities.failures import Failure
from durio.entities.groups import without_cancelled
from durio.entities.kernel import Kernel
from durio.entities.messages import Operation
from durio.entities.waiters import Bell
from durio.storage import Notes


class Settles(Protocol):
    """Where outcomes go."""

    def operation_done(self, offer: Offer, outcome: Outcome) -> None:
        """An offered operation ended."""
        ...


@attrs.define(eq=False)
class _Run:
    """An operation that runs for `offer`; `key` is that of its message."""

    offer: Offer
    key: bytes
    adrift: bool = False
    """Whether the kernel that offered it is gone: the next one will offer it anew."""


class OperationRunner:
    """Runs offered operations.

    Guarantees: an operation that is not in force any more does not run; one that was cancelled because the hub
    closes leaves nothing behind, and runs again at the next open; a time-out ends it with an error; what goes on
    while the kernel is replaced is not run twice (G10, G32).
    """

    def __init__(
        self, kernel: Kernel, entities: EntityKind, env: Env, settles: Settles, notes: Notes | None = None
    ) -> None:
        self._notes = notes or Notes()
        self._kernel = kernel
        self._entities = entities
        self._env = env
        self._settles = settles
        self._running = 0
        self._runs: dict[str, _Run] = {}
        self._kept: dict[str, tuple[bytes, Outcome]] = {}
        """What operations did that nobody could settle: the next offer of the same message takes it."""
        self._bell = Bell()
        self._interrupting = False

    def start(self, offer: Offer, nursery: trio.Nursery) -> None:
        """The messages and the state that the operation rests on are durable: run it."""
        found = self._kernel.pinned(offer.address, offer.number)
        key = b"" if found is None else found[1].mails[0][0]
        run, kept = self._runs.get(offer.address), self._kept.pop(offer.address, None)
        if run is not None and run.key == key:
            run.offer, run.adrift = offer, False
        elif kept is not None and kept[0] == key:
            self._settles.operation_done(offer, kept[1])
        else:
            self._running += 1
            nursery.start_soon(self._run, _Run(offer, key), name=f"operation of {offer.address}")

    def move(self, kernel: Kernel, void: Iterable[tuple[str, bytes, Any]]) -> None:
        """Another kernel goes on from what is durable. `void`: entity, message, and outcomes that were not."""
        self._kernel = kernel
        for address, key, outcomes in void:
            self._kept[address] = (key, outcomes[0])
        for run in self._runs.values():
            run.adrift = True

    async def drain(self) -> None:
        """Wait until none is running."""
        while self._running:
            await self._bell.wait()

    def interrupt(self) -> None:
        """From now on an operation that fails is one that was cancelled."""
        self._interrupting = True

    async def _run(self, run: _Run) -> None:
        address = run.offer.address
        try:
            found = self._kernel.pinned(address, run.offer.number)
            if found is None:
                return
            self._runs[address] = run
            actor, taken = found
            note = self._notes.begin(taken.mails[0][0])
            try:
                outcome = await self._timed(actor, taken.work[0], self._entities.timeout_s(actor))
            finally:
                self._notes.end(note)
            cancelled = self._interrupting or trio.current_effective_deadline() == -math.inf
            if cancelled and outcome.failure is not None:
                return  # it was cancelled because the hub closes: it runs again at the next open (G10)
            if run.adrift:
                self._kept[address] = (run.key, outcome)
            else:
                self._settles.operation_done(run.offer, outcome)
        finally:
            if self._runs.get(address) is run:
                del self._runs[address]
            self._running -= 1
            self._bell.ring()

    async def _timed(self, actor: Entity, operation: Operation, timeout_s: float | None) -> Outcome:
        outcome: Outcome | None = None
        scope = trio.CancelScope(deadline=trio.current_time() + (float("inf") if timeout_s is None else timeout_s))
        try:
            with scope:
                outcome = await self._entities.run_async(actor, operation, self._env.now_us())
        except BaseException as error:  # cleanup may raise while it is cancelled, by us or because the hub closes
            if not without_cancelled(error):
                raise
            outcome = Outcome(actor.state, failure=Failure.of(error))
        if outcome is None or (scope.cancel_called and outcome.failure is not None):
            outcome = Outcome(actor.state, failure=Failure.of(OperationTimeout(operation.name, timeout_s or 0.0)))
        return outcome
