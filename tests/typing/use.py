"""Correct use: every type that durio carries from the user's functions to the user's code.

Read by type checkers, never run: `test_typing.py` looks at what mypy and pyright say.
"""

# assert_type gives back what it gets, so on every second line mypy sees a task that nobody awaits.
# mypy: disable-error-code="unused-awaitable"

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from datetime import datetime, timedelta
from typing import Any, NoReturn, assert_type

from durio.entities import EntityContext, EntityId
from durio.orchestration import (
    Client,
    CriticalSection,
    DurableOrchestrationStatus,
    EntityLock,
    EntityStateResponse,
    OrchestrationContext,
    OrchestrationRuntimeStatus,
    RetryOptions,
    Started,
    Task,
    TimerTask,
)
from durio.simulation import (
    ActivityRun,
    Ask,
    Call,
    Faults,
    Linearizability,
    Sim,
    call,
    signal,
    simulate,
    simulation,
    start,
)
from tests.typing.program import (
    CLICKS,
    Box,
    Counter,
    Order,
    Receipt,
    app,
    bill,
    chain,
    dice,
    greet,
    hello,
    nightly,
    oracle,
    purchase,
    tally,
    watch,
)

RETRY = RetryOptions(1_000, 3)
ORDER = Order("tea", 2)


async def decorators(ctx: OrchestrationContext, entity: EntityContext) -> None:
    """Functions and classes keep their types, with and without options."""
    assert_type(hello("Tokyo"), str)
    assert_type(await bill(ORDER), Receipt)
    assert_type(dice(), int)
    assert_type(await oracle(), list[str])
    assert_type(Counter(), Counter)
    assert_type(Counter(3).add(1), int)
    assert_type(Box(), Box)
    assert_type(tally(entity), None)
    assert_type(await greet(ctx, ["Tokyo"]), int)
    assert_type(await purchase(ctx, ORDER), Receipt)
    assert_type(chain(ctx, ["Tokyo"]), Generator[Task[Any], Any, list[str]])

    counter: type[Counter] = Counter
    activity: Callable[[str], str] = hello
    orchestrator: Callable[[OrchestrationContext, Order], Coroutine[Any, Any, Receipt]] = purchase
    assert_type((counter, activity, orchestrator)[0], type[Counter])


async def activities(ctx: OrchestrationContext) -> None:
    """A call of an activity gives what the activity returns; of an `async def`, what awaiting it gives."""
    assert_type(ctx.call_activity(hello, "Tokyo"), Task[str])
    assert_type(ctx.call_activity(bill, ORDER), Task[Receipt])
    assert_type(ctx.call_activity(dice), Task[int])
    assert_type(ctx.call_activity(oracle), Task[list[str]])
    assert_type(ctx.call_activity(hello, "Tokyo", timeout_s=5.0, tags={"kind": "test"}), Task[str])
    assert_type(ctx.call_activity("hello", "Tokyo"), Task[Any])
    assert_type(ctx.call_activity("hello", input_="Tokyo"), Task[Any])
    assert_type(ctx.call_activity("hello", "Tokyo", expected_type=str), Task[str])
    assert_type(ctx.call_activity("roll", expected_type=int, timeout_s=5.0), Task[int])
    assert_type(await ctx.call_activity(bill, ORDER), Receipt)
    assert_type((await ctx.call_activity(bill, ORDER)).number, int)
    assert_type(ctx.call_activity(dice).result, int)


async def activities_with_retry(ctx: OrchestrationContext) -> None:
    """Retries change no type."""
    assert_type(ctx.call_activity_with_retry(hello, RETRY, "Tokyo"), Task[str])
    assert_type(ctx.call_activity_with_retry(bill, RETRY, ORDER, timeout_s=5.0), Task[Receipt])
    assert_type(ctx.call_activity_with_retry(dice, RETRY), Task[int])
    assert_type(ctx.call_activity_with_retry(oracle, RETRY), Task[list[str]])
    assert_type(ctx.call_activity_with_retry("hello", RETRY, "Tokyo"), Task[Any])
    assert_type(ctx.call_activity_with_retry("hello", RETRY, "Tokyo", expected_type=str), Task[str])


async def sub_orchestrators(ctx: OrchestrationContext) -> None:
    """A sub-orchestration gives what its code returns, be it an `async def` or a generator."""
    assert_type(ctx.call_sub_orchestrator(greet, ["Tokyo"]), Task[int])
    assert_type(ctx.call_sub_orchestrator(purchase, ORDER, "buy-1", version="2"), Task[Receipt])
    assert_type(ctx.call_sub_orchestrator(nightly, instance_id="night-1"), Task[str])
    assert_type(ctx.call_sub_orchestrator(chain, ["Tokyo"]), Task[list[str]])
    assert_type(ctx.call_sub_orchestrator(watch), Task[bool])
    assert_type(ctx.call_sub_orchestrator("greet", ["Tokyo"], "greet-1"), Task[Any])
    assert_type(ctx.call_sub_orchestrator("greet", ["Tokyo"], expected_type=int), Task[int])
    assert_type(ctx.call_sub_orchestrator_with_retry(greet, RETRY, ["Tokyo"]), Task[int])
    assert_type(ctx.call_sub_orchestrator_with_retry(nightly, RETRY), Task[str])
    assert_type(ctx.call_sub_orchestrator_with_retry(chain, RETRY, ["Tokyo"], "c-1"), Task[list[str]])
    assert_type(ctx.call_sub_orchestrator_with_retry("greet", RETRY, expected_type=int), Task[int])
    assert_type(await ctx.call_sub_orchestrator(chain, ["Tokyo"]), list[str])


