"""Counting and parking, one step of the kernel at a time."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
import pytest

import durio.entities.keys as keys
from durio.entities import (
    HEAD_LANE,
    MAIL_LANE,
    Answer,
    Answered,
    Caller,
    DeadLetterNotFound,
    DeadLetterUnreadable,
    EntityContext,
    HubCommand,
    Letter,
    Operation,
    Poison,
    Poisoned,
    count_unclean,
    letter_id,
    letter_number,
    refuse,
)
from durio.entities.changes import Output, Reply
from durio.entities.limits import JOB_ENDS_MAX, POISON_ENDS_MAX
from durio.entities.messages import Job, JobCrashed, Timer, Unreadable, encode_record
from durio.entities.poison import Count
from durio.storage import MemoryDisk, MemoryStore, WriteSet
from tests.entities.test_kernel import ADDRESS, Driver, adder, fill

BOX = keys.mailbox(ADDRESS)


class Died(BaseException):
    """The process is dead."""


def mine(disks: list[MemoryStore]) -> Callable[[EntityContext], None]:
    """Adds, and dies of a 13: the newest of the stores is that of the process."""

    def step(context: EntityContext) -> None:
        if context.get_input() == 13:
            disks[-1].notes.abandon()
            raise KeyboardInterrupt
        adder(context)

    return step


class Lives:
    """One life after another on one disk."""

    def __init__(self) -> None:
        self.disk = MemoryDisk()
        self.stores: list[MemoryStore] = []

    def open(self) -> Driver:
        """The next life."""
        driver = Driver(self.disk, mine(self.stores))
        self.stores.append(driver.store)
        return driver

    def die(self, driver: Driver) -> None:
        """Do what there is to do, until it dies."""
        with pytest.raises(KeyboardInterrupt):
            driver.turns()

    def rows(self, table: bytes) -> dict[bytes, bytes]:
        """What a table holds on disk."""
        return {key: row for key, row in self.disk.snapshot().items() if key.startswith(table)}

    def put(self, *messages: Operation | bytes) -> None:
        """Unread mail on disk."""
        rows = [
            (keys.mail(BOX, MAIL_LANE, number), message if isinstance(message, bytes) else encode_record(message))
            for number, message in enumerate(messages, 1)
        ]
        MemoryStore(self.disk).commit(WriteSet(tuple(rows)))


def op(amount: int, **more: Any) -> Operation:
    return Operation(at_us=1, name="add", input=str(amount).encode(), **more)


def letters(lives: Lives) -> list[Letter]:
    return [msgspec.msgpack.decode(row, type=Letter) for row in lives.rows(keys.LETTER).values()]


def parked(driver: Driver) -> list[Output]:
    driver.turns()
    return driver.commit()


def test_only_what_was_running_is_counted_and_parked_at_the_third_end() -> None:
    """G6: the message whose operation was running, and not those before and behind it in the same turn."""
    lives = Lives()
    lives.put(op(1), op(13, reply="c1"), op(2))
    for times in range(POISON_ENDS_MAX):
        driver = lives.open()
        assert [row[1:] for row in lives.rows(keys.POISON)] == [keys.mail(BOX, MAIL_LANE, 2)][:times]
        lives.die(driver)
    driver = lives.open()
    why = "it was running at 3 unclean ends of the process"
    error = Poisoned(ADDRESS, "operation 'add'", why, letter_id((driver.store.epoch << 40) + 1))
    assert Reply("c1", refuse(error)) in parked(driver)
    assert lives.rows(keys.POISON) == {}
    assert letters(lives) == [Letter(ADDRESS, MAIL_LANE, encode_record(op(13, reply="c1")), why, 3, 1_000)]
    driver.ask(0, "c2")
    assert Reply("c2", Answer(value=b"3")) in parked(driver)


def test_the_count_is_on_disk_before_anything_runs() -> None:
    """G6: counting is a commit of its own, at the open."""
    lives = Lives()
    lives.put(op(13))
    lives.die(lives.open())
    driver = lives.open()
    ((key, row),) = lives.rows(keys.POISON).items()
    assert key == keys.poison(keys.mail(BOX, MAIL_LANE, 1))
    assert msgspec.msgpack.decode(row, type=Count).times == 1
    assert driver.kernel.runnable


def test_one_end_is_counted_once() -> None:
    """G6: a process that dies between the count and its own notes does not make two of one end."""
    lives = Lives()
    lives.put(op(13))
    lives.die(lives.open())
    store = MemoryStore(lives.disk)
    notes = bytes(lives.disk.running)
    for _ in range(3):
        lives.disk.running[:] = notes  # as it was before new notes began
        count_unclean(store, 1)
    (row,) = lives.rows(keys.POISON).values()
    assert msgspec.msgpack.decode(row, type=Count).times == 1


def test_a_turn_that_consumes_a_counted_message_clears_its_count() -> None:
    """G6: in the same commit."""
    lives = Lives()
    lives.put(op(13))
    lives.die(lives.open())
    (store,) = [MemoryStore(lives.disk)]
    store.commit(WriteSet(((keys.mail(BOX, MAIL_LANE, 1), encode_record(op(5))),)))  # the code was repaired
    driver = lives.open()
    driver.turns()
    assert lives.rows(keys.POISON)
    driver.commit()
    assert lives.rows(keys.POISON) == {}


def test_counts_of_what_is_gone_are_deleted_at_the_open() -> None:
    """G6: a count without its message, job or instance means nothing."""
    lives = Lives()
    stale = [keys.poison(key) for key in (keys.mail(BOX, MAIL_LANE, 9), keys.job("x", "e", 1), keys.actor("x"))]
    row = encode_record(Count(3, 1, 1))
    MemoryStore(lives.disk).commit(WriteSet(tuple((key, row) for key in stale)))
    driver = lives.open()
    assert lives.rows(keys.POISON) == {}
    assert not driver.kernel.runnable


def test_a_kernel_that_is_made_anew_counts_nothing() -> None:
    """G6, G32: after a full disk the kernel is read from the disk again, while the process lives on."""
    lives = Lives()
    lives.put(op(1))
    driver = lives.open()
    driver.store.notes.begin(keys.mail(BOX, MAIL_LANE, 1))
    Poison(driver.kernel.view)
    assert lives.rows(keys.POISON) == {}


def test_what_was_never_durable_is_made_durable_before_it_runs_again() -> None:
    """G6: an actor whose message was lost with the process is careful from then on."""
    lives = Lives()
    first = lives.open()
    first.ask(13)
    lives.die(first)
    second = lives.open()
    second.ask(13)
    second.ask(1)
    second.turns()  # nothing runs
    second.commit()
    lives.die(second)
    third = lives.open()
    assert third.kernel.poison.times(next(iter(lives.rows(keys.MAIL)))) == 1


def test_others_are_not_careful() -> None:
    """G6: a turn and its message share a commit for everybody else."""
    lives = Lives()
    first = lives.open()
    first.ask(13)
    lives.die(first)
    second = lives.open()
    second.kernel.submit("@adder@other", op(1, reply="c1"), MAIL_LANE, "c1", tell=False)
    assert Reply("c1", Answer(value=b"1")) in parked(second)


@pytest.mark.parametrize(
    "raw", [b"\xc1", b"", msgspec.msgpack.encode(["op", 1]), msgspec.msgpack.encode(["new", 1, "c1"])]
)
@pytest.mark.parametrize("place", [0, 2000])
def test_a_message_that_cannot_be_decoded_is_parked_at_once(raw: bytes, place: int) -> None:
    """G6: with its bytes, wherever it lies; all others are done in their order."""
    disk = MemoryDisk()
    fill(disk, 2001)
    MemoryStore(disk).commit(WriteSet(((keys.mail(BOX, MAIL_LANE, place + 1), raw),)))
    driver = Driver(disk)
    outputs = parked(driver)
    assert not driver.kernel.held
    (row,) = [row for key, row in disk.snapshot().items() if key.startswith(keys.LETTER)]
    letter = msgspec.msgpack.decode(row, type=Letter)
    assert (letter.address, letter.message, letter.times) == (ADDRESS, raw, 0)
    assert [output.token for output in outputs if isinstance(output, Reply)] == (["c1"] if b"c1" in raw else [])
    driver.ask(0, "c2")
    assert Reply("c2", Answer(value=b"2000")) in parked(driver)


def test_an_orchestration_that_waits_for_what_cannot_be_decoded_is_told() -> None:
    """G6: as far as the bytes still say who that is."""
    raw = msgspec.msgpack.encode(["op", 1, "", 5, b"1", "", ["it", "e", 7]])
    found = Unreadable.of(raw, ValueError("no"))
    assert found.caller == Caller("it", "e", 7)
    lives = Lives()
    lives.put(raw)
    driver = lives.open()
    driver.kernel.catalog.drop(ADDRESS)
    sent: list[tuple[str, Any]] = []
    deliver = driver.kernel.deliver
    driver.kernel.deliver = lambda address, message, lane=MAIL_LANE: sent.append((address, message))  # type: ignore[method-assign]
    driver.turns()
    ((address, answered),) = sent
    assert address == "it"
    assert isinstance(answered, Answered)
    assert answered.failure is not None
    assert answered.failure.type == "durio.entities.errors.Poisoned"
    driver.kernel.deliver = deliver  # type: ignore[method-assign]


def test_a_timer_that_cannot_be_decoded_is_parked_when_it_is_due() -> None:
    """G6, G9: it stops no other timer."""
    lives = Lives()
    rows = [
        (keys.timer(5, 1), encode_record(Timer(ADDRESS, b"\xc1"))),
        (keys.timer(6, 2), encode_record(Timer(ADDRESS, encode_record(op(4))))),
    ]
    MemoryStore(lives.disk).commit(WriteSet(tuple(rows)))
    driver = lives.open()
    assert driver.kernel.fire_due(10) == 2
    parked(driver)
    assert [letter.message for letter in letters(lives)] == [b"\xc1"]
    driver.ask(0, "c1")
    assert Reply("c1", Answer(value=b"4")) in parked(driver)


def test_what_stands_for_a_message_comes_back_as_its_bytes() -> None:
    """G6: parked after it lay in a mailbox itself, a message has still the bytes that it had first."""
    first = Unreadable.of(b"\xc1", ValueError("no"))
    assert Unreadable.of(encode_record(first), ValueError("other")) == first


def command(driver: Driver, name: str, subject: str) -> list[Output]:
    """Ask the hub, and commit."""
    message = HubCommand(at_us=1, reply="c9", name=name, subject=subject)
    driver.kernel.submit("", message, MAIL_LANE, "c9", tell=False)
    return driver.commit()


def one_letter(lives: Lives, message: bytes, lane: int = MAIL_LANE) -> str:
    """A dead letter on disk; its id."""
    row = encode_record(Letter(ADDRESS, lane, message, "why", 3, 1))
    MemoryStore(lives.disk).commit(WriteSet(((keys.letter((7 << 40) + 3), row),)))
    return "7.3"


def test_a_retried_letter_is_a_new_message_at_the_tail() -> None:
    """G4, G6: it comes behind all that waits, with a count of its own, in the commit in which the letter goes."""
    lives = Lives()
    id_ = one_letter(lives, encode_record(op(2)))
    lives.put(op(1), op(1))
    driver = lives.open()
    assert command(driver, "retry_dead_letter", id_) == [Reply("c9", Answer())]
    assert lives.rows(keys.LETTER) == {}
    waiting = list(lives.rows(keys.MAIL).values())
    assert waiting == [encode_record(op(1)), encode_record(op(1)), encode_record(op(2))]
    assert [driver.kernel.poison.times(key) for key in lives.rows(keys.MAIL)] == [0, 0, 0]


def test_a_letter_goes_back_to_its_lane() -> None:
    """G6: a message of the head lane is looked at before the others again."""
    lives = Lives()
    id_ = one_letter(lives, encode_record(op(2)), HEAD_LANE)
    driver = lives.open()
    command(driver, "retry_dead_letter", id_)
    assert [keys.mail_lane(key) for key in lives.rows(keys.MAIL)] == [HEAD_LANE]


def test_a_dropped_letter_is_gone() -> None:
    """G6: it is done never, and there is nothing to drop twice."""
    lives = Lives()
    id_ = one_letter(lives, encode_record(op(2)))
    driver = lives.open()
    assert command(driver, "drop_dead_letter", id_) == [Reply("c9", Answer())]
    assert lives.rows(keys.LETTER) == lives.rows(keys.MAIL) == {}
    assert command(driver, "drop_dead_letter", id_) == [Reply("c9", refuse(DeadLetterNotFound(id_)))]


@pytest.mark.parametrize("name", ["retry_dead_letter", "drop_dead_letter"])
@pytest.mark.parametrize("id_", ["", "7.4", "x", "7", "-7.3", "07.3", "\u0667.3", "9" * 40 + ".1", "7.9999999999999"])
def test_an_unknown_letter_is_an_error(name: str, id_: str) -> None:
    """G31: whatever the id is; no other letter is touched."""
    lives = Lives()
    one_letter(lives, encode_record(op(2)))
    driver = lives.open()
    assert command(driver, name, id_) == [Reply("c9", refuse(DeadLetterNotFound(id_)))]
    assert len(letters(lives)) == 1


def test_a_letter_that_cannot_be_decoded_stays() -> None:
    """G6: it is not put back, for it would be parked again; it may be dropped."""
    lives = Lives()
    id_ = one_letter(lives, b"\xc1")
    driver = lives.open()
    (reply,) = command(driver, "retry_dead_letter", id_)
    assert isinstance(reply, Reply)
    assert reply.answer.refusal == DeadLetterUnreadable.__name__
    assert len(letters(lives)) == 1


def test_ids_of_letters_come_back() -> None:
    """G6: an id names its letter, and only one text is the id of a letter."""
    for number in (0, 1, (7 << 40) + 3, (1 << 64) - 1):
        assert letter_number(letter_id(number)) == number


def test_a_job_found_at_ten_ends_is_not_started_and_its_result_says_so() -> None:
    """G24: its row and its count go with the result, in one commit."""
    lives = Lives()
    job = Job("it", "e", 1, "work", None, "k")
    key = keys.job("it", "e", 1)
    for times in range(JOB_ENDS_MAX + 1):
        store = MemoryStore(lives.disk)
        if times == 0:
            store.commit(WriteSet(((key, encode_record(job)),)))
        count_unclean(store, 1)
        if times < JOB_ENDS_MAX:
            store.notes.begin(key)
            store.notes.abandon()
    driver = lives.open()
    sent = driver.kernel.view.filling.changes[keys.mailbox("it")]
    (message,) = sent.values()
    assert message == JobCrashed(at_us=1_000, execution="e", action=1, name="work", times=JOB_ENDS_MAX)
    assert driver.commit() == []
    assert lives.rows(keys.JOB) == lives.rows(keys.POISON) == {}


def test_the_limit_is_a_matter_of_the_hub() -> None:
    """G6: `ends_max` says at how many ends a message is parked."""
    lives = Lives()
    lives.put(op(13))
    lives.die(lives.open())
    store = MemoryStore(lives.disk)
    careful = count_unclean(store, 1)
    view = lives.open().kernel.view
    assert partial(Poison, careful=careful, ends_max=1)(view).due == {ADDRESS: [keys.mail(BOX, MAIL_LANE, 1)]}
    assert Poison(view).due == {}
