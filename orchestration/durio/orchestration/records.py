"""An orchestration instance on disk: small rows, so that a turn rewrites only what it changes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from enum import StrEnum
from typing import Final

import msgspec

from durio.entities import Failure, Parent


class OrchestrationRuntimeStatus(StrEnum):
    """The status of an instance; compares equal to its name in any upper or lower case.

    In sets, and as a key of a dict, only its own spelling is found: text in another case has another hash.
    """

    Pending = "Pending"
    Running = "Running"
    Completed = "Completed"
    ContinuedAsNew = "ContinuedAsNew"
    Failed = "Failed"
    Canceled = "Canceled"
    Terminated = "Terminated"
    Suspended = "Suspended"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and self.value.casefold() == str(other).casefold()

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(self.value)


class Head(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What changes in almost every turn. `generation` counts executions over all lives, `chunks` rows of history."""

    life: str
    execution: str
    generation: int
    chunks: int
    status: str
    suspended: bool
    created_us: int
    updated_us: int
    clock_us: int
    custom_status: bytes | None = None
    needs: tuple[tuple[int, int], ...] = ()
    """The actions that the code cannot go on without, as ranges: from each first to each last."""
    calls: tuple[str, ...] = ()
    """The entities among them that it has called outside of a critical section."""
    rewinds: int = 0
    """How often the execution was rewound (G27). `execution` has the number behind it then: late results of what was
    taken back are for another one."""
    gaps: tuple[tuple[int, int], ...] = ()
    """Rows of the history that rewinds have taken back: from each first to before each last."""
    kept: tuple[int, ...] = ()
    """Of each rewind, the last action that it has left: later ones of that number are others."""


class Origin(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What an execution was started with."""

    name: str
    version: str | None
    input: bytes | None
    parent: Parent | None = None
    tags: dict[str, str] | None = None
    due_us: int | None = None
    due_key: bytes = b""


class Outcome(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """How a life ended."""

    output: bytes | None = None
    failure: Failure | None = None
    reason: str = ""


class Child(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A sub-orchestration that has not ended: its id, and which execution and action of its parent started it.

    One id may stand for several: a second one that is going to be refused must not hide the one that runs.
    """

    instance: str
    execution: str
    action: int


class Section(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A critical section of the current execution: its request, the entities in order, and how many it has locked.

    While it has not locked all of them, it waits for the next one.
    """

    execution: str
    action: int
    entities: tuple[str, ...]
    granted: int = 0
    asked: bool = True
    """Whether the next one was asked. Not, if the wait for it would have closed a cycle."""

    @property
    def request(self) -> str:
        """The name of the request."""
        return request_of(self.execution, self.action)

    @property
    def waits_for(self) -> str:
        """The entity that was asked for and has not answered; empty if all are locked."""
        return self.entities[self.granted] if self.granted < len(self.entities) else ""


class Snapshot(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A life as it was at one moment."""

    head: Head
    origin: Origin
    final: Outcome | None = None


ALIVE: Final = ("Running", "Pending")
"""The statuses of a life that goes on."""

HEAD: Final = b"0"
ORIGIN: Final = b"1"
FINAL: Final = b"2"
SECTION: Final = b"3"
CHILD: Final = b"c"
HISTORY: Final = b"h"
LATE: Final = b"l"
"""Results that came after a life had failed, and events that it had not seen: a rewind needs them."""

_REWINDS: Final = "~"

GENERATIONS: Final = 1 << 47
"""Generations begin anywhere below it, and count up: six bytes have room for the rest."""


def is_continued(earlier: Head, later: Head) -> bool:
    """Whether the history of `earlier` is the beginning of that of `later`."""
    same = (earlier.life, earlier.execution, earlier.generation) == (later.life, later.execution, later.generation)
    return same and earlier.chunks <= later.chunks


def late_suffix(generation: int, action: int = 0, token: str = "") -> bytes:
    """Where a late result lies: that of an action is there once."""
    rewinds = rewinds_of(token)
    return LATE + generation.to_bytes(6, "big") + action.to_bytes(8, "big") + rewinds.to_bytes(4, "big")


def late_event_suffix(generation: int, arrival: int, sub: int) -> bytes:
    """Where a late event lies: behind all results, for arrival numbers are larger than those of any action."""
    return LATE + generation.to_bytes(6, "big") + arrival.to_bytes(8, "big") + sub.to_bytes(4, "big")


def execution_of(token: str) -> str:
    """The id of an execution, without the number of its rewinds."""
    return token.partition(_REWINDS)[0]


def rewinds_of(token: str) -> int:
    """After how many rewinds of the execution something was asked for."""
    return int(token.partition(_REWINDS)[2] or 0)


def rewound_token(token: str, number: int) -> str:
    """What results of an execution are for after its `number`-th rewind; before the first it is the id itself."""
    return f"{execution_of(token)}{_REWINDS}{number}" if number else execution_of(token)


def behind(head: Head, row: int) -> int:
    """The number of the row of the history that comes at `row`, or behind the gap that begins there."""
    for first, last in head.gaps:
        if row == first:
            row = last
    return row


def child_suffix(child: Child) -> bytes:
    """Where the row of a child lies. A digest: the key holds the parent's id already, and keys have a limit."""
    named = f"{child.instance}\0{child.execution}\0{child.action}"
    return CHILD + hashlib.blake2b(named.encode(), digest_size=24).digest()


def history_suffix(generation: int, chunk: int = 0) -> bytes:
    """Where a row of history lies."""
    return HISTORY + generation.to_bytes(6, "big") + chunk.to_bytes(6, "big")


def request_of(execution: str, action: int) -> str:
    """The name of the lock request of an action."""
    return f"{execution}:{action}"


def cannot_go_on_without(head: Head, execution: str, action: int) -> bool:
    """Whether the code of an instance needs the result of an action of that execution, which no rewind took back."""
    if not has_action(head.needs, action) or execution_of(execution) != execution_of(head.execution):
        return False
    return all(action <= last for last in head.kept[rewinds_of(execution) :])


def ranges_of(actions: Iterable[int], ranges_max: int) -> tuple[tuple[int, int], ...]:
    """Numbers as ranges; what would be too many of them is left out."""
    ranges: list[tuple[int, int]] = []
    for action in sorted(actions):
        if ranges and ranges[-1][1] == action - 1:
            ranges[-1] = (ranges[-1][0], action)
        elif len(ranges) < ranges_max:
            ranges.append((action, action))
        else:
            break
    return tuple(ranges)


def has_action(ranges: tuple[tuple[int, int], ...], action: int) -> bool:
    """Whether a number is in one of the ranges."""
    return any(first <= action <= last for first, last in ranges)
