"""Planted bugs in what becomes of code that ends its process: counting, parking, telling who waits (G6)."""

from __future__ import annotations

import os
from functools import partial
from typing import Any, ClassVar, Final

import attrs
import msgspec

from durio.entities import (
    EntityKind,
    Kernel,
    Mail,
    Poison,
    Poisoned,
    Settlement,
    count_unclean,
    keys,
)
from durio.entities.catalog import Activation
from durio.entities.poison import Count
from durio.orchestration import App, OrchestrationContext, TaskFailedError
from durio.simulation import Parts, Sim, call, start
from durio.storage import MemoryDisk, MemoryStore, Notes, Store, WriteSet
from tests.simulation.planted.harness import Planted, plant

app = App()
STEPS_MAX: Final = 60
"""A hub that never gives up does not come to its end, and is cut off then."""


@app.entity
@attrs.define
class Mine:
    """Goes off when it is stepped on, and counts who walks around it."""

    walks: int = 0

    def step_on(self) -> None:
        os._exit(1)

    def walk(self) -> int:
        self.walks += 1
        return self.walks


@app.activity
async def dig() -> None:
    os._exit(1)


@app.orchestration
async def digger(ctx: OrchestrationContext) -> str:
    """Lives on when its activity cannot be run."""
    try:
        await ctx.call_activity(dig)
    except TaskFailedError as error:
        return error.failure.type
    return "dug"


# What must hold


def nobody_waits_for_ever(sim: Sim) -> None:
    """Whatever ends the process, everybody gets an answer in the end (G6, G9)."""
    waiting = [str(asked) for asked in sim.results if asked.returned is None]
    assert not waiting, f"waits for ever: {waiting}"
    unfinished = [address for address, found in sim.instances.items() if str(found.runtime_status) == "Running"]
    assert not unfinished, f"runs for ever: {unfinished}"


def nothing_healthy_is_parked(sim: Sim) -> None:
    """A process that dies by chance, however often, parks nothing (G6)."""
    assert not sim.dead_letters, f"parked: {[letter.what for letter in sim.dead_letters]}"


def others_are_answered(sim: Sim) -> None:
    """An entity goes on with the next message: each walk is done (G6)."""
    nobody_waits_for_ever(sim)
    walks = sum("walk" in str(asked) for asked in sim.results)
    assert sim.state(Mine).walks == walks, f"walks: {walks}, done: {sim.state(Mine).walks}"


def parked_once(sim: Sim) -> None:
    """One message is one dead letter, and is not done (G2, G6)."""
    nobody_waits_for_ever(sim)
    stepped = sum("step_on" in str(asked) for asked in sim.results)
    assert len(sim.dead_letters) == stepped, f"asked: {stepped}, parked: {len(sim.dead_letters)}"
    for letter in sim.dead_letters:
        assert letter.times == 1, f"{letter.what} was running at {letter.times} ends"


# What is right, and what is wrong


class Impatient(Kernel):
    """Right: parks at the first unclean end instead of the third, so that runs are short."""

    def __init__(self, *parts: Any, poison: partial[Poison], **options: Any) -> None:
        super().__init__(
            *parts, poison=partial(poison, **({"ends_max": 1, "job_ends_max": 2} | self.limits)), **options
        )

    limits: ClassVar[dict[str, int]] = {}


class Uncounted(frozenset[str]):
    """Careful actors, and counts that are not on disk yet."""

    changes: tuple[tuple[bytes, bytes | None], ...] = ()


def counts_later(store: Store, now_us: int) -> frozenset[str]:
    """Wrong: what is found is counted with the first batch of turns, and not before them."""
    late = Late(store)
    found = Uncounted(count_unclean(late, now_us))
    found.changes = late.changes
    store.notes.start(store.epoch)
    return found


class Late(MemoryStore):
    """Keeps a commit for later."""

    def __init__(self, store: Store) -> None:
        super().__init__(MemoryDisk())
        self._store = store
        self.changes: tuple[tuple[bytes, bytes | None], ...] = ()

    @property
    def notes(self) -> Notes:
        return self._store.notes

    def scan(self, start: bytes, stop: bytes | None = None, *, limit: int | None = None) -> list[tuple[bytes, bytes]]:
        return self._store.scan(start, stop, limit=limit)

    def commit(self, writes: WriteSet) -> int:
        self.changes = writes.changes
        return 0


