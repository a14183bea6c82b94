"""Planted bugs in what a commit is and what comes back after a crash: the gate, request ids, recovery, timers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, ClassVar, Final

import attrs
import trio

from durio.entities import Answer, EntityId, Kernel, Message
from durio.entities.catalog import Activation
from durio.entities.changes import Batch, Output, Reply, StartJob
from durio.entities.limits import TIMER_BATCH_MAX
from durio.entities.messages import Request
from durio.entities.requests import Requests
from durio.entities.settlement import Settlement
from durio.orchestration import App, OrchestrationContext
from durio.simulation import Parts, Sim, call, start
from durio.simulation.process import Process
from tests.simulation.planted.harness import Planted, plant

app = App()
BELL: Final = EntityId("bell", "k")


@app.entity
@attrs.define
class Bell:
    """Counts how often it rang."""

    rings: int = 0

    def ring(self) -> int:
        self.rings += 1
        return self.rings


@app.activity
async def ship(parcel: str) -> None:
    await trio.sleep(1)


@app.orchestration
async def order(ctx: OrchestrationContext) -> None:
    """Ships a parcel that has an id of its own in every life, and says which."""
    parcel = ctx.new_uuid()
    ctx.set_custom_status(parcel)
    await ctx.call_activity(ship, parcel)


@app.orchestration
async def alarm(ctx: OrchestrationContext) -> None:
    """Rings once, an hour later."""
    ctx.signal_entity(BELL, Bell.ring, signal_time=ctx.current_utc_datetime + timedelta(hours=1))


@app.orchestration
async def ringer(ctx: OrchestrationContext) -> None:
    """Rings three times, one after the other."""
    for _ in range(3):
        await ctx.call_entity(BELL, Bell.ring)


# What must hold


def rings_once(sim: Sim) -> None:
    """What a client was told has happened (G13, G9), and what it asked for has happened once at most (G3)."""
    told = sum(asked.returned is not None for asked in sim.results)
    rings, asked_for = sim.state(Bell).rings, sum(asked.sent > 0 for asked in sim.results)
    assert told <= rings, f"told that it rang: {told}, rang: {rings}"
    assert rings <= asked_for, f"asked to ring: {asked_for}, rang: {rings}"


def ships_what_is_known(sim: Sim) -> None:
    """No parcel is shipped that no order knows of (G5)."""
    known = [status.custom_status for status in sim.instances.values()]
    unknown = [parcel for parcel in sim.effects(ship) if parcel not in known]
    assert not unknown, f"no order knows of {unknown}"


def nothing_waits_for_ever(sim: Sim) -> None:
    """Every order comes to its end (G9), and whoever asks is answered (G3, G13)."""
    assert not sim.deadlocked, sim.deadlocked


def alarms_ring_once(sim: Sim) -> None:
    """A timer fires once (G28): there is one ring for each alarm, and not one more."""
    assert sim.state(Bell).rings <= len(sim.instances), f"alarms: {len(sim.instances)}, rang: {sim.state(Bell).rings}"


# What is wrong


class Ungated(Kernel):
    """Wrong: outputs of one kind leave in the middle of their turn."""

    kind: ClassVar[type[Output]]
    leave: Callable[[Output], None]

    def _output(self, batch: Batch, output: Output) -> None:
        super()._output(batch, output)
        if isinstance(output, self.kind):
            batch.outputs.remove(output)
            self.leave(output)


class AnswersAtOnce(Ungated):
    """Wrong: answers leave before their commit is durable."""

    kind = Reply


class StartsAtOnce(Ungated):
    """Wrong: activities start before the commit that schedules them is durable."""

    kind = StartJob


class Open(Process):
    """A process whose kernel may let things out."""

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        assert isinstance(self.kernel, Ungated)
        self.kernel.leave = self._leave

    def _leave(self, output: Output) -> None:
        with self.tasks.apart:
            self.release(output)


class Forgetful(Requests):
    """Wrong: every request is new."""

    def check(self, request_id: str, digest: bytes, now_us: int) -> Request | None:
        super().check(request_id, digest, now_us)
        return None


class DoesItAgain(Kernel):
    """Wrong: a request that is sent again is done again."""

    def __init__(self, *parts: Any, **options: Any) -> None:
        super().__init__(*parts, **options)
        self.requests = Forgetful(self.view)


class Speechless(Requests):
    """Wrong: what was answered is not kept."""

    def answer(self, request_id: str, answer: Answer, now_us: int) -> None:
        return None


class AnswersOnce(Kernel):
    """Wrong: who asks again gets no answer."""

    def __init__(self, *parts: Any, **options: Any) -> None:
        super().__init__(*parts, **options)
        self.requests = Speechless(self.view)


class ConsumesLater(Kernel):
    """Wrong: what a turn did is in one commit, that its messages are gone in the next."""

    def __init__(self, *parts: Any, **options: Any) -> None:
        super().__init__(*parts, **options)
        self._late: list[tuple[bytes, bytes]] = []

    def _apply(self, activation: Activation, settlement: Settlement) -> None:
        self._late.extend((activation.mailbox.prefix, key) for key in settlement.consumed)
        settlement.consumed = []
        super()._apply(activation, settlement)

    def seal(self) -> Batch:
        batch = super().seal()
        for box, key in self._late:
            self.view.filling.delete(box, key)
        self._late.clear()
        return batch


class LeavesMail(Kernel):
    """Wrong: who has unread mail when the hub opens is not woken."""

    def _recover(self) -> None:
        super()._recover()
        while self.queue:
            self.queue.take()


class LeavesJobs(Kernel):
    """Wrong: activities that ran when the process died are not started again."""

    def _recover(self) -> None:
        super()._recover()
        self.view.filling.outputs.clear()


class KeepsTimers(Kernel):
    """Wrong: a timer that fired stays in its table."""

    def fire_due(self, now_us: int) -> int:
        due = self.timers.due(now_us, TIMER_BATCH_MAX)
        for _, timer in due:
            message: Message = self._kind(timer.address).decode(timer.message)
            self.deliver(timer.address, message)
        return len(due)


PLANTED: Final[tuple[Planted, ...]] = (
    plant(
        "an answer before its commit is durable",
        rings_once,
        call(Bell.ring),
        wrong=Parts(process=Open, kernel=AnswersAtOnce),
        right=Parts(),
        max_crashes=1,
        shows=r"(?s)told that it rang.*\n *client \d gets \d\n.*CRASH",
    ),
    plant(
        "an activity before its commit is durable",
        ships_what_is_known,
        start(order),
        wrong=Parts(process=Open, kernel=StartsAtOnce),
        right=Parts(),
        max_crashes=1,
        max_calls=1,
        invariant=ships_what_is_known,
        shows=r"(?s)no order knows of.*ship\(.*\) runs.*CRASH",
    ),
    plant(
        "a repeated request is done twice",
        rings_once,
        call(Bell.ring),
        wrong=Parts(kernel=DoesItAgain),
        right=Parts(),
        max_crashes=1,
        shows="asked to ring",
    ),
    plant(
        "a repeated request is not answered",
        nothing_waits_for_ever,
        call(Bell.ring),
        wrong=Parts(kernel=AnswersOnce),
        right=Parts(),
        max_crashes=1,
        shows=r"(?s)call @bell@k ring\(\).*CRASH.*again",
    ),
    plant(
        "a message is consumed in a later commit",
        rings_once,
        call(Bell.ring),
        wrong=Parts(kernel=ConsumesLater),
        right=Parts(),
        max_crashes=1,
        shows=r"(?s)asked to ring.*CRASH",
    ),
    plant(
        "unread mail is not woken",
        nothing_waits_for_ever,
        start(ringer),
        wrong=Parts(kernel=LeavesMail),
        right=Parts(),
        max_crashes=1,
        max_calls=1,
        shows=r"(?s)ringer-0.*CRASH",
    ),
    plant(
        "an activity is lost in a crash",
        nothing_waits_for_ever,
        start(order),
        wrong=Parts(kernel=LeavesJobs),
        right=Parts(),
        max_crashes=1,
        max_calls=1,
        shows=r"(?s)order-0.*CRASH",
    ),
    plant(
        "a timer fires twice",
        alarms_ring_once,
        start(alarm),
        wrong=Parts(kernel=KeepsTimers),
        right=Parts(),
        max_crashes=1,
        max_calls=1,
        shows=r"(?s)alarms: \d, rang: \d.*CRASH",
    ),
)
