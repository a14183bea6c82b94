"""The window on a mailbox gives every unread message once, in order, however small it is."""

from __future__ import annotations

from unittest.mock import patch

import msgspec
from hypothesis import given
from hypothesis import strategies as st

import durio.entities.keys as keys
from durio.entities import mailbox as mailbox_module
from durio.entities.changes import View
from durio.entities.limits import MAILBOX_WINDOW_MAX
from durio.entities.mailbox import Mailbox
from durio.entities.messages import CONTROL_LANE, HEAD_LANE, MAIL_LANE, Operation, encode_record
from durio.storage import MemoryDisk, MemoryStore, WriteSet

ADDRESS = "@log@a"
PREFIX = keys.mailbox(ADDRESS)
DECODE = msgspec.msgpack.Decoder(Operation).decode
STEPS = st.lists(
    st.sampled_from(
        ["push", "push", "push", "control", "take", "take", "skip", "pop control", "rewind", "commit", "load"]
    ),
    max_size=60,
)


def mail(number: int) -> Operation:
    """The message with that number."""
    return Operation(at_us=number, name="append")


class Model:
    """A mailbox, and two sorted lists that hold what it should: (key, number) of what is unread and not passed."""

    def __init__(self) -> None:
        self.store = MemoryStore(MemoryDisk())
        self.view = View(self.store)
        self.mailbox = Mailbox(self.view, ADDRESS, DECODE)
        self.arrival = 0
        self.passed: list[bytes] = []
        self.ahead: dict[int, list[bytes]] = {CONTROL_LANE: [], MAIL_LANE: []}

    def push(self, lane: int) -> None:
        """A message comes in, as the kernel takes it in."""
        self.arrival += 1
        key, message = keys.mail(PREFIX, lane, self.arrival), mail(self.arrival)
        self.view.filling.insert(PREFIX, key, message)
        self.mailbox.push(key, message)
        self.ahead[lane].append(key)

    def take(self, lane: int, *, consume: bool) -> None:
        """Take the next message out; if it is not consumed, a rewind brings it back."""
        found = self.mailbox.peek_control() if lane == CONTROL_LANE else self.mailbox.peek()
        assert (None if found is None else found[0]) == (self.ahead[lane][0] if self.ahead[lane] else None)
        if found is None:
            return
        taken = self.mailbox.pop_control() if lane == CONTROL_LANE else self.mailbox.pop()
        assert taken == found
        assert taken[1].at_us == keys.mail_arrival(taken[0])[0]
        key = self.ahead[lane].pop(0)
        if consume:
            self.view.filling.delete(PREFIX, key)
        else:
            self.passed.append(key)

    def rewind(self, *, load: bool) -> None:
        """Read again from the start, or as after the actor was dropped from memory."""
        for lane, waiting in self.ahead.items():
            waiting[:] = sorted(waiting + [key for key in self.passed if keys.mail_lane(key) == lane])
        self.passed.clear()
        if load:
            self.mailbox = Mailbox(self.view, ADDRESS, DECODE)
        else:
            self.mailbox.rewind()

    def commit(self) -> None:
        """What filled is durable."""
        batch = self.view.seal()
        self.store.commit(batch.seal())
        self.view.durable(batch)

    def do(self, step: str) -> None:
        match step:
            case "push":
                self.push(MAIL_LANE)
            case "control":
                self.push(CONTROL_LANE)
            case "take":
                self.take(MAIL_LANE, consume=True)
            case "skip":
                self.take(MAIL_LANE, consume=False)
            case "pop control":
                self.take(CONTROL_LANE, consume=True)
            case "commit":
                self.commit()
            case _:
                self.rewind(load=step == "load")


@given(steps=STEPS, window=st.integers(1, 4))
def test_a_mailbox_of_any_window_gives_what_a_list_would(steps: list[str], window: int) -> None:
    """G3, G4: over refills, rewinds, reloads and commits every unread message comes once, in order of arrival."""
    with patch.object(mailbox_module, "MAILBOX_WINDOW_MAX", window):
        model = Model()
        for step in steps:
            model.do(step)
            assert len(model.mailbox._queue) <= window
            if any(model.ahead.values()):
                assert model.mailbox
        for lane, waiting in model.ahead.items():
            while waiting:
                model.take(lane, consume=True)
        assert model.mailbox.peek() is None
        assert model.mailbox.peek_control() is None
        assert not model.mailbox


def test_a_long_mailbox_keeps_a_window_in_memory_only() -> None:
    """G7: of 10,000 unread messages about a thousand are in memory, and all of them come."""
    model = Model()
    for _ in range(10_000):
        model.push(MAIL_LANE)
    model.commit()
    assert len(model.mailbox._queue) == MAILBOX_WINDOW_MAX
    model.rewind(load=True)
    most = 0
    for number in range(10_000):
        found = model.mailbox.peek()
        assert found is not None
        assert found[1].at_us == number + 1
        most = max(most, len(model.mailbox._queue))
        model.mailbox.pop()
    assert model.mailbox.peek() is None
    assert most == MAILBOX_WINDOW_MAX


def test_the_head_lane_comes_before_all_mail_and_behind_control() -> None:
    """G23, G26: control first, then what continue-as-new put at the head, then the rest."""
    model = Model()
    model.push(MAIL_LANE)
    key = keys.mail(PREFIX, HEAD_LANE, 7)
    model.view.filling.insert(PREFIX, key, mail(7))
    model.push(CONTROL_LANE)
    model.mailbox.rewind()
    control = model.mailbox.peek_control()
    assert control is not None
    assert control[1].at_us == 2
    assert [model.mailbox.pop()[1].at_us for _ in range(2) if model.mailbox.peek()] == [7, 1]


def test_a_row_that_is_no_message_is_kept_apart() -> None:
    """G6, G32: what cannot be decoded is never taken for a message, but kept apart with its bytes."""
    store = MemoryStore(MemoryDisk())
    key, data = keys.mail(PREFIX, MAIL_LANE, 1), encode_record(["nonsense"])
    store.commit(WriteSet(((key, data),)))
    mailbox = Mailbox(View(store), ADDRESS, DECODE)
    assert mailbox
    assert mailbox.peek() is None
    assert mailbox.unreadable[key].raw == data
