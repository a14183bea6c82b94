"""What durio guarantees of rewinding, as a property over interleavings, crashes and faults."""

from __future__ import annotations

from typing import Any, Final

from hypothesis import strategies as st

from durio.simulation import Sim, raise_event, resume, rewind, start, suspend
from tests.simulation.guarantees.claims import claim, done, exactly_once, in_real_order, input_of, of_kind, unknown
from tests.simulation.guarantees.disk import Disk
from tests.simulation.guarantees.mending import FAILURES_MAX, PARTS, Ledger, Outside, app, do, mended
from tests.simulation.guarantees.owed import everything_is_done

TROUBLES: Final = st.lists(st.integers(0, FAILURES_MAX), min_size=len(PARTS), max_size=len(PARTS))
REWINDS_MAX: Final = len(PARTS) * FAILURES_MAX
"""Each failure may need a rewind of its own."""


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
    events = of_kind(sim, "event")[:-1]  # the last one said that it is enough
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


def _mend(sim: Sim) -> None:
    """Rewind until it fails no more, and let it come to its end."""
    if sim.status("m").runtime_status == "Suspended":
        sim.resume("m")
    for _ in range(REWINDS_MAX):
        sim.run()
        if sim.status("m").runtime_status == "Failed":
            sim.rewind("m")
    sim.run()
    sim.raise_event("m", "word", "enough")
    sim.run()


def _items(sim: Sim, key: str) -> list[Any]:
    found: list[Any] = [] if sim.state(Ledger, key) is None else sim.state(Ledger, key).items
    return found
