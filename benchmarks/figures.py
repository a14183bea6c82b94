"""Figures: what a round measures, and the spread over several rounds."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Literal

import attrs


@attrs.frozen
class Figure:
    """One number that a workload gives per round."""

    name: str
    unit: Literal["per s", "ms", "s", "kB"]
    goal: float | None = None
    """What the project wants on a quiet machine with two cores: at least for `per s`, else at most."""

    @property
    def more_is_better(self) -> bool:
        return self.unit == "per s"


@attrs.frozen
class Spread:
    """Several rounds of one figure."""

    low: float
    median: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        return cls(min(values), statistics.median(values), max(values))


def percentile(values: Sequence[float], percent: float) -> float:
    """The value that `percent` of all values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def latencies(took_ms: Sequence[float]) -> dict[str, float]:
    """The two figures of a latency workload."""
    return {"p50": percentile(took_ms, 50), "p99": percentile(took_ms, 99)}
