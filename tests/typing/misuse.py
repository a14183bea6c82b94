"""Wrong use: every marked line is an error, in mypy and in pyright.

Read by type checkers, never run. With its marks this file is as clean as all others; `test_typing.py` looks at what
the checkers say without them. A mark names mypy's error; a call that fits no overload is several errors to pyright.
"""

# ruff: noqa: B018, F821, F841  # nothing here is of any use
# mypy: disable-error-code="unused-awaitable"

from __future__ import annotations

from datetime import datetime

from durio.entities import EntityContext, EntityId
from durio.orchestration import Client, OrchestrationContext, RetryOptions, Started, Task
from durio.simulation import Faults, Sim, call, simulate, start
from tests.typing.program import CLICKS, Counter, Order, app, bill, chain, dice, greet, hello, nightly, oracle, watch

RETRY = RetryOptions(1_000, 3)
ORDER = Order("tea", 2)


def decorated() -> None:
    """A decorator hides nothing of what it decorates."""
    hello(5)  # type: ignore[arg-type]
    Counter("5")  # type: ignore[arg-type]
    app.activity(retries=3)  # type: ignore[call-overload]
    app.entity(5)  # type: ignore[call-overload]


async def names_that_do_not_exist(client: Client) -> None:
    """As in the samples of Azure's pages: a variable that is called otherwise, an import that is missing."""
    await client.get_status(instance_id)  # type: ignore[name-defined]
    logging.info("started")  # type: ignore[name-defined]


async def locks(ctx: OrchestrationContext, client: Client) -> None:
    """Entities are locked by their ids, and in a list."""
    ctx.lock_entities(["@counter@clicks"])  # type: ignore[list-item]
    ctx.lock_entities(CLICKS)  # type: ignore[arg-type]
    await client.get_lock("@counter@clicks")  # type: ignore[arg-type]


def inputs_of_activities(ctx: OrchestrationContext) -> None:
    """An activity takes its input, no other, and always."""
    ctx.call_activity(hello, 5)  # type: ignore[arg-type]
    ctx.call_activity(bill, "tea")  # type: ignore[arg-type]
    ctx.call_activity(hello)  # type: ignore[arg-type]
    ctx.call_activity(bill)  # type: ignore[arg-type]
    ctx.call_activity(dice, 5)  # type: ignore[arg-type]
    ctx.call_activity(oracle, 5)  # type: ignore[arg-type]
    ctx.call_activity(hello, "Tokyo", "London")  # type: ignore[call-overload]
    ctx.call_activity(hello, "Tokyo", timeout_s="5")  # type: ignore[call-overload]
    ctx.call_activity_with_retry(hello, "Tokyo", RETRY)  # type: ignore[call-overload]
    ctx.call_activity_with_retry(hello, RETRY, 5)  # type: ignore[arg-type]
    ctx.call_activity_with_retry(dice, RETRY, 5)  # type: ignore[arg-type]
    ctx.call_activity(5)  # type: ignore[call-overload]


async def results_of_activities(ctx: OrchestrationContext) -> None:
    """A result is what the activity returns."""
    number: int = await ctx.call_activity(hello, "Tokyo")  # type: ignore[arg-type]
    task: Task[int] = ctx.call_activity(hello, "Tokyo")  # type: ignore[arg-type]
    text: str = ctx.call_activity(hello, "Tokyo")  # type: ignore[assignment]
    (await ctx.call_activity(hello, "Tokyo")).uper()  # type: ignore[attr-defined]
    (await ctx.call_activity("hello", "Tokyo", expected_type=str)).uper()  # type: ignore[attr-defined]
    (await ctx.call_activity(bill, ORDER)).total  # type: ignore[attr-defined]
    ctx.call_activity(dice).value  # type: ignore[attr-defined]


async def sub_orchestrators(ctx: OrchestrationContext) -> None:
    """The same for sub-orchestrations."""
    ctx.call_sub_orchestrator(greet, "Tokyo")  # type: ignore[arg-type]
    ctx.call_sub_orchestrator(chain, [5])  # type: ignore[arg-type]
    ctx.call_sub_orchestrator(greet)  # type: ignore[arg-type]
    ctx.call_sub_orchestrator(nightly, ["Tokyo"])  # type: ignore[arg-type]
    ctx.call_sub_orchestrator(hello, "Tokyo")  # type: ignore[arg-type]
    ctx.call_sub_orchestrator_with_retry(greet, RETRY, 5)  # type: ignore[arg-type]
    numbers: list[int] = await ctx.call_sub_orchestrator(chain, ["Tokyo"])  # type: ignore[arg-type]
    text: str = await ctx.call_sub_orchestrator(watch)  # type: ignore[arg-type]


