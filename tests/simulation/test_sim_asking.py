"""What clients ask of a simulated hub by hand: calls, signals, starts, events, whole client programs, and wrong use."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from typing import Any

import attrs
import pytest
import trio

from durio.entities import EntityId, EntityOperationFailed, InvalidAddress, NotRegistered
from durio.orchestration import (
    App,
    Client,
    InstanceAlreadyExists,
    InstanceFinished,
    InstanceNotFailed,
    InstanceNotFound,
    OrchestrationContext,
)
from durio.simulation import (
    Plan,
    Request,
    Sim,
    Unanswered,
    call,
    raise_event,
    resume,
    rewind,
    signal,
    simulation,
    start,
    suspend,
    terminate,
)

app = App()


@app.entity
@attrs.define
class Counter:
    value: int = 0

    def add(self, amount: int) -> int:
        self.value += amount
        return self.value

    def fail(self) -> None:
        self.value = 99
        raise ValueError("no")

    async def add_slowly(self, amount: int) -> int:
        await trio.sleep(5)
        return self.add(amount)


@app.orchestration
async def waits(ctx: OrchestrationContext, times: int) -> list[int]:
    return [await ctx.wait_for_external_event("go", int) for _ in range(times)]


@app.orchestration
async def eternal(ctx: OrchestrationContext) -> None:
    await ctx.wait_for_external_event("go")
    ctx.continue_as_new()


@app.orchestration
async def busy(ctx: OrchestrationContext) -> None:
    """Never at rest: it waits for nothing but itself."""
    ctx.continue_as_new()


class Outside:
    """Closed at first."""

    open = False

    def pay(self) -> str:
        if not self.open:
            raise ConnectionError("closed")
        return "paid"


@app.activity
def pay() -> str:
    raise NotImplementedError("the world outside does it")


@app.orchestration
async def pays(ctx: OrchestrationContext) -> list[str]:
    return [await ctx.call_activity(pay), await ctx.wait_for_external_event("thanks")]


@pytest.fixture
def sim() -> Iterator[Sim]:
    with simulation(app) as running:
        yield running


def test_a_call_gives_what_the_operation_returned(sim: Sim) -> None:
    """A call waits for its durable answer and gives its value; each key is an entity of its own."""
    assert sim.call(Counter.add, 2) == 2
    assert sim.call(Counter.add, 3) == 5
    assert sim.call("add", 4, key="other", entity=Counter) == 4
    assert sim.state(Counter) == Counter(5)


def test_a_call_raises_what_a_client_raises(sim: Sim) -> None:
    """G10: the error of an operation reaches the caller, and the state is as it was."""
    sim.call(Counter.add, 2)
    with pytest.raises(EntityOperationFailed, match="no"):
        sim.call(Counter.fail)
    assert sim.state(Counter) == Counter(2)


def test_a_signal_returns_before_it_has_happened(sim: Sim) -> None:
    """G13: a signal is answered when it is durable; its operation may come later, and its error reaches nobody."""
    sim.signal(Counter.add, 2)
    sim.signal(Counter.fail)
    sim.run()
    assert sim.state(Counter) == Counter(2)


def test_starts_without_an_id_get_one_each(sim: Sim) -> None:
    """An instance that is started without an id gets one of its own, which `start` gives."""
    ids = {sim.start(waits, 1), sim.start(waits, 1), sim.start("waits", 1)}
    assert len(ids) == 3
    assert set(sim.instances) == ids


def test_a_start_says_whether_it_created_the_instance(sim: Sim) -> None:
    """G15: `ask` gives the client's whole answer, `start` only the id; policies are those of the client."""
    assert sim.ask(start(waits, 1, instance_id="a")).created
    assert not sim.ask(start(waits, 1, instance_id="a", if_running="return")).created
    with pytest.raises(InstanceAlreadyExists):
        sim.start(waits, 1, instance_id="a")
    assert sim.ask(start(eternal, instance_id="a", if_running="replace")).created
    assert sim.status("a").name == "eternal"


