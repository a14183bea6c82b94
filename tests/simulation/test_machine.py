"""`SimMachine`: the steps of a hub are rules of a Hypothesis state machine, beside those of a test."""

from __future__ import annotations

from typing import ClassVar

import attrs
import hypothesis
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule, run_state_machine_as_test

from durio.entities import EntityId
from durio.orchestration import App, OrchestrationContext
from durio.simulation import SimMachine, call, start

app = App()
K = EntityId("Account", "k")
SETTINGS = hypothesis.settings(
    database=None,
    derandomize=True,
    max_examples=60,
    stateful_step_count=12,
    phases=[hypothesis.Phase.generate],
)
SHRUNK = hypothesis.settings(SETTINGS, max_examples=300, phases=[hypothesis.Phase.generate, hypothesis.Phase.shrink])


@app.entity
@attrs.define
class Account:
    """A balance."""

    balance: int = 0

    def get(self) -> int:
        return self.balance

    def put(self, balance: int) -> None:
        self.balance = balance

    def add(self, amount: int) -> int:
        self.balance += amount
        return self.balance


@app.activity
async def charge(amount: int) -> int:
    return amount


@app.orchestration
async def read_then_write(ctx: OrchestrationContext, amount: int) -> None:
    """Wrong: another one may come between the two calls."""
    balance: int = await ctx.call_entity(K, "get")
    await ctx.call_entity(K, "put", balance + amount)


@app.orchestration
async def add(ctx: OrchestrationContext, amount: int) -> None:
    """Right: one operation."""
    await ctx.call_entity(K, "add", amount)


@app.orchestration
async def pay(ctx: OrchestrationContext, amount: int) -> int:
    return await ctx.call_activity(charge, amount)


class Bank(SimMachine):
    """Pays in, and knows how much has come in when all is done."""

    app = app
    paying: ClassVar[object] = add
    crashes_max = 1

    def __init__(self) -> None:
        super().__init__()
        self.paid = 0

    @rule(amount=st.integers(1, 9), client=st.integers(0, 2))
    def pay_in(self, amount: int, client: int) -> None:
        self.sim.send(start(str(getattr(self.paying, "__name__", "")), amount), client=client)
        self.paid += amount

    @invariant()
    def one_crash(self) -> None:
        assert self.sim.crashes <= 1

    @invariant()
    def all_is_there(self) -> None:
        if self.sim.settled and not any(asked.sent == 0 for asked in self.sim.results):
            assert self.sim.state(Account).balance == self.paid


class WrongBank(Bank):
    """The same with the orchestration that is wrong; it needs no crash for that."""

    crashes_max = 0
    paying = read_then_write


def test_a_lost_update_is_found_and_shown() -> None:
    """The shrunk example is a program of rules, and the trace of what happened is printed with it."""
    with pytest.raises(AssertionError) as caught:
        run_state_machine_as_test(WrongBank, settings=SHRUNK)
    printed = "\n".join(caught.value.__notes__)
    assert printed.count("state.pay_in(") == 2, "two payments are enough"
    assert "what happened:\n   1  " in printed
    assert printed.count("get() ->") == 2


def test_the_right_one_passes() -> None:
    """G2, G3: the same rules find nothing when the update is one operation, crash or not."""
    run_state_machine_as_test(Bank, settings=SETTINGS)


class Payments(SimMachine):
    """Wrong: believes that activities run once."""

    app = app
    activities: ClassVar = {charge: lambda amount: amount}

    @rule()
    def pay(self) -> None:
        self.sim.send(start(pay, 1, instance_id="p", if_running="return", if_finished="raise"))

    @rule(steps=st.integers(1, 8))
    def go(self, steps: int) -> None:
        """As if nothing went wrong."""
        for _ in range(steps):
            self.sim.step()

    @invariant()
    def charged_once(self) -> None:
        assert len(self.sim.effects(charge)) <= 1


def test_crashes_are_rules() -> None:
    """G24: the activity runs twice when the process dies behind it: found only with a crash, at the right moment."""
    settings = hypothesis.settings(SETTINGS, max_examples=600)
    with pytest.raises(AssertionError) as caught:
        run_state_machine_as_test(Payments, settings=settings)
    printed = "\n".join(caught.value.__notes__)
    assert "state.crash()" in printed
    assert printed.count("charge(1) runs") == 2

    class WithoutCrashes(Payments):
        crashes_max = 0

    run_state_machine_as_test(WithoutCrashes, settings=SETTINGS)


class Stepping(SimMachine):
    """Believes that a client is never answered; has no rules but to ask and to step."""

    app = app
    advance = None  # type: ignore[assignment]
    crash = None  # type: ignore[assignment]

    @rule()
    def ask(self) -> None:
        self.sim.send(call(Account.get))

    @invariant()
    def silence(self) -> None:
        assert not any(asked.returned for asked in self.sim.results)


def test_every_enabled_step_is_a_rule() -> None:
    """A machine sends, runs the turn, commits: one enabled step after the other, each of them drawn."""
    with pytest.raises(AssertionError) as caught:
        run_state_machine_as_test(Stepping, settings=SHRUNK)
    printed = "\n".join(caught.value.__notes__)
    assert "state.ask()" in printed
    assert "state.step(" in printed
    steps = [line.split()[1] for line in printed.splitlines() if line[:4].strip().isdigit()]
    assert steps == ["client", "turn", "commit"]


class Waiting(SimMachine):
    """Believes that nothing ever takes long."""

    app = app

    @invariant()
    def soon(self) -> None:
        assert (self.sim.now - self.began).total_seconds() < 3_600

    def __init__(self) -> None:
        super().__init__()
        self.began = self.sim.now


def test_time_passes_by_a_rule() -> None:
    """`advance` is drawn like everything else."""
    with pytest.raises(AssertionError) as caught:
        run_state_machine_as_test(Waiting, settings=SETTINGS)
    assert "state.advance(seconds=" in "\n".join(caught.value.__notes__)


def test_a_machine_without_an_app_says_so() -> None:
    """G31: what is missing, and where it goes."""

    class Empty(SimMachine):
        """Has nothing."""

    with pytest.raises(TypeError, match=r"Empty has no app: write `app = \.\.\.` in the class"):
        run_state_machine_as_test(Empty, settings=SETTINGS)
