"""The kernel alone, one synchronous step at a time: turns, offers, batches, what cannot be read."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import trio

import durio.entities.keys as keys
from durio.entities import (
    MAIL_LANE,
    Answer,
    EntityContext,
    EntityKind,
    EntityRegistry,
    Kernel,
    Operation,
    Payloads,
    Poison,
    count_unclean,
)
from durio.entities.changes import Batch, Offer, Output, Reply
from durio.entities.entity import Outcome
from durio.entities.messages import encode_record
from durio.storage import CorruptRecord, MemoryDisk, MemoryStore, WriteSet

ADDRESS = "@adder@a"


class NoDirectory:
    """A hub around the entities in which there is nothing else."""

    def entity_name(self, name: str) -> str:
        return name

    def orchestration_name(
        self, orchestration: str | Callable[..., Any], version: str | None
    ) -> tuple[str, str | None]:
        raise LookupError(orchestration)

    def new_id(self) -> str:
        raise LookupError("no ids")


def adder(context: EntityContext) -> None:
    """Adds the input to the state."""
    context.set_state(context.get_state(lambda: 0) + context.get_input())
    context.set_result(context.get_state())


async def slow_adder(context: EntityContext) -> None:
    """The same, as an operation that is decided outside of the kernel."""
    adder(context)
    await trio.lowlevel.checkpoint()


class Driver:
    """Drives a kernel by hand."""

    def __init__(self, disk: MemoryDisk, function: Callable[[EntityContext], Any] = adder) -> None:
        self.store = MemoryStore(disk)
        registry = EntityRegistry()
        registry.add(function, "adder", None)
        self.now_us = 1_000
        entities = EntityKind(registry, Payloads(), NoDirectory(), self.store.notes)
        poison = partial(Poison, careful=count_unclean(self.store, self.now_us))
        self.kernel = Kernel(self.store, entities, entities, lambda: self.now_us, poison=poison)

    def ask(self, amount: int, token: str = "") -> None:
        """A message comes in."""
        message = Operation(at_us=self.now_us, name="add", input=str(amount).encode(), reply=token)
        if self.kernel.admit(ADDRESS, token, b""):
            self.kernel.submit(ADDRESS, message, MAIL_LANE, token, tell=False)

    def turns(self) -> None:
        """All turns that there are."""
        while self.kernel.runnable:
            self.kernel.run_turn()

    def land(self, batch: Batch) -> list[Output]:
        """Commit a sealed batch; what leaves."""
        self.store.commit(batch.seal())
        return self.kernel.committed(batch)

    def commit(self) -> list[Output]:
        """Seal and commit."""
        return self.land(self.kernel.seal())


def fill(disk: MemoryDisk, messages: int) -> None:
    """Put unread messages into the mailbox of the entity: each adds 1."""
    data = encode_record(Operation(at_us=1, name="add", input=b"1"))
    rows = [(keys.mail(keys.mailbox(ADDRESS), MAIL_LANE, number + 1), data) for number in range(messages)]
    MemoryStore(disk).commit(WriteSet(tuple(rows)))


def test_turns_build_on_what_is_not_durable_and_outputs_leave_in_order() -> None:
    """G5: pipelined batches; each answer leaves with its own batch and sees all turns before it."""
    driver = Driver(MemoryDisk())
    batches: list[Batch] = []
    for amount in (1, 2, 3):
        driver.ask(amount, f"c{amount}")
        driver.turns()
        batches.append(driver.kernel.seal())
    driver.kernel.catalog.drop(ADDRESS)
    driver.ask(4, "c4")
    driver.turns()
    left = [driver.land(batch) for batch in [*batches, driver.kernel.seal()]]
    assert left == [[Reply(f"c{n}", Answer(value=value))] for n, value in enumerate((b"1", b"3", b"6", b"10"), 1)]


def test_an_activation_that_is_not_durable_is_not_dropped() -> None:
    """G1, G7: `collect` keeps an actor until its last change is on disk."""
    driver = Driver(MemoryDisk())
    driver.ask(1)
    driver.turns()
    driver.now_us += 10_000_000
    batch = driver.kernel.seal()
    assert driver.kernel.collect(idle_us=1) == 0
    driver.land(batch)
    assert driver.kernel.collect(idle_us=1) == 1


def test_a_message_sent_and_consumed_in_one_batch_is_never_written() -> None:
    """Only the state reaches the disk."""
    disk = MemoryDisk()
    driver = Driver(disk)
    for _ in range(10):
        driver.ask(1)
    driver.turns()
    batch = driver.kernel.seal()
    assert [key for key, _ in batch.seal().changes] == [keys.actor(ADDRESS) + b"s"]


def test_arrival_numbers_grow_over_owners() -> None:
    """G4: what a later owner takes in lies behind all that earlier ones took in."""
    disk, last = MemoryDisk(), 0
    for _ in range(3):
        kernel = Driver(disk).kernel
        numbers = [kernel.arrival() for _ in range(5)]
        assert numbers == sorted(set(numbers))
        assert numbers[0] > last
        last = numbers[-1]


def test_an_offered_turn_pins_the_actor_until_it_is_settled_once() -> None:
    """G1, G3: no other turn meanwhile; a stale, foreign or second decision is refused and changes nothing."""
    driver = Driver(MemoryDisk(), slow_adder)
    driver.ask(5, "c1")
    driver.ask(6, "c2")
    driver.turns()
    (offer,) = driver.commit()
    assert isinstance(offer, Offer)
    driver.ask(7)
    driver.turns()
    assert driver.commit() == []
    outcome = Outcome(b"5", result=b"5")
    assert not driver.kernel.settle_offer(ADDRESS, offer.number + 1, [outcome])
    assert not driver.kernel.settle_offer("@adder@b", offer.number, [outcome])
    assert driver.kernel.settle_offer(ADDRESS, offer.number, [outcome])
    assert not driver.kernel.settle_offer(ADDRESS, offer.number, [outcome])
    driver.turns()
    reply, following = driver.commit()
    assert reply == Reply("c1", Answer(value=b"5"))
    assert isinstance(following, Offer)
    assert following.number > offer.number


def test_an_offer_of_a_dead_owner_is_made_again() -> None:
    """G3, G9: a turn that was never settled left the mailbox as it was."""
    disk = MemoryDisk()
    driver = Driver(disk, slow_adder)
    driver.ask(5, "c1")
    driver.turns()
    driver.commit()
    before = disk.snapshot()
    follower = Driver(disk, slow_adder)
    follower.turns()
    (offer,) = follower.commit()
    assert isinstance(offer, Offer)
    assert disk.snapshot() == before
    found = follower.kernel.pinned(ADDRESS, offer.number)
    assert found is not None
    assert found[1].work[0].input == b"5"


@pytest.mark.parametrize("place", [0, 3000])
def test_an_actor_that_cannot_be_read_is_held_and_the_others_go_on(
    place: int, caplog: pytest.LogCaptureFixture
) -> None:
    """G9, G32: a damaged message holds its own actor, wherever in the mailbox it lies; no data is made of it."""
    disk = MemoryDisk()
    fill(disk, 3001)
    damaged = keys.mail(keys.mailbox(ADDRESS), MAIL_LANE, place + 1)
    disk._records[damaged] = disk._records[damaged][:-1] + b"?"
    driver = Driver(disk)
    driver.turns()
    assert ADDRESS in driver.kernel.held
    assert "is held" in caplog.text
    with pytest.raises(CorruptRecord):
        driver.ask(1)
    message = Operation(at_us=1, name="add", input=b"1", reply="c1")
    driver.kernel.submit("@adder@other", message, MAIL_LANE, "c1", tell=False)
    driver.turns()
    assert Reply("c1", Answer(value=b"1")) in driver.commit()


def test_a_damaged_state_is_an_error_and_no_data() -> None:
    """G32: bytes that do not decode hold the actor; nothing is overwritten."""
    disk = MemoryDisk()
    MemoryStore(disk).commit(WriteSet(((keys.actor(ADDRESS) + b"s", b"\xc1"),)))
    driver = Driver(disk)
    before = disk.snapshot()
    driver.ask(1)
    driver.turns()
    driver.commit()
    assert driver.kernel.held
    assert before.items() <= disk.snapshot().items()


def test_every_entity_of_an_old_owner_with_mail_gets_its_turn() -> None:
    """G9: recovery finds each mailbox once, however many messages and neighbours it has."""
    disk = MemoryDisk()
    store = MemoryStore(disk)
    source = Driver(MemoryDisk())
    source.ask(1)
    data = source.kernel.seal().seal().changes[0][1]
    addresses = ["@adder@a", "@adder@a@", "@adder@aa", "@adder@b", "@adder@\u00fc", "@adder@z"]
    rows = [(keys.mail(keys.mailbox(a), MAIL_LANE, n), data) for n, a in enumerate(addresses * 3, 1)]
    store.commit(WriteSet(tuple(rows)))
    driver = Driver(disk)
    driver.turns()
    driver.commit()
    for address in addresses:
        assert driver.store.get(keys.actor(address) + b"s") is not None
    assert [key for key in disk.snapshot() if key.startswith(keys.MAIL)] == []


def test_damage_that_the_checksum_finds_holds_the_actor(monkeypatch: pytest.MonkeyPatch) -> None:
    """G32: `CorruptRecord` at load is no end of the hub."""
    driver = Driver(MemoryDisk())
    original = driver.store.get

    def get(key: bytes) -> bytes | None:
        if key.startswith(keys.ACTOR):
            raise CorruptRecord(key, "checksum")
        return original(key)

    monkeypatch.setattr(driver.store, "get", get)
    driver.ask(1)
    driver.turns()
    with pytest.raises(CorruptRecord):
        driver.ask(1)