async def entities(ctx: OrchestrationContext, client: Client) -> None:
    """An operation takes its input and gives its result; an entity is named by an `EntityId`."""
    ctx.call_entity(CLICKS, Counter.add, "5")  # type: ignore[arg-type]
    ctx.call_entity(CLICKS, Counter.add)  # type: ignore[arg-type]
    ctx.call_entity(CLICKS, Counter.reset, 5)  # type: ignore[arg-type]
    ctx.call_entity(CLICKS, Counter.fetch, 5)  # type: ignore[arg-type]
    ctx.call_entity(CLICKS, Counter.sub, 5)  # type: ignore[attr-defined]
    ctx.call_entity("@counter@clicks", Counter.add, 5)  # type: ignore[call-overload]
    text: str = await ctx.call_entity(CLICKS, Counter.refresh)  # type: ignore[arg-type]
    await client.call_entity(CLICKS, Counter.add, "5")  # type: ignore[arg-type]
    await client.call_entity(CLICKS, Counter.fetch)  # type: ignore[arg-type]
    await client.call_entity(CLICKS, Counter.refresh, 5)  # type: ignore[arg-type]
    answer: str = await client.call_entity(CLICKS, Counter.add, 5)  # type: ignore[arg-type]
    state: int = (await client.read_entity_state(CLICKS, Counter)).entity_state  # type: ignore[assignment]
    EntityId("Counter")  # type: ignore[call-arg]


async def tasks(ctx: OrchestrationContext) -> None:
    """Combinators take tasks and keep their types; events have the type that was asked for."""
    numbers: list[int] = await ctx.task_all([ctx.call_activity(hello, "Tokyo")])  # type: ignore[arg-type]
    winner: str = await ctx.task_any([ctx.call_activity(hello, "Tokyo")])  # type: ignore[assignment]
    ctx.task_all(ctx.call_activity(hello, "Tokyo"))  # type: ignore[arg-type]
    event: str = await ctx.wait_for_external_event("approval", bool)  # type: ignore[arg-type]
    ctx.wait_for_external_event(5)  # type: ignore[call-overload]
    ctx.create_timer(5)  # type: ignore[arg-type]
    text: str = ctx.get_input(Order)  # type: ignore[assignment]
    ctx.current_utc_datetime.isofmt()  # type: ignore[attr-defined]


async def starts(client: Client) -> None:
    """A start takes the input of its orchestrator, and the options that there are."""
    await client.start_new(greet, "demo", "Tokyo")  # type: ignore[arg-type]
    await client.start_new(greet, client_input=[5])  # type: ignore[arg-type]
    await client.start_new(greet)  # type: ignore[arg-type]
    await client.start_new(greet, "demo")  # type: ignore[arg-type]
    await client.start_new(nightly, "demo", 5)  # type: ignore[arg-type]
    await client.start_new(greet, ["Tokyo"])  # type: ignore[call-overload]
    await client.start_new(nightly, if_running="ignore")  # type: ignore[call-overload]
    await client.start_new(nightly, start_at="now")  # type: ignore[call-overload]
    await client.start_new(hello, "demo", "Tokyo")  # type: ignore[arg-type]
    client.start_new(nightly)  # type: ignore[unused-coroutine]
    started: str = await client.start_new(nightly)  # type: ignore[assignment]


async def answers(client: Client, started: Started) -> None:
    """Answers have the fields that they have, and may be None where they may be."""
    started.id  # type: ignore[attr-defined]
    started.created = True  # type: ignore[misc]
    status = await client.get_status(started)
    since: datetime = status.created_time  # type: ignore[assignment]
    status.runtime_status.name  # type: ignore[union-attr]
    status.status  # type: ignore[attr-defined]
    await client.raise_event(started)  # type: ignore[call-arg]


def entity_contexts(ctx: EntityContext) -> None:
    """A function entity's input and state have the types that were asked for."""
    amount: str = ctx.get_input(int)  # type: ignore[assignment]
    state: str = ctx.get_state(int, int)  # type: ignore[assignment]
    ctx.get_state(expected_type=Counter).value  # type: ignore[union-attr]
    ctx.set_state()  # type: ignore[call-arg]


def simulations(sim: Sim) -> None:
    """A simulation has the names that it has; faults and tests, too."""
    sim.call(Counter.add, 1).uper()  # type: ignore[attr-defined]
    sim.call(Counter.add, "5")  # type: ignore[arg-type]
    sim.call(Counter.fetch, 5)  # type: ignore[arg-type]
    sim.call(Counter.add)  # type: ignore[arg-type]
    sim.call(Counter.reset, 1)  # type: ignore[arg-type]
    sim.call("add", 1)  # type: ignore[call-overload]
    sim.state(Counter).valu  # type: ignore[attr-defined]
    sim.advance("3 days")  # type: ignore[arg-type]
    sim.start(greet, ["Tokyo"]).instance_id  # type: ignore[attr-defined]
    simulate(start(nightly), max_crash=1)  # type: ignore[call-arg]
    simulate(nightly)  # type: ignore[arg-type]
    call(Counter.add, 1, kye="a")  # type: ignore[call-arg]
    Faults(crash=1)  # type: ignore[call-arg]
    sim.results[0].answer  # type: ignore[attr-defined]
