"""Every schedule of a tiny case: all that deviate from the default at most so many times."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations, product
from typing import Final

import attrs

from durio.simulation.errors import TooManyRuns
from durio.simulation.plan import Moment, Plan

RUNS_MAX: Final = 50_000


@attrs.frozen
class Ran:
    """What a run showed: how many steps were enabled at each choice, and how many commits there were."""

    widths: tuple[int, ...]
    commits: int


def search(plan: Plan, run: Callable[[Plan], Ran], deviations_max: int, crashes_max: int, runs_max: int) -> int:
    """Run every schedule, alone and with every crash; returns how many runs that were.

    `run` raises what it finds. Raises `TooManyRuns`.
    """
    __tracebackhide__ = True
    runs = 0
    commits = 0

    def counted(chosen: Plan) -> Ran:
        __tracebackhide__ = True
        nonlocal runs
        if runs == runs_max:
            raise TooManyRuns(runs)
        runs += 1
        return run(chosen)

    for crashes in range(crashes_max + 1):
        for planned in _crashes(commits, crashes):
            for ran in schedules(attrs.evolve(plan, crashes=planned), counted, deviations_max):
                commits = max(commits, ran.commits)
    return runs


def schedules(plan: Plan, run: Callable[[Plan], Ran], deviations_max: int) -> Iterator[Ran]:
    """Depth first: the last choice that can be another one becomes the next one."""
    __tracebackhide__ = True
    choices: list[int] = []
    while True:
        ran = run(attrs.evolve(plan, schedule=tuple(choices)))
        yield ran
        choices += [0] * (len(ran.widths) - len(choices))
        for last in reversed(range(len(choices))):
            before = sum(1 for choice in choices[:last] if choice)
            if choices[last] + 1 < ran.widths[last] and before < deviations_max:
                choices = [*choices[:last], choices[last] + 1]
                break
        else:
            return


def _crashes(commits: int, number: int) -> Iterator[tuple[tuple[int, Moment], ...]]:
    """All ways in which that many of the commits are the last ones of their process."""
    moments: tuple[Moment, ...] = ("before", "after")
    for chosen in combinations(range(1, commits + number), number):
        for when in product(moments, repeat=number):
            yield tuple(zip(chosen, when, strict=True))
