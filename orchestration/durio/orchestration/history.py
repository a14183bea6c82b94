"""History: what an execution has seen and what it asked for. One class per noun; fields are only appended.

An event with an `id` that the code asked for *is* the action of that id, confirmed. Payloads stay encoded.
"""

from __future__ import annotations

from typing import Final

import msgspec

from durio.entities.failures import Failure


class Event(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Base of all history events."""


class Woke(Event, frozen=True, tag="W", gc=False):
    """A turn started: the clock of what follows."""

    at_us: int


class Started(Event, frozen=True, tag="S", gc=False):
    """The execution began."""

    execution: str
    name: str
    version: str | None
    input: bytes | None
    parent_instance_id: str | None
    tags: dict[str, str] | None = None


class ActivityScheduled(Event, frozen=True, tag="AS", gc=False):
    """Action: run an activity. `key` is its idempotency key, the same for all attempts of one call."""

    id: int
    name: str
    input: bytes | None = None
    key: str = ""
    attempt: int = 1
    timeout_ms: int | None = None
    tags: dict[str, str] | None = None
    refused: Failure | None = None


class ActivityCompleted(Event, frozen=True, tag="AC", gc=False):
    """An activity returned."""

    id: int
    result: bytes | None


class ActivityFailed(Event, frozen=True, tag="AF", gc=False):
    """An activity raised, or its time was up."""

    id: int
    failure: Failure


class ChildStarted(Event, frozen=True, tag="CS", gc=False):
    """Action: start a sub-orchestration."""

    id: int
    instance: str
    name: str
    version: str | None = None
    input: bytes | None = None
    tags: dict[str, str] | None = None
    refused: Failure | None = None


class ChildCompleted(Event, frozen=True, tag="CC", gc=False):
    """A sub-orchestration returned."""

    id: int
    result: bytes | None


class ChildFailed(Event, frozen=True, tag="CF", gc=False):
    """A sub-orchestration failed, was terminated, or was refused."""

    id: int
    failure: Failure


class TimerSet(Event, frozen=True, tag="TS", gc=False):
    """Action: wake up at a time. `key` is where the kernel keeps the timer."""

    id: int
    due_us: int
    key: bytes = b""


class TimerFired(Event, frozen=True, tag="TF", gc=False):
    """A timer's time came."""

    id: int


class CancelTask(Event, frozen=True, tag="CT", gc=False):
    """Action: the result of another action is not wanted any more."""

    id: int


class EventRaised(Event, frozen=True, tag="ER", gc=False):
    """An external event arrived; `arrival` is its number in the mailbox, `sub` that among those that came as one."""

    name: str
    input: bytes | None
    arrival: int
    sub: int = 0


class EventSent(Event, frozen=True, tag="ES", gc=False):
    """Action: send an event to another instance."""

    id: int
    target: str
    name: str
    input: bytes | None = None
    refused: Failure | None = None


class EntityCalled(Event, frozen=True, tag="EC", gc=False):
    """Action: call an operation of an entity."""

    id: int
    entity: str
    operation: str
    input: bytes | None = None
    refused: Failure | None = None
    lock: int | None = None
    """The id of the lock request in whose critical section it was called."""


class CancelRequested(Event, frozen=True, tag="CR", gc=False):
    """The code was asked to end: an error is raised at its current await."""

    reason: str


class EntityAnswered(Event, frozen=True, tag="EA", gc=False):
    """An entity answered a call."""

    id: int
    result: bytes | None = None
    failure: Failure | None = None


class EntitySignaled(Event, frozen=True, tag="EG", gc=False):
    """Action: signal an entity, now or at a time."""

    id: int
    entity: str
    operation: str
    input: bytes | None = None
    due_us: int | None = None
    refused: Failure | None = None


class LockRequested(Event, frozen=True, tag="LR", gc=False):
    """Action: lock entities, one after the other in this order, for a critical section."""

    id: int
    entities: tuple[str, ...]
    refused: Failure | None = None


class LockGranted(Event, frozen=True, tag="LG", gc=False):
    """All entities that a request named are locked."""

    id: int


class LockRefused(Event, frozen=True, tag="LX", gc=False):
    """A lock request was refused; what it had locked is released."""

    id: int
    failure: Failure


class LockReleased(Event, frozen=True, tag="LF", gc=False):
    """Action: leave a critical section; `lock` is the id of its request."""

    id: int
    lock: int


class Suspended(Event, frozen=True, tag="SU", gc=False):
    """The instance holds its mail from here."""

    reason: str


class Resumed(Event, frozen=True, tag="RE", gc=False):
    """The instance takes its mail again."""

    reason: str


class Rewound(Event, frozen=True, tag="RW", gc=False):
    """The execution was rewound, for the `number`-th time: what is behind this place was taken back (G27).

    The step of the entry before it goes on here. `again`: the actions that were asked for once more; `timers`: where
    the kernel keeps the timers among them.
    """

    number: int
    reason: str = ""
    again: tuple[int, ...] = ()
    timers: tuple[tuple[int, bytes], ...] = ()


class Ended(Event, frozen=True, tag="EN", gc=False):
    """The execution ended; nothing follows, unless it is rewound. `causes`: the actions whose failures ended it."""

    status: str
    output: bytes | None = None
    failure: Failure | None = None
    reason: str = ""
    causes: tuple[int, ...] = ()


Action = (
    ActivityScheduled
    | ChildStarted
    | TimerSet
    | CancelTask
    | EventSent
    | EntityCalled
    | EntitySignaled
    | LockRequested
    | LockReleased
)  # what the code asks for
Entry = (
    Started
    | ActivityCompleted
    | ActivityFailed
    | ChildCompleted
    | ChildFailed
    | TimerFired
    | EventRaised
    | CancelRequested
    | EntityAnswered
    | LockGranted
    | LockRefused
    | Rewound
)  # a message, after which the code is stepped
Note = Woke | Suspended | Resumed | Ended  # steps nothing

HistoryEvent = Action | Entry | Note

ACTIONS: Final = (
    ActivityScheduled,
    ChildStarted,
    TimerSet,
    CancelTask,
    EventSent,
    EntityCalled,
    EntitySignaled,
    LockRequested,
    LockReleased,
)


class Chunk(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The events of one turn: one row on disk."""

    events: list[HistoryEvent]


def describe(event: HistoryEvent) -> str:
    """An event in a few words, for people: its kind, its id and its names."""
    shown = [f"{name}={getattr(event, name)!r}" for name in _NAMING if getattr(event, name, None) is not None]
    return f"{type(event).__name__}({', '.join(shown)})"


_NAMING: Final = ("id", "name", "instance", "entity", "operation", "target", "status", "entities", "lock")


def same_action(recorded: HistoryEvent, wanted: Action) -> bool:
    """Whether two actions agree in kind, id and names (G20). Inputs and due times may differ."""
    if type(recorded) is not type(wanted):
        return False
    return all(getattr(recorded, name, None) == getattr(wanted, name, None) for name in _NAMING)
