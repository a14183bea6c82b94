"""What durio guarantees of rewinding, as a property over interleavings, crashes and faults."""

from __future__ import annotations

from typing import Any, Final

from hypothesis import strategies as st

from durio.entities import keys
from durio.simulation import Sim, cancel, raise_event, resume, rewind, start, suspend, terminate
from tests.simulation.guarantees.claims import claim, done, exactly_once, in_real_order, input_of, of_kind, unknown
from tests.simulation.guarantees.disk import Disk
from tests.simulation.guarantees.mending import FAILURES_MAX, PARTS, Ledger, Outside, app, do, mended
from tests.simulation.guarantees.owed import everything_is_done

TROUBLES: Final = st.lists(st.integers(0, FAILURES_MAX), min_size=len(PARTS), max_size=len(PARTS))
REWINDS_MAX: Final = len(PARTS) * FAILURES_MAX + 4
"""Each failure may need a rewind of its own, and each end of a sub-orchestration."""
WHO: Final = st.sampled_from(["m", "m.kid", "m.sleeper"])


@claim(
    start(mended, TROUBLES, instance_id="m", if_finished="raise"),
    raise_event("m", "word", st.integers(0, 1_000)),
    rewind("m"),
    rewind("m.kid"),
    suspend("m"),
    resume("m"),
    app=app,
    world=Outside,
    activities={do: Outside.do},
    max_calls=9,
)
def test_g27_a_rewound_life_ends_as_if_nothing_had_failed(sim: Sim) -> None:
    """G3, G16, G27: whoever rewinds what, and when: the same result, every effect once, no event lost."""
    if sim.status("m").runtime_status is None:
        return
    _mend(sim)
    status = sim.status("m")
    assert status.runtime_status == "Completed", status.output
    events = [asked for asked in of_kind(sim, "event") if input_of(sim, asked) != "enough"]
    *results, words = status.output
    assert results == ["first", "before kid", 1, "beside", "inside", "early", "slept", 1]
    exactly_once(
        words,
        [input_of(sim, asked) for asked in done(events)],
        [input_of(sim, asked) for asked in unknown(events)],
    )
    in_real_order(sim, words, events)
    assert [_items(sim, key) for key in ("begun", "early", "counted")] == [["m"]] * 3
    assert _items(sim, "passed") == ["first", "inside"]
    times = len(_items(sim, "section"))
    assert 1 <= times <= 1 + sim.world.failed["inside"], f"its section was entered {times} times"
    for name, count in sim.world.done.items():
        again = name == "early" or sim.crashes  # a failure cancels what goes on, maybe just before it is heard of
        assert count == 1 or again, f"{name} was done {count} times"
    everything_is_done(sim)
    assert Disk(sim).wrong() == []


@claim(
    start(mended, TROUBLES, instance_id="m", if_running="replace"),
    raise_event("m", "word", st.integers(0, 1_000)),
    rewind(WHO),
    cancel(WHO),
    terminate(WHO),
    suspend(WHO),
    resume(WHO),
    app=app,
    world=Outside,
    activities={do: Outside.do},
    max_calls=10,
)
def test_g27_rewinding_and_ending_leave_nothing_behind(sim: Sim) -> None:
    """G9, G12, G26, G27: whoever ends, replaces and rewinds what, in the end nobody waits and nothing is locked."""
    for name, status in sim.instances.items():
        if status.runtime_status == "Suspended":
            sim.resume(name)
    _mend(sim)
    alive = {name for name, status in sim.instances.items() if not status.is_finished}
    assert alive == set()
    assert sim.status("m").runtime_status in (None, "Completed", "Terminated", "Canceled"), sim.status("m").output
    everything_is_done(sim)
    assert Disk(sim).rows(keys.LOCK) == []
    assert Disk(sim).wrong() == []


def _mend(sim: Sim) -> None:
    """Rewind until it fails no more, and let it come to its end."""
    if sim.status("m").runtime_status == "Suspended":
        sim.resume("m")
    for _ in range(REWINDS_MAX):
        sim.run()
        if sim.status("m").runtime_status == "Failed":
            sim.rewind("m")
        elif sim.status("m").runtime_status == "Running":
            sim.raise_event("m", "word", "enough")
    sim.run()


def _items(sim: Sim, key: str) -> list[Any]:
    found: list[Any] = [] if sim.state(Ledger, key) is None else sim.state(Ledger, key).items
    return found
