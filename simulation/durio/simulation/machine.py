"""SimMachine: a Hypothesis state machine whose rules are the steps of a simulated hub, for those who need more."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, ClassVar

import hypothesis
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from durio.orchestration import App
from durio.simulation.drawing import CHOICES
from durio.simulation.process import Parts
from durio.simulation.sim import Sim
from durio.simulation.subject import NO_FAKES, STEPS_MAX, Subject


class SimMachine(RuleBasedStateMachine):
    """Derive from it, set `app`, and add rules that use `self.sim`: `self.sim.send(...)` asks without waiting.

    The rules that are there already: take one of the enabled steps, crash, let time pass. Checks go into Hypothesis'
    own `@invariant()`; `self.sim.run()` in a rule or in `teardown` lets everything come to its end.
    """

    app: ClassVar[App]
    activities: ClassVar[Mapping[str | Callable[..., Any], Callable[..., Any]]] = NO_FAKES
    world: ClassVar[Any] = None
    """As in `simulate`: a class or a function without arguments that makes the world, or None."""
    parts: ClassVar[Parts | None] = None
    crashes_max: ClassVar[int] = 2

    def __init__(self) -> None:
        super().__init__()
        if not isinstance(getattr(self, "app", None), App):
            raise TypeError(f"{type(self).__name__} has no app: write `app = ...` in the class")
        subject = Subject(
            self.app, activities=self.activities, world=type(self).world, parts=self.parts, steps_max=STEPS_MAX
        )
        self.sim = Sim(subject)

    @rule(choices=st.lists(st.integers(0, 8 * CHOICES), min_size=1, max_size=8))
    def step(self, choices: list[int]) -> None:
        """Some of the enabled steps come next, one after the other."""
        for choice in choices:
            if steps := self.sim.enabled():
                self.sim.choose(choice % len(steps))

    @precondition(lambda self: self.sim.crashes < self.crashes_max)
    @rule()
    def crash(self) -> None:
        """The process dies."""
        self.sim.crash()

    @rule(seconds=st.integers(1, 86_400))
    def advance(self, seconds: int) -> None:
        """Time passes."""
        self.sim.advance(timedelta(seconds=seconds))

    def teardown(self) -> None:
        """The run is over."""
        hypothesis.note(f"what happened:\n{self.sim.trace}")
        self.sim.close()
