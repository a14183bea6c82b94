"""Planted bugs in turns: their order, that there is one at a time, and that an operation that raises did nothing."""

from __future__ import annotations

from typing import Any, Final

import attrs
import trio

from durio.entities import EntityContext, EntityId, EntityKind, Kernel, Mail, Mailbox, Taken, is_entity
from durio.entities.catalog import Activation
from durio.entities.context import CURRENT_OPERATION
from durio.entities.entity import Entity, Outcome
from durio.entities.messages import Operation
from durio.entities.registry import Behaviour
from durio.orchestration import App, OrchestrationContext
from durio.simulation import Parts, Sim, call, start
from tests.simulation.planted.harness import Planted, plant

app = App()
BOOK: Final = EntityId("book", "k")


@app.entity
@attrs.define
class Book:
    """Keeps what it is told, in order."""

    lines: list[str] = attrs.Factory(list)

    def write(self, line: str) -> None:
        self.lines.append(line)


@app.entity
@attrs.define
class Purse:
    """Money. What is taken out is written into the book."""

    money: int = 5
    taken: list[str] = attrs.Factory(list)

    def take(self, amount: int) -> int:
        """Raises after it changed and sent something, if there is too little."""
        self.money -= amount
        self.taken.append(str(amount))
        EntityContext.current().signal_entity(BOOK, Book.write, str(amount))
        if self.money < 0:
            raise ValueError("too little")
        return self.money

    async def earn(self) -> int:
        """Takes its time."""
        await trio.sleep(1)
        self.money += 1
        return self.money

    def look(self) -> int:
        return self.money


@app.orchestration
async def teller(ctx: OrchestrationContext) -> None:
    """Tells three things, one after the other."""
    for number in range(3):
        ctx.signal_entity(BOOK, Book.write, f"{ctx.instance_id} {number}")


# What must hold


def in_order(sim: Sim) -> None:
    """What one actor tells another one arrives in the order in which it was told (G4)."""
    lines = sim.state(Book).lines
    for address in sim.instances:
        heard = [line for line in lines if line.startswith(f"{address} ")]
        assert heard == sorted(heard), f"out of order: {heard}"


def one_after_the_other(sim: Sim) -> None:
    """An entity does one operation at a time, to its end (G1), and one that raises did not happen (G10)."""
    verdict = sim.linearizable(Purse)
    assert verdict, verdict


def says_only_what_happened(sim: Sim) -> None:
    """What an operation that raises wanted to send is not sent (G10)."""
    written, taken = sim.state(Book).lines, sim.state(Purse).taken
    assert sorted(written) == sorted(taken), f"taken: {taken}, written: {written}"


# What is wrong


class NewestFirst(Mailbox):
    """Wrong: gives the newest message first."""

    __slots__ = ()

    def peek(self) -> Mail | None:
        return None if super().peek() is None else self._queue[-1]

    def pop(self) -> Mail:
        return self._queue.pop()


class TurnsTheMailOver(Kernel):
    """Wrong: the mailboxes of entities are stacks."""

    def _activate(self, address: str) -> Activation:
        activation = super()._activate(address)
        if is_entity(address) and not isinstance(activation.mailbox, NewestFirst):
            activation.mailbox = NewestFirst(self.view, address, activation.kind.decode)
        return activation


class LetsOthersIn(Kernel):
    """Wrong: an operation that awaits does not keep the next one out."""

    def __init__(self, *parts: Any, **options: Any) -> None:
        super().__init__(*parts, **options)
        self._offered: dict[int, Taken[Any]] = {}

    def run_turn(self, address: str | None = None) -> str:
        address = super().run_turn(address)
        activation = self._activate(address)
        if activation.pinned is not None:
            self._offered[activation.offer], activation.pinned = activation.pinned, None
            self.catalog.touch(activation, self._now_us())  # it stays in memory
            if activation.mailbox:
                self._wake(address, activation)
        return address

    def pinned(self, address: str, number: int) -> tuple[Any, Any] | None:
        activation = self._offer(address, number)
        found = super().pinned(address, number)
        activation.pinned = None
        return found

    def settle_offer(self, address: str, number: int, decision: Any) -> bool:
        self._offer(address, number)
        return super().settle_offer(address, number, decision)

    def _offer(self, address: str, number: int) -> Activation:
        activation = self._activate(address)
        activation.offer, activation.pinned = number, self._offered.get(number)
        return activation


class Remembers(EntityKind):
    """Knows what the last operation had done when it raised."""

    last: EntityContext | None = None

    def _context(self, actor: Entity, operation: Operation, state: bytes | None, now_us: int) -> EntityContext:
        self.last = super()._context(actor, operation, state, now_us)
        return self.last


class SendsAnyway(Remembers):
    """Wrong: what an operation that raises wanted to send is sent."""

    def run(
        self, actor: Entity, behaviour: Behaviour, operation: Operation, state: bytes | None, now_us: int
    ) -> Outcome:
        outcome = super().run(actor, behaviour, operation, state, now_us)
        if outcome.failure is not None and self.last is not None:
            outcome.sent = self.last.sent
        return outcome


class RollsBackLate(Remembers):
    """Wrong: what an operation that raises has changed is there until the end of the turn."""

    def run(
        self, actor: Entity, behaviour: Behaviour, operation: Operation, state: bytes | None, now_us: int
    ) -> Outcome:
        outcome = super().run(actor, behaviour, operation, state, now_us)
        if outcome.failure is not None and self.last is not None:
            outcome.state = self.last.state
        return outcome

    def _perform(self, behaviour: Behaviour, context: EntityContext) -> None:
        CURRENT_OPERATION.set(context)
        found, operate = behaviour.bind(context, self._payloads)
        result: Any = None
        try:
            result = operate()
        finally:
            behaviour.finish(context, self._payloads, found, result)


PLANTED: Final[tuple[Planted, ...]] = (
    plant(
        "signals are reordered",
        in_order,
        start(teller),
        wrong=Parts(kernel=TurnsTheMailOver),
        right=Parts(),
        shows="out of order: .*'teller-0 2', 'teller-0 1', 'teller-0 0'",
    ),
    plant(
        "an operation in the middle of another",
        one_after_the_other,
        call(Purse.earn),
        wrong=Parts(kernel=LetsOthersIn),
        right=Parts(),
        shows="purse@k is not linearizable",
    ),
    plant(
        "an operation that raises sends",
        says_only_what_happened,
        call(Purse.take, 3),
        wrong=Parts(entities=SendsAnyway),
        right=Parts(),
        shows=r"taken: \['3'\], written: \['3', '3'\]",
    ),
    plant(
        "an operation that raises is rolled back late",
        one_after_the_other,
        call(Purse.take, 3),
        call(Purse.look),
        wrong=Parts(entities=RollsBackLate),
        right=Parts(),
        shows="purse@k is not linearizable",
    ),
)
