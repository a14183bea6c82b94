"""Planted bugs around entities: what happens between two calls, answers that nobody reads, undo that is forgotten."""

from __future__ import annotations

from typing import Final

import attrs
from hypothesis import strategies as st

from durio.entities import EntityId
from durio.orchestration import App, OrchestrationContext, TaskFailedError
from durio.simulation import Sim, call, start
from tests.simulation.planted.harness import Planted, plant

# A deposit in two calls: another one comes in between.

deposit_wrong, deposit_right = App(), App()
ACCOUNT: Final = EntityId("account", "k")


@deposit_wrong.entity
@deposit_right.entity
@attrs.define
class Account:
    """Money."""

    balance: int = 10

    def read(self) -> int:
        return self.balance

    def write(self, balance: int) -> None:
        self.balance = balance

    def add(self, amount: int) -> None:
        self.balance += amount

    def withdraw(self, amount: int) -> bool:
        """Whether there was enough."""
        if amount > self.balance:
            return False
        self.balance -= amount
        return True


@deposit_wrong.orchestration(name="deposit")
async def deposit_by_reading(ctx: OrchestrationContext, amount: int) -> None:
    balance = await ctx.call_entity(ACCOUNT, Account.read)
    await ctx.call_entity(ACCOUNT, Account.write, balance + amount)  # BUG: it may have changed since it was read


@deposit_right.orchestration(name="deposit")
async def deposit_by_adding(ctx: OrchestrationContext, amount: int) -> None:
    await ctx.call_entity(ACCOUNT, Account.add, amount)


def no_deposit_is_lost(sim: Sim) -> None:
    """At the end the account has what it began with and every deposit."""
    deposits = sum(found.input_ for found in sim.instances.values() if found.runtime_status == "Completed")
    balance = sim.state(Account).balance
    assert balance == 10 + deposits, f"10 and deposits of {deposits} made {balance}"


LOST_UPDATE: Final = plant(
    "lost update over two calls",
    no_deposit_is_lost,
    start("deposit", st.integers(1, 9)),
    wrong=deposit_wrong,
    right=deposit_right,
    shows="deposits of",
)

# A purchase that does not look whether the money was there.

buy_wrong, buy_right = App(), App()
buy_wrong.entity(Account)
buy_right.entity(Account)


@buy_wrong.activity
@buy_right.activity
async def ship(price: int) -> None:
    """It is on its way."""


@buy_wrong.orchestration(name="buy")
async def buy_and_hope(ctx: OrchestrationContext, price: int) -> None:
    await ctx.call_entity(ACCOUNT, Account.withdraw, price)  # BUG: the answer says whether there was enough
    await ctx.call_activity(ship, price)


@buy_right.orchestration(name="buy")
async def buy_if_paid(ctx: OrchestrationContext, price: int) -> None:
    if await ctx.call_entity(ACCOUNT, Account.withdraw, price):
        await ctx.call_activity(ship, price)


def nothing_unpaid_is_shipped(sim: Sim) -> None:
    """What was shipped and what is left is what there was."""
    shipped, balance = sum(sim.effects("ship")), sim.state(Account).balance
    assert shipped + balance <= 10, f"goods for {shipped} and {balance} left, out of 10"


REFUSAL_UNREAD: Final = plant(
    "a refusal that nobody reads",
    nothing_unpaid_is_shipped,
    start("buy", st.sampled_from((20, 5))),
    wrong=buy_wrong,
    right=buy_right,
    shows=r"withdraw\(\d+\) -> false",
)

# A trip of two parts: the second fails, the first stays booked.

trip_wrong, trip_right = App(), App()
SEATS: Final = EntityId("seats", "monday")
ROOMS: Final = EntityId("rooms", "monday")


@trip_wrong.entity
@trip_right.entity
@attrs.define
class Seats:
    """A plane with seats enough."""

    taken: int = 0

    def take(self, persons: int) -> None:
        self.taken += persons

    def give_back(self, persons: int) -> None:
        self.taken -= persons


@trip_wrong.entity
@trip_right.entity
@attrs.define
class Rooms:
    """A small hotel."""

    free: int = 3

    def book(self, persons: int) -> None:
        if persons > self.free:
            raise ValueError("the hotel is full")
        self.free -= persons


@trip_wrong.orchestration(name="trip")
async def trip_one_way(ctx: OrchestrationContext, persons: int) -> None:
    await ctx.call_entity(SEATS, Seats.take, persons)
    await ctx.call_entity(ROOMS, Rooms.book, persons)  # BUG: when this raises, the seats stay taken


