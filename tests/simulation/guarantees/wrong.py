"""Wrong parts of durio, at least one for each property: each breaks what its property claims, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import msgspec

from durio.entities import MAIL_LANE, Directory, Mail, Mailbox, Message, Operation, Payloads, Settlement, Taken, View
from durio.entities import keys as entity_keys
from durio.entities.catalog import Activation
from durio.entities.changes import Batch, Ended, Output, Reply, StartJob
from durio.entities.entity import Entity, Outcome
from durio.entities.messages import EntityMessage
from durio.entities.registry import Behaviour
from durio.orchestration import OrchestrationContext
from durio.orchestration.acceptance import Work
from durio.orchestration.decision import Decision
from durio.orchestration.endings import change
from durio.orchestration.execution import Execution
from durio.orchestration.instance import Instance
from durio.orchestration.kind import InstanceKind
from durio.orchestration.messages import ActivityDone, RaiseEvent, Terminate
from durio.orchestration.registry import Orchestration, Registry
from durio.orchestration.settling import Settling
from durio.storage import Notes
from tests.simulation.guarantees.checked import CheckedEntities, CheckedKernel

# Actors


class TwoAtATime(CheckedKernel):
    """An entity gets a turn while an operation of it runs (G1)."""

    def run_turn(self, address: str | None = None) -> str:
        for activation in self.catalog:
            activation.pinned = None
        return super().run_turn(address)


class TornTurns(CheckedKernel):
    """What a turn sends goes into the commit behind its own (G2)."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self._later: list[tuple[str, int, Message]] = []
        super().__init__(*args, **options)

    def _apply(self, activation: Activation, settlement: Settlement) -> None:
        self._later += settlement.sent
        settlement.sent = []
        super()._apply(activation, settlement)

    def seal(self) -> Batch:
        batch = super().seal()
        later, self._later = self._later, []
        for address, lane, message in later:
            self.deliver(address, message, lane)
        return batch


class NoDedupe(CheckedKernel):
    """A request that comes again is a new one (G3)."""

    def admit(self, address: str, token: str, digest: bytes) -> bool:
        return True


class Backwards(CheckedKernel):
    """What one turn sends arrives the other way round (G4)."""

    def _apply(self, activation: Activation, settlement: Settlement) -> None:
        settlement.sent.reverse()
        super()._apply(activation, settlement)


class LastDueFirst(CheckedKernel):
    """What becomes due together comes the other way round (G4)."""

    def fire_due(self, now_us: int) -> int:
        due = self.timers.due(now_us, 1024)
        for key, timer in reversed(due):
            self.view.filling.delete(entity_keys.TIMER, key)
            self.deliver(timer.address, self._kind(timer.address).decode(timer.message))
        return len(due)


class OpenGate(CheckedKernel):
    """Answers of the batch that fills leave with the one that is on disk (G5)."""

    def committed(self, batch: Batch) -> list[Output]:
        early = [output for output in self.view.filling.outputs if isinstance(output, Reply)]
        return [*super().committed(batch), *early]


class EarlyWork(CheckedKernel):
    """Activities of the batch that fills start with the one that is on disk (G5)."""

    def committed(self, batch: Batch) -> list[Output]:
        early = [output for output in self.view.filling.outputs if isinstance(output, StartJob)]
        return [*super().committed(batch), *early]


class Forgetful(CheckedKernel):
    """A process that opens the hub does not look for what waits (G9)."""

    def _recover(self) -> None:
        return None


# Entities


class SentAllTheSame(CheckedEntities):
    """What an operation sent before it raised is sent (G10)."""

    def _context(self, actor: Entity, operation: Operation, state: bytes | None, now_us: int) -> Any:
        self._last = super()._context(actor, operation, state, now_us)
        return self._last

    def run(
        self, actor: Entity, behaviour: Behaviour, operation: Operation, state: bytes | None, now_us: int
    ) -> Outcome:
        outcome = super().run(actor, behaviour, operation, state, now_us)
        if outcome.failure is not None:
            outcome.sent = self._last.sent
        return outcome