def test_events_are_taken_in_their_order(sim: Sim) -> None:
    """G16: events reach the instance in the order in which they were raised; None is data, too."""
    name = sim.start(waits, 2)
    sim.raise_event(name, "go", 1)
    sim.raise_event(name, "GO", 2)
    sim.run()
    assert sim.status(name).output == [1, 2]
    with pytest.raises(InstanceFinished):
        sim.raise_event(name, "go", 3)
    with pytest.raises(InstanceNotFound):
        sim.raise_event("nobody", "go")


def test_control_goes_first(sim: Sim) -> None:
    """G26: a suspended instance holds its events, resume gives them back, terminate ends it whatever it waits for."""
    name = sim.start(waits, 1, instance_id="a")
    sim.ask(suspend(name))
    sim.ask(raise_event(name, "go", 1))
    sim.run()
    assert sim.status(name).runtime_status == "Suspended"
    sim.ask(resume(name))
    sim.run()
    assert sim.status(name).output == [1]
    sim.start(waits, 1, instance_id="a")
    sim.ask(terminate(name))
    assert sim.status(name).runtime_status == "Terminated"


def test_a_start_may_come_later_and_bring_events(sim: Sim) -> None:
    """G14, G15: a start may be for later, the instance is Pending until then; its events come in the same turn."""
    sim.start(waits, 2, instance_id="a", after=timedelta(hours=1), events=[("go", 1)], tags={"of": "ada"})
    sim.raise_event("a", "go", 2)
    status = sim.status("a")
    assert (status.runtime_status, status.tags) == ("Pending", {"of": "ada"})
    sim.advance(minutes=59)
    assert sim.status("a").runtime_status == "Pending"
    sim.crash()
    sim.advance(minutes=1)
    assert sim.status("a").output == [1, 2]


def test_a_signal_may_come_later(sim: Sim) -> None:
    """G4: a signal with a time is durable at once and delivered then; a repeat of it has the time of the first one."""
    plan = Plan((Request(0, "signal", "@counter@k", "add", "1", (("after_s", 3600.0),)),), crashes=((1, "after"),))
    with simulation(app, replay=plan.encode()) as again:
        again.advance(minutes=59)
        assert (again.results[0].sent, again.exists(Counter)) == (2, False)
        again.advance(minutes=1)
        assert again.state(Counter) == Counter(1)
    sim.ask(signal(Counter.add, 2, after=timedelta(days=1)))
    assert not sim.exists(Counter)
    sim.run()
    assert sim.state(Counter) == Counter(2)


def test_sent_requests_wait_for_the_run(sim: Sim) -> None:
    """`send` does not wait: nothing happens before the run goes on, and one client asks one thing after the other."""
    first, second = sim.send(call(Counter.add, 1)), sim.send(call(Counter.add, 2))
    other = sim.send(signal(Counter.add, 4), client=1)
    assert sim.enabled() == [
        "client 0 call @counter@k add(1)",
        "client 1 signal @counter@k add(4)",
    ]
    assert (first.pending, first.returned) == (False, None)
    sim.run()
    assert (first.value, second.value, other.value) == (1, 7, None)
    assert sim.results == (first, second, other)


def test_do_uses_the_real_client_and_lets_time_pass(sim: Sim) -> None:
    """`do` runs a whole program of a client against the simulated hub, over as much time as it needs."""

    async def program(client: Client) -> tuple[int, bool]:
        counter = EntityId("Counter", "k")
        slowly = await client.call_entity(counter, Counter.add_slowly, 2)
        return slowly, (await client.read_entity_state(counter)).entity_exists

    began = sim.now
    assert sim.do(program) == (2, True)
    assert (sim.now - began).total_seconds() == 5


def test_a_call_that_waits_does_not_keep_others_from_asking(sim: Sim) -> None:
    """After a call that got no answer the next one is asked all the same, and may bring the answer of the first."""
    sim.start(waits, 1, instance_id="a")
    with pytest.raises(Unanswered):
        sim.do(lambda client: client.wait_for_completion("a"))
    waiting = sim.results[-1]
    sim.raise_event("a", "go", 7)
    sim.run()
    assert waiting.value.output == [7]


