"""An orchestration instance in memory: its rows, what is open, and its live code if there is any."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any, Final, TypeVar

import attrs
import msgspec

from durio.entities import View
from durio.entities import keys as entity_keys
from durio.orchestration.execution import Execution
from durio.orchestration.history import (
    ActivityCompleted,
    ActivityFailed,
    ActivityScheduled,
    CancelTask,
    ChildCompleted,
    ChildFailed,
    ChildStarted,
    Chunk,
    EntityAnswered,
    EntityCalled,
    HistoryEvent,
    LockGranted,
    LockRefused,
    LockRequested,
    Rewound,
    TimerFired,
    TimerSet,
)
from durio.orchestration.index import Facts, facts_of
from durio.orchestration.limits import APPETITE_MIN, REPLAY_CHUNKS
from durio.orchestration.records import (
    ALIVE,
    CHILD,
    FINAL,
    HEAD,
    HISTORY,
    ORIGIN,
    SECTION,
    Child,
    Head,
    Origin,
    Outcome,
    Section,
    execution_of,
    history_suffix,
    rewound_token,
)
from durio.orchestration.registry import Orchestration
from durio.orchestration.rewind_plan import Cut

R = TypeVar("R", bound=msgspec.Struct)

JOB: Final = "job"
TIMER: Final = "timer"
OTHER: Final = "other"

_CONFIRMING = (
    ActivityCompleted,
    ActivityFailed,
    ChildCompleted,
    ChildFailed,
    TimerFired,
    EntityAnswered,
    LockGranted,
    LockRefused,
    CancelTask,
)


@attrs.define(eq=False)
class Instance:
    """The state of one instance id over all its lives.

    `open`: actions of this execution that have no result yet: what they are, and the key of the job or timer.
    """

    address: str
    view: View
    head: Head | None = None
    origin: Origin | None = None
    outcome: Outcome | None = None
    section: Section | None = None
    children: set[Child] = attrs.Factory(set)
    open: dict[int, tuple[str, bytes]] = attrs.Factory(dict)
    behaviour: Orchestration | None = None
    execution: Execution | None = None
    preparing: Generator[None, None, None] | None = None
    complete: bool = False
    """Whether `open` is known: the history was read, or there was none."""
    stuck: bool = False
    """Whether the code did not fit the history, and the instance waits for code that does (G20)."""
    stopped: bool = False
    """Whether a message is going to be parked: no code runs until that is done (G6)."""
    token: str = ""
    """While its history is read: the execution for which results of what it asks for there are."""
    rewinds_read: int = 0
    """The number of the last rewind that was read in its history."""
    plan: Cut | None = None
    """What a rewind that was asked for is going to do."""
    indexed: Facts | None = None
    """What its rows in the index follow from."""
    warned: bool = False
    appetite: int = APPETITE_MIN
    """How many messages the next turn takes at most: few are taken in vain if the execution ends early (G23)."""

    @property
    def alive(self) -> bool:
        """Whether a life goes on."""
        return self.head is not None and self.head.status in ALIVE

    @property
    def pending(self) -> bool:
        """Whether the first step of the life has not run yet."""
        return self.head is not None and self.head.status == "Pending"

    @property
    def holding(self) -> bool:
        """Whether mail is held: suspended, not begun, or its code is missing or does not fit."""
        return self.head is not None and (self.head.suspended or self.pending or self.behaviour is None or self.stuck)

    def note(self, event: HistoryEvent, key: bytes = b"") -> None:
        """Keep track of what is open. `key`: of a job or timer; of all else, the execution for which its result is."""
        if isinstance(event, Rewound):
            self._note_rewound(event)
        elif isinstance(event, _CONFIRMING):
            self.open.pop(event.id, None)
        elif getattr(event, "refused", None) is not None:
            return
        elif isinstance(event, TimerSet):
            self.open[event.id] = (TIMER, key or event.key)
        elif isinstance(event, ActivityScheduled):
            self.open[event.id] = (JOB, key)
        elif isinstance(event, ChildStarted | EntityCalled | LockRequested):
            self.open[event.id] = (OTHER, key or self.token.encode())

    def awaits(self, action: int, execution: str) -> bool:
        """Whether a result for that execution is that of an action that is open now (G24, G27)."""
        kind, key = self.open.get(action, ("", b""))
        if kind == OTHER:
            return key.decode() == execution
        return bool(kind) and self.head is not None and self.head.execution == execution

    def _note_rewound(self, event: Rewound) -> None:
        self.token = rewound_token(self.token, event.number)
        self.rewinds_read = event.number
        for action, key in event.timers:
            self.open[action] = (TIMER, key)
        for action in event.again:
            if self.open.get(action, (OTHER, b""))[0] == OTHER:
                self.open[action] = (OTHER, self.token.encode())


class Decoders:
    """Decoders of the rows of instances; one object of each, made once a hub."""

    def __init__(self) -> None:
        self.head = msgspec.msgpack.Decoder(Head)
        self.origin = msgspec.msgpack.Decoder(Origin)
        self.outcome = msgspec.msgpack.Decoder(Outcome)
        self.section = msgspec.msgpack.Decoder(Section)
        self.child = msgspec.msgpack.Decoder(Child)
        self.chunk = msgspec.msgpack.Decoder(Chunk)


def load(view: View, address: str, decoders: Decoders) -> Instance:
    """Read what an instance is, through the overlay; its history only when it is needed."""
    instance = Instance(address, view)
    group = entity_keys.actor(address)
    skip = len(group)
    for key, row in view.scan(group, group, group + HISTORY):
        suffix = key[skip:]
        if suffix == HEAD:
            instance.head = _read(row, decoders.head)
        elif suffix == ORIGIN:
            instance.origin = _read(row, decoders.origin)
        elif suffix == FINAL:
            instance.outcome = _read(row, decoders.outcome)
        elif suffix == SECTION:
            instance.section = _read(row, decoders.section)
        elif suffix[:1] == CHILD:
            instance.children.add(_read(row, decoders.child))
    instance.indexed = facts_of(instance.head, instance.origin)
    instance.complete = not instance.alive or (instance.head is not None and instance.head.chunks == 0)
    return instance


def read_history(instance: Instance, decoders: Decoders) -> Iterator[list[HistoryEvent]]:
    """The history of the current execution, as long as the head says it is: the events of one turn at a time."""
    head = instance.head
    if head is not None:
        instance.token, instance.rewinds_read = execution_of(head.execution), 0
    for _, events in rows_of_history(instance, decoders):
        for event in events:
            instance.note(event, job_key(instance, event))
        yield events


def rows_of_history(instance: Instance, decoders: Decoders, first: int = 0) -> Iterator[tuple[int, list[HistoryEvent]]]:
    """The rows of the history from `first` on, each with its number."""
    head = instance.head
    if head is None:
        return
    group = entity_keys.actor(instance.address)
    start, stop = (group + history_suffix(head.generation, row) for row in (first, head.chunks))
    while True:
        rows = instance.view.scan(group, start, stop, REPLAY_CHUNKS)
        for key, row in rows:
            yield int.from_bytes(key[-6:], "big"), _read(row, decoders.chunk).events
        if len(rows) < REPLAY_CHUNKS:
            return
        start = rows[-1][0] + b"\0"


def job_key(instance: Instance, event: HistoryEvent) -> bytes:
    """The key of the job of an activity; empty for all other events."""
    if isinstance(event, ActivityScheduled) and instance.head is not None:
        return entity_keys.job(instance.address, instance.head.execution, event.id)
    return b""


def _read(row: bytes | msgspec.Struct, decoder: msgspec.msgpack.Decoder[R]) -> R:
    found: Any = decoder.decode(row) if isinstance(row, bytes) else row
    return found  # type: ignore[no-any-return]  # a row of the overlay is what its decoder would make
