"""Crashes by hand: at every step of a small program, in the middle of activities and operations, with lost clients."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Literal

import attrs
import pytest
import trio

from durio.entities import EntityId
from durio.orchestration import App, OrchestrationContext
from durio.simulation import Plan, Request, Sim, call, raise_event, resume, signal, simulation, start, suspend

app = App()


@app.entity
@attrs.define
class Account:
    balance: int = 0
    log: list[str] = attrs.Factory(list)

    def pay_in(self, amount: int) -> int:
        self.balance += amount
        self.log.append(f"in {amount}")
        return self.balance

    async def audit(self) -> int:
        before = self.balance
        await trio.sleep(60)
        self.log.append("audit")
        return before


@app.activity
async def ask_bank(amount: int) -> int:
    await trio.sleep(10)
    return 2 * amount


@app.activity
def print_bill(amount: int) -> str:
    return f"bill of {amount}"


@app.orchestration
async def one_payment(ctx: OrchestrationContext, amount: int) -> int:
    return await ctx.call_entity(EntityId("Account", "a"), Account.pay_in, amount)


@app.orchestration
async def everything(ctx: OrchestrationContext, round_: int) -> Any:
    """Two executions of it use every kind of task."""
    account = EntityId("Account", "a")
    doubled = await ctx.call_activity(ask_bank, round_ + 1)
    ctx.signal_entity(account, Account.pay_in, doubled)
    both = [ctx.call_sub_orchestrator(one_payment, 100), ctx.call_entity(account, Account.audit)]
    await ctx.task_all(both)
    event = ctx.wait_for_external_event("approve", str)
    deadline = ctx.create_timer(timedelta(days=1))
    first = await ctx.task_any([event, deadline])
    if round_ == 0:
        deadline.cancel()
        ctx.continue_as_new(1)
    return [event.result, first is event, await ctx.call_activity(print_bill, doubled)]


def ask_all(sim: Sim) -> None:
    """Three clients ask; each sends its next request when it knows how the one before went."""
    sim.send(start(everything, 0, instance_id="e"), client=0)
    sim.send(raise_event("e", "approve", "first"), client=0)
    sim.send(raise_event("e", "approve", "second"), client=0)
    sim.send(call(Account.pay_in, 1000, key="a"), client=1)
    sim.send(signal(Account.pay_in, 5000, key="a"), client=1)
    sim.send(start(one_payment, 7, instance_id="p"), client=2)
    sim.send(start(one_payment, 7, instance_id="p", if_running="return", if_finished="raise"), client=2)


def outcome(sim: Sim) -> dict[str, Any]:
    """What became of everything, without made-up ids, and without the order in which payments came."""
    assert sim.settled, (sim.deadlocked, str(sim.trace))
    account = sim.state(Account, "a")
    return {
        "output": sim.status("e").output,
        "statuses": sorted(str(found.runtime_status) for found in sim.instances.values()),
        "balance": account.balance,
        "log": sorted(account.log),
    }


@pytest.mark.parametrize("evict", [False, True])
def test_a_crash_at_any_step_changes_nothing_in_the_end(evict: bool) -> None:
    """G2, G3, G9, G24: wherever the process dies, all that clients ask and all that code does happens as without it."""
    with simulation(app, evict=evict) as sim:
        ask_all(sim)
        sim.run()
        wanted, steps = outcome(sim), len(sim.trace.steps)
    assert wanted["balance"] == 2 + 4 + 100 + 100 + 1000 + 5000 + 7
    assert wanted["output"] == ["second", True, "bill of 4"]
    for position in range(1, steps):
        with simulation(app, evict=evict) as sim:
            ask_all(sim)
            for _ in range(position):
                sim.step()
            sim.crash()
            sim.run()
            assert outcome(sim) == wanted, str(sim.trace)
            assert sim.crashes == 1
            assert sim.linearizable(), str(sim.trace)


def test_two_crashes_in_a_row_change_nothing_either() -> None:
    """G9: a process that dies again while it starts, or right behind its first steps, has lost nothing."""
    with simulation(app) as sim:
        ask_all(sim)
        for steps in (12, 0, 1, 2, 3):
            for _ in range(steps):
                sim.step()
            sim.crash()
        sim.run()
        assert sim.crashes >= 4
        assert sim.state(Account, "a").balance == 2 + 4 + 100 + 100 + 1000 + 5000 + 7


def test_an_activity_runs_again_from_its_beginning() -> None:
    """G24: an activity that was under way when the process died runs again, and its result is taken once."""
    with simulation(app) as sim:
        sim.start(everything, 0, instance_id="e")
        sim.advance(seconds=9)
        sim.crash()
        sim.advance(seconds=9)
        assert sim.effects(ask_bank) == [1, 1]
        assert sim.state(Account, "a") == Account()
        sim.advance(seconds=1)
        sim.run(time=False)
        assert sim.effects(ask_bank) == [1, 1]
        assert "in 2" in sim.state(Account, "a").log


def test_an_operation_runs_again_from_its_beginning() -> None:
    """G10: an async operation that was under way when the process died runs again; the caller gets one answer."""
    with simulation(app) as sim:
        sim.call(Account.pay_in, 3)
        audit = sim.send(call(Account.audit))
        late = sim.send(call(Account.pay_in, 4), client=1)
        sim.advance(seconds=59)
        sim.crash()
        sim.advance(seconds=59)
        assert (audit.returned, late.returned) == (None, None)
        sim.run()
        assert (audit.value, late.value) == (3, 7)
        assert sim.state(Account).log == ["in 3", "audit", "in 4"]
        assert sim.linearizable()


class Door:
    """Something outside of the hub that one may hold."""

    locked = False


def test_cleanup_does_not_run_when_the_process_dies() -> None:
    """A process that dies runs no `finally`: what its activity holds outside stays held."""
    door, guarded = Door(), App()

    @guarded.activity
    async def hold(_: int) -> None:
        assert not door.locked, "locked by somebody who is dead"
        door.locked = True
        try:
            await trio.sleep(10)
        finally:
            door.locked = False

    @guarded.orchestration
    async def holds(ctx: OrchestrationContext) -> None:
        await ctx.call_activity(hold, 1)

    with simulation(guarded) as sim:
        name = sim.start(holds)
        sim.run(time=False)
        assert door.locked
        sim.crash()
        assert door.locked
        sim.run()
        assert sim.status(name).runtime_status == "Failed"


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_client_that_gave_up_knows_nothing(when: Literal["before", "after"]) -> None:
    """A call that was lost in a crash and is not sent again has happened or not, and nobody waits for its answer."""
    asked = (Request(0, "call", "@account@k", "pay_in", "5"), Request(0, "call", "@account@k", "pay_in", "1"))
    plan = Plan(asked, crashes=((1, when),), abandoned=(0,))
    with simulation(app, replay=plan.encode()) as sim:
        sim.run()
        first, second = sim.results
        assert (first.returned, first.value, first.sent) == (None, None, 1)
        assert second.value == (1 if when == "before" else 6)
        assert sim.settled
        assert sim.linearizable()


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_client_that_asks_again_after_a_crash_gets_the_first_answer(when: Literal["before", "after"]) -> None:
    """G3: a request that is sent again under its id is done once, whichever side of its commit the process died on."""
    plan = Plan((Request(0, "call", "@account@k", "pay_in", "5"),), crashes=((1, when),))
    with simulation(app, replay=plan.encode()) as sim:
        sim.run()
        assert (sim.results[0].value, sim.results[0].sent) == (5, 2)
        assert sim.state(Account) == Account(5, ["in 5"])


def test_a_request_that_is_repeated_while_it_waits_is_done_once() -> None:
    """G3: a client that sends its request again, impatient, gets the answer of the first one, twice."""
    plan = Plan((Request(0, "call", "@account@k", "pay_in", "5"),), retries=(0,))
    with simulation(app, replay=plan.encode()) as sim:
        sim.step()
        sim.choose(sim.enabled().index("client 0 call @account@k pay_in(5) again"))
        sim.run()
        assert [answer.value for answer in sim.results[0].answers] == [b"5", b"5"]
        assert sim.state(Account).balance == 5


def test_a_result_that_comes_twice_is_taken_once() -> None:
    """G24: the second of two results of one activity run has no effect."""
    with simulation(app, replay=Plan(duplicates=(1,)).encode()) as sim:
        sim.start(everything, 0, instance_id="e")
        sim.send(raise_event("e", "approve", "yes"))
        sim.run()
        assert any("a second time" in str(step.label) for step in sim.trace.steps)
        assert sim.state(Account, "a").log.count("in 2") == 1


def test_what_is_suspended_stays_so_over_a_crash() -> None:
    """G26: suspend and its buffered events are durable; the crash comes between suspend, event and resume."""
    with simulation(app) as sim:
        sim.start(everything, 1, instance_id="e")
        for ask in (suspend("e"), raise_event("e", "approve", "held"), resume("e")):
            sim.ask(ask)
            sim.crash()
            sim.run(time=False)
        sim.run()
        assert sim.status("e").output == ["held", True, "bill of 4"]
