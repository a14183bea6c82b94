"""What `linearizable` must not complain about: time-outs, ids made up by the hub, and clients that are used by hand."""

from __future__ import annotations

import signal as signals
from collections.abc import Callable, Iterator

import attrs
import pytest
import trio

from durio.entities import EntityContext, EntityId, EntityOperationFailed
from durio.orchestration import App, Client, OrchestrationContext
from durio.simulation import Sim, call, signal, simulation

app = App()


@app.orchestration
async def job(ctx: OrchestrationContext, amount: int) -> int:
    """Adds by itself, and tells another one to add."""
    counter = EntityId("Counter", "k")
    ctx.signal_entity(counter, Counter.add, amount)
    return await ctx.call_entity(counter, Counter.add, amount)


@app.entity(timeout_s=2)
@attrs.define
class Counter:
    value: int = 0
    jobs: list[str] = attrs.Factory(list)

    def add(self, amount: int) -> int:
        self.value += amount
        return self.value

    async def add_slowly(self, seconds: int) -> int:
        before = self.value
        await trio.sleep(seconds)
        self.value = before + seconds
        return self.value

    def launched(self) -> list[str]:
        return self.jobs

    def launch(self, amount: int) -> str:
        self.jobs.append(EntityContext.current().start_new(job, client_input=amount))
        return self.jobs[-1]


class Outside:
    """Where a wrong entity keeps what belongs into its state."""

    calls = 0


@app.entity
@attrs.define
class Forgetful:
    """Counts its calls, but not in its state."""

    def count(self) -> int:
        Outside.calls += 1
        return Outside.calls

    async def hang(self) -> None:
        await trio.Event().wait()


@app.orchestration
async def counts(ctx: OrchestrationContext) -> int:
    return await ctx.call_entity(EntityId("Forgetful", "k"), Forgetful.count)


@pytest.fixture
def sim() -> Iterator[Sim]:
    with simulation(app) as running:
        yield running


@pytest.fixture
def patience() -> Iterator[None]:
    """Ends a judgement that does not end by itself."""

    def give_up(*_: object) -> None:
        raise TimeoutError("the judgement does not end")

    before = signals.signal(signals.SIGALRM, give_up)
    signals.setitimer(signals.ITIMER_REAL, 10)
    yield
    signals.setitimer(signals.ITIMER_REAL, 0)
    signals.signal(signals.SIGALRM, before)


def test_the_work_of_everybody_counts(sim: Sim) -> None:
    """Calls and signals of clients and of orchestrations are one history."""
    sim.send(call(Counter.add, 1), client=0)
    sim.send(signal(Counter.add, 10), client=1)
    sim.send(call(Counter.add_slowly, 1), client=2)
    sim.start(job, 100)
    sim.run()
    assert sim.call(Counter.add, 0) == 1 + 10 + 1 + 200
    assert len(sim.operations) == 6
    assert sim.linearizable()
    assert sim.linearizable(Counter)
    assert sim.linearizable("counter")


ASKERS: list[Callable[[Sim], object]] = [
    lambda sim: sim.call(Forgetful.count),
    lambda sim: sim.do(lambda client: client.call_entity(EntityId("Forgetful", "k"), Forgetful.count)),
    lambda sim: sim.status(sim.do(lambda client: client.start_new(counts)).instance_id),
]


@pytest.mark.parametrize("ask", ASKERS, ids=["call", "do", "orchestration"])
def test_answers_that_do_not_come_from_the_state_are_a_violation(ask: Callable[[Sim], object], sim: Sim) -> None:
    """Whoever got an answer that the entity's code cannot give on its state: it is seen, and shown."""
    ask(sim)
    sim.run()
    assert not sim.linearizable()
    assert not sim.linearizable(Forgetful)
    assert sim.linearizable(Counter)
    assert "@forgetful@k is not linearizable" in repr(sim.linearizable())


def test_a_time_out_is_no_violation(sim: Sim) -> None:
    """G10: an operation whose time was up has changed nothing, whatever it would have answered."""
    sim.call(Counter.add, 1)
    with pytest.raises(EntityOperationFailed, match="OperationTimeout"):
        sim.do(lambda client: client.call_entity(EntityId("Counter", "k"), Counter.add_slowly, 3))
    late = sim.send(call(Counter.add_slowly, 3))
    sim.run()
    assert "OperationTimeout" in str(late.error)
    assert sim.call(Counter.add, 1) == 2
    assert sim.linearizable()


def test_ids_that_the_hub_makes_up_are_no_violation(sim: Sim) -> None:
    """G11: an operation that starts an orchestration under a fresh id gives another id each time it is run."""
    first, second = sim.call(Counter.launch, 1), sim.call(Counter.launch, 2)
    sim.run()
    assert {first, second} == set(sim.instances)
    assert sim.state(Counter).jobs == [first, second]
    assert sim.linearizable()


def test_ids_that_are_shown_later_are_no_violation(sim: Sim) -> None:
    """G11: an id that the hub made up may be shown by a later operation; the model cannot know it."""
    launched = sim.call(Counter.launch, 1)
    assert sim.call(Counter.launched) == [launched]
    assert sim.linearizable()


def test_an_operation_that_never_ends_is_judged(sim: Sim, patience: None) -> None:
    """A call that waits for ever does not keep the others of its entity from being judged."""
    sim.send(call(Forgetful.count), client=0)
    sim.send(call(Forgetful.hang), client=1)
    sim.run()
    assert sim.deadlocked == ["call @forgetful@k hang()"]
    assert not sim.linearizable()


def test_what_clients_do_by_hand_counts(sim: Sim) -> None:
    """Operations that are asked for by `do` are part of the history as those by `call` are."""

    async def twice(client: Client) -> int:
        await client.signal_entity(EntityId("Counter", "k"), Counter.add, 1)
        return await client.call_entity(EntityId("Counter", "k"), Counter.add, 1)

    assert sim.do(twice) == 2
    assert sim.call(Counter.add, 1) == 3
    assert sim.linearizable()