async def entities_from_orchestrations(ctx: OrchestrationContext) -> None:
    """A call of an entity gives what its method returns."""
    assert_type(ctx.call_entity(CLICKS, Counter.add, 1), Task[int])
    assert_type(ctx.call_entity(CLICKS, Counter.reset), Task[None])
    assert_type(ctx.call_entity(CLICKS, Counter.fetch, "a"), Task[bytes])
    assert_type(ctx.call_entity(CLICKS, Counter.refresh), Task[float])
    assert_type(ctx.call_entity(EntityId("box", "1"), Box.get), Task[int])
    assert_type(ctx.call_entity(CLICKS, "add", 1), Task[Any])
    assert_type(ctx.call_entity(CLICKS, "add", 1, expected_type=int), Task[int])
    assert_type(ctx.signal_entity(CLICKS, Counter.add, 1), None)


async def entities_from_clients(client: Client) -> None:
    """The same from a client, which awaits the result itself; and reads of states."""
    assert_type(await client.call_entity(CLICKS, Counter.add, 1), int)
    assert_type(await client.call_entity(CLICKS, Counter.reset), None)
    assert_type(await client.call_entity(CLICKS, Counter.fetch, "a", request_id="r"), bytes)
    assert_type(await client.call_entity(CLICKS, Counter.refresh), float)
    assert_type(await client.call_entity(CLICKS, "add", 1), Any)
    assert_type(await client.call_entity(CLICKS, "add", 1, expected_type=int), int)
    assert_type(await client.signal_entity(CLICKS, Counter.add, 1), None)

    assert_type(await client.read_entity_state(CLICKS), EntityStateResponse[Any])
    assert_type(await client.read_entity_state(CLICKS, Counter), EntityStateResponse[Counter])
    read = await client.read_entity_state(CLICKS, Counter)
    assert_type(read.entity_exists, bool)
    assert_type(read.entity_state, Counter | None)


async def together(ctx: OrchestrationContext) -> None:
    """`task_all` gives a list, `task_any` a task; tasks are covariant."""
    greetings = [ctx.call_activity(hello, city) for city in ("Tokyo", "London")]
    assert_type(ctx.task_all(greetings), Task[list[str]])
    assert_type(await ctx.task_all(ctx.call_activity(bill, ORDER) for _ in range(3)), list[Receipt])
    assert_type(await ctx.task_all([ctx.call_entity(CLICKS, Counter.add, n) for n in range(3)]), list[int])
    assert_type(ctx.task_any(greetings), Task[Task[str]])
    winner = await ctx.task_any(greetings)
    assert_type(winner, Task[str])
    assert_type(await winner, str)
    assert_type(winner.result, str)

    wide: list[Task[object]] = [greetings[0], ctx.call_activity(dice)]
    assert_type(await wide[0], object)
    timer = ctx.create_timer(timedelta(hours=1))
    approval = ctx.wait_for_external_event("approval", bool)
    race: list[Task[bool | None]] = [approval, timer]
    assert_type(await ctx.task_any(race), Task[bool | None])
    first = await ctx.task_any([approval, timer])
    assert_type(first == timer, bool)


async def time_and_events(ctx: OrchestrationContext) -> None:
    """Timers give nothing; events give the type that was asked for."""
    assert_type(ctx.create_timer(timedelta(seconds=5)), TimerTask)
    assert_type(await ctx.create_timer(ctx.current_utc_datetime), None)
    assert_type(ctx.wait_for_external_event("approval"), Task[Any])
    assert_type(ctx.wait_for_external_event("approval", bool), Task[bool])
    assert_type(await ctx.wait_for_external_event("order", Order), Order)
    assert_type(ctx.get_input(), Any)
    assert_type(ctx.get_input(Order), Order)


async def countdown(ctx: OrchestrationContext, left: int | None) -> int:
    """`continue_as_new` never returns, and checkers know: behind it `left` is no None."""
    if left is None:
        ctx.continue_as_new(10)
    return left


async def locks(ctx: OrchestrationContext, client: Client) -> None:
    """A lock request gives a critical section; lists of locks say what is in them."""
    assert_type(ctx.lock_entities([CLICKS]), Task[CriticalSection])
    async with await ctx.lock_entities([CLICKS]) as section:
        assert_type(section, CriticalSection)
        assert_type(section.entities, tuple[EntityId, ...])
    assert_type(await client.list_locks(), list[EntityLock])
    assert_type(await client.get_lock(CLICKS), EntityLock | None)


