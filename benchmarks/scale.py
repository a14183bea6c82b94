"""How much work one round of every workload does."""

from __future__ import annotations

import attrs


@attrs.frozen
class Scale:
    """Counts of one round; the names of the fields say what is counted."""

    chains: int = 2_000
    chains_serial: int = 100
    fanned: int = 1_000
    signals: int = 20_000
    counters: int = 1_000
    calls: int = 300
    calls_crowd: int = 5_000
    events: int = 200
    singletons: int = 20
    waiting: int = 1_000
    open_s: float = 3.0
    open_calls_per_s: float = 1_000.0
    open_chains_per_s: float = 200.0
    open_signals_per_s: float = 10_000.0
    scenarios: int = 500
    large_bytes: int = 64 * 1024 * 1024 - 2


FULL = Scale()

QUICK = Scale(
    chains=200,
    chains_serial=3,
    fanned=50,
    signals=400,
    counters=50,
    calls=10,
    calls_crowd=200,
    events=5,
    singletons=1,
    waiting=20,
    open_s=0.2,
    open_calls_per_s=200.0,
    open_chains_per_s=50.0,
    open_signals_per_s=2_000.0,
    scenarios=20,
    large_bytes=1024 * 1024,
)
"""Enough to see that everything runs; the figures say little. Also the warm-up before the rounds that count."""
