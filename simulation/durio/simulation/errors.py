"""Errors of the test kit."""

from __future__ import annotations

from durio.entities import DurioError


class SimulationError(DurioError):
    """The base of what the test kit itself raises. What it finds in your code are `AssertionError`s."""


class NotSimulated(SimulationError, RuntimeError):
    """Code under simulation reached for the real world. Give the simulation a fake activity instead."""

    def __init__(self, what: str, instead: str) -> None:
        super().__init__(what, instead)
        self.what = what
        self.instead = instead

    def __str__(self) -> str:
        return f"{self.what} inside a simulation: it would make runs that cannot be repeated; {self.instead}"


class NoApp(SimulationError, TypeError):
    """The simulation cannot tell which app the code belongs to. Say it: `simulate(..., app=app)`."""

    def __init__(self, what: str, found: int) -> None:
        super().__init__(what, found)
        self.what = what
        self.found = found

    def __str__(self) -> str:
        number = (
            "no app of the test's module knows" if self.found == 0 else f"{self.found} apps of the test's module know"
        )
        return f"{number} {self.what}; name the one to run: app=..."


class UnusableReplay(SimulationError, ValueError):
    """The text is no plan that a simulation printed, or one of another version."""

    def __init__(self, text: str, why: str) -> None:
        super().__init__(text, why)
        self.text = text
        self.why = why

    def __str__(self) -> str:
        shown = self.text if len(self.text) <= 40 else self.text[:40] + "…"
        return f"{shown!r} replays nothing: {self.why}; give the text between the quotes that a failure printed"


class TooManyRuns(SimulationError, RuntimeError):
    """An exhaustive search did not come to its end. Ask for less, or for more runs."""

    def __init__(self, runs: int) -> None:
        super().__init__(runs)
        self.runs = runs

    def __str__(self) -> str:
        return f"{self.runs:,} runs were not enough to try every schedule; ask for less, or raise runs_max"


class Unanswered(SimulationError, RuntimeError):
    """A client asked and no answer came. Let time pass, or do first what the answer waits for."""

    def __init__(self, what: str, why: str, trace: str) -> None:
        super().__init__(what, why, trace)
        self.what = what
        self.why = why
        self.trace = trace

    def __str__(self) -> str:
        return f"no answer for: {self.what}; {self.why}\n{self.trace}"


class NeverAtRest(SimulationError, RuntimeError):
    """Time cannot pass: there is always something to be done first. Is it a loop without a pause?"""

    def __init__(self, steps: int, trace: str) -> None:
        super().__init__(steps, trace)
        self.steps = steps
        self.trace = trace

    def __str__(self) -> str:
        return f"after {self.steps:,} steps (steps_max) the hub is not at rest, so time did not pass\n{self.trace}"


class SimulationOver(SimulationError, RuntimeError):
    """The simulation was closed. Use it inside its `with` block, or inside the test that it was given to."""

    def __str__(self) -> str:
        return "this simulation is over: use it inside its `with` block"


class TwinFailed(SimulationError, RuntimeError):
    """The process with another hash seed cannot run the test. Its module must be importable there as it is here."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why

    def __str__(self) -> str:
        return f"the process with another hash seed failed; hash_seeds=False does without it. It said:\n{self.why}"


class NotDeterministic(SimulationError, AssertionError):
    """The same choices gave another trace: the code under test depends on something that is not simulated."""

    def __init__(self, step: int, first: str, second: str, between: str) -> None:
        super().__init__(step, first, second, between)
        self.step = step
        self.first = first
        self.second = second
        self.between = between

    def __str__(self) -> str:
        return (
            f"not deterministic: the same choices differ between {self.between} at line {self.step}:\n"
            f"  one:   {self.first}\n  other: {self.second}\n"
            "sort what is iterated (sets have no order), take time and ids from the context, and keep nothing in "
            "variables of a module: they live from run to run (world=... makes a fresh one for each)"
        )