def again(ctx: OrchestrationContext) -> NoReturn:
    """Also where a function says itself that it never returns."""
    ctx.continue_as_new()


async def starts(client: Client) -> None:
    """`start_new` takes the input by place or by name, and says what it did."""
    assert_type(await client.start_new(greet, "demo", ["Tokyo"]), Started)
    assert_type(await client.start_new(greet, None, ["Tokyo"]), Started)
    assert_type(await client.start_new(greet, client_input=["Tokyo"]), Started)
    assert_type(await client.start_new(greet, instance_id="demo", client_input=["Tokyo"]), Started)
    assert_type(await client.start_new(chain, "chain", ["Tokyo"]), Started)
    assert_type(await client.start_new(purchase, "buy", ORDER, version="2", if_running="return"), Started)
    assert_type(await client.start_new(nightly), Started)
    assert_type(await client.start_new(nightly, "tonight", if_running="replace", if_finished="raise"), Started)
    assert_type(await client.start_new(watch, events=[("go", None)], tags={"team": "a"}), Started)
    assert_type(await client.start_new("greet"), Started)
    assert_type(await client.start_new("greet", "demo", ["Tokyo"], start_at=None, request_id="r"), Started)
    assert_type(await client.start_new("greet", client_input=["Tokyo"]), Started)
    started = await client.start_new(nightly)
    assert_type(started.created, bool)
    assert_type(started.instance_id, str)


async def statuses(client: Client, started: Started) -> None:
    """A status is typed where durio knows the type."""
    assert_type(await client.wait_for_completion(started), DurableOrchestrationStatus)
    status = await client.get_status(started.instance_id, show_history=True)
    assert_type(status, DurableOrchestrationStatus)
    assert_type(status.instance_id, str)
    assert_type(status.name, str | None)
    assert_type(status.runtime_status, OrchestrationRuntimeStatus | None)
    assert_type(status.created_time, datetime | None)
    assert_type(status.last_updated_time, datetime | None)
    assert_type(status.input_, Any)
    assert_type(status.output, Any)
    assert_type(status.custom_status, Any)
    assert_type(status.tags, dict[str, str])
    assert_type(status.history, list[dict[str, Any]] | None)
    assert_type(status.is_finished, bool)


def entity_contexts(ctx: EntityContext) -> None:
    """A function entity's input and state have the types that were asked for."""
    assert_type(ctx.get_input(), Any)
    assert_type(ctx.get_input(Order), Order)
    assert_type(ctx.get_state(), Any)
    assert_type(ctx.get_state(lambda: 0), Any)
    assert_type(ctx.get_state(int, int), int)
    assert_type(ctx.get_state(list, expected_type=list[str]), list[str])
    assert_type(ctx.get_state(expected_type=Counter), Counter | None)
    assert_type(ctx.start_new(nightly), str)
    assert_type(ctx.signal_entity(CLICKS, Counter.add, 1), None)
    assert_type(EntityContext.current(), EntityContext)


@simulate(call(Counter.add, 1), signal(Counter.reset), start(nightly), faults=Faults(crashes=1), clients=2)
def simulated(sim: Sim) -> None:
    """A test that is simulated sees the states of entities in their own types."""
    assert_type(sim.state(Counter), Counter)
    assert_type(sim.state(Counter, "clicks").value, int)
    assert_type(sim.state("counter"), Any)
    assert_type(sim.state(tally), Any)
    assert_type(sim.status("demo"), DurableOrchestrationStatus)
    assert_type(sim.instances, dict[str, DurableOrchestrationStatus])
    assert_type(sim.locks, list[EntityLock])
    assert_type(sim.results, tuple[Call, ...])
    assert_type(sim.runs(bill), list[ActivityRun])
    assert_type(sim.effects(bill), list[Any])
    assert_type(sim.linearizable(Counter), Linearizability)
    assert_type(sim.now, datetime)


def simulations() -> None:
    """What a client is told has the type that the operation returns; what is decorated can be called, and replayed."""
    with simulation(app) as sim:
        assert_type(sim, Sim)
        assert_type(sim.call(Counter.add, 1), int)
        assert_type(sim.call(Counter.add, 1, key="clicks"), int)
        assert_type(sim.call(Counter.fetch, "a"), bytes)
        assert_type(sim.call(Counter.refresh), float)
        assert_type(sim.call("add", 1, entity=Counter), Any)
        assert_type(sim.start(greet, ["Tokyo"]), str)
        assert_type(sim.do(lambda client: client.call_entity(CLICKS, Counter.add, 1)), int)
        assert_type(sim.send(call(Counter.add, 1)), Call)
        assert_type(call(Counter.add, 1), Ask)
        assert_type(sim.enabled(), list[str])
    assert_type(simulated(), None)
    assert_type(simulated.replay("text"), None)
