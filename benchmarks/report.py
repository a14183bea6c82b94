"""The report: a table to read, and JSON to keep."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

import attrs

from benchmarks.figures import Figure, Spread
from benchmarks.machine import Machine
from benchmarks.rounds import Measured

HEADERS: Final = ("workload", "figure", "durio: median (low .. high)", "bare ceiling", "durio/bare", "goal")


def table(rows: Iterable[Sequence[str]], headers: Sequence[str]) -> str:
    """Columns as wide as they need to be. A row of one cell is a heading."""
    rows = list(rows)
    full = [headers, *(row for row in rows if len(row) > 1)]
    widths = [max(len(row[column]) for row in full) for column in range(len(headers))]
    ruler = ["-" * width for width in widths]
    lines = [
        row[0] if len(row) == 1 else "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in [headers, ruler, *rows]
    ]
    return "\n".join(line.rstrip() for line in lines)


def number(value: float) -> str:
    """Three digits that count."""
    if value == 0 or value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def spread(values: Sequence[float]) -> str:
    """The median, and the range around it."""
    if not values:
        return "-"
    if len(values) == 1:
        return number(values[0])
    found = Spread.of(values)
    return f"{number(found.median)} ({number(found.low)} .. {number(found.high)})"


def measured_rows(measured: Measured) -> list[Sequence[str]]:
    """The lines of one workload."""
    rows: list[Sequence[str]] = [(f"{measured.workload.title}:",)]
    for figure in measured.workload.figures:
        durio = measured.durio[figure.name]
        rows.append(
            (
                f"  {measured.workload.name}",
                f"{figure.name}, {figure.unit}",
                spread(durio),
                spread(measured.bare.get(figure.name, ())),
                spread(measured.ratios(figure.name)),
                _goal(figure, durio),
            )
        )
    return rows


def print_report(machine: Machine, results: Sequence[Measured], rounds: int, *, quick: bool) -> None:
    """The table on the terminal."""
    print(f"{machine}; {rounds} rounds{' of very little work (--quick): the figures say little' if quick else ''}")
    print()
    if results:
        print(table([row for measured in results for row in measured_rows(measured)], HEADERS))


def write_json(
    path: Path, machine: Machine, results: Sequence[Measured], grown: Mapping[str, object], *, quick: bool
) -> None:
    """All values of all rounds; of what grows, the figures of all sizes."""
    content = {
        "machine": attrs.asdict(machine),
        "quick": quick,
        "workloads": {
            measured.workload.name: {
                figure.name: {
                    "unit": figure.unit,
                    "durio": measured.durio[figure.name],
                    "bare": measured.bare.get(figure.name, []),
                    "ratio": measured.ratios(figure.name),
                }
                for figure in measured.workload.figures
            }
            for measured in results
        },
        "growth": grown,
    }
    path.write_text(json.dumps(content, indent=1) + "\n", "utf-8")


def _goal(figure: Figure, values: Sequence[float]) -> str:
    """A median that misses its goal is marked; nothing fails because of it."""
    if figure.goal is None:
        return ""
    median = Spread.of(values).median
    met = median >= figure.goal if figure.more_is_better else median <= figure.goal
    sign = ">=" if figure.more_is_better else "<="
    return f"{sign} {number(figure.goal)}{'' if met else '  MISSED'}"