class FalsyIsNothing(CheckedEntities):
    """A falsy state deletes the entity (G11)."""

    def settle(
        self, actor: Entity, taken: Taken[list[EntityMessage]], decision: list[Outcome], settlement: Settlement
    ) -> None:
        for outcome in decision:
            if outcome.state in (b"0", b'""', b"[]", b"{}", b"false"):
                outcome.state = None
        super().settle(actor, taken, decision, settlement)


# Clients


class HastyAnswers(CheckedKernel):
    """Asks are answered when they are taken in, as tells are (G13)."""

    def submit(self, address: str, message: Message, lane: int, token: str, *, tell: bool, **options: Any) -> None:
        super().submit(address, message, lane, token, tell=True, **options)


class HastyCommits(CheckedKernel):
    """What a turn writes can be read before its commit (G14)."""

    def _settle(self, activation: Activation, taken: Any, decision: Any) -> bool:
        yields = super()._settle(activation, taken, decision)
        self._disk.commit(self.view.filling.seal())
        return yields


class WaitsForTheId(CheckedKernel):
    """The end of any life is told to whoever waits for the same id, some commits later (G17)."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self._ended: dict[str, Ended] = {}
        super().__init__(*args, **options)

    def committed(self, batch: Batch) -> list[Output]:
        outputs = super().committed(batch)
        again = [
            Ended(ended.address, activation.actor.head.life, ended.last)
            for ended in self._ended.values()
            for activation in self.catalog
            if activation.address == ended.address and activation.actor.alive
        ]
        self._ended.update({output.address: output for output in outputs if isinstance(output, Ended)})
        return [*outputs, *again]


class LazyStarts(InstanceKind):
    """A start is answered, and its first step comes a moment later (G14)."""

    def take(self, actor: Instance, mailbox: Mailbox, messages_max: int) -> Taken[Work] | None:
        taken = super().take(actor, mailbox, messages_max)
        if taken is not None and taken.work.verdict == "create":
            key, message = taken.mails[0]
            taken.mails[0] = (key, msgspec.structs.replace(message, due_us=message.at_us + 1_000))
            taken.work.entries.clear()
        return taken


class EveryStartWins(InstanceKind):
    """A start that finds a life begins another one (G15)."""

    def _judged(self, actor: Instance, message: Any, mail: Mail) -> Work:
        return super()._judged(actor, msgspec.structs.replace(message, if_running="replace"), mail)


class StaleIndex(InstanceKind):
    """An instance that is suspended or resumed is still found as what it was (G17)."""

    def _reindex(self, actor: Instance, settlement: Settlement) -> None:
        if actor.head is None or not actor.head.suspended:
            super()._reindex(actor, settlement)


# Orchestrations


class DroppedAtTheBorder(CheckedKernel):
    """Events that the code has not seen do not come to its next execution (G16, G23)."""

    def _apply(self, activation: Activation, settlement: Settlement) -> None:
        settlement.returned.clear()
        super()._apply(activation, settlement)


class PushedBack(CheckedKernel):
    """Events that the code has not seen come to its next execution behind the others (G22, G23)."""

    def _apply(self, activation: Activation, settlement: Settlement) -> None:
        settlement.returned = [((self.arrival(), 0), message) for _, message in settlement.returned]
        super()._apply(activation, settlement)


class _Swallowing(Settling):
    def settle(self, instance: Instance, taken: Taken[Work], decision: Decision | None, settlement: Settlement) -> None:
        super().settle(instance, taken, decision, settlement)
        if taken.work.mode == "hold":
            settlement.returned.clear()
            for key, _ in taken.mails:
                settlement.consume(key)


class SwallowsHeld(InstanceKind):
    """What a suspended instance accepts is gone (G16, G26)."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._settling = _Swallowing()


class AnyExecution(CheckedKernel):
    """The result of an activity is for whatever execution runs when it comes (G23)."""

    def deliver(self, address: str, message: Message, lane: int = MAIL_LANE) -> None:
        activation = self.catalog.get(address)
        if isinstance(message, ActivityDone) and activation is not None and activation.actor.head is not None:
            message = msgspec.structs.replace(message, execution=activation.actor.head.execution)
        super().deliver(address, message, lane)


