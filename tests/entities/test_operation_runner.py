"""The runner of `async def` operations by itself (G10), and turns that a driver gives to the actor of its choice."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from typing import Any

import attrs
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

import durio.entities.keys as keys
from durio.entities import (
    MAIL_LANE,
    EntityId,
    EntityKind,
    EntityRegistry,
    Kernel,
    Operation,
    Payloads,
    VirtualEnv,
)
from durio.entities.changes import Offer
from durio.entities.entity import Outcome
from durio.entities.limits import TURN_MESSAGES_MAX
from durio.entities.operations import OperationRunner
from durio.orchestration import open_hub
from durio.storage import MemoryDisk, MemoryStore
from tests.entities.helpers import app_of

TIMEOUT_S = 20.0


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


@attrs.define
class Worker:
    """Does things that take their time."""

    value: int = 0

    def add(self, amount: int) -> int:
        self.value += amount
        return self.value

    def fold(self, amount: int) -> None:
        """Shows in which order it was called."""
        self.value = (7 * self.value + amount) % 1_000_003

    async def work(self, seconds: float) -> int:
        self.value += 100
        await trio.sleep(seconds)
        return self.value

    async def fail(self, seconds: float) -> None:
        self.value += 100
        await trio.sleep(seconds)
        raise LookupError("nothing there")

    async def stubborn(self, seconds: float) -> str:
        """Takes no notice of being cancelled."""
        with contextlib.suppress(trio.Cancelled):
            await trio.sleep(seconds)
        self.value += 1
        return "done nevertheless"

    async def untidy(self, seconds: float) -> None:
        """Makes an error of being cancelled."""
        try:
            await trio.sleep(seconds)
        finally:
            raise RuntimeError("cleanup")


class Bench:
    """A kernel driven by hand, with a runner whose outcomes are kept."""

    def __init__(self, timeout_s: float | None = None, disk: MemoryDisk | None = None) -> None:
        registry = EntityRegistry()
        registry.add(Worker, None, timeout_s)
        self.disk = disk or MemoryDisk()
        self.store = MemoryStore(self.disk)
        self.entities = EntityKind(registry, Payloads(), NoDirectory())
        self.kernel = Kernel(self.store, self.entities, self.entities, lambda: 1_000)
        self.settled: list[tuple[str, Outcome]] = []
        self.runner = OperationRunner(self.kernel, self.entities, VirtualEnv(), self)

    def operation_done(self, offer: Offer, outcome: Outcome) -> None:
        self.settled.append((offer.address, outcome))
        self.kernel.settle_offer(offer.address, offer.number, [outcome])

    def send(self, address: str, name: str, value: float) -> None:
        """A signal comes in."""
        message = Operation(at_us=1_000, name=name, input=str(value).encode())
        self.kernel.submit(address, message, MAIL_LANE, "", tell=False)

    def waiting(self) -> list[str]:
        """Who waits for its turn."""
        return list(self.kernel.waiting)

    def commit(self) -> list[Offer]:
        """All turns, and a commit; gives what is offered then."""
        while self.kernel.runnable:
            self.kernel.run_turn()
        batch = self.kernel.seal()
        self.store.commit(batch.seal())
        return [output for output in self.kernel.committed(batch) if isinstance(output, Offer)]

    def offer(self, name: str, value: float, key: str = "a") -> Offer:
        """An operation that is offered to the runner."""
        self.send(f"@worker@{key}", name, value)
        (offer,) = self.commit()
        return offer

    def state(self, key: str = "a") -> str:
        """The state on disk; empty if there is none."""
        row = self.store.get(keys.actor(f"@worker@{key}") + b"s")
        return "" if row is None else self.entities.decode_row(row).state.decode()


async def test_an_outcome_is_reported_once_with_its_offer(autojump_clock: MockClock) -> None:
    """G10: what the operation did goes where outcomes go, under the address it was offered for."""
    bench = Bench()
    offer = bench.offer("work", 5)
    async with trio.open_nursery() as nursery:
        bench.runner.start(offer, nursery)
        await trio.sleep(4)
        assert bench.settled == []
    ((address, outcome),) = bench.settled
    assert address == "@worker@a"
    assert (outcome.state, outcome.result, outcome.failure) == (b'{"value":100}', b"100", None)
    assert bench.state() == ""
    bench.commit()
    assert bench.state() == '{"value":100}'


async def test_an_offer_that_is_not_in_force_runs_nothing(autojump_clock: MockClock) -> None:
    """G3: an offer that was settled, one of another number, and one of another actor are left alone."""
    bench = Bench()
    offer = bench.offer("work", 5)
    async with trio.open_nursery() as nursery:
        bench.runner.start(Offer(offer.address, offer.number + 1), nursery)
        bench.runner.start(Offer("@worker@b", offer.number), nursery)
        await wait_all_tasks_blocked()
        assert not nursery.child_tasks
        bench.runner.start(offer, nursery)
    assert len(bench.settled) == 1
    async with trio.open_nursery() as nursery:
        bench.runner.start(offer, nursery)
    assert len(bench.settled) == 1
    await bench.runner.drain()


async def test_drain_waits_for_all_and_for_nothing(autojump_clock: MockClock) -> None:
    """Without operations it returns at once; with some when the last one has ended."""
    bench = Bench()
    await bench.runner.drain()
    assert trio.current_time() == 0
    offers = [bench.offer("work", seconds, str(seconds)) for seconds in (3, 9, 6)]
    offers.append(bench.offer("fail", 8, "x"))
    async with trio.open_nursery() as nursery:
        for offer in offers:
            bench.runner.start(offer, nursery)
        names = sorted(task.name for task in nursery.child_tasks)
        await bench.runner.drain()
        assert trio.current_time() == 9
    assert len(bench.settled) == 4
    assert names == [f"operation of @worker@{key}" for key in "369x"]


async def test_a_time_out_ends_it_with_an_error(autojump_clock: MockClock) -> None:
    """G10: state as before, the error says which operation and how long; other operations have their own time."""
    bench = Bench(TIMEOUT_S)
    bench.send("@worker@a", "add", 5)
    offers = [bench.offer("work", 1000), bench.offer("untidy", 1000, "u"), bench.offer("work", 19, "in time")]
    async with trio.open_nursery() as nursery:
        for offer in offers:
            bench.runner.start(offer, nursery)
        await bench.runner.drain()
        assert trio.current_time() == TIMEOUT_S
    outcomes = dict(bench.settled)
    assert outcomes["@worker@in time"].failure is None
    for address in ("@worker@a", "@worker@u"):
        failure = outcomes[address].failure
        assert failure is not None
        assert "OperationTimeout" in failure.type
        assert "20" in failure.message
    assert outcomes["@worker@a"].state == b'{"value":5}'
    assert bench.commit() == []
    assert bench.state() == '{"value":5}'


async def test_what_ends_well_in_spite_of_its_time_out_is_done(autojump_clock: MockClock) -> None:
    """G10: an operation that takes no notice and returns has happened; its state and result count."""
    bench = Bench(TIMEOUT_S)
    async with trio.open_nursery() as nursery:
        bench.runner.start(bench.offer("stubborn", 1000), nursery)
    ((_, outcome),) = bench.settled
    assert (outcome.failure, outcome.result) == (None, b'"done nevertheless"')
    bench.commit()
    assert bench.state() == '{"value":1}'


async def test_a_failure_before_the_end_is_one(autojump_clock: MockClock) -> None:
    """G10: an operation that raises by itself leaves the state as it was; the failure is reported."""
    bench = Bench()
    async with trio.open_nursery() as nursery:
        bench.runner.start(bench.offer("fail", 3), nursery)
    ((_, outcome),) = bench.settled
    assert outcome.failure is not None
    assert (outcome.failure.type, outcome.failure.message) == ("LookupError", "nothing there")
    bench.commit()
    assert bench.state() == ""


async def test_interrupted_operations_do_not_fail_but_may_succeed(autojump_clock: MockClock) -> None:
    """G10: behind `interrupt` an error is that of being cancelled: it runs again; what ended well is done."""
    bench = Bench()
    offers = [bench.offer(name, 50, name) for name in ("work", "untidy", "stubborn", "fail")]
    async with trio.open_nursery() as nursery:
        for offer in offers:
            bench.runner.start(offer, nursery)
        await trio.sleep(1)
        bench.runner.interrupt()
        nursery.cancel_scope.cancel()
    assert [address for address, _ in bench.settled] == ["@worker@stubborn"]
    await bench.runner.drain()
    bench.commit()
    left = {keys.address_of(key) for key in bench.disk.snapshot() if key.startswith(keys.MAIL)}
    assert left == {"@worker@work", "@worker@untidy", "@worker@fail"}


async def test_operations_cancelled_with_their_nursery_do_not_fail(autojump_clock: MockClock) -> None:
    """G10: the nursery's end is no outcome, without `interrupt` too, whatever cleanup raises; none runs on."""
    bench = Bench(TIMEOUT_S)
    offers = [bench.offer(name, 50, name) for name in ("work", "untidy", "fail")]
    before = bench.disk.snapshot()
    async with trio.open_nursery() as nursery:
        for offer in offers:
            bench.runner.start(offer, nursery)
        await trio.sleep(1)
        nursery.cancel_scope.cancel()
    assert bench.settled == []
    await bench.runner.drain()
    bench.commit()
    assert bench.disk.snapshot() == before