def test_an_unanswered_call_says_that_nothing_is_left_to_do(sim: Sim) -> None:
    """A call that can never be answered is an error that names it, and says that nothing can help."""
    sim.start(eternal, instance_id="a")
    with pytest.raises(Unanswered, match=r"wait for a.*nothing is left to do"):
        sim.do(lambda client: client.wait_for_completion("a"), what="wait for a")


def test_an_unanswered_call_says_that_only_time_is_left(sim: Sim) -> None:
    """`call` lets no time pass, and says so when time is what the answer needs; the answer comes with the time."""
    with pytest.raises(Unanswered, match=r"add_slowly\(1\).* time"):
        sim.call(Counter.add_slowly, 1)
    sim.advance(seconds=5)
    assert sim.results[-1].value == 1


def test_an_unanswered_call_says_that_the_steps_ran_out(sim: Sim) -> None:
    """A call in a world that never rests is cut off, and the error does not say that nothing was left to do."""
    sim.start(busy, instance_id="a")
    with pytest.raises(Unanswered) as caught:
        sim.do(lambda client: client.wait_for_completion("a"))
    assert "nothing is left to do" not in str(caught.value).splitlines()[0]


def test_what_a_client_does_is_not_done_twice() -> None:
    """A program of a client that was under way when the process died is not begun anew behind its back."""
    plan = Plan(crashes=((1, "after"),))
    with simulation(app, replay=plan.encode()) as sim:
        with suppress(Exception):  # how it went nobody knows
            sim.do(lambda client: client.call_entity(EntityId("Counter", "k"), Counter.add, 1))
        assert sim.state(Counter) == Counter(1)


WRONG: list[tuple[type[Exception], Callable[[Sim], Any]]] = [
    (NotRegistered, lambda sim: sim.call("add", 1, entity="nobody")),
    (NotRegistered, lambda sim: sim.call("add", 1)),  # type: ignore[call-overload]  # of which entity?
    (EntityOperationFailed, lambda sim: sim.call("subtract", 1, entity=Counter)),
    (EntityOperationFailed, lambda sim: sim.call(Counter.add, "many")),  # type: ignore[arg-type]
    (NotRegistered, lambda sim: sim.start("nobody")),
    (NotRegistered, lambda sim: sim.start(Counter.add)),
    (NotRegistered, lambda sim: sim.state("nobody")),
    (NotRegistered, lambda sim: sim.exists(int)),
    (NotRegistered, lambda sim: sim.effects("nobody")),
    (NotRegistered, lambda sim: sim.linearizable("nobody")),
    (InvalidAddress, lambda sim: sim.start(waits, 1, instance_id="@x")),
    (InvalidAddress, lambda sim: sim.status("")),
    (TypeError, lambda sim: sim.start(waits, 1, if_runing="return")),
    (IndexError, lambda sim: sim.choose(99)),
]


@pytest.mark.parametrize(("error", "use"), WRONG)
def test_wrong_use_is_refused_and_changes_nothing(error: type[Exception], use: Callable[[Sim], Any], sim: Sim) -> None:
    """G31: what does not exist or does not fit is refused with the client's own errors; nothing is on disk, and the
    simulation goes on.
    """
    with pytest.raises(error):
        use(sim)
    sim.run()
    assert sim.instances == {}
    assert not sim.exists(Counter)
    assert sim.call(Counter.add, 1) == 1


def test_a_failed_instance_is_rewound() -> None:
    """G27: `rewind` gives what is taken back, as the client does, and the trace says that it goes on."""
    with simulation(app, world=Outside, activities={pay: Outside.pay}) as sim:
        name = sim.start(pays)
        sim.run()
        assert sim.status(name).runtime_status == "Failed"
        sim.world.open = True
        plan = sim.rewind(name)
        assert (plan.number, plan.again) == (1, ("ActivityScheduled(id=1, name='pay')",))
        sim.run()
        assert sim.effects("pay") == [None, None]
        with pytest.raises(InstanceNotFailed):
            sim.ask(rewind(name))
        sim.raise_event(name, "thanks", "you")
        sim.run()
        assert sim.status(name).output == ["paid", "you"]
        assert "goes on from here, rewound once" in str(sim.trace)
