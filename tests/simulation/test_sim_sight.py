"""What a test sees of a simulated hub, and what must hold in it: state, status, effects, invariants, eventually."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import attrs
import pytest
import trio

from durio.entities import EntityContext, EntityId, EntityKind, View
from durio.entities.entity import Entity
from durio.orchestration import App, OrchestrationContext
from durio.orchestration.history import ActivityCompleted, ActivityScheduled, Ended, Started
from durio.simulation import Parts, Plan, Request, Sim, call, raise_event, simulation, start, suspend

app = App()


@app.entity
@attrs.define
class Shelf:
    books: list[str] = attrs.Factory(list)

    def put(self, book: str) -> int:
        self.books.append(book)
        return len(self.books)

    def burn(self) -> None:
        EntityContext.current().destruct_on_exit()


@app.entity
def total(context: EntityContext) -> int:
    value: int = context.get_state(lambda: 0) + (context.get_input() or 0)
    context.set_state(value)
    return value


@app.activity
def weigh(books: list[str]) -> int:
    return len(books)


@app.activity
async def rest() -> None:
    await trio.sleep(3600)


@app.orchestration
async def librarian(ctx: OrchestrationContext, books: list[str]) -> int:
    ctx.set_custom_status("weighing")
    weight = await ctx.call_activity(weigh, books)
    await ctx.call_activity(rest)
    await ctx.call_entity(EntityId("total", "t"), "add", weight)
    return weight


@app.orchestration
async def waits(ctx: OrchestrationContext) -> None:
    await ctx.wait_for_external_event("go")


@pytest.fixture
def sim() -> Iterator[Sim]:
    with simulation(app) as running:
        yield running


def test_only_what_is_durable_is_seen(sim: Sim) -> None:
    """G14: a reading shows the last commit; the turn that has run already is not to be seen before its commit."""
    asked = sim.send(call(Shelf.put, "Momo"))
    sim.step()
    sim.step()
    assert (sim.commits, sim.exists(Shelf), sim.state(Shelf)) == (0, False, Shelf())
    sim.step()
    assert (sim.commits, sim.exists(Shelf), sim.state(Shelf)) == (1, True, Shelf(["Momo"]))
    assert asked.returned == 3


def test_states_of_all_kinds_of_entities(sim: Sim) -> None:
    """G11: classes come as objects, by name as plain JSON; what was deleted or never was has the first state."""
    sim.call(Shelf.put, "Momo", key="a")
    assert sim.state("shelf", "a") == {"books": ["Momo"]}
    sim.call(Shelf.burn, key="a")
    assert (sim.state(Shelf, "a"), sim.exists("Shelf", "a")) == (Shelf(), False)
    assert sim.state(total, "t") is None
    sim.call("add", 0, key="t", entity=total)
    assert (sim.state(total, "t"), sim.exists(total, "t")) == (0, True)


def test_the_course_of_an_instance_is_seen(sim: Sim) -> None:
    """Status, history and effects tell what an instance has done so far; unknown ones have done nothing."""
    name = sim.start(librarian, ["Momo", "Emil"])
    sim.run(time=False)
    status = sim.status(name)
    assert (status.runtime_status, status.custom_status, status.input_) == ("Running", "weighing", ["Momo", "Emil"])
    assert sim.effects(weigh) == [["Momo", "Emil"]]
    assert sim.effects("rest") == [None]
    sim.run()
    kinds = [type(event) for event in sim.history(name)]
    assert kinds.count(ActivityScheduled) == kinds.count(ActivityCompleted) == 2
    assert (kinds.count(Started), kinds.count(Ended)) == (1, 1)
    assert sim.instances == {name: sim.status(name)}
    assert not sim.status("nobody")
    assert sim.history("nobody") == []


def test_what_is_durable_is_seen_after_a_crash() -> None:
    """G2: whatever is read first after a crash shows what was durable."""
    readings: list[Callable[[Sim], Any]] = [
        lambda sim: sim.status("a").runtime_status == "Running",
        lambda sim: list(sim.instances) == ["a"],
        lambda sim: len(sim.history("a")) > 0,
        lambda sim: sim.state(Shelf).books == ["Momo"],
        lambda sim: sim.exists(Shelf),
        lambda sim: sim.effects(weigh) == [],
        lambda sim: bool(sim.linearizable()),
    ]
    for reading in readings:
        with simulation(app) as sim:
            sim.start(waits, instance_id="a")
            sim.call(Shelf.put, "Momo")
            sim.crash()
            assert reading(sim)
            assert sim.crashes == 1


def test_a_deadlock_is_seen(sim: Sim) -> None:
    """What nothing can help any more is named: instances that wait for ever, calls without an answer."""
    sim.send(start(waits, instance_id="a"))
    assert (sim.deadlocked, sim.settled, sim.at_rest) == ([], False, False)
    sim.run()
    assert (sim.deadlocked, sim.settled, sim.at_rest) == (["a"], False, True)
    sim.ask(suspend("a"))
    assert sim.deadlocked == ["a"]
    sim.start(librarian, [], instance_id="l")
    assert sim.deadlocked == []
    sim.run()
    assert sim.deadlocked == ["a"]
    sim.start(waits, instance_id="a", if_running="replace")
    sim.raise_event("a", "go")
    sim.run()
    assert (sim.deadlocked, sim.settled) == ([], True)


def test_an_invariant_holds_after_every_commit(sim: Sim) -> None:
    """An invariant is looked at after each commit from then on; False and exceptions break it, None does not."""
    lengths: list[int] = []
    sim.invariant(lambda: lengths.append(len(sim.state(Shelf).books)))
    sim.invariant(lambda: len(sim.state(Shelf).books) < 3)
    sim.call(Shelf.put, "a")
    sim.call(Shelf.put, "b")
    with pytest.raises(AssertionError, match="does not hold"):
        sim.call(Shelf.put, "c")
    assert lengths == [1, 2, 3]


def test_the_last_commit_of_a_process_is_looked_at_by_the_next_one() -> None:
    """What a commit broke behind which the process died is seen when the hub is open again."""
    plan = Plan(crashes=((1, "after"),))
    with simulation(app, replay=plan.encode()) as sim:
        sim.invariant(lambda: sim.state(Shelf).books == [])
        sim.send(call(Shelf.put, "Momo"))
        with pytest.raises(AssertionError):
            sim.run()
        assert [step.kind for step in sim.trace.steps][-2:] == ["commit", "restart"]


def test_an_invariant_that_raises_is_heard(sim: Sim) -> None:
    """What an invariant raises comes out of whatever took the step, as it is."""

    def no_momo() -> None:
        if "Momo" in sim.state(Shelf).books:
            raise LookupError("Momo is here")

    sim.invariant(no_momo)
    sim.send(call(Shelf.put, "Emil"))
    sim.run()
    sim.send(call(Shelf.put, "Momo"))
    with pytest.raises(LookupError, match="Momo is here"):
        sim.run()


def test_eventually_waits_for_the_good(sim: Sim) -> None:
    """`eventually` lets the world go on, time too, until it holds, and no step further; else it says why it did not."""
    name = sim.start(librarian, ["Momo"])
    sim.eventually(lambda: sim.status(name).is_finished)
    assert sim.now == datetime(2026, 1, 1, 1, tzinfo=UTC)
    with pytest.raises(AssertionError, match=r"never came true: nothing is left to do"):
        sim.eventually(lambda: sim.exists(Shelf))
    sim.start(librarian, ["Momo"])
    with pytest.raises(AssertionError, match=r"never came true: 2 steps were not enough"):
        sim.eventually(lambda: sim.exists(Shelf), within=2)


def test_eventually_is_calm() -> None:
    """From `eventually` on there are no planned crashes, jumps, repeats or choices any more."""
    asked = tuple(Request(client, "call", f"@shelf@{client}", "put", '"Momo"') for client in range(3))
    plan = Plan(asked, (15, *(7,) * 40), ((1, "before"), (2, "after")), retries=(0, 1, 2), jumps=((4, 86_400.0),))
    with simulation(app, replay=plan.encode()) as sim:
        sim.step()
        sim.eventually(lambda: sim.settled)
        assert (sim.crashes, sim.commits, sim.now) == (0, 1, datetime(2026, 1, 1, tzinfo=UTC))
        assert [asked.sent for asked in sim.results] == [1, 1, 1]


def test_eventually_takes_assertions() -> None:
    """A function that asserts and returns nothing may be given to `eventually`, as it may to `invariant`."""
    with simulation(app) as sim:
        sim.send(call(Shelf.put, "Momo"))

        def is_there() -> None:
            assert sim.state(Shelf).books == ["Momo"]

        sim.eventually(is_there)
        assert sim.exists(Shelf)


def test_steps_are_chosen_by_hand(sim: Sim) -> None:
    """`enabled` names the steps that could come next, the default first; `choose` takes one of them."""
    sim.start(waits, instance_id="a")
    sim.send(raise_event("a", "go"), client=0)
    sim.send(call(Shelf.put, "Momo"), client=1)
    assert sim.enabled() == ["client 0 raise event 'go'(null) for 'a'", 'client 1 call @shelf@k put("Momo")']
    sim.choose(1)
    sim.choose(1)
    assert sim.enabled()[:2] == ["client 0 raise event 'go'(null) for 'a'", "commit 2"]
    sim.choose(1)
    assert sim.state(Shelf).books == ["Momo"]
    assert not sim.status("a").is_finished


@pytest.mark.parametrize("wrong", [99, -1])
def test_a_step_that_is_not_enabled_is_refused(wrong: int, sim: Sim) -> None:
    """`choose` of a number that no enabled step has says how many there are, and takes none."""
    sim.send(call(Shelf.put, "Momo"))
    with pytest.raises((IndexError, ValueError), match="1"):
        sim.choose(wrong)
    assert sim.trace.steps == []


@pytest.mark.parametrize(("evict", "loads"), [(False, 1), (True, 4)])
def test_actors_leave_memory_if_that_is_wanted(evict: bool, loads: int) -> None:
    """G7: with `evict` every actor is loaded from disk for each of its turns, and does the same as one in memory."""
    loaded: list[str] = []

    class Counting(EntityKind):
        def load(self, view: View, address: str) -> Entity:
            loaded.append(address)
            return super().load(view, address)

    with simulation(app, parts=Parts(entities=Counting), evict=evict) as sim:
        for number in range(4):
            assert sim.call(Shelf.put, "Momo") == number + 1
        assert len(loaded) == loads


class Scales:
    """The world outside, with a beginning."""

    def __init__(self, zero: int = 0) -> None:
        self.zero = zero

    def weigh(self, books: list[str]) -> int:
        return len(books) - self.zero


WORLDS: list[Callable[[], Scales]] = [Scales, lambda: Scales(0), partial(Scales, 0)]


@pytest.mark.parametrize("world", WORLDS, ids=["class", "lambda", "partial"])
def test_a_world_may_come_from_any_factory(world: Callable[[], Scales]) -> None:
    """Fakes that are methods of what `world` makes are called on it, whatever kind of factory makes it."""
    with simulation(app, world=world, activities={weigh: Scales.weigh}) as sim:
        sim.world.zero = -40
        name = sim.start(librarian, ["Momo", "Emil"])
        sim.run()
        assert sim.status(name).output == 42


def test_nothing_runs_when_a_simulation_is_closed() -> None:
    """An activity that had not begun when the simulation was closed, or its process died, never ran."""
    with simulation(app) as sim:
        sim.start(librarian, ["Momo"], instance_id="l")
        assert sim.enabled()[0] == "task activity weigh#1 of l"
        sim.crash()
        assert sim.effects(weigh) == []
        sim.run(time=False)
        assert sim.effects(weigh) == [["Momo"]]
        sim.start(librarian, ["Emil"], instance_id="m")
    assert sim.effects(weigh) == [["Momo"]]


def test_a_closed_simulation_refuses(sim: Sim) -> None:
    """After `close` everything that would go on or look is refused with words that fit; `close` may be called again."""
    sim.start(librarian, ["Momo"], instance_id="l")
    sim.run(time=False)
    sim.close()
    sim.close()
    uses: list[Callable[[], Any]] = [
        lambda: sim.call(Shelf.put, "Emil"),
        lambda: sim.state(Shelf),
        lambda: sim.status("l"),
        lambda: sim.advance(timedelta(days=1)),
        sim.run,
    ]
    for use in uses:
        with pytest.raises(Exception, match=r"over|closed"):
            use()
    assert sim.effects(weigh) == [["Momo"]]
    assert str(sim.trace)
