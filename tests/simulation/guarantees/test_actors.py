"""What durio guarantees of every actor, as properties over interleavings, crashes and faults."""

from __future__ import annotations

from datetime import timedelta
from itertools import groupby
from typing import Any, Final

from hypothesis import strategies as st

from durio.orchestration import Client
from durio.simulation import Call, Sim, call, raise_event, resume, signal, start, suspend, terminate
from tests.simulation.guarantees.claims import (
    claim,
    done,
    exactly_once,
    input_of,
    items,
    named,
    of_kind,
    returned_just_now,
    unknown,
)
from tests.simulation.guarantees.disk import Disk
from tests.simulation.guarantees.owed import everything_is_done, no_money_is_lost, nothing_is_owed_twice_or_never
from tests.simulation.guarantees.town import (
    SPOKEN,
    Account,
    Journal,
    Office,
    Slow,
    collector,
    errand,
    family,
    insistent,
    listener,
    namer,
    planner,
    rounds,
    sender,
)

numbers = st.integers(1, 9)
names = st.sampled_from(["x", "y", "z", "z.kid"])

WAITING: Final = frozenset({"single", "family", "collector"})
"""The orchestrations that wait until they are told."""


@claim(call(Slow.add, numbers), signal(Slow.add, numbers), call(Slow.slip, 5), call(Slow.peek), max_calls=5)
def test_g1_one_turn_at_a_time(sim: Sim) -> None:
    """G1: an operation that waits in the middle has its entity to itself, so no update is lost."""
    assert sim.linearizable()
    places = [asked.value for asked in done(named(of_kind(sim, "call"), "add"))]
    assert len(set(places)) == len(places), f"two operations saw the same state: {places}"


@claim(
    call(Account.pay, numbers),
    signal(Account.pay, numbers),
    start(errand, numbers),
    keys=("a", "b"),
    max_calls=4,
    invariant=(no_money_is_lost, nothing_is_owed_twice_or_never),
)
def test_g2_a_turn_is_all_or_nothing(sim: Sim) -> None:
    """G2: after every commit, what was taken from an account is on its way or there; each result is owed once."""
    assert sim.settled
    no_money_is_lost(sim)


@claim(
    call(Journal.append, numbers),
    signal(Journal.append, numbers),
    call(Journal.scrawl, numbers),
    start(sender, "k"),
    max_calls=5,
)
def test_g3_every_request_is_done_once(sim: Sim) -> None:
    """G3: a request has one effect however often it is sent, and all its answers are equal, also much later."""
    for asked in sim.results:
        assert all(answer == asked.answers[0] for answer in asked.answers), f"{asked}: {asked.answers}"
    _answers_are_kept(sim)
    found = items(sim, "k")
    calls = named(of_kind(sim, "call", "signal"), "append")
    told = [asked for asked in done(calls) if asked.value is not None]
    places = [asked.value for asked in told]
    assert len(set(places)) == len(places), f"two calls got one place: {places}"
    for asked in told:
        assert found[asked.value] == input_of(sim, asked), f"{asked} is not at its place"
    others = [item for place, item in enumerate(found) if place not in places]
    signals = [input_of(sim, asked) for asked in done(calls) if asked.value is None]
    words = [[sent, n] for sent in sim.instances for n in range(SPOKEN)]
    exactly_once(others, [*signals, *words], [input_of(sim, asked) for asked in unknown(calls)])


def _answers_are_kept(sim: Sim) -> None:
    """Every request that was answered, sent once more under its id, gets that answer again."""
    for asked in list(sim.results):
        if asked.returned is not None:
            assert _again(sim, asked) == (asked.value, repr(asked.error)), f"{asked} got another answer"


def _again(sim: Sim, asked: Call) -> tuple[Any, str]:
    async def ask(client: Client) -> Any:
        return await asked.make(client, asked.request_id)

    try:
        return sim.do(ask), repr(None)
    except Exception as error:
        return None, repr(error)


@claim(
    start(listener, instance_id="listener", if_running="return"),
    start(sender, "box"),
    call(Journal.spread, st.integers(1, 4), key=st.sampled_from(["one", "two"])),
    max_calls=4,
)
def test_g4_one_sender_one_receiver_one_order(sim: Sim) -> None:
    """G4: signals, calls and events of one sender to one receiver arrive in the order of sending, none is missing."""
    assert not [found for found in sim.instances.values() if found.runtime_status == "Failed"]
    for speaker, said in _by_sender(items(sim, "box")).items():
        assert said == list(range(SPOKEN)), f"{speaker} said {said}"
    for speaker, heard in _by_sender(items(sim, "heard")).items():
        assert heard == list(range(SPOKEN))[-len(heard) :], f"of {speaker} was heard {heard}"
    for spread, places in _by_sender(items(sim, "spread")).items():
        assert places == list(range(len(items(sim, spread)))), f"{spread} was spread as {places}"


