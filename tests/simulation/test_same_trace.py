"""The same choices give the same trace: twice in one process, and in two processes with different hash seeds."""

from __future__ import annotations

import os

import attrs
import pytest

from durio.orchestration import App, OrchestrationContext
from durio.simulation import NotDeterministic, Plan, Sim, call, simulate, start
from durio.simulation.asking import Ask, request_of
from durio.simulation.subject import Subject
from durio.simulation.twin import BETWEEN_RUNS, BETWEEN_SEEDS, Twin, compare
from tests.simulation.scenarios import ASKS, app, random_plan

PLANS = 500
NAMES = frozenset(f"shop {number}" for number in range(30))

wrong = App()


@wrong.entity
@attrs.define
class Visits:
    """Writes down where somebody was, in the order of a set."""

    places: list[str] = attrs.Factory(list)

    def add(self, number: int) -> list[str]:
        self.places = list(NAMES)[:number]
        return self.places


@wrong.orchestration
async def tour(ctx: OrchestrationContext, number: int) -> list[str]:
    """Goes where a set begins: the same in every run of one process, and other places in the next one."""
    return list(NAMES)[:number]


@simulate(*ASKS, app=app, hash_seeds=False)
def everything(sim: Sim) -> None:
    """No test by itself: what another process runs by this name."""


@simulate(call(Visits.add, 5), start(tour, 5), app=wrong, hash_seeds=False)
def visits(sim: Sim) -> None:
    """No test by itself: it depends on the hash seed."""


class Told:
    """Looks like a simulation to the other process; its trace is the hash seed there, and a hash."""

    @property
    def simulated(self) -> Told:
        return self

    def trace(self, plan: Plan) -> list[str]:
        return [os.environ.get("PYTHONHASHSEED", ""), str(hash("a word"))]


told = Told()


def other_process(name: str) -> Twin:
    """Another process, with another hash seed, that runs the simulation of that name in this file."""
    return Twin(__name__, __file__, name)


def whole(plan: Plan) -> list[str]:
    """The trace of a plan, its lines not cut, and all that was answered."""
    sim = Sim(Subject(app), plan)
    try:
        sim.run()
        lines = [f"{step.number} {step.kind} {step.label}: {step.notes}" for step in sim.trace.steps]
        answers = [f"{c.invoked} {c.returned} {c.value!r} {c.error!r} {c.answers}" for c in sim.results]
        facts = [f"{sim.now} {sim.commits} {sim.crashes} {sim.widths}", repr(sim.operations)]
        return [*lines, *answers, *facts]
    finally:
        sim.close()


def test_500_random_plans_give_the_same_trace_in_a_process_of_another_hash_seed() -> None:
    """500 out of 500, with crashes, duplicates, retries and clock jumps among them."""
    same = crashes = 0
    with other_process("everything") as twin:
        for seed in range(PLANS):
            plan = random_plan(seed)
            here = everything.simulated.trace(plan)
            compare(here, twin.trace(plan), BETWEEN_SEEDS)
            same += 1
            crashes += any("CRASH" in line for line in here)
    assert same == PLANS
    assert crashes > PLANS / 4


def test_500_random_plans_give_the_same_run_twice_in_one_process() -> None:
    """Nothing that a run leaves in the process reaches the next one: not even in what the trace cuts off."""
    plans = [random_plan(seed) for seed in range(PLANS)]
    first = [whole(plan) for plan in plans]
    for plan, lines in zip(reversed(plans), reversed(first), strict=True):
        compare(lines, whole(plan), BETWEEN_RUNS)


def test_a_plan_gives_the_same_run_after_its_way_through_text() -> None:
    """What `--sim-replay` reads is what the failure ran: plan for plan, and run for run."""
    for seed in range(100):
        plan = random_plan(seed)
        assert Plan.decode(plan.encode()) == plan
        compare(whole(plan), whole(Plan.decode(plan.encode())), BETWEEN_RUNS)


@pytest.mark.parametrize("ask", [call(Visits.add, 5, key="k"), start(tour, 5)], ids=["entity", "orchestration"])
def test_code_that_depends_on_the_hash_seed_differs_in_the_other_process(ask: Ask) -> None:
    """The comparison can fail: the order of a set is the same twice here, and another one there."""
    plan = Plan((request_of(wrong, ask, 0, ask.input, ask.target, 0),))
    here = visits.simulated.trace(plan)
    compare(here, visits.simulated.trace(plan), BETWEEN_RUNS)
    with other_process("visits") as twin, pytest.raises(NotDeterministic, match="two processes with different hash"):
        compare(here, twin.trace(plan), BETWEEN_SEEDS)


@pytest.mark.parametrize("seed", ["1", "2", "random", None])
def test_the_other_process_has_another_hash_seed_whatever_this_one_has(
    seed: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The seed over there is a fixed one, and never the one that this process was given."""
    if seed is None:
        monkeypatch.delenv("PYTHONHASHSEED", raising=False)
    else:
        monkeypatch.setenv("PYTHONHASHSEED", seed)
    with other_process("told") as twin:
        there, a_hash = twin.trace(Plan())
    assert there.isdecimal()
    assert there != seed
    assert a_hash != str(hash("a word"))


@pytest.mark.parametrize(("first", "second", "line"), [("ab", "ax", 2), ("ab", "a", 2), ("", "b", 1), ("abc", "ab", 3)])
def test_two_traces_are_compared_to_the_end_of_the_longer_one(first: str, second: str, line: int) -> None:
    """The first line that differs is named, also where one trace has ended; equal traces are no error."""
    with pytest.raises(NotDeterministic) as caught:
        compare(first, second, BETWEEN_RUNS)
    assert caught.value.step == line
    compare(first, first, BETWEEN_RUNS)