@trip_right.orchestration(name="trip")
async def trip_with_undo(ctx: OrchestrationContext, persons: int) -> None:
    await ctx.call_entity(SEATS, Seats.take, persons)
    try:
        await ctx.call_entity(ROOMS, Rooms.book, persons)
    except TaskFailedError:
        await ctx.call_entity(SEATS, Seats.give_back, persons)
        raise


def seats_belong_to_trips(sim: Sim) -> None:
    """At the end every seat that is taken belongs to a trip that was booked."""
    booked = sum(found.input_ for found in sim.instances.values() if found.runtime_status == "Completed")
    taken = sim.state(Seats, "monday").taken
    assert taken == booked, f"{taken} seats are taken, for {booked} persons"


SAGA: Final = plant(
    "compensation forgotten",
    seats_belong_to_trips,
    start("trip", st.sampled_from((4, 2))),
    wrong=trip_wrong,
    right=trip_right,
    shows="the hotel is full",
)

# Two that want to be the only one: each asks first and says so later.

only_wrong, only_right = App(), App()
CHAIR: Final = EntityId("chair", "nightly")


@only_wrong.entity
@only_right.entity
@attrs.define
class Chair:
    """Who does the nightly work; empty: nobody."""

    holder: str = ""

    def is_taken(self) -> bool:
        return self.holder != ""

    def sit_down(self, who: str) -> None:
        self.holder = who

    def claim(self, who: str) -> bool:
        """Sit down if nobody does; whether it was you."""
        if not self.holder:
            self.holder = who
        return self.holder == who


@only_wrong.orchestration(name="nightly")
async def nightly_looks_first(ctx: OrchestrationContext) -> str:
    if await ctx.call_entity(CHAIR, Chair.is_taken):
        return "somebody else does it"
    await ctx.call_entity(CHAIR, Chair.sit_down, ctx.instance_id)  # BUG: two have looked before one sits
    return "I do it"


@only_right.orchestration(name="nightly")
async def nightly_claims(ctx: OrchestrationContext) -> str:
    return "I do it" if await ctx.call_entity(CHAIR, Chair.claim, ctx.instance_id) else "somebody else does it"


def one_does_it(sim: Sim) -> None:
    """At most one instance does the work."""
    doing = [found.instance_id for found in sim.instances.values() if found.output == "I do it"]
    assert len(doing) <= 1, f"all of these do it: {', '.join(doing)}"


CHECK_THEN_START: Final = plant(
    "check-then-start singleton",
    one_does_it,
    start("nightly"),
    wrong=only_wrong,
    right=only_right,
    shows="all of these do it",
)

# An entity that keeps something beside its fields.

cart_wrong, cart_right = App(), App()


@attrs.define(slots=False)
class ForgetfulCart:
    """A cart with a coupon."""

    price: int = 0

    def __attrs_post_init__(self) -> None:
        self._off = 0  # BUG: no field of the class, so no part of the state: gone after each operation

    def put_in(self, price: int) -> None:
        self.price += price

    def use_coupon(self) -> None:
        self._off = 1

    def total(self) -> int:
        return self.price - self._off


@attrs.define
class Cart:
    """The same, with all that it must remember in its fields."""

    price: int = 0
    off: int = 0

    def put_in(self, price: int) -> None:
        self.price += price

    def use_coupon(self) -> None:
        self.off = 1

    def total(self) -> int:
        return self.price - self.off


cart_wrong.entity(name="cart")(ForgetfulCart)
cart_right.entity(name="cart")(Cart)


def coupons_count(sim: Sim) -> None:
    """With one client that asks one thing after the other, each total is that of the coupons and goods before it."""
    price = off = 0
    for asked in sim.results:
        assert asked.request is not None
        if asked.request.name == "put_in":
            price += int(asked.request.input)
        elif asked.request.name == "use_coupon":
            off = 1
        elif asked.returned is not None:
            assert asked.value == price - off, f"the total is {asked.value}, not {price - off}"


OUTSIDE_THE_STATE: Final = plant(
    "an entity remembers beside its state",
    coupons_count,
    call("put_in", st.integers(1, 9), entity="cart"),
    call("use_coupon", entity="cart"),
    call("total", entity="cart"),
    wrong=cart_wrong,
    right=cart_right,
    clients=1,
    shows="the total is",
)

PLANTED: Final[tuple[Planted, ...]] = (LOST_UPDATE, REFUSAL_UNREAD, SAGA, CHECK_THEN_START, OUTSIDE_THE_STATE)
