"""A program in which everything happens, and random plans for it: what the tests of equal runs share."""

from __future__ import annotations

import random
from collections.abc import Generator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import attrs
import trio

from durio.entities import EntityContext, EntityId
from durio.orchestration import ActivityContext, App, OrchestrationContext, RetryOptions, Task, TaskFailedError
from durio.simulation import Plan, Request, call, raise_event, resume, signal, start, suspend, terminate
from durio.simulation.asking import Ask, request_of
from durio.simulation.plan import Moment

app = App()
LOG: Final = EntityId("log", "all")
KEYS: Final = ("a", "b")
SOON: Final = datetime(2026, 1, 1, 0, 0, 4, tzinfo=UTC)
RETRY: Final = RetryOptions(2_000, 3, backoff_coefficient=2.0)


@app.entity
@attrs.define
class Account:
    """Money, moved at once and slowly."""

    balance: int = 10
    moves: list[int] = attrs.Factory(list)

    def add(self, amount: int) -> int:
        self.balance += amount
        self.moves.append(amount)
        return self.balance

    def take(self, amount: int) -> int:
        """Raises after it changed and sent something, if there is too little."""
        EntityContext.current().signal_entity(LOG, "append", [self.balance, amount])
        self.balance -= amount
        if self.balance < 0:
            raise ValueError(f"{-self.balance} too little")
        return self.balance

    async def audit(self, pause_s: int) -> list[int]:
        """A turn of its own, in three steps."""
        await trio.sleep(pause_s)
        self.moves.append(0)
        await trio.lowlevel.checkpoint()
        return self.moves

    def hand_over(self, amount: int) -> None:
        """Signals later, and starts an instance."""
        context = EntityContext.current()
        other = EntityId("account", "b" if context.entity_key == "a" else "a")
        context.signal_entity(other, "add", amount, signal_time=SOON)
        context.start_new(rounds, "hand-over", amount % 3)

    def close(self) -> None:
        EntityContext.current().destruct_on_exit()


@app.entity
def log(context: EntityContext) -> None:
    """Keeps what it is told, in order."""
    lines = context.get_state(list)
    context.set_state([*lines, context.get_input()])


@app.activity
def weigh(amount: int) -> int:
    """A plain function; some inputs fail."""
    if amount % 4 == 3:
        raise ValueError(f"cannot weigh {amount}")
    return 2 * amount


@app.activity(limit=2)
async def carry(amount: int) -> str:
    """Waits; its first attempt may fail, others run meanwhile."""
    attempt = ActivityContext.current().attempt
    await trio.sleep(amount)
    if amount % 3 == 2 and attempt < 2:
        raise ConnectionError("the road is closed")
    return f"carried {amount}"


@app.orchestration
async def order(ctx: OrchestrationContext, amount: int) -> list[Any]:
    """A call, activities side by side, a race of an event with a timer, a signal, a custom status."""
    account = EntityId("account", KEYS[amount % 2])
    seen: list[Any] = []
    try:
        seen.append(await ctx.call_entity(account, Account.take, amount))
    except TaskFailedError as error:
        seen.append(error.failure.type)
    ctx.set_custom_status({"amount": amount, "id": ctx.new_uuid()})
    try:
        seen.append(await ctx.task_all([ctx.call_activity(carry, 1), ctx.call_activity(weigh, amount)]))
    except TaskFailedError as error:
        seen.append(error.failure.message)
    paid, late = ctx.wait_for_external_event("paid"), ctx.create_timer(timedelta(seconds=amount))
    winner = await ctx.task_any([paid, late])
    if winner is paid:
        late.cancel()
        seen.append(paid.result)
    else:
        ctx.signal_entity(account, Account.add, amount)
    return [*seen, ctx.current_utc_datetime.isoformat()]


@app.orchestration
async def rounds(ctx: OrchestrationContext, left: int) -> str:
    """Takes an event or waits a while, then begins anew."""
    ctx.signal_entity(LOG, "append", left)
    paid = ctx.wait_for_external_event("paid")
    if await ctx.task_any([paid, ctx.create_timer(timedelta(seconds=3))]) is paid:
        ctx.signal_entity(LOG, "append", paid.result)
    if left > 0:
        ctx.continue_as_new(left - 1)
    return "over"


