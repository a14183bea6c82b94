"""What durio guarantees of orchestrations, as properties over interleavings, crashes and faults."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from hypothesis import strategies as st

from durio.orchestration.history import (
    ActivityCompleted,
    ActivityFailed,
    ActivityScheduled,
    Ended,
    Resumed,
    Suspended,
)
from durio.simulation import Sim, call, cancel, raise_event, resume, rewind, start, suspend, terminate
from tests.simulation.guarantees.claims import (
    claim,
    done,
    exactly_once,
    in_real_order,
    input_of,
    items,
    named,
    of_kind,
    unknown,
)
from tests.simulation.guarantees.disk import Disk
from tests.simulation.guarantees.owed import everything_is_done, no_child_escapes, nothing_is_owed_twice_or_never
from tests.simulation.guarantees.town import (
    ATTEMPTS_MAX,
    LAST_ROUND,
    Account,
    careful,
    collector,
    errand,
    family,
    insistent,
    picky,
    rounds,
)

values = st.integers(0, 1_000)
HOW: Final = st.sampled_from(["return", "raise", "again"])
PAUSES_S: Final = (0.0, 1.0, 3.0)
"""How long all pauses before an attempt take at least."""


@claim(
    start(collector, instance_id="c"),
    raise_event("c", "Item", values),
    raise_event("c", "iTEM", values),
    suspend("c"),
    resume("c"),
    max_calls=8,
)
def test_g16_no_event_is_lost(sim: Sim) -> None:
    """G16, G23: every accepted event is taken once, in the order of arrival, over continue-as-new and suspension."""
    _awake(sim, "c")
    events = of_kind(sim, "event")
    taken = items(sim, "c")
    exactly_once(
        taken,
        [input_of(sim, asked) for asked in done(events)],
        [input_of(sim, asked) for asked in unknown(events)],
    )
    in_real_order(sim, taken, events)


@claim(
    start(picky, instance_id="p"),
    raise_event("p", "a", values),
    raise_event("p", "b", values),
    raise_event("p", "B", values),
    clients=4,
    max_calls=9,
)
def test_g22_events_are_taken_when_they_are_seen(sim: Sim) -> None:
    """G22: a waiter that loses, or stands aside, takes nothing; events of a name are seen in the order of arrival."""
    events = of_kind(sim, "event")
    for _ in range(2 * len(done(named(events, "b", "B")))):
        sim.raise_event("p", "a", -1)  # an `a` is what it wants before it looks at the next `b`
        sim.run()
    picked = items(sim, "picked")
    for is_a, names in ((True, ("a",)), (False, ("b", "B"))):
        taken = [value for which, value in picked if which is is_a and value != -1]
        raised = named(events, *names)
        exactly_once(
            taken,
            [input_of(sim, asked) for asked in done(raised)],
            [input_of(sim, asked) for asked in unknown(raised)],
        )
        in_real_order(sim, taken, raised)


@claim(start(rounds, st.integers(0, LAST_ROUND - 1)), max_calls=3)
def test_g23_results_of_old_executions_are_dropped(sim: Sim) -> None:
    """G23, G24: every execution runs once, and gets the result of its own activity, never that of an older one."""
    assert sim.settled
    begun: list[tuple[str, int]] = [
        (asked.request.target, number)
        for asked in of_kind(sim, "start")
        if asked.request is not None and sim.status(asked.request.target)
        for number in range(int(asked.request.input), LAST_ROUND + 1)
    ]
    exactly_once(items(sim, "rounds"), [[who, number] for who, number in begun])
    exactly_once(items(sim, "results"), [[who, number, number] for who, number in begun if number % 2])


@claim(start(insistent, st.integers(1, ATTEMPTS_MAX + 1)), max_calls=3)
def test_g24_activities_run_at_least_once_and_count_once(sim: Sim) -> None:
    """G24: each attempt ran, and ended once; retries wait on durable timers; without a crash nothing runs twice."""
    assert sim.settled
    runs = Counter(name for name, _ in sim.effects("insist"))
    for name, status in sim.instances.items():
        enough = status.input_
        attempts = min(enough, ATTEMPTS_MAX)
        attempt, took_s = status.output
        assert attempt == (enough if enough <= ATTEMPTS_MAX else -1)
        assert took_s >= PAUSES_S[attempts - 1], f"{name} waited for {took_s} s only"
        history = sim.history(name)
        scheduled = [event.attempt for event in history if isinstance(event, ActivityScheduled)]
        assert scheduled == list(range(1, attempts + 1))
        ended = [event.id for event in history if isinstance(event, ActivityCompleted | ActivityFailed)]
        assert len(set(ended)) == len(ended) == attempts
        assert runs[name] >= attempts, f"{name}: {runs[name]} runs of {attempts} attempts"
        assert sim.crashes or runs[name] == attempts, f"{name}: {runs[name]} runs of {attempts} attempts"


@claim(
    start(careful, instance_id="c"),
    start(careful, instance_id="c", if_running="replace"),
    raise_event("c", "how", HOW),
    terminate("c"),
    cancel("c"),
    suspend("c"),
    resume("c"),
    rewind("c"),
    max_calls=8,
)
def test_g25_cleanup_has_its_effect_once(sim: Sim) -> None:
    """G25: an execution that came to its own end cleaned up once; one that was terminated or replaced never did."""
    _awake(sim, "c")
    begun, cleaned = items(sim, "begun"), items(sim, "cleaned")
    assert len({execution for _, execution in begun}) == len(begun)
    assert len({execution for _, execution in cleaned}) == len(cleaned), f"cleaned up twice: {cleaned}"
    assert [one for one in begun if one in cleaned] == cleaned, f"{begun} began, {cleaned} cleaned up"
    status = sim.status("c")
    if status:
        own_end = status.runtime_status in ("Completed", "Failed", "Canceled")
        assert ([status.instance_id, status.execution_id] in cleaned) is own_end
    ends = [asked for asked in done(sim.results) if asked.request and asked.request.kind == "terminate"]
    replaced = [asked for asked in sim.results if asked.request and dict(asked.request.options)]
    most = len(ends) + len(replaced) + len(unknown(sim.results)) + 1
    assert len(begun) - len(cleaned) <= most, f"{begun} began, {cleaned} cleaned up"


@claim(
    start(family, st.integers(0, 2), instance_id="f", if_running="return"),
    start(family, 1, instance_id="f", if_running="replace"),
    raise_event(st.sampled_from(["f", "f.kid"]), "go"),
    terminate(st.sampled_from(["f", "f.kid"])),
    suspend(st.sampled_from(["f", "f.kid"])),
    resume("f"),
    max_calls=5,
    invariant=no_child_escapes,
)
def test_g26_terminate_reaches_every_child(sim: Sim) -> None:
    """G26: when a parent is terminated or replaced no child, and no child of a child, goes on, not even a held one."""
    everything_is_done(sim)
    if sim.status("f").runtime_status == "Terminated":
        alive = [name for name, status in sim.instances.items() if status.runtime_status != "Terminated"]
        assert alive == []


@claim(
    start(family, st.integers(0, 2), instance_id="f", if_running="return"),
    raise_event(st.sampled_from(["f", "f.kid"]), "go"),
    cancel(st.sampled_from(["f", "f.kid"])),
    suspend(st.sampled_from(["f", "f.kid"])),
    resume(st.sampled_from(["f", "f.kid"])),
    max_calls=6,
)
def test_g26_cancel_reaches_every_child(sim: Sim) -> None:
    """G26: when a parent ends as Canceled all its children have ended in the end, too; nobody ends so unasked."""
    _awake(sim, *sim.instances)
    if sim.status("f").runtime_status == "Canceled":
        alive = [name for name, status in sim.instances.items() if not status.is_finished]
        assert alive == []
    asked = {call.request.target for call in of_kind(sim, "cancel") if call.request is not None}
    for name, status in sim.instances.items():
        if status.runtime_status == "Canceled":
            assert asked & set(_line(Disk(sim), name)), f"{name} was never asked to end"


def _line(disk: Disk, name: str) -> Iterator[str]:
    """An instance, its parent, and so on: a generated id names only the top-most one."""
    while True:
        yield name
        origin = disk.origin(name)
        if origin is None or origin.parent is None:
            return
        name = origin.parent.address


@claim(
    start(errand, 1, instance_id="e", if_running="return"),
    start(collector, instance_id="c", if_running="return"),
    raise_event("c", "item", values),
    suspend(st.sampled_from(["c", "e"])),
    resume(st.sampled_from(["c", "e"])),
    call(Account.pay, 1, key="a"),
    max_calls=7,
    invariant=nothing_is_owed_twice_or_never,
)
def test_g26_suspended_holds_everything(sim: Sim) -> None:
    """G26: while an instance is suspended nothing is added to its history, and afterwards nothing is missing."""
    for name in sim.instances:
        history = sim.history(name)
        for event, following in pairwise(history):
            assert not isinstance(event, Suspended) or isinstance(following, Resumed | Ended), f"{following} in {name}"
    _awake(sim, "c", "e")
    everything_is_done(sim)
    assert sim.status("e").runtime_status in (None, "Completed")


def _awake(sim: Sim, *instances: str) -> None:
    """Nobody is suspended any more. Nothing goes wrong here: a test runs behind all faults."""
    for instance_id in instances:
        if sim.status(instance_id).runtime_status == "Suspended":
            sim.ask(resume(instance_id))
    sim.run()
