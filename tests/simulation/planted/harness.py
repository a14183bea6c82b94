"""Planted bugs: what one is, how it is looked for, and how its correct twin is shown to have none.

A module with bugs has a tuple `PLANTED`; `report` finds it there. `plant` makes one bug of a property and of two
variants: two apps, or two sets of durio's own parts.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import attrs
import hypothesis
import pytest
from hypothesis import HealthCheck

from durio.orchestration import App
from durio.simulation import Ask, Parts, Plan, Sim, simulate
from durio.simulation.exhaustive import Ran
from durio.simulation.options import OPTIONS, Options
from durio.simulation.simulate import Simulated, SimulatedTest
from durio.simulation.twin import Twin

EXAMPLES_MAX: Final = 2_000
"""After so many examples a bug must have been found."""

STEPS_MAX: Final = 12
"""A finding has at most so many steps when it is shrunk."""

EXAMPLES_QUICK: Final = 150
EXAMPLES_HEAVY: Final = 3_000
"""With so many examples a correct twin passes, in every run of the tests and in a heavy one."""

Property = Callable[[Sim], object]


@attrs.frozen
class Planted:
    """A bug on purpose: one property, tested on wrong and on right code.

    `error`: what the finding is raised as. `shows`: a pattern that the shrunk trace or the error matches, so that it
    is this bug that was found and no other. `steps_max`: the most steps of a shrunk finding.
    """

    name: str
    wrong: SimulatedTest
    right: SimulatedTest
    error: type[Exception] = AssertionError
    shows: str = ""
    steps_max: int = STEPS_MAX

    def __str__(self) -> str:
        return self.name


@attrs.frozen(kw_only=True)
class Finding:
    """A bug that was found. `examples`: which run was the first to show it; `runs`: with all runs of the shrinking."""

    examples: int
    runs: int
    found_s: float
    shrunk_s: float
    steps: int
    plan: Plan
    error: Exception
    text: str


def plant(
    name: str,
    holds: Property,
    *asks: Ask,
    wrong: App | Parts,
    right: App | Parts,
    error: type[Exception] = AssertionError,
    shows: str = "",
    steps_max: int = STEPS_MAX,
    cut_off: int | None = None,
    **options: Any,
) -> Planted:
    """A bug and its twin: `holds` is the property of both, the asks and the options of `simulate` are the same."""
    options = {"hash_seeds": False} | options
    if cut_off is not None:  # after so many steps of one run
        options["steps_max"] = cut_off
    return Planted(
        name,
        simulate(*asks, **options, **_variant(wrong))(holds),
        simulate(*asks, **options, **_variant(right))(holds),
        error,
        shows,
        steps_max,
    )


def find(planted: Planted, examples_max: int = EXAMPLES_MAX) -> Finding:
    """Look for a bug until it is found and shrunk. Raises AssertionError if it is not there, or not that one."""
    counted = Counted(planted.wrong, examples_max)
    error = counted.failure()
    assert error is not None, f"{planted}: not found in {counted.runs} runs"
    assert isinstance(error, planted.error), f"{planted}: found something else, {error!r}"
    text = "\n".join([str(error), *error.__notes__])
    assert re.search(planted.shows, text), f"{planted}: {planted.shows!r} is not in what was found:\n{text}"
    return Finding(
        examples=counted.first,
        runs=counted.runs,
        found_s=counted.found_s,
        shrunk_s=counted.seconds,
        steps=counted.steps,
        plan=counted.plan,
        error=error,
        text=text,
    )


def passes(planted: Planted, examples: int) -> int:
    """Run the correct twin; returns how often. Raises what it raises, with the trace in its notes."""
    counted = Counted(planted.right, examples)
    error = counted.failure()
    if error is not None:
        raise error
    return counted.runs


def assert_found(planted: Planted) -> Finding:
    """A bug is found in time, its finding is small, and the plan that was printed shows it again."""
    finding = find(planted)
    assert finding.steps <= planted.steps_max, f"{planted}: {finding.steps} steps\n{finding.text}"
    text = finding.plan.encode()
    assert f"replay({text!r})" in finding.text
    with pytest.raises(type(finding.error)), _no_options():
        planted.wrong.replay(text)
    return finding


class Counted(Simulated):
    """A simulated test that counts its runs. Nothing is drawn by chance: the same tests get the same examples again."""

    def __init__(self, test: SimulatedTest, examples: int) -> None:
        settings = hypothesis.settings(
            max_examples=examples,
            derandomize=True,
            database=None,
            deadline=None,
            report_multiple_bugs=False,
            suppress_health_check=[HealthCheck.too_slow],
        )
        super().__init__(attrs.evolve(test.simulated.setup, settings=settings), test.simulated.test)
        self.runs = self.first = self.steps = 0
        self.found_s = self.seconds = 0.0
        self.plan = Plan()
        self._began_s = time.perf_counter()

    def check(self, plan: Plan, given: Mapping[str, Any], twin: Twin | None = None) -> Ran:
        self.runs += 1
        return super().check(plan, given, twin)

    def report(self, sim: Sim, plan: Plan) -> str:
        """The last one that is asked for is that of the shrunk run: Hypothesis ends with it."""
        if not self.first:
            self.first, self.found_s = self.runs, time.perf_counter() - self._began_s
        self.steps, self.plan = len(sim.trace.steps), plan
        return super().report(sim, plan)

    def failure(self) -> Exception | None:
        """Run all examples: what is raised, or None."""
        self._began_s = time.perf_counter()
        try:
            with _no_options():
                self.run({})
        except Exception as error:
            return error
        finally:
            self.seconds = time.perf_counter() - self._began_s
        return None


@contextmanager
def _no_options() -> Iterator[None]:
    """What the command line says about other simulations is not for these: they have their own numbers."""
    token = OPTIONS.set(Options())
    try:
        yield
    finally:
        OPTIONS.reset(token)


def _variant(variant: App | Parts) -> dict[str, Any]:
    return {"app": variant} if isinstance(variant, App) else {"parts": variant}