class CountsLater(Impatient):
    """Writes the counts with its first turns."""

    def __init__(self, *parts: Any, poison: partial[Poison], **options: Any) -> None:
        super().__init__(*parts, poison=poison, **options)
        careful = poison.keywords["careful"]
        for key, row in careful.changes:
            if row is None:
                self.view.filling.delete(keys.POISON, key)
            else:
                self.view.filling.put(keys.POISON, key, msgspec.msgpack.decode(row, type=Count))


def counts_what_waits(store: Store, now_us: int) -> frozenset[str]:
    """Wrong: every message that was not done when the process died is counted, whatever was running."""
    store.notes.start(store.epoch)
    for key, _ in store.scan(keys.MAIL, keys.stop_of(keys.MAIL)):
        note = store.notes.begin(key)
        assert note
    return count_unclean(store, now_us)


def is_never_careful(store: Store, now_us: int) -> frozenset[str]:
    """Wrong: what was not durable when it ended the process is run again before it is durable."""
    count_unclean(store, now_us)
    return frozenset()


class TellsNobody(EntityKind):
    """Wrong: who waits for a message that is parked hears nothing."""

    def park(self, actor: Any, mail: Mail | None, error: Poisoned, settlement: Settlement) -> None:
        return None


class ParksAgain(Impatient):
    """Wrong: a message that is parked stays in its mailbox."""

    def _apply(self, activation: Activation, settlement: Settlement) -> None:
        if "messages parked" in settlement.counted:
            settlement.consumed = []
        super()._apply(activation, settlement)


class NeverGivesUp(Impatient):
    """Wrong: an activity is started again, however often it ended the process."""

    limits: ClassVar[dict[str, int]] = {"job_ends_max": 1_000_000}


class DropsTheRest(EntityKind):
    """Wrong: what waits behind a message that is parked is lost with it."""

    def park(self, actor: Any, mail: Mail | None, error: Poisoned, settlement: Settlement) -> None:
        super().park(actor, mail, error, settlement)
        box = keys.mailbox(settlement.address)
        for key, _ in actor.view.scan(box, box, keys.stop_of(box)):
            settlement.consume(key)


PLANTED: Final[tuple[Planted, ...]] = tuple(
    plant(
        name,
        holds,
        *asks,
        wrong=wrong,
        right=Parts(kernel=Impatient),
        steps_max=STEPS_MAX,
        cut_off=STEPS_MAX,
        max_crashes=crashes,
        max_calls=2 if crashes else len(asks),
        shows=shows,
    )
    for name, holds, asks, wrong, crashes, shows in (
        (
            "poison counted after the try",
            nobody_waits_for_ever,
            (call(Mine.step_on),),
            Parts(kernel=CountsLater, count_unclean=counts_later),
            0,
            "waits for ever",
        ),
        (
            "what was never durable is never counted",
            nobody_waits_for_ever,
            (call(Mine.step_on),),
            Parts(kernel=Impatient, count_unclean=is_never_careful),
            0,
            "waits for ever",
        ),
        (
            "what waited is counted",
            nothing_healthy_is_parked,
            (call(Mine.walk),),
            Parts(kernel=Impatient, count_unclean=counts_what_waits),
            2,
            "parked: .*walk",
        ),
        (
            "parked without telling who waits",
            nobody_waits_for_ever,
            (call(Mine.step_on),),
            Parts(kernel=Impatient, entities=TellsNobody),
            0,
            "waits for ever",
        ),
        (
            "parked, and left in the mailbox",
            parked_once,
            (call(Mine.step_on),),
            Parts(kernel=ParksAgain),
            0,
            "waits for ever|asked: .*, parked: ",
        ),
        (
            "parked with all that waits behind it",
            others_are_answered,
            (call(Mine.step_on), call(Mine.walk)),
            Parts(kernel=Impatient, entities=DropsTheRest),
            0,
            "waits for ever|walks: ",
        ),
        (
            "an activity is started for ever",
            nobody_waits_for_ever,
            (start(digger),),
            Parts(kernel=NeverGivesUp),
            0,
            "runs for ever",
        ),
    )
)
