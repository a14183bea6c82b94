"""Growth: the same work ten times and a hundred times larger, each size in a process of its own.

What is asked for is no speed but a shape: cost that grows with the work and not faster, memory and files that stay.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import attrs
import trio

from benchmarks.processes import child
from benchmarks.report import number, table

EXPONENT_MAX: Final = 1.1
MEMORY_KB_MAX: Final = 300_000


@attrs.frozen
class Point:
    """What one size gave."""

    count: int
    figures: dict[str, float]


@attrs.frozen
class Criterion:
    """Something that must be so. `value` is computed from all sizes, the smallest first, and is at most `most`."""

    text: str
    most: float
    value: Callable[[Sequence[Point]], float]


@attrs.frozen
class Growth:
    """One line of work in several sizes. `modes` are run after each other on the same hub."""

    name: str
    title: str
    modes: tuple[str, ...]
    sizes: tuple[int, ...]
    criteria: tuple[Criterion, ...]
    quick_sizes: tuple[int, ...] = (20, 40)


def exponent(points: Sequence[Point], figure: str) -> float:
    """How a figure grows with the size: the slope by least squares on the logarithms; 1 is linear."""
    xs = [math.log(point.count) for point in points]
    ys = [math.log(max(point.figures[figure], 1e-9)) for point in points]
    return statistics.linear_regression(xs, ys).slope


def _most(figure: str) -> Callable[[Sequence[Point]], float]:
    return lambda points: max(point.figures[figure] for point in points)


LINEAR: Final = Criterion("exponent of the processor's time", EXPONENT_MAX, lambda points: exponent(points, "cpu"))

GROWTHS: Final = (
    Growth(
        "scale-activities",
        "one orchestration, its activities out and in",
        ("activities",),
        (1_000, 10_000, 100_000),
        (LINEAR,),
    ),
    Growth(
        "scale-instances",
        "instances that wait for an event; reopened, 1,000 of them go on",
        ("instances", "reopened"),
        (10_000, 100_000, 1_000_000),
        (
            LINEAR,
            Criterion("memory while they wait, kB", MEMORY_KB_MAX, _most("memory")),
            Criterion("memory after a reopen, kB", MEMORY_KB_MAX, _most("memory, reopened")),
        ),
    ),
    Growth(
        "scale-generations",
        "generations of an eternal orchestration",
        ("generations",),
        (1_000, 10_000, 100_000),
        (
            LINEAR,
            Criterion("file, largest to smallest", 2, lambda ps: _ratio(ps, "file")),
            Criterion("rows, largest to smallest", 1, lambda ps: _ratio(ps, "rows")),
        ),
    ),
    Growth(
        "scale-signals",
        "signals to one entity",
        ("signals",),
        (10_000, 100_000, 1_000_000),
        (LINEAR, Criterion("memory, kB", MEMORY_KB_MAX, _most("memory"))),
    ),
    Growth(
        "overload",
        "2,000 senders ten times faster than the disk",
        ("overload",),
        (5_000, 20_000),
        (
            Criterion("sent to what the disk takes", 1.1, lambda ps: max(_pace(point) for point in ps)),
            Criterion("memory, kB", MEMORY_KB_MAX, _most("memory")),
            Criterion("memory, largest to smallest", 1.25, lambda ps: _ratio(ps, "memory")),
        ),
        (100, 200),
    ),
)


def _ratio(points: Sequence[Point], figure: str) -> float:
    return points[-1].figures[figure] / points[0].figures[figure]


def _pace(point: Point) -> float:
    return point.figures["sent"] / point.figures["disk"]


def grow(growth: Growth, sizes: Sequence[int], rounds: int, place: Path, tell: Callable[[str], None]) -> list[Point]:
    """Run all sizes; of several rounds the medians count."""
    points: list[Point] = []
    for count in sizes:
        values: dict[str, list[float]] = {}
        for round_ in range(rounds):
            tell(f"{growth.name}: {count:,}, round {round_ + 1} of {rounds}")
            for name, value in trio.run(_one, growth, count, place).items():
                values.setdefault(name, []).append(value)
        points.append(Point(count, {name: statistics.median(found) for name, found in values.items()}))
    return points


async def _one(growth: Growth, count: int, place: Path) -> dict[str, float]:
    figures: dict[str, float] = {}
    with TemporaryDirectory(prefix="growth-", dir=place) as folder:
        for mode in growth.modes:
            async with child("growth", mode, Path(folder), count) as said:
                figures.update(said)
    return figures


def growth_table(growth: Growth, points: Sequence[Point]) -> str:
    """One column a size, one for the exponent; below, what must be so and whether it is."""
    headers = (growth.name, *(f"{point.count:,}" for point in points), "exponent")
    lines = [growth.title, table(_rows(points), headers), *_verdicts(growth, points)]
    return "\n".join(lines) + "\n"


def _rows(points: Sequence[Point]) -> Iterator[Sequence[str]]:
    for name in points[0].figures:
        slope = f"{exponent(points, name):.2f}" if len(points) > 1 else ""
        yield (name, *(number(point.figures[name]) for point in points), slope)


def _verdicts(growth: Growth, points: Sequence[Point]) -> Iterator[str]:
    if len(points) < 2:
        return
    for criterion in growth.criteria:
        value = criterion.value(points)
        verdict = "met" if value <= criterion.most else "MISSED"
        yield f"  {criterion.text}: {value:,.2f}, at most {criterion.most:,g}: {verdict}"
