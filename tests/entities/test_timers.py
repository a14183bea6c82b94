"""The window on the table of timers gives every timer once, in the order of (due time, scheduling)."""

from __future__ import annotations

from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st

import durio.entities.keys as keys
from durio.entities import timers as timers_module
from durio.entities.changes import View
from durio.entities.limits import TIMER_WINDOW_MAX
from durio.entities.messages import Timer
from durio.entities.timers import Timers
from durio.storage import MemoryDisk, MemoryStore

STEPS = st.lists(
    st.tuples(st.sampled_from(["add", "add", "add", "fire", "cancel", "commit", "load"]), st.integers(0, 12)),
    max_size=80,
)


class Model:
    """Timers, and the sorted dict that they should look like."""

    def __init__(self) -> None:
        self.store = MemoryStore(MemoryDisk())
        self.view = View(self.store)
        self.timers = Timers(self.view)
        self.rows: dict[bytes, Timer] = {}
        self.arrival = 0

    def add(self, due_us: int) -> None:
        """Schedule, as the kernel does."""
        self.arrival += 1
        key, timer = keys.timer(due_us, self.arrival), Timer(f"i{self.arrival}", b"")
        self.view.filling.insert(keys.TIMER, key, timer)
        self.timers.add(key, timer)
        self.rows[key] = timer

    def fire(self, now_us: int, limit: int) -> None:
        """Take out what is due."""
        expected = [(k, self.rows[k]) for k in sorted(self.rows) if keys.timer_due_us(k) <= now_us][:limit]
        assert self.timers.due(now_us, limit) == expected
        for key, _ in expected:
            self.delete(key)

    def delete(self, key: bytes) -> None:
        """The row goes with the batch that fills."""
        self.view.filling.delete(keys.TIMER, key)
        del self.rows[key]

    def cancel(self, number: int) -> None:
        """Cancel any of those that wait."""
        if self.rows:
            key = sorted(self.rows)[number % len(self.rows)]
            self.delete(key)
            self.timers.discard(key)

    def commit(self) -> None:
        """What filled is durable."""
        batch = self.view.seal()
        self.store.commit(batch.seal())
        self.view.durable(batch)

    def do(self, what: str, number: int) -> None:
        match what:
            case "add":
                self.add(number)
            case "fire":
                self.fire(number, limit=number % 4 + 1)
            case "cancel":
                self.cancel(number)
            case "commit":
                self.commit()
            case _:
                self.timers = Timers(self.view)


@given(steps=STEPS, window=st.integers(1, 4))
def test_timers_of_any_window_fire_as_a_sorted_list_would(steps: list[tuple[str, int]], window: int) -> None:
    """G4, G28: over shrinks, refills, cancellations and reloads each timer comes once, in order, never early."""
    with patch.object(timers_module, "TIMER_WINDOW_MAX", window):
        model = Model()
        for what, number in steps:
            model.do(what, number)
            assert len(model.timers._timers) <= 2 * window
            assert model.timers.next_due_us == min(map(keys.timer_due_us, model.rows), default=None)
        while model.rows:
            model.fire(100, limit=3)
        assert model.timers.due(100, 1) == []


def test_many_timers_keep_a_window_in_memory_only() -> None:
    """G7: of 30,000 timers a few thousand are in memory, whatever the order in which they came."""
    model = Model()
    for number in range(30_000):
        model.add((number * 7919) % 30_000)
        assert len(model.timers._timers) <= 2 * TIMER_WINDOW_MAX
    model.commit()
    model.timers = Timers(model.view)
    fired: list[int] = []
    while due := model.timers.due(30_000, 1000):
        for key, _ in due:
            fired.append(keys.timer_due_us(key))
            model.view.filling.delete(keys.TIMER, key)
        assert len(model.timers._timers) <= TIMER_WINDOW_MAX
    assert fired == list(range(30_000))


def test_cancelled_timers_leave_no_heap_behind() -> None:
    """G7: a million timers set and cancelled do not pile up behind one that waits for long."""
    model = Model()
    model.add(0)
    with patch.object(timers_module, "TIMER_WINDOW_MAX", 8):
        for number in range(1000):
            model.add(number + 1)
            model.cancel(1)
            assert len(model.timers._heap) <= 16
    assert model.timers.next_due_us == 0
