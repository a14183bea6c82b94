"""Watches turns from beside the production code: writes the trace, and replays every turn of an orchestrator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from durio.entities import (
    ActorKind,
    Answer,
    Mail,
    Mailbox,
    Message,
    Operation,
    Payloads,
    Poisoned,
    Settlement,
    Taken,
    View,
    is_blob,
    is_entity,
)
from durio.entities.changes import Reply
from durio.entities.entity import Outcome
from durio.entities.messages import EntityMessage
from durio.orchestration import App, NonDeterminismError
from durio.orchestration.acceptance import Work
from durio.orchestration.decision import Decision
from durio.orchestration.execution import Execution
from durio.orchestration.history import Action
from durio.orchestration.instance import Decoders, Instance, load, read_history
from durio.orchestration.kind import InstanceKind
from durio.simulation.operations import OperationLog, show
from durio.simulation.reality import Reality
from durio.simulation.trace import Trace
from durio.simulation.wording import text, told_action, told_end, told_event, told_lock, told_outcome, with_input


class Watched:
    """A kind of actors, watched. Turns are those of the kind inside: nothing is changed on the way."""

    def __init__(self, kind: ActorKind, trace: Trace, log: OperationLog, batch: Callable[[], int]) -> None:
        self._kind = kind
        self._trace = trace
        self._log = log
        self._batch = batch
        self._operations = msgspec.msgpack.Decoder(Operation)

    def decode(self, data: bytes) -> Message:
        return self._kind.decode(data)

    def load(self, view: View, address: str) -> Any:
        return self._kind.load(view, address)

    def prepare(self, actor: Any) -> bool:
        while not self._kind.prepare(actor):
            pass  # a long replay gives way by the real clock: here that would be another schedule every time
        return True

    def take(self, actor: Any, mailbox: Mailbox, messages_max: int) -> Taken[Any] | None:
        return self._kind.take(actor, mailbox, messages_max)

    def decide(self, actor: Any, taken: Taken[Any], now_us: int) -> Any:
        return self._kind.decide(actor, taken, now_us)

    def settle(self, actor: Any, taken: Taken[Any], decision: Any, settlement: Settlement) -> None:
        self._kind.settle(actor, taken, decision, settlement)
        batch, step = self._batch(), len(self._trace.steps)
        self._log.taken(batch, step, settlement.address, taken.mails)
        for address, _, message in settlement.sent:
            if isinstance(message, Operation):
                self._log.sent(batch, step, address, message)
        for _, timer in settlement.timers:
            if is_entity(timer.address):
                self._log.sent(batch, step, timer.address, self._operations.decode(timer.message))
        self._tell(taken, decision, settlement)

    def object_to(self, view: View, address: str, message: Message) -> Answer | None:
        return self._kind.object_to(view, address, message)

    def stop(self, actor: Any) -> None:
        self._kind.stop(actor)

    def park(self, actor: Any, mail: Mail | None, error: Poisoned, settlement: Settlement) -> None:
        self._kind.park(actor, mail, error, settlement)
        self._log.taken(self._batch(), len(self._trace.steps), settlement.address, [] if mail is None else [mail])
        self._trace.note(f"parked: {error}")

    def drop(self, actor: Any) -> None:
        self._kind.drop(actor)

    def _tell(self, taken: Taken[Any], decision: Any, settlement: Settlement) -> None:
        raise NotImplementedError


class WatchedEntities(Watched):
    """Entities, watched."""

    def _tell(self, taken: Taken[list[EntityMessage]], decision: list[Outcome], settlement: Settlement) -> None:
        if not decision:
            self._trace.note(told_lock(taken.work[0], settlement))
            return
        for operation, outcome in zip(taken.work, decision, strict=True):
            assert isinstance(operation, Operation), "what has an outcome is an operation"
            result = told_outcome(outcome.failure, outcome.result)
            state = text(outcome.state) or "-"
            self._trace.note(f"{operation.name}({text(operation.input)}) -> {result}   state {state}")


class WatchedInstances(Watched):
    """Orchestration instances, watched: every turn is replayed from scratch, at another time of day.

    Guarantee: when code asks for something else the second time, with other inputs or in another order, the turn
    raises `NonDeterminismError` and shows both.
    """

    def __init__(
        self,
        kind: InstanceKind,
        trace: Trace,
        log: OperationLog,
        batch: Callable[[], int],
        *,
        app: App,
        payloads: Payloads,
        reality: Reality,
    ) -> None:
        super().__init__(kind, trace, log, batch)
        self._app = app
        self._payloads = payloads
        self._reality = reality
        self._decoders = Decoders()

    def decide(self, actor: Instance, taken: Taken[Work], now_us: int) -> Decision | None:
        decision: Decision | None = self._kind.decide(actor, taken, now_us)
        work = taken.work
        if decision is not None and work.entries and work.mode != "end":
            with self._reality.shifted():
                self._replay(actor, work, decision)
        return decision

    def _replay(self, actor: Instance, work: Work, decision: Decision) -> None:
        live = work.execution or actor.execution
        assert live is not None, "it has decided"
        # Of the same make as the live one: what is compared is the user's code, not the kernel's.
        twin = type(live)(actor.address, live.behaviour, self._app.registry, self._payloads, live.ancestors)
        try:
            if work.execution is None:
                again = load(actor.view, actor.address, self._decoders)
                rewinds = 0 if again.head is None else again.head.rewinds
                for _ in twin.replay(
                    [event for part in read_history(again, self._decoders) for event in part], rewinds
                ):
                    pass
            if twin.recorder.broken is not None:
                raise twin.recorder.broken
            twin.clock_us, twin.is_replaying = work.clock_us, True
            wanted: list[Action] = []
            for entry in work.entries[: decision.consumed]:
                twin.feed(entry)
                wanted.extend(twin.recorder.actions)
                twin.recorder.actions.clear()
            self._compare(actor.address, decision, wanted, twin)
        finally:
            twin.drop()

    def _compare(self, address: str, decision: Decision, wanted: list[Action], twin: Execution) -> None:
        had = [action for _, action in decision.actions]
        for number in range(max(len(had), len(wanted))):
            first = had[number] if number < len(had) else None
            second = wanted[number] if number < len(wanted) else None
            if not self._agree(first, second):
                raise NonDeterminismError(address, with_input(first), with_input(second), twin.line())
        had_end, wanted_end = told_end(decision.end), told_end(twin.end)
        if had_end != wanted_end:
            raise NonDeterminismError(address, had_end, wanted_end, twin.line())
        status = decision.custom_status if decision.status_set else None
        if decision.status_set and not self._payloads.same(status, twin.custom_status):
            raise NonDeterminismError(
                address, f"custom status {status!r}", f"custom status {twin.custom_status!r}", twin.line()
            )

    def _agree(self, first: Action | None, second: Action | None) -> bool:
        """A large input that was made again is equal, and lies elsewhere."""
        if first == second or type(first) is not type(second):
            return first == second
        mine, theirs = getattr(first, "input", None), getattr(second, "input", None)
        if not is_blob(mine) or not self._payloads.same(mine, theirs):
            return False
        return bool(msgspec.structs.replace(second, input=mine) == first)  # type: ignore[type-var]  # both are structs

    def _tell(self, taken: Taken[Work], decision: Decision | None, settlement: Settlement) -> None:
        work = taken.work
        if work.verdict == "refuse":
            self._trace.note("start refused")
        elif work.verdict == "found":
            self._trace.note("start: it runs already")
        elif work.verdict == "replace":
            self._trace.note("start: the life that goes on is replaced")
        elif work.mode in ("refuse", "hold", "control"):
            names = [type(message).__name__ for _, message in taken.mails]
            self._trace.note(f"{', '.join(names) or 'nothing'}: {work.mode}")
        entries = work.entries if decision is None else work.entries[: decision.consumed]
        actions = [] if decision is None else decision.actions
        for index, entry in enumerate(entries):
            self._trace.note(told_event(entry))
            for number, action in actions:
                if number == index:
                    self._trace.note(f"=> {told_action(action, work.clock_us)}")
        for output in settlement.outputs:
            if isinstance(output, Reply) and output.answer.failure is not None:
                self._trace.note(f"refused: {show(output.answer)}")
        if decision is not None and decision.end is not None:
            self._trace.note(told_end(decision.end))
