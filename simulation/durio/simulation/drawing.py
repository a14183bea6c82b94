"""Plans drawn by Hypothesis: requests, one list of choices, and the faults that a test allows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

import attrs
from hypothesis import strategies as st

from durio.orchestration import App
from durio.simulation.asking import NOTHING, Ask, named, request_of
from durio.simulation.plan import Plan, Request

CHOICES: Final = 16
"""So many alternatives a drawn choice tells apart. An exhaustive search and a machine tell all apart."""

SCHEDULE_MAX: Final = 60
COMMITS_MAX: Final = 12
RESULTS_MAX: Final = 6
TASK_STEPS_MAX: Final = 8
GAP_MAX: Final = 30
JUMPS_MAX: Final = 2


@attrs.frozen
class Faults:
    """What may go wrong in a simulation, besides the order of things.

    `crashes`: how often the process may die: at a commit, before or after it is durable, or while a task runs.
    `duplicates`: results of activities may come twice. `retries`: clients may send a request again while they wait.
    `abandoned`: clients may give up after a crash. `evictions`: actors may leave memory after every commit.
    `clock_jump`: how far the wall clock may jump, forward and back.
    """

    crashes: int = 0
    duplicates: bool = True
    retries: bool = True
    abandoned: bool = True
    evictions: bool = True
    clock_jump: timedelta | None = None


@attrs.frozen
class Drawn:
    """A request before it is encoded."""

    ask: Ask
    client: int
    input: object
    target: object


def plans(
    app: App, asks: Sequence[Ask], faults: Faults, *, keys: Sequence[str], clients: int, calls_max: int
) -> st.SearchStrategy[Plan]:
    """Plans in which `clients` ask at most `calls_max` times altogether."""

    one = st.one_of([_drawn(ask, keys, clients) for ask in asks])
    requests, facts = st.lists(one, min_size=1, max_size=calls_max), _facts(faults, calls_max)

    @st.composite  # and not `builds`: a plan is printed as a plan
    def drawn_plans(draw: st.DrawFn) -> Plan:
        return Plan(requests_of(app, draw(requests)), **draw(facts))

    return drawn_plans()


def requests_of(app: App, drawn: Sequence[Drawn]) -> tuple[Request, ...]:
    """The requests, encoded as a client would."""
    return tuple(
        request_of(app, each.ask, each.client, each.input, each.target, number) for number, each in enumerate(drawn)
    )


def fixed(app: App, asks: Sequence[Ask], keys: Sequence[str]) -> tuple[Request, ...]:
    """Every ask once, each by a client of its own, for a search that tries all schedules. Strategies do not fit."""
    for ask in asks:
        if isinstance(ask.input, st.SearchStrategy) or isinstance(ask.target, st.SearchStrategy):
            raise TypeError(f"an exhaustive simulation draws nothing: give a value to {named([ask])}, not a strategy")
    drawn = [Drawn(ask, client, ask.input, _usual_target(ask, keys)) for client, ask in enumerate(asks)]
    return requests_of(app, drawn)


def _drawn(ask: Ask, keys: Sequence[str], clients: int) -> st.SearchStrategy[Drawn]:
    target = ask.target
    if target is None and ask.kind in ("call", "signal"):
        target = st.sampled_from(list(keys))
    return st.builds(Drawn, st.just(ask), st.integers(0, clients - 1), _strategy(ask.input), _strategy(target))


def _usual_target(ask: Ask, keys: Sequence[str]) -> object:
    return keys[0] if ask.target is None and ask.kind in ("call", "signal") else ask.target


def _strategy(value: object) -> st.SearchStrategy[Any]:
    if isinstance(value, st.SearchStrategy):
        return value
    return st.just(NOTHING if value is NOTHING else value)


def _facts(faults: Faults, calls_max: int) -> st.SearchStrategy[dict[str, Any]]:
    facts: dict[str, st.SearchStrategy[Any]] = {"schedule": _schedules()}
    if faults.crashes:
        moment = st.one_of(
            st.tuples(_early(COMMITS_MAX), st.sampled_from(["before", "after"])),
            st.tuples(_early(TASK_STEPS_MAX), st.just("running")),
        )
        some = st.lists(moment, min_size=1, max_size=faults.crashes, unique=True).map(
            lambda found: tuple(sorted(found))
        )
        facts["crashes"] = st.one_of(st.just(()), some, some)
        if faults.abandoned:
            facts["abandoned"] = _numbers(0, calls_max - 1)
    if faults.duplicates:
        facts["duplicates"] = _numbers(1, RESULTS_MAX)
    if faults.retries:
        facts["retries"] = _numbers(0, calls_max - 1)
    if faults.evictions:
        facts["evict"] = st.booleans()
    if faults.clock_jump is not None:
        far = faults.clock_jump.total_seconds()
        seconds = st.sampled_from([far, -far]) | st.floats(-far, far, allow_nan=False).map(lambda s: round(s, 3))
        facts["jumps"] = st.dictionaries(st.integers(0, SCHEDULE_MAX), seconds, max_size=JUMPS_MAX).map(_sorted)
    return st.fixed_dictionaries(facts)


def _schedules() -> st.SearchStrategy[tuple[int, ...]]:
    """Dense choices for short runs; choices with gaps between them, so that long runs get theirs at their end, too."""
    choice = st.integers(0, CHOICES - 1)
    dense = st.lists(choice, max_size=SCHEDULE_MAX).map(tuple)
    sparse = st.lists(st.tuples(st.integers(0, GAP_MAX), choice), max_size=4).map(_spread)
    return st.one_of(dense, sparse)


def _spread(delays: list[tuple[int, int]]) -> tuple[int, ...]:
    return tuple(number for gap, choice in delays for number in (*(0,) * gap, choice))


def _early(last: int) -> st.SearchStrategy[int]:
    """A number up to `last`, rather a small one: short runs have few commits, and few steps of tasks."""
    return st.one_of(st.integers(1, last // 3), st.integers(1, last))


def _numbers(low: int, high: int) -> st.SearchStrategy[tuple[int, ...]]:
    return st.lists(st.integers(low, high), max_size=2, unique=True).map(lambda found: tuple(sorted(found)))


def _sorted(found: dict[int, Any]) -> tuple[tuple[int, Any], ...]:
    return tuple(sorted(found.items()))
