"""Orchestration instances as actors: the ActorKind that takes, decides and settles their turns."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator, Iterator

from durio.entities import (
    HEAD_LANE,
    Answer,
    Answered,
    Directory,
    Mail,
    Mailbox,
    Message,
    Operation,
    Payloads,
    Poisoned,
    Settlement,
    StartInstance,
    Taken,
    View,
    is_blob,
    payloads_of,
)
from durio.entities import keys as entity_keys
from durio.orchestration.acceptance import Work, entry_of, is_for, judge, size_of
from durio.orchestration.decision import Decision
from durio.orchestration.errors import NonDeterminismError
from durio.orchestration.execution import Execution
from durio.orchestration.history import EventRaised, HistoryEvent, Started
from durio.orchestration.index import facts_of, reindex
from durio.orchestration.instance import Decoders, Instance, load, read_history
from durio.orchestration.limits import REPLAY_SLICE_MS, SLOW_STEP_MS, STEP_BYTES_MAX
from durio.orchestration.messages import (
    ActivityDone,
    Cancel,
    ChildDone,
    ContinueAsNew,
    RaiseEvent,
    Rewind,
    StartDue,
    Terminate,
    TimerDue,
    message_decoder,
)
from durio.orchestration.needing import objection
from durio.orchestration.parking import park
from durio.orchestration.planning import planned
from durio.orchestration.registry import Orchestration, Registry
from durio.orchestration.rewinding import wants_plan
from durio.orchestration.settling import Settling
from durio.storage import Notes

logger = logging.getLogger("durio.orchestration")


class InstanceKind:
    """Runs orchestration instances.

    Guarantees: a start is accepted or refused by the instance itself, in its turn (G15); an event for a life that
    goes on is never refused (G16); terminate, suspend and resume are looked at first, but after the start of their
    own life (G26); nothing is stepped while the instance is suspended or its code is missing (G19, G20).
    """

    def __init__(
        self,
        registry: Registry,
        payloads: Payloads,
        directory: Directory,
        *,
        hold_on_nondeterminism: bool = False,
        notes: Notes | None = None,
    ) -> None:
        self._notes = notes or Notes()
        self._registry = registry
        self._payloads = payloads
        self._directory = directory
        self._hold = hold_on_nondeterminism
        self._messages = message_decoder()
        self._decoders = Decoders()
        self._settling = Settling()

    def decode(self, data: bytes) -> Message:
        return self._messages.decode(data)

    def load(self, view: View, address: str) -> Instance:
        instance = load(view, address, self._decoders)
        if instance.origin is not None:
            instance.behaviour = self._registry.exact_orchestration(instance.origin.name, instance.origin.version)
        return instance

    def prepare(self, actor: Instance) -> bool:
        if actor.preparing is None:
            if actor.complete and (actor.execution is not None or not actor.alive or actor.holding or actor.stopped):
                return True
            if actor.head is None or actor.head.chunks == 0:
                return True
            actor.preparing = self._prepare(actor)
        deadline = time.perf_counter() + REPLAY_SLICE_MS / 1000
        self._notes.note(entity_keys.actor(actor.address))
        try:
            for _ in actor.preparing:
                if time.perf_counter() > deadline:
                    return False
        finally:
            self._notes.rest()
        actor.preparing = None
        return True

    def take(self, actor: Instance, mailbox: Mailbox, messages_max: int) -> Taken[Work] | None:
        if actor.execution is not None and actor.execution.end is not None:
            mail = mailbox.peek()
            if mail is not None and isinstance(mail[1], StartInstance):
                # It came while the instance was running, and is answered so, before the failed replay ends it.
                return Taken([mailbox.pop()], self._judged(actor, mail[1], mail))
            return Taken([], Work("end"))
        if _control_first(actor, mailbox):
            control = mailbox.peek_control()
            if control is not None and wants_plan(actor, control[1]):
                actor.preparing = planned(actor, self._decoders)
                return Taken([], Work("hold"))  # others have their turn while its history is read
            return Taken([mailbox.pop_control()], Work("control"))
        if not actor.alive:
            return self._take_dead(actor, mailbox)
        if actor.holding:
            taken = self._take_holding(actor, mailbox, messages_max)
            if taken is None and mailbox.peek_control() is not None:
                return Taken([mailbox.pop_control()], Work("control"))  # all mail before it was looked at
            return taken
        return self._take_running(actor, mailbox, min(messages_max, actor.appetite))

    def decide(self, actor: Instance, taken: Taken[Work], now_us: int) -> Decision | None:
        work, note = taken.work, self._notes.note
        head = actor.head
        note(taken.mails[0][0] if taken.mails else entity_keys.actor(actor.address))  # ends run cleanup code, too
        if work.mode == "end":
            assert actor.execution is not None, "a replay failed"
            logger.error("%s fails: %s", actor.address, actor.execution.recorder.broken)
            return Decision([], 0, actor.execution.end)
        work.clock_us = max(work.clock_us, now_us)
        if head is not None and head.execution == work.execution_id:
            work.clock_us = max(work.clock_us, head.clock_us)
        if not work.entries:
            return None
        execution = work.execution or actor.execution
        assert execution is not None, "prepared"
        started = time.perf_counter()
        decision = _run(execution, taken, note)
        if self._hold and isinstance(execution.recorder.broken, NonDeterminismError):
            self._hold_on(actor, execution)  # a rewind had cut its last step short: only now that was replayed
            work.mode = "hold"
            return None
        if decision.end is not None and decision.end.status == "ContinuedAsNew":
            work.next_execution = self._directory.new_id()
        if decision.end is not None and decision.end.failure is not None:
            failure = decision.end.failure
            logger.warning(
                "%s (%s) failed: %s: %s", actor.address, execution.behaviour.name, failure.type, failure.message
            )
        took_ms = (time.perf_counter() - started) * 1000
        if took_ms > SLOW_STEP_MS:
            logger.warning("a step of %s took %.0f ms; its code: %s", actor.address, took_ms, execution.line())
        return decision

    def settle(self, actor: Instance, taken: Taken[Work], decision: Decision | None, settlement: Settlement) -> None:
        self._settling.settle(actor, taken, decision, settlement)
        if actor.behaviour is None and taken.work.mode == "control" and actor.alive and actor.origin is not None:
            actor.behaviour = self._registry.exact_orchestration(actor.origin.name, actor.origin.version)
        self._reindex(actor, settlement)
        self._notes.rest()

    def stop(self, actor: Instance) -> None:
        actor.stopped = True

    def park(self, actor: Instance, mail: Mail | None, error: Poisoned, settlement: Settlement) -> None:
        if mail is not None and isinstance(mail[1], ChildDone):
            self._settling.child_done(actor, mail[1], settlement)
        park(actor, mail, error, settlement, self._directory.new_id)
        self._reindex(actor, settlement)
        actor.stopped = False

    def _reindex(self, actor: Instance, settlement: Settlement) -> None:
        facts = facts_of(actor.head, actor.origin)
        if facts != actor.indexed:
            reindex(actor.address, actor.indexed, facts, settlement)
            actor.indexed = facts

    def object_to(self, view: View, address: str, message: Message) -> Answer | None:
        behalf = message.behalf if isinstance(message, Operation) else None
        return None if behalf is None else objection(view, address, behalf, self._decoders)

    def drop(self, actor: Instance) -> None:
        self._notes.note(entity_keys.actor(actor.address))  # cleanup code
        if actor.preparing is not None:
            actor.preparing.close()
        if actor.execution is not None:
            actor.execution.drop()
        self._notes.rest()

    def _prepare(self, actor: Instance) -> Generator[None, None, None]:
        """Read the history, and replay it unless the instance holds its mail."""
        actor.open.clear()
        behaviour = actor.behaviour
        if actor.holding or actor.stopped or behaviour is None:
            for _ in read_history(actor, self._decoders):
                yield
            actor.complete = True
            return
        execution = self._execution(actor, behaviour)
        try:
            for _ in execution.replay(self._history(actor), actor.head.rewinds if actor.head is not None else 0):
                yield
        except BaseException:
            execution.drop()  # the hub closes, or a row is damaged: cleanup runs behind the guard, without effect
            raise
        actor.complete = True
        if self._hold and execution.end is not None:
            self._hold_on(actor, execution)
            return
        execution.status_set = execution.waits_anew = False
        actor.execution = execution

    def _hold_on(self, actor: Instance, execution: Execution) -> None:
        """Wait for code that does what the history says (G20)."""
        logger.error("%s is held: %s", actor.address, execution.recorder.broken)
        execution.drop()
        actor.execution, actor.stuck = None, True

    def _history(self, actor: Instance) -> Iterator[HistoryEvent | None]:
        """The events of the current execution, each with what it refers to in memory; None: give way."""
        for part in read_history(actor, self._decoders):
            for event in part:
                for payload in payloads_of(event):
                    for _ in self._payloads.loading(payload):
                        yield None
                yield event
            yield None

    def _execution(
        self, actor: Instance, behaviour: Orchestration, ancestors: tuple[str, ...] | None = None
    ) -> Execution:
        if ancestors is None:
            parent = actor.origin.parent if actor.origin is not None else None
            ancestors = parent.ancestors if parent is not None else ()
        return Execution(actor.address, behaviour, self._registry, self._payloads, ancestors)

    def _take_dead(self, actor: Instance, mailbox: Mailbox) -> Taken[Work] | None:
        mail = mailbox.peek()
        if mail is None:
            return None
        mailbox.pop()
        if isinstance(mail[1], StartInstance):
            return Taken([mail], self._judged(actor, mail[1], mail))
        return Taken([mail], Work("refuse"))

    def _take_holding(self, actor: Instance, mailbox: Mailbox, messages_max: int) -> Taken[Work] | None:
        head = actor.head
        assert head is not None and actor.origin is not None, "a life goes on"
        if actor.behaviour is None and not actor.warned:
            actor.warned = True
            logger.error("%s is held: no code for %s %s", actor.address, actor.origin.name, actor.origin.version or "")
        for _ in range(messages_max):
            mail = mailbox.peek()
            if mail is None:
                return None
            mailbox.pop()
            message = mail[1]
            if isinstance(message, StartInstance):
                return Taken([mail], self._judged(actor, message, mail))
            if isinstance(message, StartDue) and message.life != head.life:
                return Taken([mail], Work("refuse"))
            if isinstance(message, StartDue) and not head.suspended and actor.behaviour is not None:
                return Taken([mail], self._begin(actor, actor.behaviour, head.execution))
            if isinstance(message, Cancel) and actor.pending and not head.suspended:
                return Taken([mail], Work("cancel"))
            if isinstance(message, RaiseEvent | Cancel) and message.reply:
                return Taken([mail], Work("hold"))
        return Taken([], Work("hold"))  # others have their turn before the next held messages are looked at

    def _take_running(self, actor: Instance, mailbox: Mailbox, messages_max: int) -> Taken[Work] | None:
        mail = mailbox.peek()
        if mail is None:
            return None
        first = mail[1]
        if isinstance(first, StartInstance):
            return Taken([mailbox.pop()], self._judged(actor, first, mail))
        if isinstance(first, ContinueAsNew) and actor.execution is None and actor.behaviour is not None:
            return Taken([mailbox.pop()], self._begin(actor, actor.behaviour, first.execution))
        taken = Taken([], Work("step"))
        work, closed, size = taken.work, set[int](), 0
        assert actor.head is not None, "a life goes on"
        work.execution_id = actor.head.execution
        while mail is not None and len(taken.mails) < messages_max and size < STEP_BYTES_MAX:
            message = mail[1]
            if isinstance(message, StartInstance) or (taken.mails and any(map(is_blob, payloads_of(message)))):
                break  # what is large begins a turn: it is loaded before
            mailbox.pop()
            entry = entry_of(actor, message, mail[0], closed)
            if entry is not None:
                work.mail_of.append(len(taken.mails))
                work.entries.append(entry)
                if isinstance(message, TimerDue):
                    work.clock_us = max(work.clock_us, message.due_us)
            taken.mails.append(mail)
            size += size_of(mail)
            mail = mailbox.peek()
        taken.full = size >= STEP_BYTES_MAX or any(map(is_blob, payloads_of(first)))
        return taken

    def _begin(self, actor: Instance, behaviour: Orchestration, execution_id: str) -> Work:
        """The first step of an execution of the life that goes on."""
        head, origin = actor.head, actor.origin
        assert head is not None and origin is not None, "a life goes on"
        parent = None if origin.parent is None else origin.parent.address
        started = Started(execution_id, origin.name, origin.version, origin.input, parent, origin.tags)
        work = Work("begin", [started], [0], execution_id=execution_id)
        work.execution = self._execution(actor, behaviour)
        return work

    def _judged(self, actor: Instance, message: StartInstance, mail: Mail) -> Work:
        """Decide about a start; what it creates takes its first step in the same turn (G14, G15)."""
        work = Work("start", verdict=judge(actor, message))
        if work.verdict == "found" and actor.head is not None:
            work.execution_id = actor.head.execution
            if not actor.holding and actor.execution is not None and actor.execution.end is None:
                work.entries.extend(_events_of(message, mail))
        elif work.verdict in ("create", "replace"):
            work.execution_id = self._directory.new_id()
            behaviour = self._registry.exact_orchestration(message.name, message.version)
            work.behaviour = behaviour
            if message.due_us is None and behaviour is not None:
                parent = message.parent
                ancestors = () if parent is None else parent.ancestors
                work.execution = self._execution(actor, behaviour, ancestors)
                address = None if parent is None else parent.address
                started = Started(
                    work.execution_id, message.name, message.version, message.input, address, message.tags
                )
                work.entries.append(started)
                work.entries.extend(_events_of(message, mail))
        work.mail_of = [0] * len(work.entries)
        return work


def _control_first(actor: Instance, mailbox: Mailbox) -> bool:
    """Whether terminate, suspend or resume comes next: before all mail, but after the start of its own life (G26)."""
    control = mailbox.peek_control()
    if control is None:
        return False
    message, mail = control[1], mailbox.peek()
    theirs = isinstance(message, Terminate) and not is_for(actor, message)
    if actor.alive and not theirs:
        return True
    # Its life has not begun here: an unread start that came before it may begin it. What a rewind gave back to a life
    # that has failed at once is kept for the next one, and that looks at all results which are there.
    if mail is None or entity_keys.mail_lane(mail[0]) == HEAD_LANE:
        return mail is None
    if isinstance(message, Rewind) and isinstance(mail[1], ChildDone | Answered | ActivityDone):
        return False
    return entity_keys.mail_arrival(control[0]) < entity_keys.mail_arrival(mail[0])


def _events_of(message: StartInstance, mail: Mail) -> list[EventRaised]:
    arrival, _ = entity_keys.mail_arrival(mail[0])
    return [EventRaised(name, data, arrival, n) for n, (name, data) in enumerate(message.events, 1)]


def _run(execution: Execution, taken: Taken[Work], note: Callable[[bytes], None]) -> Decision:
    work = taken.work
    execution.clock_us = work.clock_us
    decision = Decision([], 0)
    for index, entry in enumerate(work.entries):
        note(taken.mails[work.mail_of[index]][0])
        execution.feed(entry)
        actions = execution.recorder.actions
        if actions:
            decision.actions.extend((index, action) for action in actions)
            actions.clear()
        decision.consumed = index + 1
        if execution.end is not None:
            decision.end = execution.end
            break
    decision.status_set, decision.custom_status = execution.status_set, execution.custom_status
    decision.needs = execution.needs()
    execution.status_set = False
    return decision
