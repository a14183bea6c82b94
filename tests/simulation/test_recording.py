"""What activities did remains in the world, whatever becomes of the process; fakes stand in for them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from unittest.mock import AsyncMock, Mock

import attrs
import pytest
import trio

from durio.entities import NotRegistered
from durio.orchestration import App, OrchestrationContext, TaskFailedError
from durio.simulation import Sim, call, simulate, simulation, start

app = App()


@attrs.frozen
class Order:
    """What is paid for."""

    id: str
    amount: int


@app.activity
async def pay(order: Order) -> int:
    raise AssertionError(f"the real one charges {order.amount}")


@app.activity
def ship(order_id: str) -> list[str]:
    return [order_id]


@app.activity
async def changes(values: list[int]) -> int:
    values.append(99)
    return len(values)


@app.activity
async def nothing() -> str:
    return "nothing taken"


@app.activity
async def usual(value: int = 3) -> int:
    return value


@app.orchestration
async def buy(ctx: OrchestrationContext, order: Order) -> list[object]:
    paid = await ctx.call_activity(pay, order)
    return [paid, await ctx.call_activity(ship, order.id)]


@app.orchestration
async def run(ctx: OrchestrationContext, activity: str) -> object:
    try:
        return await ctx.call_activity(activity)
    except TaskFailedError as error:
        return error.failure.message


@app.orchestration
async def change(ctx: OrchestrationContext, values: list[int]) -> object:
    return await ctx.call_activity(changes, values)


ORDER = Order("o1", 30)


async def paid(order: Order) -> int:
    return order.amount * 2


def bought(fakes: dict[str | Callable[..., object], Callable[..., object]]) -> object:
    """The output of `buy` with these fakes."""
    with simulation(app, activities=fakes) as sim:
        sim.start(buy, ORDER)
        sim.run()
        return sim.status("buy-0").output


def plain(order: Order) -> int:
    return order.amount * 2


class Till:
    """A fake with a factor of its own."""

    def __init__(self) -> None:
        self.factor = 2

    async def charge(self, order: Order) -> int:
        await trio.sleep(1)
        return order.amount * self.factor

    def __call__(self, order: Order) -> int:
        return order.amount * self.factor


def fakes() -> dict[str, Callable[..., object]]:
    return {
        "async def": paid,
        "a function": plain,
        "a lambda": lambda order: order.amount * 2,
        "a method": Till().charge,
        "an object that can be called": Till(),
        "a partial": functools.partial(lambda factor, order: order.amount * factor, 2),
        "a mock": Mock(side_effect=plain),
        "an asynchronous mock": AsyncMock(side_effect=plain),
    }


@pytest.mark.parametrize("fake", fakes().values(), ids=fakes())
def test_anything_that_can_be_called_is_a_fake(fake: Callable[..., object]) -> None:
    """It gets the typed input of the real one, by function or by name, whether either of them is `async def` or not."""
    assert bought({pay: fake}) == [60, ["o1"]]
    assert bought({"pay": fake}) == [60, ["o1"]]


def test_mocks_know_how_they_were_called() -> None:
    """A mock as a fake sees what the activity would have got."""
    mock = AsyncMock(return_value=1)
    bought({pay: mock})
    mock.assert_awaited_once_with(ORDER)


def test_a_fake_may_take_less() -> None:
    """One that ignores its input needs no parameter."""
    assert bought({pay: lambda: 5}) == [5, ["o1"]]


def test_what_is_no_fake_is_refused() -> None:
    """G31: an activity that the app does not have, a value, a generator: said before anything runs."""
    with pytest.raises(NotRegistered, match="registered: changes, nothing, pay, ship, usual"):
        bought({"refund": plain})

    def generator(order: object) -> Iterator[object]:
        yield order

    for wrong in (5, generator):
        with pytest.raises(TypeError, match="'pay' must be a function"):
            bought({pay: wrong})  # type: ignore[dict-item]


def test_effects_are_the_inputs_in_order() -> None:
    """By function or by name, also of faked activities; those that never ran have none, unknown ones are refused."""
    with simulation(app, activities={pay: plain}) as sim:
        for amount in (1, 2, 3):
            sim.start(buy, Order(f"o{amount}", amount))
        sim.run()
        assert sim.effects(pay) == sim.effects("pay") == [Order(f"o{n}", n) for n in (1, 2, 3)]
        assert sim.effects(ship) == ["o1", "o2", "o3"]
        assert sim.effects(usual) == []
        with pytest.raises(NotRegistered):
            sim.effects("refund")


def test_inputs_are_shown_as_they_came() -> None:
    """An activity that changes its input does not change what it was called with."""
    with simulation(app) as sim:
        sim.start(change, [1])
        sim.run()
        assert sim.status("change-0").output == 2
        assert sim.effects(changes) == [[1]]


def test_without_an_input_the_effect_is_none_or_the_default() -> None:
    """Activities that take nothing, or have a default, run all the same, and are counted."""
    with simulation(app) as sim:
        for name in ("nothing", "usual"):
            sim.start(run, name)
        sim.run()
        assert [sim.status(f"run-{number}").output for number in (0, 1)] == ["nothing taken", 3]
        assert (sim.effects(nothing), sim.effects(usual)) == ([None], [3])


def test_effects_stay_over_crashes() -> None:
    """G24: what happened in the world happened, though the process that did it has forgotten; it happens again."""
    with simulation(app, activities={pay: plain}) as sim:
        sim.start(buy, ORDER)
        while not sim.effects(pay):
            sim.step()
        sim.crash()
        assert sim.effects(pay) == [ORDER]
        sim.run()
        assert sim.effects(pay) == [ORDER, ORDER]
        assert sim.status("buy-0").output == [60, ["o1"]]


def test_a_dead_process_runs_nothing() -> None:
    """An activity that was about to begin when the process died has no effect."""
    ran: list[Order] = []

    def charge(order: Order) -> int:
        ran.append(order)
        return 1

    with simulation(app, activities={pay: charge}) as sim:
        sim.send(start(buy, ORDER))
        while "task activity pay#1 of buy-0" not in sim.enabled():
            sim.step()
        sim.crash()
        assert (ran, sim.effects(pay)) == ([], [])
        sim.run()
        assert (ran, sim.effects(pay)) == ([ORDER], [ORDER])
    assert ran == [ORDER], "nor when it is buried"


def test_a_dead_process_begins_no_operation() -> None:
    """Nor does an `async def` operation of an entity begin in it: what is no activity may have effects, too."""
    begun: list[int] = []
    local = App()

    @local.entity
    @attrs.define
    class Caller:
        """Does something to the world at once."""

        count: int = 0

        async def ring(self) -> int:
            begun.append(self.count)
            self.count += 1
            return self.count

    with simulation(local) as sim:
        asked = sim.send(call("ring", entity=Caller))
        while not any(step.startswith("task operation") for step in sim.enabled()):
            sim.step()
        sim.crash()
        assert begun == []
        sim.run()
        assert (begun, asked.value) == ([0], 1)
    assert begun == [0], "nor when it is buried"


@simulate(start(buy, ORDER), activities={pay: plain}, max_calls=1, max_crashes=2)
def test_every_run_begins_with_an_empty_world(sim: Sim) -> None:
    """Effects are those of this run; an activity runs once more for a crash at the most (G24)."""
    assert len(sim.effects(pay)) <= 1 + sim.crashes
    assert set(sim.effects(pay)) <= {ORDER}


def test_what_runs_is_in_the_trace() -> None:
    """The line that says that an activity runs has its input."""
    with simulation(app, activities={pay: plain}) as sim:
        sim.start(buy, ORDER)
        sim.run()
        assert "pay(Order(id='o1', amount=30)) runs" in str(sim.trace)


class Outside:
    """The world outside: a bank and a parcel service."""

    def __init__(self) -> None:
        self.charged: list[int] = []
        self.shipped: list[str] = []

    async def charge(self, order: Order) -> int:
        self.charged.append(order.amount)
        await trio.sleep(1)
        return len(self.charged)

    def send(self, order_id: str) -> list[str]:
        self.shipped.append(order_id)
        return self.shipped


def test_methods_of_the_world_are_fakes() -> None:
    """`world=` makes it; activities reach it through its methods, `async def` or not, and get their typed input."""
    fakes: dict[str | Callable[..., object], Callable[..., object]] = {pay: Outside.charge, ship: Outside.send}
    with simulation(app, world=Outside, activities=fakes) as sim:
        sim.start(buy, ORDER)
        sim.run()
        assert sim.status("buy-0").output == [1, ["o1"]]
        assert (sim.world.charged, sim.world.shipped) == ([30], ["o1"])


def test_the_world_outlives_the_process() -> None:
    """A crash leaves it alone: what was charged is charged, and is charged again."""
    with simulation(app, world=Outside, activities={pay: Outside.charge}) as sim:
        sim.start(buy, ORDER)
        while not sim.world.charged:
            sim.step()
        sim.crash()
        sim.run()
        assert sim.world.charged == [30, 30]
        assert sim.status("buy-0").output == [2, ["o1"]]


@simulate(start(buy, ORDER), world=Outside, activities={pay: Outside.charge}, max_calls=1, max_crashes=1)
def test_every_run_has_a_world_of_its_own(sim: Sim) -> None:
    """What happened in one run is not there in the next."""
    assert len(sim.world.charged) == len(sim.effects(pay))
    assert len(sim.world.charged) <= 1 + sim.crashes


def test_a_method_needs_its_world() -> None:
    """G31: without `world=` there is none, and a method that misses its `self` cannot stand in for an activity."""
    with simulation(app) as sim:
        assert sim.world is None
    with pytest.raises(TypeError, match=r"Outside\.charge .* cannot stand in for activity 'pay'"):
        bought({pay: Outside.charge})
