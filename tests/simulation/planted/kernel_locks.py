"""Planted bugs in locks: they leak, are taken in any order, are lost in a crash, or do not keep others out."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import Any, Final

import attrs
import msgspec

from durio.entities import (
    EntityId,
    EntityKind,
    LockRequest,
    Mailbox,
    Message,
    Operation,
    Release,
    Settlement,
    Taken,
    View,
)
from durio.entities.entity import Entity, Outcome
from durio.entities.locks import Lock, Locks
from durio.entities.messages import EntityMessage
from durio.orchestration import App, OrchestrationContext
from durio.orchestration.acceptance import Work
from durio.orchestration.decision import Decision
from durio.orchestration.history import LockRequested
from durio.orchestration.instance import Instance
from durio.orchestration.kind import InstanceKind
from durio.orchestration.records import SECTION
from durio.simulation import Parts, Sim, raise_event, start, terminate
from tests.simulation.planted.harness import Planted, plant

app = App()
A, B, PAPER = EntityId("account", "a"), EntityId("account", "b"), EntityId("paper", "p")


@app.entity
@attrs.define
class Account:
    """Money."""

    balance: int = 10

    def get(self) -> int:
        return self.balance

    def put(self, balance: int) -> None:
        self.balance = balance


@app.entity
@attrs.define
class Paper:
    """Who began to write on it, and who came to the end."""

    lines: list[str] = attrs.Factory(list)

    def write(self, line: str) -> None:
        self.lines.append(line)


@app.orchestration
async def adds(ctx: OrchestrationContext) -> None:
    """In two calls: what others add between them would be lost."""
    async with await ctx.lock_entities([A]):
        before = await ctx.call_entity(A, Account.get)
        await ctx.call_entity(A, Account.put, before + 1)


@app.orchestration
async def there(ctx: OrchestrationContext) -> None:
    """Locks both, and does nothing."""
    async with await ctx.lock_entities([A, B]):
        pass


@app.orchestration
async def back(ctx: OrchestrationContext) -> None:
    """Locks the same, named in another order."""
    async with await ctx.lock_entities([B, A]):
        pass


@app.orchestration
async def breaks(ctx: OrchestrationContext) -> None:
    """Fails in a section that it never leaves."""
    await ctx.lock_entities([A])
    raise ValueError("on purpose")


@app.orchestration
async def begins_anew(ctx: OrchestrationContext, generation: int) -> None:
    """Locks in each of two generations, and never leaves a section."""
    await ctx.lock_entities([A])
    if generation == 0:
        ctx.continue_as_new(1)


@app.orchestration
async def stays(ctx: OrchestrationContext) -> None:
    """Holds the lock until it is told to leave."""
    async with await ctx.lock_entities([A]):
        await ctx.wait_for_external_event("leave")


@app.orchestration
async def writes(ctx: OrchestrationContext) -> None:
    """Does not wait for its last call: the release comes behind it all the same."""
    async with await ctx.lock_entities([PAPER]):
        await ctx.call_entity(PAPER, Paper.write, f"{ctx.instance_id} begins")
        ctx.call_entity(PAPER, Paper.write, f"{ctx.instance_id} ends")


@app.orchestration
async def dawdles(ctx: OrchestrationContext) -> None:
    """Takes its time between two lines."""
    async with await ctx.lock_entities([PAPER]):
        await ctx.call_entity(PAPER, Paper.write, f"{ctx.instance_id} begins")
        await ctx.create_timer(timedelta(seconds=1))
        await ctx.call_entity(PAPER, Paper.write, f"{ctx.instance_id} ends")


# What must hold


def no_lock_is_left(sim: Sim) -> None:
    """A lock does not outlive its owner (G12)."""
    if sim.at_rest:
        left = [lock for lock in sim.locks if lock.runtime_status != "Running"]
        assert not left, f"left behind: {left}"


def nobody_waits_for_ever(sim: Sim) -> None:
    """Who needs no event comes to its end (G9, G12)."""
    assert not sim.deadlocked, f"they wait for ever: {sim.deadlocked}"


def none_is_refused(sim: Sim) -> None:
    """Locks are taken in one order, so they alone close no circle; and who has one keeps it (G12)."""
    failed = [address for address, status in sim.instances.items() if status.runtime_status == "Failed"]
    assert not failed, f"{failed} failed: {sim.status(failed[0]).output}"


def nothing_added_is_lost(sim: Sim) -> None:
    """As much was added as came to its end (G12)."""
    if sim.settled:
        done = sum(status.runtime_status == "Completed" for status in sim.instances.values())
        balance = sim.state(Account, "a").balance
        assert balance == 10 + done, f"{done} added 1 each to 10, and there are {balance}"


def one_writes_after_the_other(sim: Sim) -> None:
    """Nobody writes into the section of another (G12)."""
    lines = sim.state(Paper, "p").lines
    for before, line in pairwise(lines):
        who, what = line.split()
        assert what == "begins" or before == f"{who} begins", f"{before!r}, then {line!r}"


def all_is_written(sim: Sim) -> None:
    """What was sent before the release is done under the lock (G12)."""
    lines = sim.state(Paper, "p").lines
    assert not sim.settled or len(lines) == 2 * len(sim.instances), f"only {lines}"


# What is wrong


class Sends(InstanceKind):
    """Changes what an instance sends in a turn."""

    def settle(self, actor: Instance, taken: Taken[Work], decision: Decision | None, settlement: Settlement) -> None:
        super().settle(actor, taken, decision, settlement)
        settlement.sent = [sent for sent in settlement.sent if self.is_sent(actor, decision, sent[2])]

    def is_sent(self, actor: Instance, decision: Decision | None, message: Message) -> bool:
        raise NotImplementedError


class LeaksOnFailure(Sends):
    """Wrong: an execution that fails releases nothing."""

    def is_sent(self, actor: Instance, decision: Decision | None, message: Message) -> bool:
        failed = decision is not None and decision.end is not None and decision.end.status == "Failed"
        return not (failed and isinstance(message, Release))


class LeaksOnTermination(Sends):
    """Wrong: only code releases."""

    def is_sent(self, actor: Instance, decision: Decision | None, message: Message) -> bool:
        return decision is not None or not isinstance(message, Release)


class LeaksInAGeneration(Sends):
    """Wrong: continue-as-new releases nothing."""

    def is_sent(self, actor: Instance, decision: Decision | None, message: Message) -> bool:
        again = decision is not None and decision.end is not None and decision.end.status == "ContinuedAsNew"
        return not (again and isinstance(message, Release))


class ForgetsToWithdraw(InstanceKind):
    """Wrong: who ends releases what it holds, and lets its request stand."""

    def settle(self, actor: Instance, taken: Taken[Work], decision: Decision | None, settlement: Settlement) -> None:
        waits = "" if actor.section is None else actor.section.waits_for
        super().settle(actor, taken, decision, settlement)
        if not actor.alive:
            settlement.sent = [sent for sent in settlement.sent if sent[0] != waits or not isinstance(sent[2], Release)]


class ReleasesFirst(InstanceKind):
    """Wrong: a release overtakes the calls of its turn."""

    def settle(self, actor: Instance, taken: Taken[Work], decision: Decision | None, settlement: Settlement) -> None:
        super().settle(actor, taken, decision, settlement)
        settlement.sent.sort(key=lambda sent: not isinstance(sent[2], Release))


class ReleasesAtOnce(InstanceKind):
    """Wrong: a release follows the first call of the section, not the last."""

    def settle(self, actor: Instance, taken: Taken[Work], decision: Decision | None, settlement: Settlement) -> None:
        super().settle(actor, taken, decision, settlement)
        for address, lane, message in list(settlement.sent):
            if isinstance(message, Operation) and message.grant:
                settlement.sent.append((address, lane, Release(at_us=message.at_us, request=message.grant)))


class LocksInAnyOrder(InstanceKind):
    """Wrong: `back` locks in the order in which it names the entities."""

    def settle(self, actor: Instance, taken: Taken[Work], decision: Decision | None, settlement: Settlement) -> None:
        super().settle(actor, taken, decision, settlement)
        actions = [] if decision is None else [action for _, action in decision.actions]
        asked = any(isinstance(action, LockRequested) for action in actions)
        if asked and actor.section is not None and actor.origin is not None and actor.origin.name == "back":
            actor.section = msgspec.structs.replace(actor.section, entities=(str(B), str(A)))
            settlement.put(SECTION, actor.section)
            settlement.sent = [
                (str(B) if isinstance(sent[2], LockRequest) else sent[0], *sent[1:]) for sent in settlement.sent
            ]


class NotesGrantsInMemory(InstanceKind):
    """Wrong: how far a section is with its locks is not written down."""

    def settle(self, actor: Instance, taken: Taken[Work], decision: Decision | None, settlement: Settlement) -> None:
        super().settle(actor, taken, decision, settlement)
        suffix = settlement.group + SECTION
        settlement.written = [row for row in settlement.written if row[0] != suffix or self._is_first(row[1])]

    def _is_first(self, section: Any) -> bool:
        return section is None or section.granted == 0


class LocksInMemory(Locks):
    """Grants without a row."""

    def request(self, view: View, message: LockRequest, settlement: Settlement) -> Lock | None:
        lock = super().request(view, message, settlement)
        settlement.listed.clear()
        return lock


class ForgetsItsLock(EntityKind):
    """Wrong: an entity that leaves memory, or is read after a crash, is free."""

    def __init__(self, *parts: Any, **options: Any) -> None:
        super().__init__(*parts, **options)
        self.locks = LocksInMemory()


class LetsOthersIn(EntityKind):
    """Wrong: a locked entity takes all its mail."""

    def take(self, actor: Entity, mailbox: Mailbox, messages_max: int) -> Taken[list[EntityMessage]] | None:
        lock, actor.lock = actor.lock, None
        taken = super().take(actor, mailbox, messages_max)
        actor.lock = lock
        return taken


class RunsWithoutGrant(EntityKind):
    """Wrong: a call from a section runs whether the section has the lock or not."""

    def decide(self, actor: Entity, taken: Taken[list[EntityMessage]], now_us: int) -> Any:
        lock, grant = actor.lock, getattr(taken.work[0], "grant", "")
        if grant:
            actor.lock = Lock("", grant, 0)
        decision = super().decide(actor, taken, now_us)
        actor.lock = lock
        return decision


class KeepsTheRequest(EntityKind):
    """Wrong: a release that comes before its request is forgotten."""

    def settle(
        self, actor: Entity, taken: Taken[list[EntityMessage]], decision: list[Outcome], settlement: Settlement
    ) -> None:
        super().settle(actor, taken, decision, settlement)
        if isinstance(taken.work[0], Release):
            settlement.written.clear()


TWO_OWNERS: Final = 24
"""Two that start, lock, call and leave need some steps more, however small the finding is."""

PLANTED: Final[tuple[Planted, ...]] = (
    plant(
        "a lock leaks on failure",
        no_lock_is_left,
        start(breaks),
        wrong=Parts(instances=LeaksOnFailure),
        right=Parts(),
        shows=r"left behind: .*instance_id='breaks-0'.*Failed",
    ),
    plant(
        "a lock leaks on terminate",
        no_lock_is_left,
        start(stays, instance_id="x", if_finished="raise"),
        terminate("x"),
        wrong=Parts(instances=LeaksOnTermination),
        right=Parts(),
        shows=r"left behind: .*instance_id='x'.*Terminated",
    ),
    plant(
        "a lock leaks over continue-as-new",
        nobody_waits_for_ever,
        start(begins_anew, 0),
        wrong=Parts(instances=LeaksInAGeneration),
        right=Parts(),
        shows=r"wait for ever: .*begins_anew-0",
    ),
    plant(
        "a lock request is not withdrawn",
        no_lock_is_left,
        start(stays, instance_id="x", if_finished="raise"),
        start(stays, instance_id="y", if_finished="raise"),
        terminate("x"),
        raise_event("y", "leave"),
        wrong=Parts(instances=ForgetsToWithdraw),
        right=Parts(),
        shows=r"left behind: .*instance_id='x'.*Terminated",
    ),
    plant(
        "a withdrawal is forgotten",
        no_lock_is_left,
        start(stays, instance_id="x", if_finished="raise"),
        start(stays, instance_id="y", if_finished="raise"),
        terminate("x"),
        raise_event("y", "leave"),
        wrong=Parts(entities=KeepsTheRequest),
        right=Parts(),
        shows=r"left behind: .*instance_id='x'.*Terminated",
    ),
    plant(
        "locks are taken in any order",
        none_is_refused,
        start(there),
        start(back),
        wrong=Parts(instances=LocksInAnyOrder),
        right=Parts(),
        invariant=none_is_refused,
        steps_max=TWO_OWNERS,
        shows="a cycle of waits over locks",
    ),
    plant(
        "a grant is lost in a crash",
        nobody_waits_for_ever,
        start(back),
        wrong=Parts(instances=NotesGrantsInMemory),
        right=Parts(),
        max_crashes=1,
        max_calls=1,
        shows="wait for ever: .*back-0",
    ),
    plant(
        "a lock is lost in a crash",
        none_is_refused,
        start(adds),
        wrong=Parts(entities=ForgetsItsLock),
        right=Parts(),
        max_crashes=1,
        max_calls=1,
        invariant=none_is_refused,
        shows="adds-0.* has no lock on @account@a any more",
    ),
    plant(
        "a lock does not keep others out",
        nothing_added_is_lost,
        start(adds),
        wrong=Parts(entities=LetsOthersIn),
        right=Parts(),
        invariant=none_is_refused,
        max_crashes=0,
        max_calls=2,
        steps_max=TWO_OWNERS,
        shows="has no lock on @account@a any more|there are",
    ),
    plant(
        "a release overtakes a call",
        all_is_written,
        start(writes),
        wrong=Parts(instances=ReleasesFirst),
        right=Parts(),
        shows=r"only \['writes-0 begins'\]",
    ),
    plant(
        "a lost lock is not noticed",
        one_writes_after_the_other,
        start(dawdles),
        wrong=Parts(instances=ReleasesAtOnce, entities=RunsWithoutGrant),
        right=Parts(instances=ReleasesAtOnce),
        invariant=one_writes_after_the_other,
        max_crashes=0,
        max_calls=2,
        steps_max=TWO_OWNERS,
        shows="then 'dawdles-. ends'",
    ),
)
