"""Runs `async def` operations: Trio tasks of their own, outside of turns, settled by the kernel when they end (G10)."""

from __future__ import annotations

import math
from typing import Protocol

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


class Settles(Protocol):
    """Where outcomes go."""

    def operation_done(self, offer: Offer, outcome: Outcome) -> None:
        """An offered operation ended."""
        ...


class OperationRunner:
    """Runs offered operations.

    Guarantees: an operation that is not in force any more does not run; one that was cancelled because the hub
    closes leaves nothing behind, and runs again at the next open; a time-out ends it with an error.
    """

    def __init__(self, kernel: Kernel, entities: EntityKind, env: Env, settles: Settles) -> None:
        self._kernel = kernel
        self._entities = entities
        self._env = env
        self._settles = settles
        self._running = 0
        self._bell = Bell()
        self._interrupting = False

    def start(self, offer: Offer, nursery: trio.Nursery) -> None:
        """The messages and the state that the operation rests on are durable: run it."""
        self._running += 1
        nursery.start_soon(self._run, offer, name=f"operation of {offer.address}")

    async def drain(self) -> None:
        """Wait until none is running."""
        while self._running:
            await self._bell.wait()

    def interrupt(self) -> None:
        """From now on an operation that fails is one that was cancelled."""
        self._interrupting = True

    async def _run(self, offer: Offer) -> None:
        try:
            found = self._kernel.pinned(offer.address, offer.number)
            if found is None:
                return
            actor, taken = found
            outcome = await self._timed(actor, taken.work[0], self._entities.timeout_s(actor))
            cancelled = self._interrupting or trio.current_effective_deadline() == -math.inf
            if cancelled and outcome.failure is not None:
                return  # it was cancelled because the hub closes: it runs again at the next open (G10)
            self._settles.operation_done(offer, outcome)
        finally:
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
