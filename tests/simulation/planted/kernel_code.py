"""Planted bugs in what reaches the code of an orchestration: events, results, failures."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final, cast

import msgspec

from durio.entities import Kernel, Mail, Mailbox, Message, Taken
from durio.orchestration import App, OrchestrationContext
from durio.orchestration.acceptance import Work
from durio.orchestration.driver import Driver, Step
from durio.orchestration.execution import Execution
from durio.orchestration.instance import JOB, Instance
from durio.orchestration.kind import InstanceKind
from durio.orchestration.messages import ActivityDone
from durio.orchestration.registry import Orchestration
from durio.orchestration.tasks import EventTask
from durio.orchestration.waits import Wait
from durio.simulation import Parts, Sim, start
from tests.simulation.planted.harness import Planted, plant

app = App()


@app.activity
async def echo(number: int) -> int:
    return number


@app.orchestration
async def chooser(ctx: OrchestrationContext) -> list[int]:
    """Sends itself two events, rests, and takes them, one in each choice."""
    ctx.send_event(ctx.instance_id, "left", 1)
    ctx.send_event(ctx.instance_id, "right", 2)
    await ctx.create_timer(timedelta(seconds=1))
    seen: list[int] = []
    while len(seen) < 2:
        left, right = ctx.wait_for_external_event("left", int), ctx.wait_for_external_event("right", int)
        seen.append((await ctx.task_any([left, right])).result)
    return seen


@app.orchestration
async def hasty(ctx: OrchestrationContext, generation: int) -> int:
    """Does not wait for the activity of its first generation."""
    echoed = ctx.call_activity(echo, generation)
    if generation == 0:
        ctx.continue_as_new(1)
    return await echoed


@app.orchestration
async def chain(ctx: OrchestrationContext) -> list[int]:
    return [await ctx.call_activity(echo, number) for number in (1, 2)]


@app.activity
async def pay(order: str) -> None:
    raise ValueError(f"no money for {order}")


@app.orchestration
async def sale(ctx: OrchestrationContext) -> str:
    await ctx.call_activity(pay, ctx.instance_id)
    return "paid"


# What must hold


def both_are_taken(sim: Sim) -> None:
    """What a choice does not take stays there (G22): who takes two events in two choices comes to its end."""
    assert not sim.deadlocked, f"{sim.deadlocked} wait for events that are there"


def own_results(sim: Sim) -> None:
    """A result is that of the call that waits for it (G24)."""
    for address, status in sim.instances.items():
        wanted = 1 if status.name == "hasty" else [1, 2]
        assert status.output in (None, wanted), f"{address} got {status.output}"


def nothing_is_paid(sim: Sim) -> None:
    """A failure is raised where its task is awaited (G24): a sale whose payment failed is not paid."""
    paid = [address for address, status in sim.instances.items() if status.output == "paid"]
    assert not paid, f"paid: {paid}"


# What is wrong


class Relabelled:
    """A mailbox that says of results of activities that they belong to whom they do not belong to."""

    def __init__(self, mailbox: Mailbox, actor: Instance) -> None:
        self._mailbox = mailbox
        self._actor = actor

    def peek(self) -> Mail | None:
        mail = self._mailbox.peek()
        return None if mail is None else self._seen(mail)

    def pop(self) -> Mail:
        return self._seen(self._mailbox.pop())

    def _seen(self, mail: Mail) -> Mail:
        message = mail[1]
        return (mail[0], self._label(message, self._actor)) if isinstance(message, ActivityDone) else mail

    def _label(self, done: ActivityDone, actor: Instance) -> ActivityDone:
        raise NotImplementedError


class OfAnyGeneration(Relabelled):
    """Wrong: a result is always one of the execution that runs now."""

    def _label(self, done: ActivityDone, actor: Instance) -> ActivityDone:
        return done if actor.head is None else msgspec.structs.replace(done, execution=actor.head.execution)


class ByPosition(Relabelled):
    """Wrong: a result that nobody waits for is that of the oldest call."""

    def _label(self, done: ActivityDone, actor: Instance) -> ActivityDone:
        waiting = [action for action, (kind, _) in actor.open.items() if kind == JOB]
        if done.action in waiting or not waiting:
            return done
        return msgspec.structs.replace(done, action=min(waiting))


class TakesLateResults(InstanceKind):
    """Wrong: results of an old execution are taken by the new one."""

    def _take_running(self, actor: Instance, mailbox: Mailbox, messages_max: int) -> Taken[Work] | None:
        return super()._take_running(actor, cast(Mailbox, OfAnyGeneration(mailbox, actor)), messages_max)


class TakesByPosition(InstanceKind):
    """Wrong: results are told apart by their order, not by their ids."""

    def _take_running(self, actor: Instance, mailbox: Mailbox, messages_max: int) -> Taken[Work] | None:
        return super()._take_running(actor, cast(Mailbox, ByPosition(mailbox, actor)), messages_max)


class TakesTwice(Kernel):
    """Wrong: a result is taken as often as it comes."""

    def job_done(self, key: bytes, address: str, message: Message) -> None:
        self.jobs._open.add(key)
        super().job_done(key, address, message)


class GreedyWait(Wait):
    """Wrong: the losers of a choice take their events, too."""

    __slots__ = ()

    def observe(self) -> None:
        super().observe()
        for task in self._leaves:
            if isinstance(task, EventTask) and task.position is None and any(self._events.of(task.name)):
                task.take(*self._events.take_oldest(task.name))


class GreedyExecution(Execution):
    """Wrong: waits greedily."""

    def _take(self, step: Step) -> None:
        super()._take(step)
        if self._wait is not None:
            self._wait = GreedyWait(self._wait.task, self.events)


class LenientDriver(Driver):
    """Wrong: the code does not hear of failures."""

    def throw(self, error: BaseException) -> Step:
        return self.send(None)


class LenientExecution(Execution):
    """Wrong: its driver keeps failures to itself."""

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self._driver = LenientDriver(self.guard, self.behaviour.name)


class SwallowsFailures(InstanceKind):
    """Wrong: a failure is taken for a result."""

    def _execution(
        self, actor: Instance, behaviour: Orchestration, ancestors: tuple[str, ...] | None = None
    ) -> Execution:
        right = super()._execution(actor, behaviour, ancestors)
        return LenientExecution(right.instance_id, right.behaviour, right.registry, right.payloads, right.ancestors)


class SwallowsEvents(InstanceKind):
    """Wrong: an event is taken by a waiter that lost."""

    def _execution(
        self, actor: Instance, behaviour: Orchestration, ancestors: tuple[str, ...] | None = None
    ) -> Execution:
        right = super()._execution(actor, behaviour, ancestors)
        return GreedyExecution(right.instance_id, right.behaviour, right.registry, right.payloads, right.ancestors)


PLANTED: Final[tuple[Planted, ...]] = (
    plant(
        "a waiter that loses swallows an event",
        both_are_taken,
        start(chooser),
        wrong=Parts(instances=SwallowsEvents),
        right=Parts(),
        shows=r"(?s)chooser-\d.* wait for events.*'left'.*'right'",
    ),
    plant(
        "a failure is swallowed",
        nothing_is_paid,
        start(sale),
        wrong=Parts(instances=SwallowsFailures),
        right=Parts(),
        shows=r"(?s)paid: .*sale-\d.*ValueError: no money",
    ),
    plant(
        "a late result of an old execution is taken",
        own_results,
        start(hasty, 0),
        wrong=Parts(instances=TakesLateResults),
        right=Parts(),
        shows=r"hasty-\d got 0",
    ),
    plant(
        "a result is taken twice",
        own_results,
        start(chain),
        wrong=Parts(kernel=TakesTwice, instances=TakesByPosition),
        right=Parts(),
        invariant=own_results,
        max_calls=2,
        shows=r"(?s)chain-\d got \[1, 1\].*a second time",
    ),
)
