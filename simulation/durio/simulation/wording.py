"""Wording: history and actions in the words of a trace."""

from __future__ import annotations

from datetime import timedelta

from durio.entities import Failure, LockAnswered, LockRequest, Refuse, Settlement, is_blob, payload_size
from durio.entities.messages import EntityMessage
from durio.orchestration.decision import End
from durio.orchestration.history import (
    Action,
    ActivityScheduled,
    CancelRequested,
    CancelTask,
    ChildStarted,
    EntityCalled,
    EntitySignaled,
    EventRaised,
    EventSent,
    HistoryEvent,
    LockGranted,
    LockReleased,
    LockRequested,
    Rewound,
    Started,
    TimerFired,
    TimerSet,
    describe,
)


def told_action(action: Action, clock_us: int) -> str:
    """What the code asked for at `clock_us`; the number is that by which its answer will come."""
    if isinstance(action, CancelTask):
        return f"cancel #{action.id}"
    refused = getattr(action, "refused", None)
    return f"#{action.id} {_asked(action, clock_us)}{'' if refused is None else f': refused: {failed(refused)}'}"


def told_event(event: HistoryEvent) -> str:
    """What happened to an instance."""
    if isinstance(event, Started):
        return f"{event.name}({text(event.input)})"
    if isinstance(event, EventRaised):
        return f"event {event.name!r}({text(event.input)})"
    if isinstance(event, TimerFired):
        return f"#{event.id} timer fired"
    if isinstance(event, CancelRequested):
        return f"asked to end: {event.reason}" if event.reason else "asked to end"
    if isinstance(event, Rewound):
        return f"goes on from here, rewound {'once' if event.number == 1 else f'{event.number} times'}"
    if isinstance(event, LockGranted):
        return f"#{event.id} locked"
    failure: Failure | None = getattr(event, "failure", None)
    number = getattr(event, "id", 0)
    verb = "gave" if failure is None else "failed:"
    return f"#{number} {verb} {told_outcome(failure, getattr(event, 'result', None))}"


def told_lock(message: EntityMessage, settlement: Settlement) -> str:
    """What a lock message did to an entity."""
    if isinstance(message, LockRequest):
        granted = any(isinstance(sent, LockAnswered) for _, _, sent in settlement.sent)
        return f"{'locked by' if granted else 'lock request withdrawn:'} {message.caller.address!r}"
    if isinstance(message, Refuse):
        return f"refuses one that waits: {failed(message.failure)}"
    return "released" if settlement.listed else "release of a lock that is not held"


def told_end(end: End | None) -> str:
    """How the code ended."""
    if end is None:
        return "to go on"
    if end.status == "Canceled":
        return f"{end.status}: {end.reason}" if end.reason else end.status
    return f"{end.status}: {told_outcome(end.failure, end.output)}"


def with_input(action: Action | None) -> str:
    """An action with its input, for comparing two."""
    if action is None:
        return "nothing"
    data: bytes | None = getattr(action, "input", None)
    return describe(action) + ("" if data is None else f" with {text(data)}")


def told_outcome(failure: Failure | None, data: bytes | None) -> str:
    """What came of something, in a line."""
    return failed(failure) if failure is not None else text(data) or "null"


def failed(failure: Failure) -> str:
    """A failure in a line."""
    return f"{failure.type}: {failure.message}"


def text(data: bytes | None) -> str:
    """A payload as it is: JSON; nothing if there is none; of one that lies apart only its size."""
    if is_blob(data):
        return f"<{payload_size(data)} bytes>"
    return "" if data is None else data.decode()


def _asked(action: Action, clock_us: int) -> str:
    match action:
        case EntityCalled():
            return f"call {action.entity} {action.operation}({text(action.input)})"
        case EntitySignaled():
            later = "" if action.due_us is None else f" in {span(action.due_us - clock_us)}"
            return f"signal {action.entity} {action.operation}({text(action.input)}){later}"
        case ActivityScheduled():
            again = "" if action.attempt == 1 else f", attempt {action.attempt}"
            return f"activity {action.name}({text(action.input)}){again}"
        case ChildStarted():
            return f"start {action.name}({text(action.input)}) as {action.instance!r}"
        case TimerSet():
            return f"timer in {span(action.due_us - clock_us)}"
        case LockRequested():
            return f"lock {', '.join(action.entities)}"
        case LockReleased():
            return f"leave the section of #{action.lock}"
        case EventSent():
            return f"send event {action.name!r}({text(action.input)}) to {action.target!r}"
        case _:
            return describe(action)


def span(us: int) -> str:
    """A stretch of time: seconds below two minutes, else days and a clock."""
    return f"{us / 1_000_000:g} s" if us < 120_000_000 else str(timedelta(microseconds=us))