@claim(start(planner, st.lists(st.integers(-1, 3).map(lambda n: 500 * n), min_size=2, max_size=5)))
def test_g4_scheduled_messages_come_by_time_then_by_order(sim: Sim) -> None:
    """G4: signals that one turn schedules come by (due time, order of scheduling), whenever the clock gets there."""
    planned = items(sim, "planned")
    for name, status in sim.instances.items():
        assert status.runtime_status == "Completed"
        came = [(offset_ms, number) for who, offset_ms, number in planned if who == name]
        assert came == sorted(came)
        assert sorted(number for _, number in came) == list(range(len(status.input_)))


def told_is_on_disk(sim: Sim) -> None:
    """What a client hears in this step is what the disk holds for its request."""
    disk = Disk(sim)
    for asked in returned_just_now(sim):
        request = disk.request(asked.request_id)
        assert request is not None, f"{asked} was answered, and is not on disk"
        assert request.answer == asked.answers[0], f"{asked} got {asked.answers}, on disk is {request.answer}"


@claim(
    call(Account.pay, numbers),
    signal(Account.pay, numbers),
    start(errand, numbers),
    call(Slow.add, numbers),
    start(insistent, 2, instance_id="i", if_running="return"),
    keys=("a", "b"),
    max_calls=5,
    invariant=told_is_on_disk,
)
def test_g5_nothing_leaves_before_it_is_on_disk(sim: Sim) -> None:
    """G5: clients hear in the step of a commit, and of what it wrote; activities and operations run what is on disk."""
    for asked in sim.results:
        if asked.returned is not None and asked.error is None:
            step = sim.trace.steps[asked.returned - 1]
            assert step.kind == "commit", f"{asked} was answered at {step}"


@claim(
    call(Account.pay, numbers),
    call(Slow.add, numbers),
    start(errand, numbers),
    start(rounds, 0),
    start(planner, [1_000, 0]),
    start(sender, "box"),
    keys=("a", "b"),
    max_calls=4,
)
def test_g9_everything_gets_its_turn(sim: Sim) -> None:
    """G9: when nothing moves any more nothing is owed, and a process that opens the hub then finds nothing to do."""
    assert sim.settled, sim.deadlocked
    everything_is_done(sim)
    assert {str(status.runtime_status) for status in sim.instances.values()} <= {"Completed"}
    before = Disk(sim).actors()
    sim.crash()
    sim.run()
    sim.advance(timedelta(hours=1))
    assert Disk(sim).actors() == before, "the next process found something to do"


@claim(
    start(errand, numbers, instance_id=st.sampled_from(["x", "y"]), if_running="replace"),
    start(sender, "box"),
    start(insistent, st.integers(1, 4), instance_id="x", if_running="return"),
    start(rounds, st.integers(0, 2), instance_id="y", if_running="replace"),
    start(namer, 1),
    start(family, 2, instance_id="z", if_running="replace"),
    start(collector, instance_id="z", if_running="replace"),
    raise_event(names, "item", numbers),
    raise_event(names, "go"),
    terminate(names),
    suspend(names),
    resume(names),
    call(Slow.add, numbers),
    signal(Journal.scrawl, 1),
    call(Office.open, names),
    max_calls=7,
    invariant=nothing_is_owed_twice_or_never,
)
def test_g9_in_a_busy_town(sim: Sim) -> None:
    """G2, G9: whatever is going on, each result is owed by one row, and at rest only what is suspended has mail."""
    everything_is_done(sim)
    waiting = [sim.status(name) for name in sim.deadlocked]
    assert {status.name for status in waiting if status.runtime_status == "Running"} <= WAITING
    for status in waiting:
        if status.runtime_status == "Suspended":
            sim.ask(resume(status.instance_id))
    sim.run()
    everything_is_done(sim)
    assert {sim.status(name).name for name in sim.deadlocked} <= WAITING


def _by_sender(said: list[list[Any]]) -> dict[str, list[int]]:
    in_groups = groupby(sorted(said, key=lambda one: str(one[0])), key=lambda one: str(one[0]))
    return {who: [number for _, number in found] for who, found in in_groups}
