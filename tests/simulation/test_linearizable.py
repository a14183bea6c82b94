"""`sim.linearizable()`: the code of the entity itself, run sequentially, is the model of what clients saw."""

from __future__ import annotations

from typing import Any

import attrs
import trio

from durio.entities import Answer, EntityId, EntityKind, Failure, Operation
from durio.entities.entity import Entity, Outcome
from durio.orchestration import App, OrchestrationContext
from durio.simulation import EntityOperation, Faults, Parts, Sim, call, signal, simulate, simulation, start
from durio.simulation.model import judge

app = App()


@app.entity
@attrs.define
class Account:
    """A balance that is never below zero."""

    balance: int = 0

    def add(self, amount: int) -> int:
        if self.balance + amount < 0:
            raise ValueError(f"only {self.balance} left")
        self.balance += amount
        return self.balance

    def get(self) -> int:
        return self.balance


@app.entity
@attrs.define
class Slow:
    """Takes its time."""

    sum: int = 0

    async def add(self, amount: int) -> int:
        seen = self.sum
        await trio.sleep(60)
        self.sum = seen + amount
        return self.sum


@app.orchestration
async def pay(ctx: OrchestrationContext, amount: int) -> int:
    ctx.signal_entity(EntityId("Account", "k"), "add", 100)
    result: int = await ctx.call_entity(EntityId("Account", "k"), "add", amount)
    return result


def asked(
    name: str, amount: int | None, begin: int, end: int | None, answer: int | Failure | None, *, one_way: bool = False
) -> EntityOperation:
    """An operation on the account `k`, and how it went; without an answer nobody knows."""
    data = None if amount is None else str(amount).encode()
    operation = EntityOperation("@account@k", name, data, "somebody", begin, 0, returned=end, one_way=one_way)
    if isinstance(answer, Failure):
        operation.answer = Answer(failure=answer)
    elif answer is not None:
        operation.answer = Answer(value=str(answer).encode())
    return operation


def fits(*operations: EntityOperation, at_rest: bool = True) -> bool:
    return bool(judge(app, "@account@k", operations, at_rest=at_rest))


def test_a_pending_call_may_or_may_not_have_happened() -> None:
    """Nobody knows how it went: reads behind it may see it, or not, but not half of it and not twice."""
    pending = asked("add", 5, 1, None, None)
    assert fits(pending, asked("get", None, 3, 4, 0))
    assert fits(pending, asked("get", None, 3, 4, 5))
    assert fits(pending, asked("get", None, 3, 4, 0), asked("get", None, 6, 7, 5))
    assert not fits(pending, asked("get", None, 3, 4, 10))
    assert not fits(pending, asked("get", None, 3, 4, 5), asked("get", None, 6, 7, 0))


def test_a_signal_has_happened_when_nothing_is_left_to_do() -> None:
    """One that was accepted may take effect at any time after, and has taken it at rest; one that was not may never."""
    accepted = asked("add", 5, 1, 2, None, one_way=True)
    unheard = asked("add", 5, 1, None, None, one_way=True)
    late = asked("get", None, 8, 9, 0)
    assert fits(accepted, late)
    assert fits(accepted, late, asked("get", None, 10, 11, 5))
    assert not fits(accepted, asked("add", 1, 8, 9, 1), asked("get", None, 20, 21, 1), asked("get", None, 30, 31, 5))
    assert fits(unheard, late)


def test_the_order_in_real_time_is_kept() -> None:
    """An answer that came before the next question was asked is in what that one sees."""
    assert not fits(asked("add", 5, 1, 2, 5), asked("get", None, 3, 4, 0))
    assert fits(asked("add", 5, 1, 3, 5), asked("get", None, 2, 4, 0))


def test_what_one_caller_asks_after_an_answer_comes_after_it() -> None:
    """A turn that takes an answer and asks again does so in one step: the second operation comes after the first."""
    assert not fits(asked("add", 5, 1, 4, 5), asked("get", None, 4, 6, 0))
    assert fits(asked("add", 5, 1, 4, 5), asked("get", None, 4, 6, 5))
    assert fits(asked("add", 5, 4, 4, 5)), "an answer may come in the step of the question"