@app.orchestration
async def family(ctx: OrchestrationContext, amount: int) -> list[Any]:
    """Children with ids of their own and given ones, an event for another instance, a child that fails."""
    children = [ctx.call_sub_orchestrator(order, amount), ctx.call_sub_orchestrator(rounds, amount % 2)]
    kid = ctx.call_sub_orchestrator("nightly", amount, f"kid of {ctx.instance_id}")
    ctx.send_event("x", "paid", amount)
    seen: list[Any] = list(await ctx.task_all(children))
    try:
        seen.append(await kid)
    except TaskFailedError as error:
        seen.append(error.failure.type)
    return seen


@app.orchestration
def nightly(ctx: OrchestrationContext, amount: int) -> Generator[Task[Any], Any, Any]:
    """A generator: a timer, an activity that is tried again, and a refusal."""
    yield ctx.create_timer(timedelta(seconds=amount))
    carried = yield ctx.call_activity_with_retry(carry, RETRY, amount)
    weighed = yield ctx.call_activity(weigh, amount)
    return [carried, weighed]


ASKS: Final[Sequence[Ask]] = (
    *(call(Account.add, amount) for amount in (1, 5)),
    *(call(Account.take, amount) for amount in (2, 11)),
    *(call(Account.audit, pause_s) for pause_s in (0, 2)),
    signal(Account.take, 30),
    signal(Account.hand_over, 4),
    signal(Account.close),
    *(start(order, amount) for amount in (1, 3, 6)),
    *(start(rounds, left) for left in (1, 2)),
    *(start(family, amount) for amount in (2, 7)),
    start(rounds, 1, instance_id="x", if_running="return"),
    start(order, 2, instance_id="x", if_running="replace"),
    start(nightly, 5, instance_id="y"),
    start(family, 1, instance_id="y", if_finished="raise"),
)
MOMENTS: Final[Sequence[Moment]] = ("before", "after", "running")


def random_plan(seed: int) -> Plan:
    """A plan with everything that a plan may have. The same seed gives the same plan, in every process."""
    dice = random.Random(seed)
    requests = _requests(dice)
    count = len(requests)
    dense = tuple(dice.randrange(16) for _ in range(dice.randint(0, 60)))
    sparse = tuple(dice.randrange(1, 16) if dice.random() < 0.1 else 0 for _ in range(150))
    crashes: dict[int, Moment] = {dice.randint(1, 12): dice.choice(MOMENTS) for _ in range(dice.randint(0, 3))}
    jumps = {dice.randint(0, 60): dice.choice((-7200.0, -0.5, 1.5, 86_400.0)) for _ in range(dice.choice((0, 0, 1, 2)))}
    return Plan(
        requests,
        schedule=dice.choice((dense, sparse, ())),
        crashes=tuple(sorted(crashes.items())),
        duplicates=_some(dice, range(1, 8)),
        retries=_some(dice, range(count)),
        abandoned=_some(dice, range(count)) if dice.random() < 0.3 else (),
        jumps=tuple(sorted(jumps.items())),
        evict=dice.random() < 0.4,
    )


def _requests(dice: random.Random) -> tuple[Request, ...]:
    """What one to three clients ask, mostly of what they started before."""
    clients, targets = dice.randint(1, 3), ["hand-over"]
    requests: list[Request] = []
    for number in range(dice.randint(1, 8)):
        ask = dice.choice(ASKS)
        if number > 0 and dice.random() < 0.4:
            at = dice.choice(targets)
            ask = dice.choice((raise_event(at, "paid", number), terminate(at), suspend(at), resume(at)))
        target = dice.choice(KEYS) if ask.kind in ("call", "signal") else ask.target
        requests.append(request_of(app, ask, dice.randrange(clients), ask.input, target, number))
        if ask.kind == "start":
            targets += [requests[-1].target] * 3
    return tuple(requests)


def _some(dice: random.Random, numbers: Sequence[int]) -> tuple[int, ...]:
    return tuple(sorted(dice.sample(numbers, dice.randint(0, min(2, len(numbers))))))
