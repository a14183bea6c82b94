"""PastStep: one entry of a recorded history, and what the code asked for then: what a replay compares it with."""

from __future__ import annotations

from collections import deque

from durio.orchestration.history import Action, Entry, HistoryEvent


class PastStep:
    """An entry, when it was taken, and the actions behind it; behind each rewind of the step those from there on."""

    def __init__(self, entry: Entry, clock_us: int) -> None:
        self.entry = entry
        self.clock_us = clock_us
        self.first: deque[HistoryEvent] = deque()
        self.later: list[tuple[deque[HistoryEvent], int, int]] = []
        """Actions, the number of the rewind before them, and when it was."""

    def expect(self, action: Action) -> None:
        """The code asked for this next."""
        (self.later[-1][0] if self.later else self.first).append(action)

    def rewound(self, number: int, clock_us: int) -> None:
        """Here the step was rewound, and went on."""
        self.later.append((deque(), number, clock_us))
