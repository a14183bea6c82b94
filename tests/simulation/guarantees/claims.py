"""How a guarantee becomes a property: what may go wrong in its runs, and what is known of the calls afterwards."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Final

import attrs
from hypothesis import HealthCheck, settings

from durio.simulation import Ask, Call, Faults, Sim, simulate
from durio.simulation.simulate import SimulatedTest
from tests.simulation.guarantees.checked import CHECKED
from tests.simulation.guarantees.town import app

FAULTS: Final = Faults(
    crashes=2, duplicates=True, retries=True, abandoned=True, evictions=True, clock_jump=timedelta(days=1)
)
"""Everything that may go wrong."""


def claim(*asks: Ask, examples: int = 200, **options: Any) -> Callable[[Callable[..., object]], SimulatedTest]:
    """A property of the town: it holds after every run of these asks, whatever goes wrong."""
    options = {"app": app, "faults": FAULTS, "parts": CHECKED, "hash_seeds": False, **options}
    health = [HealthCheck.too_slow]
    return simulate(*asks, settings=settings(max_examples=examples, suppress_health_check=health), **options)


def of_kind(sim: Sim, *kinds: str) -> list[Call]:
    """What clients asked of some kinds, as far as it was sent."""
    return [asked for asked in sim.results if asked.sent and asked.request and asked.request.kind in kinds]


def named(calls: Iterable[Call], *names: str) -> list[Call]:
    """Those for some operations, events or orchestrations."""
    return [asked for asked in calls if asked.request and asked.request.name in names]


def done(calls: Iterable[Call]) -> list[Call]:
    """Those that were done for certain: their clients were told so."""
    return [asked for asked in calls if asked.returned is not None and asked.error is None]


def unknown(calls: Iterable[Call]) -> list[Call]:
    """Those of which nobody knows whether they were done: their clients gave up after a crash."""
    return [asked for asked in calls if asked.returned is None]


def input_of(sim: Sim, asked: Call) -> Any:
    """What was sent with a request."""
    assert asked.request is not None, "a request of the plan"
    return sim._subject.app.payloads.decode(asked.request.input.encode()) if asked.request.input else None


def items(sim: Sim, key: str) -> list[Any]:
    """What a journal holds at the last commit."""
    state = sim.state("journal", key)
    found: list[Any] = [] if state is None else state["items"]
    return found


def exactly_once(found: Sequence[Any], certain: Sequence[Any], possible: Sequence[Any] = ()) -> None:
    """Each certain thing was done once, each possible one once or never, and nothing else was."""
    there, due, allowed = _counted(found), _counted(certain), _counted([*certain, *possible])
    assert due <= there, f"lost: {due - there}; found {list(found)}"
    assert there <= allowed, f"too often, or from nowhere: {there - allowed}; found {list(found)}"


def in_real_order(sim: Sim, found: Sequence[Any], calls: Sequence[Call]) -> None:
    """What was asked after something else was answered comes behind it. Things that were asked twice say nothing."""
    values = [input_of(sim, asked) for asked in calls]
    place = {repr(value): number for number, value in enumerate(found)}
    unique = [
        (asked, place[repr(value)])
        for asked, value in zip(calls, values, strict=True)
        if values.count(value) == 1 and repr(value) in place
    ]
    for first, before in unique:
        for second, behind in unique:
            if first.returned is not None and first.returned < second.invoked:
                assert before < behind, f"{second} overtook {first}: {list(found)}"


@contextmanager
def another_run(sim: Sim, **changes: Any) -> Iterator[Sim]:
    """A run beside a finished one, that the block drives: of the same plan, but for the changes."""
    again = Sim(sim._subject, attrs.evolve(sim.plan, **changes))
    try:
        yield again
    except AssertionError as error:
        error.add_note(f"\nin the run beside it:\n{again.trace}\n")
        raise
    finally:
        again.close()


def returned_just_now(sim: Sim) -> list[Call]:
    """In an invariant: the calls that this commit answered."""
    return [asked for asked in sim.results if asked.returned == len(sim.trace.steps)]


def _counted(values: Iterable[Any]) -> Counter[str]:
    return Counter(map(repr, values))
