"""The messages that orchestration instances take. Fields are only appended."""

from __future__ import annotations

import msgspec

from durio.entities.failures import Failure
from durio.entities.messages import Answered, JobCrashed, LockAnswered, Message, StartInstance


class ActivityDone(Message, frozen=True, kw_only=True, tag="done", gc=False):
    """An activity ended."""

    execution: str
    action: int
    result: bytes | None = None
    failure: Failure | None = None


class TimerDue(Message, frozen=True, kw_only=True, tag="timer", gc=False):
    """A durable timer became due."""

    execution: str
    action: int
    due_us: int


class ChildDone(Message, frozen=True, kw_only=True, tag="child", gc=False):
    """A sub-orchestration ended, or could not be started."""

    instance: str
    execution: str
    action: int
    result: bytes | None = None
    failure: Failure | None = None


class RaiseEvent(Message, frozen=True, kw_only=True, tag="event", gc=False):
    """An external event."""

    name: str
    input: bytes | None = None
    sender: str = ""
    place: tuple[int, int] | None = None
    """Of one that the life has got, and its code may not have seen: the arrival number with which it came."""


class StartDue(Message, frozen=True, kw_only=True, tag="due", gc=False):
    """The first step of a Pending life may run now."""

    life: str


class ContinueAsNew(Message, frozen=True, kw_only=True, tag="again", gc=False):
    """Begin the next execution of a life."""

    execution: str


class Terminate(Message, frozen=True, kw_only=True, tag="terminate", gc=False):
    """End the life. One that comes from a parent (`parent`, `parent_life`) reaches only that parent's child; with
    `action` only the one that this action of that execution started.
    """

    reason: str = ""
    recursive: bool = True
    parent: str = ""
    parent_life: str = ""
    execution: str = ""
    action: int = 0


class Cancel(Message, frozen=True, kw_only=True, tag="cancel", gc=False):
    """Ask the code to end. One that comes from a parent (`parent`, `parent_life`) reaches only that parent's child."""

    reason: str = ""
    parent: str = ""
    parent_life: str = ""


class Rewind(Message, frozen=True, kw_only=True, tag="rewind", gc=False):
    """Go back to the failures that ended the life. One that comes from a parent brings the start of its child: it is
    for the life that this start began, and if there is no such life any more, it begins anew.
    """

    reason: str = ""
    parent: str = ""
    parent_life: str = ""
    start: StartInstance | None = None


class ChildBack(Message, frozen=True, kw_only=True, tag="back", gc=False):
    """A sub-orchestration that had failed was rewound, and not by its parent: it is one of that life again."""

    life: str
    instance: str
    execution: str
    action: int


class GoOn(Message, frozen=True, kw_only=True, tag="go", gc=False):
    """The life was rewound: its code goes on where its history ends now."""

    execution: str
    number: int
    reason: str = ""
    again: tuple[int, ...] = ()
    timers: tuple[tuple[int, bytes], ...] = ()


class Suspend(Message, frozen=True, kw_only=True, tag="suspend", gc=False):
    """Hold all other mail."""

    reason: str = ""


class Resume(Message, frozen=True, kw_only=True, tag="resume", gc=False):
    """Go on."""

    reason: str = ""


class Purge(Message, frozen=True, kw_only=True, tag="purge", gc=False):
    """Forget a life that has ended: `life`, and no later one; if none is named, the one that is there.

    `ended_us`: only if it ended then and was not brought back since, as by a rewind; 0: whenever it ended.
    """

    life: str = ""
    ended_us: int = 0


InstanceMessage = (
    StartInstance
    | Answered
    | LockAnswered
    | ActivityDone
    | JobCrashed
    | TimerDue
    | ChildDone
    | RaiseEvent
    | StartDue
    | ContinueAsNew
    | Terminate
    | Cancel
    | Rewind
    | ChildBack
    | GoOn
    | Suspend
    | Resume
    | Purge
)


def message_decoder() -> msgspec.msgpack.Decoder[InstanceMessage]:
    """Decodes a row of an instance's mailbox."""
    return msgspec.msgpack.Decoder(InstanceMessage)
