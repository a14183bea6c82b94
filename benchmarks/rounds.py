"""Rounds: durio and the bare ceiling in turns, each time in a fresh folder."""

from __future__ import annotations

import gc
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import attrs
import trio

from benchmarks.scale import QUICK, Scale
from benchmarks.workloads import Round, Workload

ROUND_S_MAX: Final = 300.0

Figures = dict[str, list[float]]
"""Values of every figure, one a round."""


@attrs.define
class Measured:
    """All rounds of one workload. `bare` is empty if the ceiling was left out."""

    workload: Workload
    durio: Figures = attrs.Factory(dict)
    bare: Figures = attrs.Factory(dict)

    def ratios(self, figure: str) -> list[float]:
        """durio divided by the ceiling, round by round: what disturbed a round disturbed both."""
        pairs = zip(self.durio[figure], self.bare.get(figure, ()), strict=False)
        return [durio / bare for durio, bare in pairs if bare]


def measure(
    workload: Workload, scale: Scale, rounds: int, place: Path, *, ceiling: bool, tell: Callable[[str], None]
) -> Measured:
    """Run a workload `rounds` times, after a small warm-up that does not count."""
    measured = Measured(workload)
    sides = [("durio", workload.durio, measured.durio)]
    if ceiling:
        sides.append(("bare", workload.bare, measured.bare))
    tell(f"{workload.name}: warm-up")
    for _, run, _ in sides:
        _round(run, QUICK, place)
    for number in range(rounds):
        for side, run, values in sides if number % 2 == 0 else reversed(sides):
            tell(f"{workload.name}: round {number + 1} of {rounds}, {side}")
            for name, value in _round(run, scale, place).items():
                values.setdefault(name, []).append(value)
    return measured


def _round(run: Round, scale: Scale, place: Path) -> dict[str, float]:
    gc.collect()
    with TemporaryDirectory(prefix="round-", dir=place) as folder:
        return trio.run(_in_time, run, Path(folder), scale)


async def _in_time(run: Round, folder: Path, scale: Scale) -> dict[str, float]:
    with trio.fail_after(ROUND_S_MAX):  # work that got lost should not hang for ever
        return await run(folder, scale)
