"""G12: which waits are refused for a cycle: all that the code needs, and none that only has a number of one."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import attrs
import pytest
import trio

from durio.entities import CONTROL_LANE, EntityId
from durio.orchestration import App, Client, LockCycle, OrchestrationContext, TaskFailedError
from durio.orchestration.messages import Rewind
from tests.orchestration.helpers import Stepper, finished, in_memory, output

A, B = EntityId("Account", "a"), EntityId("Account", "b")

app = App()
broken: set[str] = set()


@pytest.fixture(autouse=True)
def _fresh() -> None:
    broken.clear()


@app.entity
@attrs.define
class Account:
    balance: int = 0

    def add(self, amount: int) -> int:
        self.balance += amount
        return self.balance


@app.activity
def work(name: str) -> str:
    if name in broken:
        raise ValueError(f"{name} is broken")
    return name


async def sum_of(*calls: Any) -> str:
    """What calls gave, or that they were refused."""
    try:
        return str([await call for call in calls])
    except LockCycle:
        return "refused"


# Waits of the wrong number


@app.orchestration
async def locks_when_told(ctx: OrchestrationContext) -> str:
    await ctx.wait_for_external_event("lock")
    async with await ctx.lock_entities([A]):
        return "locked"


@app.orchestration
async def renewed(ctx: OrchestrationContext, begun: bool) -> str:
    """The first action of its first execution is a child, that of the second one a timer."""
    if not begun:
        ctx.call_sub_orchestrator(locks_when_told, instance_id="child")
        await ctx.wait_for_external_event("renew")
        ctx.continue_as_new(True)
    timer = ctx.create_timer(timedelta(seconds=50))
    async with await ctx.lock_entities([A]):
        await ctx.wait_for_external_event("wait")
        await timer
    return "waited"


@pytest.mark.parametrize("evict", [False, True])
def test_a_child_of_an_execution_before_may_wait(evict: bool) -> None:
    """G12, G23: nobody waits for it, though what its parent waits for has the number that it had."""
    hub = Stepper(app, evict=evict)
    hub.start("renewed", "x", False)
    hub.settle()
    for address, event in (("x", "renew"), ("child", "lock"), ("x", "wait")):
        hub.raise_event(address, event)
        hub.settle()
    hub.pass_s(100)
    assert (hub.output("x"), hub.output("child")) == ("waited", "locked")


# All that is needed


@app.orchestration
async def two_calls(ctx: OrchestrationContext, how: str) -> str:
    await ctx.wait_for_external_event("call")
    calls = [ctx.call_entity(A, Account.add, number) for number in (1, 2)]
    if how == "all":
        return await sum_of(ctx.task_all(calls))
    return await sum_of(calls[1])


@app.orchestration
async def holds_and_waits(ctx: OrchestrationContext, how: str) -> str:
    child = ctx.call_sub_orchestrator(two_calls, how, "child")
    async with await ctx.lock_entities([A]):
        await ctx.wait_for_external_event("wait")
        return await child


@pytest.mark.parametrize("evict", [False, True])
@pytest.mark.parametrize("first", ["call", "wait"])
@pytest.mark.parametrize("how", ["all", "second"])
def test_of_several_calls_those_that_are_awaited_are_refused(how: str, first: str, evict: bool) -> None:
    """G12: all of them, whichever came first, and whoever closes the circle; one that is not awaited is done later."""
    hub = Stepper(app, evict=evict)
    hub.start("holds_and_waits", "x", how)
    hub.settle()
    for event in ("call", "wait") if first == "call" else ("wait", "call"):
        hub.raise_event("child" if event == "call" else "x", event)
        hub.settle()
    assert (hub.output("x"), hub.output("child")) == ("refused", "refused")
    hub.start("balance", "y")
    hub.settle()
    assert hub.output("y") == (0 if how == "all" else 1)


@app.orchestration
async def balance(ctx: OrchestrationContext) -> int:
    return await ctx.call_entity(A, Account.add, 0)


# What a rewind took back


@app.orchestration
async def calls_again(ctx: OrchestrationContext) -> str:
    """Behind the failure it calls an entity, and after the rewind the same call has the same number."""
    try:
        await ctx.call_activity(work, "a")
    except TaskFailedError as error:
        call = ctx.call_entity(A, Account.add, 1)
        await ctx.task_any([call, ctx.create_timer(timedelta(seconds=5))])
        raise RuntimeError("over") from error
    return await sum_of(ctx.call_entity(A, Account.add, 2))


@app.orchestration
async def middle(ctx: OrchestrationContext) -> str:
    child = ctx.call_sub_orchestrator(calls_again, instance_id="caller")
    async with await ctx.lock_entities([B]):
        return await child


@app.orchestration
async def asks_for_b(ctx: OrchestrationContext) -> str:
    await ctx.wait_for_external_event("call")
    return str(await ctx.call_entity(B, Account.add, 1))


@app.orchestration
async def outer(ctx: OrchestrationContext) -> str:
    child = ctx.call_sub_orchestrator(asks_for_b, instance_id="asker")
    async with await ctx.lock_entities([A]):
        await ctx.wait_for_external_event("wait")
        return await child


@pytest.mark.parametrize("evict", [False, True])
def test_a_call_that_was_taken_back_is_not_the_one_that_is_awaited(evict: bool) -> None:
    """G12, G27: the circle is broken at the call that is waited for; the old one stays sent, and is done."""
    hub = Stepper(app, evict=evict)
    broken.add("a")
    hub.start("outer", "outer")
    hub.settle()
    hub.start("middle", "middle")
    hub.settle()
    hub.pass_s(10)
    assert (hub.status("caller"), hub.status("middle")) == ("Failed", "Failed")
    broken.clear()
    hub.submit("middle", Rewind, CONTROL_LANE)
    hub.settle()
    hub.raise_event("asker", "call")
    hub.settle()
    hub.raise_event("outer", "wait")  # outer -> asker -> B -> middle -> caller -> A -> outer
    hub.settle()
    assert (hub.output("caller"), hub.output("middle"), hub.output("outer")) == ("refused", "refused", "1")
    hub.start("balance", "y")
    hub.settle()
    assert hub.output("y") == 1


def with_stray(stray: trio.Event, real: trio.Event, log: list[str]) -> App:
    """An activity that outlives its cancellation, and asks for an entity when the event says."""
    program = App()
    program.entity(Account)
    program.activity(work)
    runs: list[str] = []

    @program.activity
    async def asks() -> str:
        client: Client = log.client  # type: ignore[attr-defined]
        runs.append("asks")
        number, event = len(runs), stray if len(runs) == 1 else real
        with trio.CancelScope(shield=number == 1):
            await event.wait()
            try:
                log.append(f"{number}: {await client.call_entity(A, Account.add, number)}")
            except LockCycle:
                log.append(f"{number}: refused")
        return "asked"

    @program.orchestration
    async def main(ctx: OrchestrationContext) -> str:
        task = ctx.call_activity(asks)
        await ctx.call_activity(work, "a")
        async with await ctx.lock_entities([A]):
            await ctx.wait_for_external_event("wait")
            return await task

    return program


class Log(list[str]):
    client: Client


@pytest.mark.parametrize("late", [False, True])
async def test_an_activity_that_was_taken_back_is_not_the_one_that_is_awaited(
    late: bool, autojump_clock: object
) -> None:
    """G12, G27: the old run of an activity may wait, nobody waits for it; the new one is refused."""
    stray, real, log = trio.Event(), trio.Event(), Log()
    broken.add("a")
    async with in_memory(with_stray(stray, real, log)) as client:
        log.client = client
        await client.start_new("main", "x")
        await finished(client, "x")
        broken.clear()
        await client.rewind("x")
        while await client.get_lock(A) is None:
            await trio.sleep(1)
        for event in () if late else (stray, real):
            event.set()
            await trio.sleep(1)
        await client.raise_event("x", "wait")
        await trio.sleep(1)
        for event in (stray, real) if late else ():
            event.set()
            await trio.sleep(1)
        assert await output(client, "x") == "asked"
        await trio.sleep(1)
        assert log == ["2: refused", "1: 1"]
