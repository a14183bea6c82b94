"""An exhaustive simulation tries every schedule of a tiny case once, alone and with every crash."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import attrs
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from durio.orchestration import App, OrchestrationContext
from durio.simulation import Ask, Plan, Sim, TooManyRuns, call, simulate, start
from durio.simulation.exhaustive import Ran, schedules, search
from durio.simulation.plan import Moment
from durio.simulation.simulate import SimulatedTest
from durio.simulation.subject import Subject

Tree: TypeAlias = "list[Tree]"
Path: TypeAlias = tuple[int, ...]

TREES: st.SearchStrategy[Tree] = st.recursive(
    st.just([]), lambda inner: st.lists(inner, min_size=1, max_size=4), max_leaves=14
)

app = App()


@app.entity
@attrs.define
class Tally:
    """Counts."""

    value: int = 0

    def add(self, amount: int) -> int:
        self.value += amount
        return self.value


@app.activity
async def ship(number: int) -> int:
    return number


@app.orchestration
async def order(ctx: OrchestrationContext, number: int) -> int:
    return await ctx.call_activity(ship, number)


THREE = tuple(call(Tally.add, 1) for _ in range(3))


def walked(tree: Tree, schedule: Path) -> tuple[Path, Path]:
    """The way that a schedule takes through a tree, and how many branches there were at each fork."""
    path, widths = list[int](), list[int]()
    while tree:
        choice = schedule[len(path)] if len(path) < len(schedule) else 0
        path.append(choice)
        widths.append(len(tree))
        tree = tree[choice]
    return tuple(path), tuple(widths)


def ways(tree: Tree) -> Iterator[Path]:
    """Every way from the root to a leaf."""
    if not tree:
        yield ()
    for number, branch in enumerate(tree):
        for rest in ways(branch):
            yield (number, *rest)


def deviations(path: Path) -> int:
    return sum(1 for choice in path if choice)


@given(tree=TREES, deviations_max=st.integers(0, 4))
def test_every_way_through_a_tree_is_taken_once(tree: Tree, deviations_max: int) -> None:
    """Of all ways those with at most so many choices besides the default, each of them in exactly one run."""
    taken = list[Path]()

    def run(plan: Plan) -> Ran:
        path, widths = walked(tree, plan.schedule)
        taken.append(path)
        return Ran(widths, 0)

    runs = sum(1 for _ in schedules(Plan(), run, deviations_max))
    assert runs == len(taken)
    assert Counter(taken) == Counter(path for path in ways(tree) if deviations(path) <= deviations_max)


def traces(asks: tuple[Ask, ...], deviations_max: int) -> Counter[str]:
    """What an exhaustive simulation sees."""
    seen: Counter[str] = Counter()

    @simulate(*asks, app=app, exhaustive=deviations_max)
    def look(sim: Sim) -> None:
        seen[str(sim.trace)] += 1
        assert sim.at_rest

    look()
    return seen


def all_traces(plan: Plan, deviations_max: int) -> Counter[str]:
    """The same by trying every number at every choice, from the first one on, in runs of their own."""
    sim = Sim(Subject(app), plan)
    sim.run()
    widths, text = sim.widths, str(sim.trace)
    sim.close()
    at = len(plan.schedule)
    if at == len(widths):
        return Counter([text])
    found: Counter[str] = Counter()
    for choice in range(widths[at]):
        longer = (*plan.schedule, choice)
        if deviations(longer) <= deviations_max:
            found += all_traces(attrs.evolve(plan, schedule=longer), deviations_max)
    return found


@pytest.mark.parametrize(
    ("asks", "deviations_max"),
    [
        ((call(Tally.add, 1), start(order, 7)), 0),
        ((call(Tally.add, 1), start(order, 7)), 1),
        ((call(Tally.add, 1), call(Tally.add, 2)), 2),
        ((call(Tally.add, 1),), 5),
    ],
)
def test_every_schedule_of_a_hub_is_run_once(asks: tuple[Ask, ...], deviations_max: int) -> None:
    """The traces of clients and orchestrations are those of a search that knows no shortcut, one run for each."""
    seen = traces(asks, deviations_max)
    requests = list[Plan]()

    @simulate(*asks, app=app, exhaustive=0)
    def look(sim: Sim) -> None:
        requests.append(sim.plan)

    look()
    assert seen == all_traces(attrs.evolve(requests[0], schedule=()), deviations_max)
    assert set(seen.values()) == {1}


def test_a_wide_case_is_tried_in_all_its_width() -> None:
    """However many steps are enabled, each of them comes first once."""
    first: Counter[str] = Counter()

    @simulate(*[call(Tally.add, 1)] * 18, app=app, exhaustive=1)
    def look(sim: Sim) -> None:
        if not any(sim.plan.schedule[1:]):
            first[sim.trace.steps[0].kind] += 1

    look()
    assert first == Counter(f"client {number}" for number in range(18))


def backwards(deviations_max: int, **options: Any) -> SimulatedTest:
    """Wrong if the third client comes first, and the second one second: two choices that are not the default."""

    @simulate(*THREE, app=app, exhaustive=deviations_max, **options)
    def check(sim: Sim) -> None:
        assert [asked.value for asked in sim.results] != [3, 2, 1]

    return check


def test_a_bug_two_deviations_away_is_found_with_two() -> None:
    """With one it is out of reach; with two it is found, and its line replays it."""
    backwards(1)()
    with pytest.raises(AssertionError) as caught:
        backwards(2)()
    text = caught.value.__notes__[0].partition("check.replay('")[2].partition("'")[0]
    assert Plan.decode(text).schedule == (2, 1)
    with pytest.raises(AssertionError, match=r"\[3, 2, 1\]"):
        backwards(2).replay(text)


def test_a_search_that_is_too_long_says_so() -> None:
    """`runs_max` ends it with an error: what was not tried was not shown to be right."""
    with pytest.raises(TooManyRuns, match="5 runs were not enough") as caught:
        backwards(1, runs_max=5)()
    assert caught.value.runs == 5


def fork(runs: list[Plan], commits: int = 0, task_steps: int = 0) -> Callable[[Plan], Ran]:
    """A world of two schedules."""

    def run(plan: Plan) -> Ran:
        runs.append(plan)
        return Ran((2,), commits, task_steps)

    return run


def test_runs_max_may_be_used_up() -> None:
    """As many runs as there are schedules are enough; one less is not, and no run more than allowed is made."""
    runs = list[Plan]()
    assert search(Plan(), fork(runs), 1, 0, runs_max=2) == 2
    with pytest.raises(TooManyRuns):
        search(Plan(), fork(runs), 1, 0, runs_max=1)
    assert len(runs) == 3


def test_every_schedule_is_tried_with_every_crash() -> None:
    """A crash before and one after each commit; two crashes at every two commits, with all their befores and afters."""
    runs = list[Plan]()
    assert search(Plan(), fork(runs, commits=2), 1, 1, runs_max=99) == len(runs)
    one = [(), ((1, "before"),), ((1, "after"),), ((2, "before"),), ((2, "after"),)]
    assert Counter((plan.crashes, plan.schedule) for plan in runs) == Counter(
        (crashes, schedule) for crashes in one for schedule in [(), (1,)]
    )
    runs.clear()
    search(Plan(), fork(runs, commits=2), 0, 2, runs_max=99)
    moments = ["before", "after"]
    two = {((a, x), (b, y)) for a, b in [(1, 2), (1, 3), (2, 3)] for x in moments for y in moments}
    assert Counter(plan.crashes for plan in runs) == Counter([*one, *two])


def test_every_step_of_a_task_may_be_the_last_one() -> None:
    """G24: a process dies while a task runs, too: behind each of its steps; twice, at steps and at commits alike."""
    runs = list[Plan]()
    search(Plan(), fork(runs, commits=1, task_steps=2), 0, 1, runs_max=99)
    at_commits, at_steps = [(1, "before"), (1, "after")], [(1, "running"), (2, "running")]
    assert [plan.crashes for plan in runs] == [(), *((moment,) for moment in at_commits + at_steps)]
    runs.clear()
    search(Plan(), fork(runs, commits=1, task_steps=1), 0, 2, runs_max=99)
    mixed: tuple[tuple[int, Moment], ...] = ((1, "before"), (2, "running"))
    assert [plan.crashes for plan in runs].count(mixed) == 1


class Books:
    """A world in which money is booked out of one account and then, after a pause, into another one."""

    def __init__(self) -> None:
        self.booked: list[str] = []

    async def ship(self, number: int) -> int:
        """Believes, when it runs again, that all was done."""
        if "debit" not in self.booked:
            self.booked.append("debit")
            await trio.lowlevel.checkpoint()
            self.booked.append("credit")
        return number


def test_an_activity_that_dies_half_way_is_found() -> None:
    """G24: the search finds what only a crash in the middle of an activity shows."""

    def whole(sim: Sim) -> None:
        assert not sim.settled or sim.world.booked == ["debit", "credit"]

    def search_all(crashes: int) -> None:
        fakes: dict[str | Callable[..., Any], Callable[..., Any]] = {ship: Books.ship}
        asked = start(order, 1)
        simulate(asked, app=app, activities=fakes, world=Books, exhaustive=0, max_crashes=crashes)(whole)()

    search_all(0)
    with pytest.raises(AssertionError) as caught:
        search_all(1)
    assert "CRASH while a task was running" in caught.value.__notes__[0]


def test_a_bug_that_needs_a_crash_is_found_with_crashes() -> None:
    """G24: an activity that was taken to run once runs twice, if the process dies at the right commit."""

    def once(sim: Sim) -> None:
        assert len(sim.effects(ship)) <= 1

    simulate(start(order, 1), app=app, exhaustive=2)(once)()
    with pytest.raises(AssertionError) as caught:
        simulate(start(order, 1), app=app, exhaustive=0, max_crashes=1)(once)()
    assert "CRASH before commit 2 was durable" in caught.value.__notes__[0]


@pytest.mark.parametrize(
    "ask",
    [
        call(Tally.add, st.integers()),
        call(Tally.add, 1, key=st.sampled_from("ab")),
        start(order, st.just(1)),
    ],
)
def test_nothing_is_drawn(ask: Ask) -> None:
    """G31: strategies do not fit to a search that tries everything: the error says to give a value."""

    @simulate(ask, app=app, exhaustive=1)
    def check(sim: Sim) -> None:
        raise AssertionError("it must not run")

    with pytest.raises(TypeError, match=r"give a value to .*, not a strategy"):
        check()
