"""The default schedule of a simulation against a real hub in virtual time: the same programs, the same outcome.

Each program is a list of what a client does, one thing after the other, with times in between. A real hub
(`open_hub`, Trio, `MockClock`) runs it, and a simulation does; everything that a client can see is compared, times
included.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from datetime import timedelta
from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock

from durio.entities import EntityContext, EntityId, VirtualEnv, from_us
from durio.orchestration import (
    App,
    Client,
    DurableOrchestrationStatus,
    OrchestrationContext,
    RetryOptions,
    TaskFailedError,
    open_hub,
)
from durio.simulation import Plan, Request, simulation
from durio.storage import MemoryDisk, MemoryStore

START_US = 1_767_225_600_000_000
"""When both worlds begin."""

Act = Callable[[Client], Coroutine[Any, Any, Any]] | timedelta
"""What a client does, or how long it does nothing."""

app = App()


@app.entity(timeout_s=4)
@attrs.define
class Counter:
    """An entity with everything: sync and async operations, errors, signals, starts."""

    value: int = 0

    def add(self, amount: int) -> int:
        self.value += amount
        return self.value

    def fail_after(self, amount: int) -> int:
        self.value += amount
        raise ValueError(f"no {amount}")

    async def add_slowly(self, amount: int) -> int:
        await trio.sleep(amount)
        self.value += amount
        return self.value

    def launch(self, name: str) -> str:
        return EntityContext.current().start_new(double, name, self.value)

    def pass_on(self, amount: int) -> None:
        EntityContext.current().signal_entity(EntityId("Counter", "next"), Counter.add, amount)


@app.activity
def double_it(number: int) -> int:
    return 2 * number


@app.activity
async def slowly(seconds: int) -> int:
    await trio.sleep(seconds)
    return seconds


@app.activity(limit=2)
async def two_at_a_time(number: int) -> int:
    await trio.sleep(10)
    return number


@app.activity
def flaky(odd: bool) -> str:
    raise ConnectionError("no line") if odd else ValueError("no luck")


@app.orchestration
async def double(ctx: OrchestrationContext, number: int) -> int:
    return await ctx.call_activity(double_it, number)


@app.orchestration
async def fan(ctx: OrchestrationContext, width: int) -> list[int]:
    return await ctx.task_all([ctx.call_activity(slowly, width - n) for n in range(width)])


@app.orchestration
async def limited(ctx: OrchestrationContext, width: int) -> tuple[list[int], str]:
    numbers = await ctx.task_all([ctx.call_activity(two_at_a_time, n) for n in range(width)])
    return numbers, ctx.current_utc_datetime.isoformat()


@app.orchestration
async def months(ctx: OrchestrationContext) -> list[str]:
    moments = []
    for days in (31, 28, 365):
        await ctx.create_timer(timedelta(days=days))
        moments.append(ctx.current_utc_datetime.isoformat())
        ctx.set_custom_status(f"{days} days")
    return moments


@app.orchestration
async def approval(ctx: OrchestrationContext) -> str:
    decision = ctx.wait_for_external_event("decision", str)
    deadline = ctx.create_timer(timedelta(days=3))
    first = await ctx.task_any([decision, deadline])
    if first is deadline:
        return "too late"
    deadline.cancel()
    return decision.result


@app.orchestration
async def tries(ctx: OrchestrationContext, odd: bool) -> str:
    options = RetryOptions(5_000, 4, backoff_coefficient=2.0)
    try:
        return await ctx.call_activity_with_retry(flaky, options, odd)
    except TaskFailedError as error:
        return f"{error.failure.message} at {ctx.current_utc_datetime.isoformat()}"


@app.orchestration
async def impatient(ctx: OrchestrationContext, seconds: int) -> str:
    try:
        return str(await ctx.call_activity(slowly, seconds, timeout_s=5))
    except TaskFailedError as error:
        return error.failure.message


@app.orchestration
async def gives_up(ctx: OrchestrationContext) -> str:
    task = ctx.call_activity(slowly, 100)
    await ctx.create_timer(timedelta(seconds=10))
    task.cancel()
    try:
        await task
    except Exception as error:
        return type(error).__name__
    return "not cancelled"


@app.orchestration
async def family(ctx: OrchestrationContext, depth: int) -> list[int]:
    if depth == 0:
        return [await ctx.call_activity(double_it, 1)]
    children = [ctx.call_sub_orchestrator(family, depth - 1) for _ in range(2)]
    return [number for numbers in await ctx.task_all(children) for number in numbers]


@app.orchestration
async def collects(ctx: OrchestrationContext, found: list[int]) -> list[int]:
    found.append(await ctx.wait_for_external_event("item", int))
    if len(found) < 4:
        ctx.continue_as_new(found)
    return found


@app.orchestration
def old_style(context: OrchestrationContext) -> Any:
    first = yield context.call_activity("double_it", 4)
    second = yield context.call_entity(EntityId("Counter", "old"), "add", first)
    return second


@app.orchestration
async def uses_entities(ctx: OrchestrationContext) -> list[Any]:
    counter = EntityId("Counter", "c")
    ctx.signal_entity(counter, Counter.add, 5)
    ctx.signal_entity(counter, Counter.add, 100, signal_time=ctx.current_utc_datetime + timedelta(days=40))
    seen: list[Any] = [await ctx.call_entity(counter, Counter.add_slowly, 3)]
    try:
        await ctx.call_entity(counter, Counter.fail_after, 7)
    except TaskFailedError as error:
        seen.append(error.failure.message)
    try:
        await ctx.call_entity(counter, Counter.add_slowly, 9)
    except TaskFailedError as error:
        seen.append(error.failure.message)
    return [*seen, await ctx.call_entity(counter, Counter.add, 0)]


def start(orchestration: Callable[..., Any], instance_id: str, value: Any = None, **options: Any) -> Act:
    return lambda client: client.start_new(orchestration, instance_id, value, **options)


def event(instance_id: str, data: Any, name: str = "item") -> Act:
    return lambda client: client.raise_event(instance_id, name, data)


def ended(instance_id: str) -> Act:
    return lambda client: client.wait_for_completion(instance_id)


def on(key: str, operation: Callable[..., Any], *value: Any) -> Act:
    return lambda client: client.call_entity(EntityId("Counter", key), operation, *value)


PROGRAMS: dict[str, Sequence[Act]] = {
    "chain": [start(double, "d", 4), ended("d"), start(double, "d", 5), ended("d"), start(old_style, "o"), ended("o")],
    "fan": [start(fan, "f", 5), ended("f")],
    "limit": [start(limited, "l", 5), ended("l")],
    "months": [start(months, "m"), timedelta(days=40), ended("m")],
    "approved": [start(approval, "a"), timedelta(days=2), event("a", "yes", "decision"), ended("a")],
    "too late": [start(approval, "a"), ended("a"), event("a", "yes", "decision")],
    "retries": [start(tries, "t", True), start(tries, "u", False), ended("t"), ended("u")],
    "time-outs": [start(impatient, "i", 4), start(impatient, "j", 6), ended("i"), ended("j")],
    "cancel": [start(gives_up, "g"), ended("g"), timedelta(days=1)],
    "family": [start(family, "x", 2), ended("x")],
    "continue": [
        start(collects, "c", [], events=[("item", 1), ("item", 2)]),
        event("c", 3),
        start(collects, "c", [9], if_running="return", events=[("item", 4)]),
        ended("c"),
        event("c", 5),
    ],
    "control": [
        start(collects, "c", [0, 0]),
        lambda client: client.suspend("c"),
        event("c", 1),
        event("c", 2),
        timedelta(days=1),
        lambda client: client.get_status("c"),
        lambda client: client.resume("c"),
        ended("c"),
        start(months, "m"),
        timedelta(days=32),
        lambda client: client.terminate("m", "enough"),
        ended("m"),
        lambda client: client.suspend("m"),
    ],
    "policies": [
        start(collects, "c", []),
        start(collects, "c", []),
        start(double, "c", 1, if_running="return"),
        start(collects, "c", [1], if_running="replace"),
        start(double, "c", 1, if_running="replace"),
        ended("c"),
        start(double, "c", 1, if_finished="raise"),
    ],
    "later": [start(double, "d", 1, start_at=from_us(START_US + 86_400_000_000)), timedelta(hours=1), ended("d")],
    "entities": [
        start(uses_entities, "u"),
        ended("u"),
        on("c", Counter.add, 1),
        on("c", Counter.fail_after, 1),
        lambda client: client.signal_entity(EntityId("Counter", "c"), Counter.pass_on, 3),
        on("c", Counter.launch, "launched"),
        timedelta(seconds=1),
        timedelta(days=41),
        on("c", Counter.add, 0),
        on("next", Counter.add, 0),
        ended("launched"),
        on("c", Counter.add_slowly, 5),
    ],
}


@attrs.frozen
class Seen:
    """Everything that a client could see: what its calls gave, and what became of all instances and entities."""

    answers: list[Any]
    ran: list[Any]
    instances: list[Any]
    states: list[Any]


INSTANCES = ("a", "c", "d", "f", "g", "i", "j", "l", "launched", "m", "o", "t", "u", "x")
KEYS = ("c", "next", "old")


def plain(value: Any) -> Any:
    """A value without what differs by right: made-up ids, stacks, and the order of what happens at one moment."""
    if isinstance(value, DurableOrchestrationStatus):
        history = sorted((event["timestamp"], _shown(event)) for event in value.history or ())
        failure = None if value.failure is None else (value.failure.type, value.failure.message)
        return attrs.evolve(value, execution_id=None, history=None, failure=None), failure, history
    return value


def _shown(event: dict[str, Any]) -> str:
    failure = event.get("failure") or {}
    shown = event | {"execution": "", "instance": "", "failure": (failure.get("type"), failure.get("message"))}
    return str(sorted(shown.items()))


async def seen_by(client: Client) -> tuple[list[Any], list[Any]]:
    statuses = [await client.get_status(name, show_history=True, show_history_output=True) for name in INSTANCES]
    states = [await client.read_entity_state(EntityId("Counter", key)) for key in KEYS]
    return [plain(status) for status in statuses], states


def watched(ran: list[Any]) -> App:
    """The app with activities that say when they run."""

    def noting(function: Callable[..., Any]) -> Callable[..., Any]:
        async def slow(value: Any) -> Any:
            ran.append((function.__name__, value))
            return await function(value)

        def quick(value: Any) -> Any:
            ran.append((function.__name__, value))
            return function(value)

        return quick if function in (double_it, flaky) else slow

    return app.with_activities({found.function: noting(found.function) for found in app.registry.activities})


async def attempt(act: Awaitable[Any]) -> Any:
    try:
        return plain(await act)
    except Exception as error:
        return type(error).__name__, str(error)


def really(acts: Sequence[Act]) -> Seen:
    """What a real hub makes of a program."""
    answers: list[Any] = []
    ran: list[Any] = []

    async def main() -> Seen:
        env = VirtualEnv(start_us=START_US)
        async with open_hub(MemoryStore(MemoryDisk()), watched(ran), env=env) as client:
            for act in acts:
                if isinstance(act, timedelta):
                    await trio.sleep(act.total_seconds())
                else:
                    answers.append(await attempt(act(client)))
            return Seen(answers, ran, *await seen_by(client))

    return trio.run(main, clock=MockClock(autojump_threshold=0))


def simulated(acts: Sequence[Act], *, evict: bool = False) -> Seen:
    """What a simulation makes of it."""
    answers: list[Any] = []
    ran: list[Any] = []
    with simulation(watched(ran), evict=evict) as sim:
        for act in acts:
            if isinstance(act, timedelta):
                sim.advance(act)
            else:
                answers.append(sim.do(lambda client, act=act: attempt(act(client))))  # type: ignore[misc]
        return Seen(answers, ran, *sim.do(seen_by))


@pytest.mark.parametrize("evict", [False, True])
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_simulation_ends_as_a_real_hub_does(name: str, evict: bool) -> None:
    """Answers, runs of activities, statuses, times, histories and states are those of a real hub."""
    real = really(PROGRAMS[name])
    found = simulated(PROGRAMS[name], evict=evict)
    assert found.answers == real.answers
    assert sorted(found.ran) == sorted(real.ran)
    assert found.instances == real.instances
    assert found.states == real.states


def test_a_month_does_not_pass_while_a_request_waits() -> None:
    """G3: a hub stalls for seconds, and not for longer than request ids are kept: a repeated request is done once."""
    plan = Plan(
        (Request(0, "call", "@counter@k", "add", "1"), Request(1, "start", "m", "months")), retries=(0,), evict=True
    )
    with simulation(app, replay=plan.encode()) as sim:

        def choose(*words: str) -> bool:
            fitting = [n for n, step in enumerate(sim.enabled()) if all(word in step for word in words)]
            if fitting:
                sim.choose(fitting[0])
            return bool(fitting)

        assert choose("call")
        assert choose("start")
        assert choose("turn", "m")
        assert not choose("time")
        assert choose("again")
        sim.run()
        assert sim.state(Counter, "k") == Counter(1)
        assert sim.now >= from_us(START_US) + timedelta(days=365)
