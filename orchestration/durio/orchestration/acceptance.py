"""Accepting: what the kernel makes of a message before any code sees it. Refuses, answers, or gives an entry."""

from __future__ import annotations

from typing import Final

import attrs

from durio.entities import (
    Answer,
    Answered,
    JobCrashed,
    LockAnswered,
    Mail,
    Message,
    StartInstance,
    payload_size,
    refusal_of,
)
from durio.entities import keys as entity_keys
from durio.orchestration.errors import ActivityCrashed, InstanceAlreadyExists, InstanceFinished, InstanceNotFound
from durio.orchestration.execution import Execution
from durio.orchestration.history import (
    ActivityCompleted,
    ActivityFailed,
    CancelRequested,
    ChildCompleted,
    ChildFailed,
    EntityAnswered,
    Entry,
    EventRaised,
    LockGranted,
    LockRefused,
    Rewound,
    TimerFired,
)
from durio.orchestration.instance import Instance
from durio.orchestration.locking import awaits
from durio.orchestration.messages import ActivityDone, Cancel, ChildDone, GoOn, RaiseEvent, Rewind, Terminate, TimerDue
from durio.orchestration.registry import Orchestration

CREATED: Final = Answer(value=b"true")
FOUND: Final = Answer(value=b"false")
ACCEPTED: Final = Answer()
PURGED: Final = Answer(value=b"1")
ABSENT: Final = Answer(value=b"0")


@attrs.define(eq=False)
class Work:
    """What a turn works on, and how.

    `mode`: "step" (mail for the running code), "begin" (the first step of an execution), "start" (a start is decided),
    "control", "cancel" (a life that has not begun ends), "hold" (accepted without being consumed), "refuse", or "end"
    (the replay failed). `entries` are what the code will see; `mail_of[i]` is the index of the mail that gave entry i.
    """

    mode: str
    entries: list[Entry] = attrs.Factory(list)
    mail_of: list[int] = attrs.Factory(list)
    verdict: str = ""
    """Of a start: "create", "replace", "found" or "refuse"."""
    execution_id: str = ""
    next_execution: str = ""
    """The id of the execution that follows, should the code continue as new."""
    clock_us: int = 0
    execution: Execution | None = None
    """The code of an execution that begins in this turn."""
    behaviour: Orchestration | None = None
    """Of a start that creates a life: its code, if it is there."""


def absent(instance: Instance) -> Exception:
    """Why an instance that is not alive cannot do what it is asked."""
    if instance.head is None:
        return InstanceNotFound(instance.address)
    return InstanceFinished(instance.address, instance.head.status)


def judge(instance: Instance, message: StartInstance) -> str:
    """What becomes of a start (G15)."""
    head, origin = instance.head, instance.origin
    if head is None or origin is None:
        return "create"
    if not instance.alive:
        return "create" if message.if_finished == "start" else "refuse"
    if message.if_running == "replace":
        return "replace"
    if message.if_running == "return" and origin.name == message.name:
        return "found"
    return "refuse"


def taken_id(instance: Instance) -> InstanceAlreadyExists:
    """The refusal of a start: what runs, or ran, under that id."""
    head, origin = instance.head, instance.origin
    assert head is not None and origin is not None, "a start is refused because of a life"
    status = "Suspended" if head.suspended and instance.alive else head.status
    return InstanceAlreadyExists(instance.address, origin.name, status)


def entry_of(instance: Instance, message: Message, key: bytes, closed: set[int]) -> Entry | None:
    """The history entry of a message for the running execution; None: it is dropped.

    A result is taken only for the current execution and an action that is still open, and once (G24): `closed` holds
    the actions that earlier messages of the same turn confirm.
    """
    if isinstance(message, RaiseEvent):
        return EventRaised(message.name, message.input, *(message.place or entity_keys.mail_arrival(key)))
    if isinstance(message, Cancel):
        return CancelRequested(message.reason) if is_for(instance, message) else None
    if isinstance(message, GoOn):
        head = instance.head
        if head is None or head.execution != message.execution:
            return None
        return Rewound(message.number, message.reason, message.again, message.timers)
    if not isinstance(message, ActivityDone | JobCrashed | TimerDue | ChildDone | Answered | LockAnswered):
        return None
    action = message.action
    if action in closed or not instance.awaits(action, message.execution):
        return None
    if isinstance(message, LockAnswered) and not _is_last(instance, message):
        return None  # the code hears of its lock when it has all of it
    closed.add(action)
    if isinstance(message, TimerDue):
        return TimerFired(action)
    if isinstance(message, JobCrashed):
        return ActivityFailed(action, refusal_of(ActivityCrashed(message.name, message.times)))
    failure = message.failure
    if isinstance(message, LockAnswered):
        return LockGranted(action) if failure is None else LockRefused(action, failure)
    if isinstance(message, Answered):
        return EntityAnswered(action, message.result, failure)
    if isinstance(message, ChildDone):
        return ChildCompleted(action, message.result) if failure is None else ChildFailed(action, failure)
    return ActivityCompleted(action, message.result) if failure is None else ActivityFailed(action, failure)


def _is_last(instance: Instance, message: LockAnswered) -> bool:
    """Whether an answer decides about the lock: the last grant, or a refusal."""
    section = instance.section
    if section is None or not awaits(section, message):
        return False
    return message.failure is not None or section.granted + 1 == len(section.entities)


def is_for(instance: Instance, message: Terminate | Cancel | Rewind) -> bool:
    """Whether it is for the life that goes on: one that comes from a parent is for that parent's child alone.

    A rewind of the parent is exact: under one id, it may have had several children one after the other.
    """
    if not message.parent:
        return True
    parent = None if instance.origin is None else instance.origin.parent
    if parent is None or (parent.address, parent.life) != (message.parent, message.parent_life):
        return False
    asked = message.start.parent if isinstance(message, Rewind) and message.start is not None else None
    if asked is not None:
        return (parent.execution, parent.action) == (asked.execution, asked.action)
    if isinstance(message, Terminate) and message.action:
        return (parent.execution, parent.action) == (message.execution, message.action)
    return True


def size_of(mail: Mail) -> int:
    """About how many bytes a message holds."""
    message = mail[1]
    return payload_size(getattr(message, "input", None) or getattr(message, "result", None)) + 64
