"""Locking: how an instance gets and gives back the locks of a critical section. It always knows what it holds (G12)."""

from __future__ import annotations

import msgspec

from durio.entities import (
    CONTROL_LANE,
    Caller,
    LockAnswered,
    LockRequest,
    Release,
    Settlement,
    find_lock,
    refusal_of,
)
from durio.orchestration.cycles import Cycles
from durio.orchestration.errors import LockCycle
from durio.orchestration.history import LockRequested
from durio.orchestration.instance import Instance
from durio.orchestration.records import SECTION, Section


def request_locks(instance: Instance, execution: str, action: LockRequested, settlement: Settlement) -> None:
    """Ask for the first entity; each answer asks for the next: all who lock ask in one order, so none in a circle."""
    _go_on(instance, Section(execution, action.id, action.entities), settlement)


def take_answer(instance: Instance, message: LockAnswered, settlement: Settlement) -> None:
    """An entity answered: go on with the next one, or give up what there is. Answers to what is over are dropped."""
    section = instance.section
    if section is None or not awaits(section, message):
        return
    if message.failure is not None:
        release_locks(instance, settlement)
    else:
        granted = Section(section.execution, section.action, section.entities, section.granted + 1)
        _go_on(instance, granted, settlement)


def release_locks(instance: Instance, settlement: Settlement) -> None:
    """The section is over, if there is one: release what it has locked, withdraw what it waits for.

    A release takes the lane of the calls from inside the section: it comes behind all of them, and before all mail that
    the lock holds up.
    """
    section = instance.section
    if section is None:
        return
    for entity in section.entities[: section.granted + section.asked]:
        settlement.send(entity, Release(at_us=settlement.now_us, request=section.request), CONTROL_LANE)
    settlement.delete(SECTION)
    instance.section = None


def awaits(section: Section, message: LockAnswered) -> bool:
    """Whether an answer is the one that a section waits for."""
    asked = (section.execution, section.action, section.waits_for)
    return asked == (message.execution, message.action, message.entity)


def cycles_of(instance: Instance) -> Cycles:
    """The wait-for graph, seen from an instance as it is now."""
    parent = None if instance.origin is None else instance.origin.parent
    return Cycles(instance.view, instance.address, instance.section, parent)


def _go_on(instance: Instance, section: Section, settlement: Settlement) -> None:
    instance.section = section
    entity, at_us = section.waits_for, settlement.now_us
    chain = cycles_of(instance).of_entity(entity) if entity and find_lock(instance.view, entity) else ()
    if chain:
        section = instance.section = msgspec.structs.replace(section, asked=False)
        refused = LockAnswered(
            at_us=at_us,
            execution=section.execution,
            action=section.action,
            entity=entity,
            failure=refusal_of(LockCycle(chain)),
        )
        settlement.send(instance.address, refused)
    elif entity:
        caller = Caller(instance.address, section.execution, section.action)
        settlement.send(entity, LockRequest(at_us=at_us, request=section.request, caller=caller))
    settlement.put(SECTION, section)