def test_a_failure_is_an_answer_and_leaves_the_state_alone() -> None:
    """G10: what raised has its error as its answer, by type and text, and the state is as before."""
    refused = asked("add", -9, 1, 2, Failure("ValueError", "only 0 left"))
    assert fits(refused, asked("get", None, 3, 4, 0))
    assert not fits(refused, asked("get", None, 3, 4, -9))
    assert not fits(asked("add", -9, 1, 2, Failure("ValueError", "only 1 left")))
    assert not fits(asked("add", -9, 1, 2, Failure("KeyError", "only 0 left")))
    assert not fits(asked("add", -9, 1, 2, -9))
    assert not fits(asked("add", 9, 1, 2, Failure("ValueError", "only 0 left")))


def test_the_verdict_shows_the_operations() -> None:
    """It is falsy, and its text has the entity, who asked for what, when, and the answers."""
    verdict = judge(app, "@account@k", [asked("add", 5, 1, 2, 5), asked("get", None, 3, None, 0)], at_rest=True)
    assert not verdict
    assert repr(verdict).splitlines() == [
        "@account@k is not linearizable: no order of these operations gives these answers",
        "  [1..2] somebody: add(5) -> 5",
        "  [3..?] somebody: get() -> 0",
    ]
    assert repr(judge(app, "@account@k", [], at_rest=True)) == "linearizable"


def test_every_key_is_judged_by_itself() -> None:
    """Two accounts do not see each other; the verdict names the one that is wrong, and others may be left out."""
    with simulation(app) as sim:
        right = sim.send(call(Account.add, 5, key="a"))
        wrong = sim.send(call(Account.add, 5, key="b"), client=1)
        sim.run()
        assert (right.value, wrong.value) == (5, 5)
        assert sim.linearizable(), "as one account it would not be"
        next(asked for asked in sim.operations if asked.entity == "@account@b").answer = Answer(value=b"10")
        verdict = sim.linearizable()
        assert (verdict.violated, len(verdict.history)) == ("@account@b", 1)
        assert sim.linearizable(Slow)
        assert not sim.linearizable(Account, "slow")


def test_what_orchestrations_ask_is_in_the_history() -> None:
    """Their calls have answers, their signals have happened at rest: without them the client's answer has no cause."""
    with simulation(app) as sim:
        sim.start(pay, -30)
        sim.run()
        assert sim.call(Account.get) == 70
        assert sorted(str(operation).split(" ", 1)[1] for operation in sim.operations) == [
            "client 0: get() -> 70",
            "pay-0: add(-30) -> 70",
            "pay-0: add(100)",
        ]
        assert sim.linearizable()
        for operation in sim.operations:
            if operation.one_way:
                operation.input = b"99"
        assert not sim.linearizable()


class Forgetful(EntityKind):
    """Wrong: takes an operation with the input 7, and does nothing."""

    def run(self, actor: Entity, behaviour: Any, operation: Operation, state: bytes | None, now_us: int) -> Outcome:
        if operation.input == b"7":
            return Outcome(state)
        return super().run(actor, behaviour, operation, state, now_us)


def test_a_signal_that_was_lost_is_seen_at_rest() -> None:
    """When nothing is left to do, the state is one that all operations together give, the one-way ones among them."""
    with simulation(app, parts=Parts(entities=Forgetful)) as sim:
        sim.signal(Account.add, 5)
        sim.run()
        assert sim.linearizable()
        sim.signal(Account.add, 7)
        sim.run()
        assert sim.state(Account).balance == 5
        assert not sim.linearizable()


async def test_asynchronous_operations_are_modelled_in_their_own_time() -> None:
    """G10: an `async def` operation is its own model, also inside of a Trio program; what it sleeps costs nothing."""
    with simulation(app) as sim:
        for client in range(3):
            sim.send(call(Slow.add, 1), client=client)
        sim.run()
        assert sorted(asked.value for asked in sim.results) == [1, 2, 3]
        assert sim.linearizable()
        first, second, _ = sim.operations
        first.answer = second.answer
        assert not sim.linearizable()
    await trio.lowlevel.checkpoint()


@simulate(
    call(Account.add, 5),
    call(Account.add, -3),
    signal(Account.add, 7),
    start(pay, -30),
    app=app,
    faults=Faults(crashes=2),
)
def test_entities_are_linearizable_under_faults(sim: Sim) -> None:
    """G3, G10: whatever comes in between, crashes included, an entity looks as if it did one thing after the other."""
    assert sim.linearizable()
