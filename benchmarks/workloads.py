"""All workloads, by name: what they measure, on durio and on the bare ceiling."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import attrs

from benchmarks import large, on_bare, on_durio, processes, simulation
from benchmarks.figures import Figure
from benchmarks.scale import Scale

Round = Callable[[Path, Scale], Awaitable[dict[str, float]]]


@attrs.frozen
class Workload:
    """One line of work. `durio` and `bare` do one round of it in an empty folder and return figures by name."""

    name: str
    title: str
    figures: tuple[Figure, ...]
    durio: Round
    bare: Round


RATE: Final = Figure("rate", "per s")
P50: Final = Figure("p50", "ms")
P99: Final = Figure("p99", "ms")
SCENARIOS: Final = (Figure("scenarios", "per s", 500), Figure("steps", "per s"))
OPEN: Final = (P50, P99, Figure("answers", "per s"), Figure("commits", "per s"))

WORKLOADS: Final = (
    Workload(
        "chains-100",
        "five-activity chains, 100 in flight",
        (Figure("rate", "per s", 1_500),),
        on_durio.chains,
        on_bare.chains,
    ),
    Workload(
        "chains-1", "five-activity chains, 1 in flight", (P50, P99), on_durio.chains_serial, on_bare.chains_serial
    ),
    Workload(
        "fan",
        "1,000 activities out and in",
        (Figure("time", "s", 0.2),),
        on_durio.fan_out_in,
        on_bare.fan_out_in,
    ),
    Workload(
        "signals-1",
        "signals to one counter, 200 clients",
        (Figure("rate", "per s", 20_000),),
        on_durio.signals_one,
        on_bare.signals_one,
    ),
    Workload(
        "signals-1000",
        "signals to 1,000 counters, 200 clients",
        (Figure("rate", "per s", 20_000),),
        on_durio.signals_many,
        on_bare.signals_many,
    ),
    Workload("call", "call round trip, 1 in flight", (Figure("p50", "ms", 3), P99), on_durio.calls, on_bare.calls),
    Workload(
        "calls-100",
        "calls, 100 in flight",
        (Figure("one counter", "per s"), Figure("many counters", "per s")),
        on_durio.calls_crowd,
        on_bare.calls_crowd,
    ),
    Workload(
        "event",
        "event round trip: raised, taken, ended",
        (Figure("p50", "ms", 3), P99),
        on_durio.events,
        on_bare.events,
    ),
    Workload("singleton", "100 starts of one id", (P50, P99), on_durio.singleton, on_bare.singleton),
    Workload(
        "first-result",
        "process start to first result",
        (Figure("time", "s"),),
        processes.first_result,
        processes.bare_first_result,
    ),
    Workload(
        "reopen",
        "kill -9, reopen with 1,000 waiting instances",
        (Figure("first", "s"), Figure("all", "s"), Figure("with process start", "s"), Figure("memory", "kB")),
        processes.reopen,
        processes.bare_reopen,
    ),
    Workload(
        "large",
        "a text of 64 MiB: start, activity, result",
        (Figure("time", "ms"), Figure("stop", "ms", 50), Figure("stop (own CPU)", "ms"), Figure("disk", "kB", 70_000)),
        large.large,
        large.bare_large,
    ),
    Workload("open-calls", "open load: 1,000 calls/s arrive", OPEN, on_durio.open_calls, on_bare.open_calls),
    Workload(
        "open-calls-busy",
        "the same beside a task that never sleeps",
        OPEN,
        on_durio.open_calls_busy,
        on_bare.open_calls_busy,
    ),
    Workload("open-chains", "open load: 200 chains/s arrive", OPEN, on_durio.open_chains, on_bare.open_chains),
    Workload(
        "open-chains-busy",
        "the same beside a task that never sleeps",
        OPEN,
        on_durio.open_chains_busy,
        on_bare.open_chains_busy,
    ),
    Workload("open-signals", "open load: 10,000 signals/s arrive", OPEN, on_durio.open_signals, on_bare.open_signals),
    Workload(
        "sim-calls",
        "test kit: fixed plans of calls, about 20 steps",
        SCENARIOS,
        simulation.calls,
        simulation.bare_calls,
    ),
    Workload(
        "sim-activities",
        "test kit: fixed plans with activities, about 20 steps",
        SCENARIOS,
        simulation.activities,
        simulation.bare_activities,
    ),
    Workload(
        "sim-drawn",
        "test kit: plans drawn by Hypothesis, and judged",
        (Figure("scenarios", "per s"), Figure("steps", "per s")),
        simulation.drawn,
        simulation.bare_drawn,
    ),
)
