"""Needing: what an instance cannot go on without, and the waits that would never end because of it (G12)."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

import msgspec

from durio.entities import (
    CONTROL_LANE,
    Answer,
    Answered,
    Caller,
    Failure,
    Message,
    Operation,
    Refuse,
    Settlement,
    View,
    find_lock,
    refusal_of,
    refuse,
)
from durio.entities.changes import StartJob
from durio.orchestration.cycles import Chain, Cycles, is_call_of
from durio.orchestration.decision import Needs
from durio.orchestration.errors import LockCycle
from durio.orchestration.instance import JOB, Decoders, Instance, load
from durio.orchestration.limits import NEEDS_MAX
from durio.orchestration.locking import cycles_of
from durio.orchestration.records import Head, Section, cannot_go_on_without, has_action, ranges_of


def note_needs(head: Head, needs: Needs | None) -> Head:
    """The head of an instance whose code waits for something else now."""
    if needs is None:
        return head
    ranges = ranges_of(needs.actions, NEEDS_MAX)
    calls = tuple(dict.fromkeys(entity for _, entity in needs.calls))[:NEEDS_MAX]
    if (ranges, calls) == (head.needs, head.calls):
        return head
    return msgspec.structs.replace(head, needs=ranges, calls=calls)


def refuse_cycles(instance: Instance, settlement: Settlement) -> None:
    """The code waits for something else, or has got a lock: refuse the waits that would never end now.

    A call of its own is refused itself. If it waits for a child, or for its own activity, that in turn wait for it,
    their request is refused: the wait of the code cannot be.
    """
    head, parent = instance.head, None if instance.origin is None else instance.origin.parent
    assert head is not None, "a life goes on"
    for entity in head.calls:
        if find_lock(instance.view, entity) is not None:
            _refuse_call(instance, cycles_of(instance).of_entity(entity), entity, head, settlement)
    if not head.needs or (instance.section is None and (parent is None or not instance.children)):
        return  # nobody in a chain through it can have locked anything, or it waits for nobody
    cycles = cycles_of(instance)
    if not cycles.locks:
        return
    needed = {
        child.instance for child in instance.children if cannot_go_on_without(head, child.execution, child.action)
    }
    for child in sorted(needed):
        chain = cycles.of_child(child)
        if chain:
            _refuse_waiter(cycles, chain, settlement)
    if instance.section is not None and _needs_activity(instance, head, settlement):
        _refuse_activities(instance, cycles, head, instance.section, settlement)


def objection(view: View, entity: str, behalf: Caller, decoders: Decoders) -> Answer | None:
    """Why an activity must not wait for an entity; None if it may."""
    if find_lock(view, entity) is None:
        return None
    instance = load(view, behalf.address, decoders)
    head = instance.head
    if head is None or not _needs_this(head, behalf):
        return None  # nobody waits for it, or not for it alone
    chain = cycles_of(instance).of_entity(entity)
    return refuse(LockCycle(chain)) if chain else None


def _needs_this(head: Head, behalf: Caller) -> bool:
    """Whether the code cannot go on without just this run of an activity: a rewind runs those that are open again."""
    return head.execution == behalf.execution and has_action(head.needs, behalf.action)


def _refuse_call(instance: Instance, chain: Chain, entity: str, head: Head, settlement: Settlement) -> None:
    if not chain:
        return
    is_ours, failure = partial(is_call_of, instance.address, head), refusal_of(LockCycle(chain))
    for sent in [sent for sent in settlement.sent if sent[0] == entity and is_ours(sent[2])]:
        caller = getattr(sent[2], "caller", None)
        assert isinstance(caller, Caller), "it is a call"
        settlement.sent.remove(sent)
        answered = Answered(at_us=settlement.now_us, execution=caller.execution, action=caller.action, failure=failure)
        settlement.send(instance.address, answered)
    _refuse(entity, cycles_of(instance).mails_of(entity, is_ours), failure, settlement)


def _refuse_waiter(cycles: Cycles, chain: Chain, settlement: Settlement) -> None:
    """Refuse the last wait for an entity in a chain: that of the one who waits for somebody at its beginning."""
    last = max(number for number, address in enumerate(chain) if address.startswith("@"))
    waiter, entity = chain[last - 1], chain[last]
    turned = (*chain[last - 1 : -1], *chain[:last])  # the same circle, from the one who is refused
    _refuse(entity, cycles.waits_of(waiter, entity), refusal_of(LockCycle(turned)), settlement)


def _needs_activity(instance: Instance, head: Head, settlement: Settlement) -> bool:
    """Whether the code waits for an activity that runs already: only such a one can have asked anything."""
    new = {output.job.action for output in settlement.outputs if isinstance(output, StartJob)}
    running = (action for action, (kind, _) in instance.open.items() if kind == JOB and action not in new)
    return any(has_action(head.needs, action) for action in running)


def _refuse_activities(
    instance: Instance, cycles: Cycles, head: Head, section: Section, settlement: Settlement
) -> None:
    """An activity that the code waits for, and that asks an entity which the section has locked."""

    def is_theirs(mail: Message) -> bool:
        behalf = mail.behalf if isinstance(mail, Operation) else None
        return behalf is not None and _needs_this(head, behalf)

    for entity in section.entities[: section.granted]:
        failure = refusal_of(LockCycle((instance.address, entity, instance.address)))
        _refuse(entity, cycles.mails_of(entity, is_theirs), failure, settlement)


def _refuse(entity: str, mails: Iterable[bytes], failure: Failure, settlement: Settlement) -> None:
    """Refuse all of them: code that waits for several goes on when it has the answers to all."""
    for key in mails:
        settlement.send(entity, Refuse(at_us=settlement.now_us, key=key, failure=failure), CONTROL_LANE)
