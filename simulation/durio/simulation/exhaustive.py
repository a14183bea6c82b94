"""Every schedule of a tiny case: all that deviate from the default at most so many times."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations
from typing import Final

import attrs

from durio.simulation.errors import TooManyRuns
from durio.simulation.plan import Moment, Plan

RUNS_MAX: Final = 50_000


@attrs.frozen
class Ran:
    """What a run showed: how many steps were enabled at each choice; how many commits and steps of tasks there were."""

    widths: tuple[int, ...]
    commits: int
    task_steps: int = 0


def search(plan: Plan, run: Callable[[Plan], Ran], deviations_max: int, crashes_max: int, runs_max: int) -> int:
    """Run every schedule, alone and with every crash; returns how many runs that were.

    `run` raises what it finds. Raises `TooManyRuns`.
    """
    __tracebackhide__ = True
    runs = 0
    commits = task_steps = 0

    def counted(chosen: Plan) -> Ran:
        __tracebackhide__ = True
        nonlocal runs
        if runs == runs_max:
            raise TooManyRuns(runs)
        runs += 1
        return run(chosen)

    for crashes in range(crashes_max + 1):
        for planned in _crashes(commits, task_steps, crashes):
            for ran in schedules(attrs.evolve(plan, crashes=planned), counted, deviations_max):
                commits, task_steps = max(commits, ran.commits), max(task_steps, ran.task_steps)
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


def _crashes(commits: int, task_steps: int, number: int) -> Iterator[tuple[tuple[int, Moment], ...]]:
    """All ways in which the process dies so often: at a commit, or behind a step of a task."""
    moments: list[tuple[int, Moment]] = []
    for commit in range(1, commits + number):  # a crash makes more commits
        moments.append((commit, "before"))
        moments.append((commit, "after"))
    if task_steps:
        moments.extend((step, "running") for step in range(1, task_steps + number))
    for chosen in combinations(moments, number):
        at_commits = [commit for commit, when in chosen if when != "running"]
        if len(set(at_commits)) == len(at_commits):  # not before and after the same one
            yield chosen