async def test_a_hub_that_is_cancelled_says_nothing_of_failures(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """G10: an operation whose cleanup raises when the hub is cancelled has not failed, says the log, and runs again."""
    disk = MemoryDisk()
    with trio.move_on_after(2):
        async with open_hub(MemoryStore(disk), app_of(Worker), env=VirtualEnv()) as client:
            for key in "abcdefgh":  # Trio cancels in any order: some of them come before the hub itself
                await client.signal_entity(EntityId("worker", key), "untidy", 1000)
            await trio.sleep(10)
    assert [record.message for record in caplog.records if record.levelno >= logging.ERROR] == []
    assert len([key for key in disk.snapshot() if key.startswith(keys.MAIL)]) == 8


def filled(addresses: list[str], operation: str = "add") -> Bench:
    """A bench where each of these had mail, in this order."""
    bench = Bench()
    for number, address in enumerate(addresses, 1):
        bench.send(address, operation, number)
    return bench


A, B, C, D = (f"@worker@{key}" for key in "abcd")


def test_waiting_shows_who_waits_longest_first() -> None:
    """G8: each actor once, in the order in which its first mail came; looking changes nothing."""
    bench = filled([B, A, B, C, A])
    assert bench.waiting() == bench.waiting() == [B, A, C]
    assert bench.kernel.run_turn() == B
    assert bench.waiting() == [A, C]
    bench.send(B, "add", 1)
    assert bench.waiting() == [A, C, B]


def test_a_turn_can_be_given_to_any_that_waits() -> None:
    """Only the named actor has its turn; the others keep their places."""
    bench = filled([A, B, C, D])
    assert bench.kernel.run_turn(C) == C
    assert bench.waiting() == [A, B, D]
    batch = bench.kernel.seal()
    bench.store.commit(batch.seal())
    bench.kernel.committed(batch)
    assert [bench.state(key) for key in "abcd"] == ["", "", '{"value":3}', ""]
    assert [bench.kernel.run_turn(address) for address in (D, A, B)] == [D, A, B]
    assert bench.waiting() == []
    assert not bench.kernel.runnable


def test_who_has_more_mail_than_a_turn_takes_waits_behind_the_others() -> None:
    """G8: a named turn is bounded as any other is, and takes the actor to the back of the queue."""
    bench = filled([A] * (TURN_MESSAGES_MAX + 1) + [B, C])
    bench.kernel.run_turn(A)
    assert bench.waiting() == [B, C, A]
    bench.kernel.run_turn(A)
    assert bench.waiting() == [B, C]


@pytest.mark.parametrize("address", ["@worker@z", "an instance", "", C])
def test_who_does_not_wait_has_no_turn(address: str) -> None:
    """A wrong address is an error, and nobody's turn is lost."""
    bench = filled([A, B, C])
    bench.kernel.run_turn(C)
    with pytest.raises(ValueError):
        bench.kernel.run_turn(address)
    assert bench.waiting() == [A, B]
    bench.commit()
    assert [bench.state(key) for key in "abc"] == ['{"value":1}', '{"value":2}', '{"value":3}']
    with pytest.raises((IndexError, ValueError)):
        bench.kernel.run_turn()


def test_an_actor_whose_turn_is_offered_does_nothing_meanwhile() -> None:
    """G1: a named turn of an actor that works outside takes no mail; when that is settled it waits again."""
    bench = Bench()
    offer = bench.offer("work", 1)
    bench.send(A, "add", 1)
    assert bench.waiting() == [A]
    bench.kernel.run_turn(A)
    assert bench.waiting() == []
    assert bench.kernel.pinned(A, offer.number) is not None
    assert bench.kernel.settle_offer(A, offer.number, [Outcome(b'{"value":100}')])
    assert bench.waiting() == [A]
    bench.commit()
    assert bench.state() == '{"value":101}'


@given(mail=st.lists(st.sampled_from([A, B, C, D]), max_size=20), choices=st.lists(st.integers(0, 3), max_size=30))
def test_every_order_of_turns_ends_alike(mail: list[str], choices: list[int]) -> None:
    """G1, G4: whoever is chosen, each actor has all of its mail in order, and waits at most once."""
    bench, plain = Bench(), filled(mail, "fold")
    left = list(enumerate(mail, 1))
    for choice in choices:
        waiting = bench.waiting()
        assert len(set(waiting)) == len(waiting)
        if choice < len(waiting):
            rest = [address for address in waiting if address != waiting[choice]]
            bench.kernel.run_turn(waiting[choice])
            assert bench.waiting() == rest
        elif left:
            number, address = left.pop(0)
            bench.send(address, "fold", number)
    for number, address in left:
        bench.send(address, "fold", number)
    bench.commit()
    plain.commit()
    assert [bench.state(key) for key in "abcd"] == [plain.state(key) for key in "abcd"]


def test_after_a_crash_all_that_have_mail_wait() -> None:
    """G9: with a new owner everybody with unread mail waits for a turn, each once, and has it."""
    bench = filled([D, A, B, A, C, B])
    bench.store.commit(bench.kernel.seal().seal())
    follower = Bench(disk=bench.disk)
    assert sorted(follower.waiting()) == [A, B, C, D]
    follower.kernel.run_turn(B)
    follower.commit()
    assert [follower.state(key) for key in "abcd"] == [f'{{"value":{value}}}' for value in (6, 9, 5, 1)]
