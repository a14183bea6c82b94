"""What durio guarantees of replay, time, ids and combinators, as properties over interleavings, crashes and faults."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import attrs
from hypothesis import strategies as st

from durio.orchestration.history import ActivityCompleted, ActivityFailed, ActivityScheduled
from durio.simulation import Sim, call, raise_event, start, terminate
from tests.simulation.guarantees.claims import FAULTS, another_run, claim, items
from tests.simulation.guarantees.disk import Disk
from tests.simulation.guarantees.town import (
    Slow,
    careful,
    clockwork,
    collector,
    errand,
    family,
    gather,
    namer,
    rounds,
)

waits_ms = st.sampled_from([0, 1, 1_000, 3_600_000])
loads = st.tuples(st.sampled_from([0, 100, 300]), st.integers(-3, 9)).map(list)


@claim(
    call(Slow.add, 1),
    start(errand, st.integers(1, 9)),
    start(rounds, 0),
    start(collector, instance_id="c", if_running="return"),
    start(family, 1, instance_id="c", if_running="replace"),
    start(careful, instance_id="c", if_running="replace"),
    raise_event("c", "item", 1),
    raise_event("c", "how", "again"),
    terminate("c"),
    max_calls=6,
    faults=attrs.evolve(FAULTS, evictions=False),
    examples=150,
)
def test_g19_memory_makes_no_difference(sim: Sim) -> None:
    """G7, G19: a run in which actors leave memory after every commit is the same, step by step and row by row."""
    with another_run(sim, evict=True) as again:
        again.run()
        assert again.trace.lines() == sim.trace.lines()
        assert Disk(again).actors() == Disk(sim).actors()


@claim(
    start(clockwork, st.lists(waits_ms, min_size=1, max_size=4)),
    max_calls=3,
    faults=attrs.evolve(FAULTS, clock_jump=timedelta(days=30)),
)
def test_g28_timers_are_never_early_and_time_never_goes_back(sim: Sim) -> None:
    """G28: no timer fires before the wall clock shows its time, and an execution never sees time go back."""
    assert sim.settled
    for name, status in sim.instances.items():
        moments = [datetime.fromisoformat(moment) for seen in status.output for moment in seen]
        assert len(moments) == 3 * len(status.input_)
        for before, due, after in zip(moments[::3], moments[1::3], moments[2::3], strict=True):
            assert before <= due <= after, f"{name}: set at {before}, due at {due}, fired at {after}"
        clocks = [moment for number, moment in enumerate(moments) if number % 3 != 1]
        assert clocks == sorted(clocks), f"{name} saw the clock go back: {clocks}"


@claim(
    start(namer, st.integers(0, 2), instance_id="n", if_running="replace"),
    start(namer, 1),
    terminate("n"),
    max_calls=4,
)
def test_g29_ids_never_come_twice(sim: Sim) -> None:
    """G29: ids made by orchestrators differ in every execution, life and instance; replays make the same ones."""
    assert sim.settled
    names = [name for some in items(sim, "ids") for name in some]
    assert len(set(names)) == len(names), f"an id came twice: {sorted(names)}"
    children = [name for name in sim.instances if ":" in name]
    assert all(name.count(":") == 2 for name in children), f"nested: {children}"


@claim(start(gather, st.lists(loads, max_size=4)), max_calls=3)
def test_g30_all_and_any(sim: Sim) -> None:
    """G30: task_any gives the first to end, task_all all in argument order, or the failure that came first."""
    assert sim.settled
    for name, status in sim.instances.items():
        history = sim.history(name)
        scheduled = [event.id for event in history if isinstance(event, ActivityScheduled)]
        ended = [event for event in history if isinstance(event, ActivityCompleted | ActivityFailed)]
        assert status.runtime_status == "Completed"
        assert len(ended) == len(scheduled) == len(status.input_)
        first = scheduled.index(ended[0].id) if ended else -1
        failures = [event.failure.message for event in ended if isinstance(event, ActivityFailed)]
        everything: Any = failures[0] if failures else [value for _, value in status.input_]
        assert status.output == [first, everything, everything], f"{name} gave {status.output}"
