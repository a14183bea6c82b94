"""Performing: what the actions of a decision mean for the world: jobs, timers and messages."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType
from typing import Any, Final

import msgspec

from durio.entities import CONTROL_LANE, MAIL_LANE, Caller, Job, Operation, Parent, Settlement, StartInstance
from durio.orchestration.history import (
    Action,
    ActivityScheduled,
    CancelTask,
    ChildStarted,
    EntityCalled,
    EntitySignaled,
    EventSent,
    HistoryEvent,
    LockReleased,
    LockRequested,
    TimerSet,
)
from durio.orchestration.instance import JOB, TIMER, Instance
from durio.orchestration.locking import release_locks, request_locks
from durio.orchestration.messages import RaiseEvent, TimerDue
from durio.orchestration.records import Child, child_suffix, request_of


def perform(instance: Instance, execution: str, action: Action, settlement: Settlement) -> HistoryEvent:
    """Carry out one action; returns it as history keeps it. A refused one has no effect."""
    if getattr(action, "refused", None) is not None:
        return action
    return _PERFORM[type(action)](instance, execution, action, settlement)


def _activity(instance: Instance, execution: str, action: ActivityScheduled, settlement: Settlement) -> HistoryEvent:
    job = Job(
        address=instance.address,
        execution=execution,
        action=action.id,
        name=action.name,
        input=action.input,
        idempotency_key=action.key,
        attempt=action.attempt,
        timeout_ms=action.timeout_ms,
        tags=action.tags,
    )
    instance.open[action.id] = (JOB, settlement.start_job(job))
    return action


def _timer(instance: Instance, execution: str, action: TimerSet, settlement: Settlement) -> HistoryEvent:
    message = TimerDue(at_us=action.due_us, execution=execution, action=action.id, due_us=action.due_us)
    key = settlement.schedule(action.due_us, instance.address, message)
    instance.open[action.id] = (TIMER, key)
    return msgspec.structs.replace(action, key=key)


def _cancel(instance: Instance, execution: str, action: CancelTask, settlement: Settlement) -> HistoryEvent:
    kind, key = instance.open.pop(action.id, ("", b""))
    if kind == JOB:
        settlement.cancel_job(key)
    elif kind == TIMER:
        settlement.unschedule(key)
    elif instance.section is not None and instance.section.action == action.id:
        release_locks(instance, settlement)
    return action


def _child(instance: Instance, execution: str, action: ChildStarted, settlement: Settlement) -> HistoryEvent:
    head, origin = instance.head, instance.origin
    assert head is not None and origin is not None, "a life goes on"
    ancestors = () if origin.parent is None else origin.parent.ancestors
    parent = Parent(instance.address, head.life, execution, action.id, (*ancestors, instance.address))
    message = StartInstance(
        at_us=settlement.now_us,
        name=action.name,
        version=action.version,
        input=action.input,
        tags=action.tags,
        parent=parent,
    )
    settlement.send(action.instance, message)
    child = Child(action.instance, execution, action.id)
    instance.children.add(child)
    settlement.put(child_suffix(child), child)
    instance.note(action, execution.encode())
    return action


def _event(instance: Instance, execution: str, action: EventSent, settlement: Settlement) -> HistoryEvent:
    message = RaiseEvent(at_us=settlement.now_us, name=action.name, input=action.input, sender=instance.address)
    settlement.send(action.target, message)
    return action


def _call(instance: Instance, execution: str, action: EntityCalled, settlement: Settlement) -> HistoryEvent:
    inside = action.lock is not None
    message = Operation(
        at_us=settlement.now_us,
        name=action.operation,
        input=action.input,
        sender=instance.address,
        caller=Caller(instance.address, execution, action.id),
        grant=request_of(execution, action.lock) if action.lock is not None else "",
    )
    settlement.send(action.entity, message, CONTROL_LANE if inside else MAIL_LANE)
    instance.note(action, execution.encode())
    return action


def _signal(instance: Instance, execution: str, action: EntitySignaled, settlement: Settlement) -> HistoryEvent:
    message = Operation(at_us=settlement.now_us, name=action.operation, input=action.input, sender=instance.address)
    if action.due_us is None:
        settlement.send(action.entity, message)
    else:
        settlement.schedule(action.due_us, action.entity, message)
    return action


def _lock(instance: Instance, execution: str, action: LockRequested, settlement: Settlement) -> HistoryEvent:
    request_locks(instance, execution, action, settlement)
    instance.note(action, execution.encode())
    return action


def _release(instance: Instance, execution: str, action: LockReleased, settlement: Settlement) -> HistoryEvent:
    release_locks(instance, settlement)
    return action


_PERFORM: Final[MappingProxyType[type[Action], Callable[[Instance, str, Any, Settlement], HistoryEvent]]] = (
    MappingProxyType(
        {
            ActivityScheduled: _activity,
            TimerSet: _timer,
            CancelTask: _cancel,
            ChildStarted: _child,
            EventSent: _event,
            EntityCalled: _call,
            EntitySignaled: _signal,
            LockRequested: _lock,
            LockReleased: _release,
        }
    )
)
