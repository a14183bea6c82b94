"""The town: a program in which everything that durio can do happens, written so that every effect can be counted."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

import attrs
import trio

from durio.entities import EntityContext, EntityId
from durio.orchestration import ActivityContext, App, OrchestrationContext, RetryOptions, TaskFailedError

app = App()

ATTEMPTS_MAX: Final = 3
RETRY: Final = RetryOptions(1_000, ATTEMPTS_MAX, backoff_coefficient=2.0)
SPOKEN: Final = 5
"""How many words a `sender` says."""
LAST_ROUND: Final = 3
"""The number of the last execution of `rounds`."""


def journal(key: str) -> EntityId:
    return EntityId("journal", key)


# Entities


@app.entity
@attrs.define
class Journal:
    """Keeps what it is told, in the order in which it comes."""

    items: list[Any] = attrs.Factory(list)

    def append(self, item: Any) -> int:
        """Gives the place of the item."""
        self.items.append(item)
        return len(self.items) - 1

    def spread(self, count: int) -> None:
        """Tells another journal as many things, in order."""
        context = EntityContext.current()
        for _ in range(count):
            context.signal_entity(journal("spread"), "append", [context.entity_key, len(self.items)])
            self.items.append(None)

    def scrawl(self, item: Any) -> None:
        """Raises after it changed, sent and started something: none of it may be seen."""
        self.items.append(item)
        context = EntityContext.current()
        context.signal_entity(journal("blots"), "append", item)
        context.start_new(single, "blot")
        raise ValueError("a blot")


@app.entity
@attrs.define
class Account:
    """Money. What leaves one account is on its way to another, or there: the sum of all is 0."""

    balance: int = 0

    def receive(self, amount: int) -> int:
        self.balance += amount
        return self.balance

    def pay(self, amount: int) -> int:
        context = EntityContext.current()
        other = EntityId("account", "b" if context.entity_key == "a" else "a")
        context.signal_entity(other, "receive", amount)
        self.balance -= amount
        return self.balance


@app.entity
@attrs.define
class Slow:
    """Its operations wait in the middle: whatever else ran on it meanwhile would be overwritten."""

    seen: list[int] = attrs.Factory(list)

    async def add(self, number: int) -> int:
        before = list(self.seen)
        await trio.lowlevel.checkpoint()
        await trio.sleep(0.5)
        self.seen = [*before, number]
        EntityContext.current().signal_entity(journal("slow"), "append", number)
        return len(before)

    async def slip(self, number: int) -> None:
        """Raises after it waited, changed and sent something."""
        self.seen.append(number)
        EntityContext.current().signal_entity(journal("blots"), "append", number)
        await trio.sleep(0.1)
        raise ValueError("slipped")

    def peek(self) -> int:
        return len(self.seen)


@app.entity
def cell(context: EntityContext) -> None:
    """Its state is what it is set to, and None deletes it. The answer says what was there."""
    context.set_result(["nothing"] if context.is_newly_constructed else ["state", context.get_state()])
    if context.operation_name == "set":
        context.set_state(context.get_input())


@app.entity
@attrs.define
class Office:
    """Starts orchestrations."""

    opened: int = 0

    def open(self, instance_id: str) -> str:
        self.opened += 1
        return EntityContext.current().start_new(single, instance_id)


# Activities


@app.activity
def double(number: int) -> int:
    return 2 * number


@app.activity
async def carry(load: list[int]) -> int:
    """Waits as many milliseconds, then gives the value; a negative one is a failure."""
    pause_ms, value = load
    await trio.sleep(pause_ms / 1000)
    if value < 0:
        raise ValueError(str(value))
    return value


@app.activity
async def insist(what: list[Any]) -> int:
    """Fails until the attempt that it is told."""
    attempt = ActivityContext.current().attempt
    await trio.sleep(0.1)
    if attempt < what[1]:
        raise ConnectionError("not yet")
    return attempt


# Orchestrations that end by themselves


@app.orchestration
async def errand(ctx: OrchestrationContext, number: int) -> list[Any]:
    """A little of everything."""
    ctx.set_custom_status("begun")
    ctx.signal_entity(EntityId("account", "a"), Account.receive, -number)
    ctx.signal_entity(EntityId("account", "b"), Account.receive, number)
    loads = [ctx.call_activity(carry, [100 * n, number + n]) for n in range(2)]
    paid = ctx.call_entity(EntityId("account", "a"), Account.pay, number)
    sums = await ctx.task_all(loads)
    await ctx.create_timer(timedelta(seconds=1))
    child = await ctx.call_sub_orchestrator(doubled, number)
    await paid
    ctx.set_custom_status("nearly done")
    attempt = await ctx.call_activity_with_retry(insist, RETRY, [ctx.instance_id, 2])
    return [sums, child, attempt]


@app.orchestration
async def doubled(ctx: OrchestrationContext, number: int) -> int:
    return await ctx.call_activity(double, number)


@app.orchestration
async def sender(ctx: OrchestrationContext, box: str) -> list[int]:
    """Says words to a journal, one way and with an answer, and the same to the listener, over several turns."""
    calls = []
    for number in range(SPOKEN):
        word = [ctx.instance_id, number]
        if number % 2:
            calls.append(ctx.call_entity(journal(box), Journal.append, word))
        else:
            ctx.signal_entity(journal(box), Journal.append, word)
        ctx.send_event("listener", "word", word)
        if number == 2:
            await ctx.call_activity(double, number)
    return await ctx.task_all(calls)


@app.orchestration
async def planner(ctx: OrchestrationContext, offsets_ms: list[int]) -> None:
    """Schedules signals, in any order."""
    now = ctx.current_utc_datetime
    for number, offset_ms in enumerate(offsets_ms):
        at = now + timedelta(milliseconds=offset_ms)
        what = [ctx.instance_id, offset_ms, number]
        ctx.signal_entity(journal("planned"), Journal.append, what, signal_time=at)


@app.orchestration
async def rounds(ctx: OrchestrationContext, number: int) -> int:
    """Executions that all ask for the same; those with an even number do not wait for their result."""
    load = ctx.call_activity(carry, [500, number])
    ctx.signal_entity(journal("rounds"), Journal.append, [ctx.instance_id, number])
    if number % 2:
        ctx.signal_entity(journal("results"), Journal.append, [ctx.instance_id, number, await load])
    if number < LAST_ROUND:
        ctx.continue_as_new(number + 1)
    return number


@app.orchestration
async def insistent(ctx: OrchestrationContext, enough: int) -> list[Any]:
    """The attempt that was good enough (-1: none), and how long it took."""
    began = ctx.current_utc_datetime
    try:
        attempt = await ctx.call_activity_with_retry(insist, RETRY, [ctx.instance_id, enough])
    except TaskFailedError:
        attempt = -1
    return [attempt, (ctx.current_utc_datetime - began).total_seconds()]


@app.orchestration
async def clockwork(ctx: OrchestrationContext, waits_ms: list[int]) -> list[list[str]]:
    """What the clock shows before each timer, when that is due, and what the clock shows then."""
    seen: list[list[str]] = []
    for wait_ms in waits_ms:
        before = ctx.current_utc_datetime
        due = before + timedelta(milliseconds=wait_ms)
        timers = [ctx.create_timer(due), ctx.create_timer(timedelta(milliseconds=wait_ms // 2))]
        await ctx.task_all(timers)
        seen.append([moment.isoformat() for moment in (before, due, ctx.current_utc_datetime)])
        await ctx.call_activity(double, wait_ms)
    return seen


@app.orchestration
async def namer(ctx: OrchestrationContext, left: int) -> None:
    """Makes ids: of its own, and of children that are given none."""
    ctx.signal_entity(journal("ids"), Journal.append, [ctx.new_uuid(), ctx.new_uuid()])
    await ctx.task_all([ctx.call_sub_orchestrator(named), ctx.call_sub_orchestrator(named)])
    ctx.signal_entity(journal("ids"), Journal.append, [ctx.new_uuid()])
    if left > 0:
        ctx.continue_as_new(left - 1)


@app.orchestration
async def named(ctx: OrchestrationContext) -> None:
    ctx.signal_entity(journal("ids"), Journal.append, [ctx.instance_id, ctx.new_uuid()])
    await ctx.call_sub_orchestrator(leaf)


@app.orchestration
async def leaf(ctx: OrchestrationContext) -> None:
    ctx.signal_entity(journal("ids"), Journal.append, [ctx.instance_id, ctx.new_uuid()])


@app.orchestration
async def gather(ctx: OrchestrationContext, loads: list[list[int]]) -> list[Any]:
    """Which of its tasks was the first, what all of them gave, and the same once more."""
    tasks = [ctx.call_activity(carry, load) for load in loads]
    first = -1
    if tasks:
        winner = await ctx.task_any(tasks)
        first = next(number for number, task in enumerate(tasks) if task is winner)
    everything = ctx.task_all(tasks)
    seen: list[Any] = []
    for _ in range(2):
        try:
            seen.append(await everything)
        except TaskFailedError as error:
            seen.append(error.failure.message)
    return [first, *seen]


# Orchestrations that go on until they are told


@app.orchestration
async def single(ctx: OrchestrationContext) -> None:
    """Notes its life, and lives until it is told to stop."""
    ctx.signal_entity(journal("lives"), Journal.append, [ctx.instance_id, ctx.execution_id])
    await ctx.wait_for_external_event("stop")


@app.orchestration
async def listener(ctx: OrchestrationContext) -> None:
    """Notes what it hears, three words an execution."""
    for _ in range(3):
        word = await ctx.wait_for_external_event("word")
        ctx.signal_entity(journal("heard"), Journal.append, word)
    ctx.continue_as_new()


@app.orchestration
async def collector(ctx: OrchestrationContext) -> None:
    """Notes events, two an execution, and is busy in between."""
    for _ in range(2):
        item = await ctx.wait_for_external_event("Item")
        ctx.signal_entity(journal(ctx.instance_id), Journal.append, item)
        await ctx.call_activity(double, 1)
    ctx.continue_as_new()


@app.orchestration
async def picky(ctx: OrchestrationContext) -> None:
    """Waits for either of two events, with a waiter that stands aside and a timer that may win, then begins anew."""
    spare = ctx.wait_for_external_event("a")
    one, other = ctx.wait_for_external_event("a"), ctx.wait_for_external_event("b")
    winner = await ctx.task_any([one, other])
    ctx.signal_entity(journal("picked"), Journal.append, [winner is one, winner.result])
    if winner is one:
        pause = ctx.create_timer(timedelta(seconds=1))
        if await ctx.task_any([pause, other]) is other:
            ctx.signal_entity(journal("picked"), Journal.append, [False, other.result])
    ctx.signal_entity(journal("picked"), Journal.append, [True, await spare])
    ctx.continue_as_new()


@app.orchestration
async def careful(ctx: OrchestrationContext) -> str:
    """Cleans up, however it ends."""
    me = [ctx.instance_id, ctx.execution_id]
    ctx.signal_entity(journal("begun"), Journal.append, me)
    try:
        await ctx.call_activity(double, 1)
        how = await ctx.wait_for_external_event("how", str)
        if how == "raise":
            raise ValueError("as asked")
        if how == "again":
            ctx.continue_as_new()
        return how
    finally:
        ctx.signal_entity(journal("cleaned"), Journal.append, me)


@app.orchestration
async def family(ctx: OrchestrationContext, depth: int) -> None:
    """Has children of given and of own ids, over executions; only terminate, cancel and replace end it."""
    if depth:
        _ = ctx.call_sub_orchestrator(family, depth - 1, f"{ctx.instance_id}.kid")
        _ = ctx.call_sub_orchestrator(family, depth - 1)
    await ctx.wait_for_external_event("go")
    ctx.continue_as_new(0)
