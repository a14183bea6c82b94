"""PastStep: one entry of a recorded history, and what the code asked for then: what a replay compares it with."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial

from durio.orchestration.history import (
    ACTIONS,
    Action,
    Ended,
    Entry,
    HistoryEvent,
    Resumed,
    Rewound,
    Suspended,
    Woke,
)
from durio.orchestration.recorder import Segment


class PastStep:
    """An entry, when it was taken, and the actions behind it; behind each rewind of the step those from there on.

    `ended`: the status with which the execution ended in this step, if it did.
    """

    def __init__(self, entry: Entry, clock_us: int) -> None:
        self.entry = entry
        self.clock_us = clock_us
        self.first: deque[HistoryEvent] = deque()
        self.ended: str | None = None
        self._later: list[tuple[deque[HistoryEvent], int, int]] = []

    def expect(self, action: Action) -> None:
        """The code asked for this next."""
        (self._later[-1][0] if self._later else self.first).append(action)

    def rewound(self, number: int, clock_us: int) -> None:
        """Here the step was rewound, and went on."""
        self._later.append((deque(), number, clock_us))

    def segments(self, begin: Callable[[int, int], None]) -> tuple[Segment, ...]:
        """The actions behind each rewind; `begin` gets its number and time on the way there."""
        return tuple(Segment(expected, partial(begin, number, at_us)) for expected, number, at_us in self._later)


class PastSteps:
    """The steps of a history, one after the other, but the last one; None: give way to others."""

    def __init__(self, events: Iterable[HistoryEvent | None]) -> None:
        self._events = events
        self.last: PastStep | None = None
        """After the history: its last step."""
        self.clock_us = 0
        self.rewinds = 0
        """The number of the last rewind that the history tells of."""

    def __iter__(self) -> Iterator[PastStep | None]:
        for event in self._events:
            if event is None:
                yield None
            elif isinstance(event, Woke):
                self.clock_us = event.at_us
            elif isinstance(event, Suspended | Resumed):
                continue
            elif isinstance(event, Ended):
                if self.last is not None:
                    self.last.ended = event.status
            elif isinstance(event, Rewound):
                self.rewinds = event.number
                if self.last is not None:
                    self.last.rewound(event.number, self.clock_us)
            elif isinstance(event, ACTIONS):
                if self.last is not None:
                    self.last.expect(event)
            else:
                if self.last is not None:
                    yield self.last
                self.last = PastStep(event, self.clock_us)