class ForgottenJobs(CheckedKernel):
    """That an activity is to run is known in memory only (G24)."""

    def _output(self, batch: Batch, output: Output) -> None:
        super()._output(batch, output)
        if isinstance(output, StartJob):
            batch.delete(entity_keys.job_group(output.key), output.key)


class CleansUpWhenTerminated(InstanceKind):
    """What the code would do in its cleanup is done when it is terminated (G25)."""

    def settle(self, actor: Instance, taken: Taken[Work], decision: Decision | None, settlement: Settlement) -> None:
        before = actor.head
        super().settle(actor, taken, decision, settlement)
        if before is not None and actor.head is not None and actor.head.status == "Terminated":
            data = msgspec.json.encode([actor.address, before.execution])
            operation = Operation(at_us=settlement.now_us, name="append", input=data, sender=actor.address)
            settlement.send("@journal@cleaned", operation)


class Orphans(InstanceKind):
    """Terminate leaves the children alone (G26)."""

    def take(self, actor: Instance, mailbox: Mailbox, messages_max: int) -> Taken[Work] | None:
        taken = super().take(actor, mailbox, messages_max)
        if taken is not None and any(isinstance(message, Terminate) for _, message in taken.mails):
            actor.children = set()
        return taken


class Escapees(InstanceKind):
    """Who ends as Canceled leaves the children alone (G26)."""

    def settle(self, actor: Instance, taken: Taken[Work], decision: Decision | None, settlement: Settlement) -> None:
        if decision is not None and decision.end is not None and decision.end.status == "Canceled":
            actor.children = set()
        super().settle(actor, taken, decision, settlement)


class LeakySuspension(InstanceKind):
    """A suspended instance that is in memory takes results and events (G26)."""

    def take(self, actor: Instance, mailbox: Mailbox, messages_max: int) -> Taken[Work] | None:
        head, mail = actor.head, mailbox.peek()
        if head is not None and head.suspended and actor.execution is not None and mailbox.peek_control() is None:
            if mail is not None and isinstance(mail[1], ActivityDone | RaiseEvent):
                return self._take_running(actor, mailbox, 1)
        return super().take(actor, mailbox, messages_max)


# Time, names, replay


class EarlyTimers(CheckedKernel):
    """Timers fire a second early (G28)."""

    def fire_due(self, now_us: int) -> int:
        return super().fire_due(now_us + 1_000_000)


class ClockGoesBack(InstanceKind):
    """A turn sees the wall clock as it is (G28)."""

    def decide(self, actor: Instance, taken: Taken[Work], now_us: int) -> Decision | None:
        if actor.head is not None:
            actor.head = change(actor.head, clock_us=0)
        return super().decide(actor, taken, now_us)


@attrs.frozen
class _OneId:
    """Gives the same id every time."""

    inside: Directory

    def entity_name(self, name: str) -> str:
        return self.inside.entity_name(name)

    def orchestration_name(
        self, orchestration: str | Callable[..., Any], version: str | None
    ) -> tuple[str, str | None]:
        return self.inside.orchestration_name(orchestration, version)

    def new_id(self) -> str:
        return "always-the-same"


def same_executions(
    registry: Registry, payloads: Payloads, directory: Directory, *, notes: Notes | None = None
) -> InstanceKind:
    """All executions have one id (G29)."""
    return InstanceKind(registry, payloads, _OneId(directory), notes=notes)


class ForgetfulLoads(InstanceKind):
    """An instance that comes back into memory does not know its children (G7, G19)."""

    def load(self, view: View, address: str) -> Instance:
        instance = super().load(view, address)
        instance.children = set()
        return instance


class AnyOrder(InstanceKind):
    """`task_all` gives its results in an order of its own (G30)."""

    def _execution(
        self, actor: Instance, behaviour: Orchestration, ancestors: tuple[str, ...] | None = None
    ) -> Execution:
        function = behaviour.function

        def run(ctx: Any, *args: Any) -> Any:
            ctx.task_all = lambda tasks: OrchestrationContext.task_all(ctx, list(tasks)[::-1])
            return function(ctx, *args)

        return super()._execution(actor, attrs.evolve(behaviour, function=run), ancestors)
