"""RewindPlan: how far back a rewind goes, what it takes back, what it keeps, and what is done once more (G27)."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Final

import attrs
import msgspec

from durio.orchestration.history import (
    ACTIONS,
    Action,
    ActivityCompleted,
    ActivityFailed,
    ActivityScheduled,
    CancelTask,
    ChildCompleted,
    ChildFailed,
    ChildStarted,
    Ended,
    EntityAnswered,
    EntityCalled,
    EventRaised,
    HistoryEvent,
    LockGranted,
    LockReleased,
    LockRequested,
    Rewound,
    Started,
    TimerFired,
    TimerSet,
    Woke,
    describe,
)

Place = tuple[int, int]
"""A row of the history, and an event in it."""

Result = ActivityCompleted | ActivityFailed | ChildCompleted | ChildFailed | EntityAnswered | TimerFired

WORDS_MAX: Final = 1000

_RESULTS: Final = (ActivityCompleted, ActivityFailed, ChildCompleted, ChildFailed, EntityAnswered, TimerFired)


@attrs.frozen
class Open:
    """An action without a result, and the number of the rewind after which it was asked for."""

    action: Action
    rewinds: int


@attrs.frozen
class RewindPlan:
    """What a rewind does, in words; a dry run gives it, and changes nothing.

    `dropped`: events of the history that are taken back. `again`: activities, timers, locks and calls that are asked
    for once more. `rewound`: ids of failed sub-orchestrations that are rewound first. `terminated`: ids of those that
    were started after the failure. `kept`: results and events behind the failure that stay. Of each at most the first
    1,000 are told.
    """

    number: int = 0
    dropped: tuple[str, ...] = ()
    again: tuple[str, ...] = ()
    rewound: tuple[str, ...] = ()
    terminated: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()

    def encode(self) -> bytes:
        """The plan as JSON: how it travels to who asked."""
        return msgspec.json.encode(attrs.asdict(self))

    @staticmethod
    def decode(data: bytes) -> RewindPlan:
        """Back from `encode`."""
        sent = msgspec.json.decode(data, type=_Sent)
        return RewindPlan(sent.number, sent.dropped, sent.again, sent.rewound, sent.terminated, sent.kept)


class _Sent(msgspec.Struct):
    """A plan on its way."""

    number: int = 0
    dropped: tuple[str, ...] = ()
    again: tuple[str, ...] = ()
    rewound: tuple[str, ...] = ()
    terminated: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()


class PlaceFinder:
    """Finds where the history is cut: at the first of the failures that ended it, else at its end.

    What was refused at once failed where it was asked for. Inside of a critical section it is where the section began:
    its locks are gone, so all of it is done again. That goes for a call from inside whose failure came behind it, too.
    """

    def __init__(self, causes: tuple[int, ...]) -> None:
        self._causes = frozenset(causes)
        self._section: Place | None = None
        self._begun: dict[int, Place] = {}
        """Where the critical sections began that calls were made from."""
        self.place: Place | None = None

    def take(self, row: int, events: list[HistoryEvent]) -> bool:
        """Look at the next row; True: the place is found."""
        for index, event in enumerate(events):
            if isinstance(event, LockGranted):
                self._section = row, index
            elif isinstance(event, LockReleased):
                self._section = None
            elif isinstance(event, EntityCalled) and event.lock is not None and self._section is not None:
                self._begun[event.id] = self._section
            if self._is_cause(event) or isinstance(event, Ended):
                self.place = self._section or self._begun.get(getattr(event, "id", 0)) or (row, index)
                return True
        return False

    def _is_cause(self, event: HistoryEvent) -> bool:
        if getattr(event, "id", 0) not in self._causes:
            return False
        if isinstance(event, ACTIONS):
            return getattr(event, "refused", None) is not None
        return isinstance(event, LockGranted) or getattr(event, "failure", None) is not None


class Cut:
    """The history, cut at a place: what is before it, and what becomes of the rest."""

    def __init__(self, place: Place, causes: tuple[int, ...]) -> None:
        self.row, self._index = place
        self.causes = frozenset(causes)
        self.left: list[HistoryEvent] = []
        """What stays of the row that is cut."""
        self.began = False
        """Whether the code began at all."""
        self.open: dict[int, Open] = {}
        """Actions before the cut that have no result there."""
        self.kept: list[Result | EventRaised] = []
        """Behind the cut: results of actions before it, and external events."""
        self.dropped: list[HistoryEvent] = []
        self._done: set[int] = set()
        """Of which actions a result is kept."""
        self.last = 0
        """The last action before the cut."""
        self._rewinds = 0

    def take(self, row: int, events: list[HistoryEvent]) -> None:
        """The next row of the history."""
        cut = len(events) if row < self.row else self._index if row == self.row else 0
        for event in events[:cut]:
            self._before(event)
        if row == self.row:
            self.left = events[:cut]
        for event in events[cut:]:
            self._behind(event)

    def heard(self, result: ActivityCompleted | ChildCompleted, rewinds: int) -> None:
        """The code did not see a result that came for an action after so many rewinds: it is neither asked for again,
        nor rewound."""
        found = self.open.get(result.id)
        if found is None or result.id in self._done:
            return
        if isinstance(result, ActivityCompleted):
            fits = isinstance(found.action, ActivityScheduled)  # those of earlier runs are not kept
        else:
            fits = isinstance(found.action, ChildStarted) and found.rewinds == rewinds
        if fits:
            self._done.add(result.id)
            self.kept.append(result)

    @property
    def waiting(self) -> dict[int, Open]:
        """Actions before the cut that have no result, not even behind it."""
        return {action: found for action, found in self.open.items() if action not in self._done}

    def is_asked_again(self, found: Open) -> bool:
        """Whether an action is asked for once more: of calls only those that failed, others are still under way."""
        action = found.action
        if isinstance(action, EntityCalled):
            return action.id in self.causes
        return isinstance(action, ActivityScheduled | TimerSet | LockRequested)

    @property
    def failed_children(self) -> list[ChildStarted]:
        """Sub-orchestrations whose failures ended it."""
        actions = (found.action for found in self.waiting.values())
        return [action for action in actions if isinstance(action, ChildStarted) and action.id in self.causes]

    @property
    def late_children(self) -> list[ChildStarted]:
        """Sub-orchestrations that were started behind the cut."""
        return [event for event in self.dropped if isinstance(event, ChildStarted) and event.refused is None]

    def in_words(self, number: int) -> RewindPlan:
        """The plan, for people."""
        waiting = self.waiting.values()
        return RewindPlan(
            number,
            _first(describe(event) for event in self.dropped if not isinstance(event, Woke)),
            _first(describe(found.action) for found in waiting if self.is_asked_again(found)),
            _first(action.instance for action in self.failed_children),
            _first(event.instance for event in self.late_children),
            _first(describe(event) for event in self.kept),
        )

    def _before(self, event: HistoryEvent) -> None:
        if isinstance(event, Started):
            self.began = True
        elif isinstance(event, Rewound):
            self._rewinds = event.number
        elif isinstance(event, CancelTask):
            self.open.pop(event.id, None)
        elif isinstance(event, ACTIONS):
            self.last = event.id
            if getattr(event, "refused", None) is None:
                self.open[event.id] = Open(event, self._rewinds)
        if isinstance(event, Rewound):
            again = (action for action in event.again if action in self.open)
            self.open.update({action: Open(self.open[action].action, event.number) for action in again})
        elif not isinstance(event, ACTIONS):
            self.open.pop(getattr(event, "id", 0), None)

    def _behind(self, event: HistoryEvent) -> None:
        result = event if isinstance(event, _RESULTS) and event.id in self.open else None
        if isinstance(event, EventRaised):
            self.kept.append(event)
        elif result is not None and not self._is_cause(result):
            self._done.add(result.id)
            self.kept.append(result)
        else:
            self.dropped.append(event)

    def _is_cause(self, event: Result) -> bool:
        return event.id in self.causes and _is_failure(event)


def _is_failure(event: Result) -> bool:
    return getattr(event, "failure", None) is not None


def _first(words: Iterable[str]) -> tuple[str, ...]:
    return tuple(islice(words, WORDS_MAX))
