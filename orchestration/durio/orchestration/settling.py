"""Settling: turns what was taken and decided into rows, messages, timers and jobs. Runs no user code but cleanup."""

from __future__ import annotations

import logging

import msgspec

from durio.entities import LockAnswered, Mail, Settlement, StartInstance, Taken, refusal_of, refuse
from durio.entities import keys as entity_keys
from durio.entities.limits import TURN_MESSAGES_MAX
from durio.orchestration.acceptance import (
    ABSENT,
    ACCEPTED,
    CREATED,
    FOUND,
    PURGED,
    Work,
    absent,
    is_for,
    taken_id,
)
from durio.orchestration.decision import Decision, End
from durio.orchestration.endings import (
    begin_again,
    change,
    clear,
    finish,
    terminate,
    write_turn,
)
from durio.orchestration.errors import InstanceNotFinished
from durio.orchestration.history import EventRaised, HistoryEvent, Resumed, Suspended, Woke
from durio.orchestration.instance import Instance
from durio.orchestration.late import keep_late
from durio.orchestration.locking import take_answer
from durio.orchestration.messages import (
    Cancel,
    ChildBack,
    ChildDone,
    Purge,
    RaiseEvent,
    Resume,
    Rewind,
    StartDue,
    Suspend,
    Terminate,
)
from durio.orchestration.needing import note_needs, refuse_cycles
from durio.orchestration.performing import perform
from durio.orchestration.records import (
    HEAD,
    ORIGIN,
    Child,
    Head,
    Origin,
    child_suffix,
)
from durio.orchestration.rewinding import settle_rewind

logger = logging.getLogger("durio.orchestration")


class Settling:
    """The half of a turn that changes something.

    Guarantees: messages after the end of an execution stay for the next turn; results are dropped by execution id;
    a life begins, or ends and begins, in one write set (G2, G15, G24).
    """

    def settle(self, instance: Instance, taken: Taken[Work], decision: Decision | None, settlement: Settlement) -> None:
        """Settle one turn of an instance."""
        mode = taken.work.mode
        if mode == "step":
            self._step(instance, taken, decision, settlement)
        elif mode == "begin":
            self._begin(instance, taken, decision, settlement)
        elif mode == "start":
            self._start(instance, taken, decision, settlement)
        elif mode == "control":
            self._control(instance, taken.mails[0], settlement)
        elif mode == "cancel":
            self._cancel(instance, taken.mails[0], settlement)
        elif mode == "hold":
            self._accept(taken.mails, settlement)
        elif mode == "refuse":
            self._refuse(instance, taken.mails[0], settlement)
        else:
            assert decision is not None, "the replay failed"
            self._finish_turn(instance, taken.work, [], decision, settlement)

    # Mail for running code

    def _step(self, instance: Instance, taken: Taken[Work], decision: Decision | None, settlement: Settlement) -> None:
        work, mails = taken.work, taken.mails
        seen, got_lock = len(mails), False
        if decision is not None and decision.consumed < len(work.entries):
            seen = work.mail_of[decision.consumed]
            settlement.rewind = True
        else:
            instance.appetite = min(2 * instance.appetite, TURN_MESSAGES_MAX)
        for key, message in mails[:seen]:
            settlement.consume(key)
            if message.reply:
                settlement.answer(message.reply, ACCEPTED)
            elif isinstance(message, ChildDone):
                self.child_done(instance, message, settlement)
            elif isinstance(message, LockAnswered):
                take_answer(instance, message, settlement)
                got_lock = True
        if decision is not None:
            events = self._events(instance, work, decision, settlement)
            self._finish_turn(instance, work, events, decision, settlement)
        if got_lock and instance.alive and (decision is None or decision.needs is None):
            refuse_cycles(instance, settlement)

    def _begin(self, instance: Instance, taken: Taken[Work], decision: Decision | None, settlement: Settlement) -> None:
        assert decision is not None and instance.head is not None, "a first step is decided"
        settlement.consume(taken.mails[0][0])
        if instance.pending:
            instance.head = change(instance.head, status="Running")
            settlement.rewind = True
        instance.execution = taken.work.execution
        events = self._events(instance, taken.work, decision, settlement)
        self._finish_turn(instance, taken.work, events, decision, settlement)

    def _events(self, instance: Instance, work: Work, decision: Decision, settlement: Settlement) -> list[HistoryEvent]:
        """The history of this turn: each entry, and behind it what the code asked for then."""
        events: list[HistoryEvent] = [Woke(work.clock_us)]
        actions, done = decision.actions, 0
        for index, entry in enumerate(work.entries[: decision.consumed]):
            instance.note(entry)
            events.append(entry)
            while done < len(actions) and actions[done][0] == index:
                events.append(perform(instance, work.execution_id, actions[done][1], settlement))
                done += 1
        return events

    def _finish_turn(
        self, instance: Instance, work: Work, events: list[HistoryEvent], decision: Decision, settlement: Settlement
    ) -> None:
        head = instance.head
        assert head is not None, "a life goes on"
        head = instance.head = Head(
            head.life,
            head.execution,
            head.generation,
            head.chunks,
            head.status,
            head.suspended,
            head.created_us,
            head.updated_us,
            max(work.clock_us, head.clock_us),
            decision.custom_status if decision.status_set else head.custom_status,
            head.needs,
            head.calls,
            head.rewinds,
            head.gaps,
            head.kept,
        )
        end = decision.end
        if end is None:
            instance.head = head = note_needs(head, decision.needs)
            if decision.needs is not None:
                refuse_cycles(instance, settlement)
            write_turn(instance, head, events, settlement)
        elif end.status == "ContinuedAsNew":
            begin_again(instance, end, work.next_execution, settlement)
        else:
            finish(instance, events, end, settlement)

    def child_done(self, instance: Instance, message: ChildDone, settlement: Settlement) -> None:
        """A child ended: it is not one of this life any more."""
        child = Child(message.instance, message.execution, message.action)
        if child in instance.children:
            instance.children.discard(child)
            settlement.delete(child_suffix(child))

    # Starts

    def _start(self, instance: Instance, taken: Taken[Work], decision: Decision | None, settlement: Settlement) -> None:
        key, message = taken.mails[0]
        assert isinstance(message, StartInstance), "taken as a start"
        work = taken.work
        settlement.consume(key)
        if work.verdict == "refuse":
            self._refuse_start(instance, message, settlement)
        elif work.verdict == "found":
            settlement.answer(message.reply, FOUND)
            if decision is not None:
                self._take_step(instance, message, work, decision, settlement)
            else:
                self._hold_events(key, message, settlement)
        else:
            if work.verdict == "replace":
                self._drop_held(instance, key, settlement)
                terminate(instance, "replaced", True, settlement, keep_history=False)
            self._create(instance, key, message, work, decision, settlement)
            settlement.answer(message.reply, CREATED)

    def _refuse_start(self, instance: Instance, message: StartInstance, settlement: Settlement) -> None:
        error, parent = taken_id(instance), message.parent
        if parent is not None:
            done = ChildDone(
                at_us=settlement.now_us,
                instance=instance.address,
                execution=parent.execution,
                action=parent.action,
                failure=refusal_of(error),
            )
            settlement.send(parent.address, done)
        elif message.reply:
            settlement.answer(message.reply, refuse(error))
        else:
            settlement.count("starts refused")

    def _create(
        self,
        instance: Instance,
        key: bytes,
        message: StartInstance,
        work: Work,
        decision: Decision | None,
        settlement: Settlement,
    ) -> None:
        generation = clear(instance, settlement)
        now_us, life = settlement.now_us, work.execution_id
        status = "Pending" if decision is None else "Running"
        instance.head = Head(life, life, generation, 0, status, False, now_us, now_us, work.clock_us)
        instance.behaviour, instance.complete = work.behaviour, True
        instance.stuck = instance.warned = False
        due_key = b""
        if decision is None:
            due = StartDue(at_us=now_us, life=life)
            if message.due_us is not None:
                due_key = settlement.schedule(message.due_us, instance.address, due)
            else:
                settlement.send(instance.address, due)  # its code is missing: it begins when the code is there
            self._hold_events(key, message, settlement)
            settlement.rewind = True
        instance.origin = Origin(
            message.name, message.version, message.input, message.parent, message.tags, message.due_us, due_key
        )
        settlement.put(ORIGIN, instance.origin)
        if decision is None:
            write_turn(instance, instance.head, [], settlement)
            return
        instance.execution = work.execution
        self._take_step(instance, message, work, decision, settlement)

    def _take_step(
        self, instance: Instance, message: StartInstance, work: Work, decision: Decision, settlement: Settlement
    ) -> None:
        """The step that a start causes. Events of it that the code has not seen wait for the next execution."""
        events = self._events(instance, work, decision, settlement)
        again = decision.end is not None and decision.end.status == "ContinuedAsNew"
        self._finish_turn(instance, work, events, decision, settlement)
        for entry in work.entries[decision.consumed :]:
            assert isinstance(entry, EventRaised), "a start is seen at once"
            place = (entry.arrival, entry.sub)
            event = RaiseEvent(
                at_us=message.at_us, name=entry.name, input=entry.input, sender=message.sender, place=place
            )
            if again:
                settlement.put_back(place, event)
            elif not keep_late(instance, event, settlement):
                settlement.count("events dropped: the instance ended before it took them")

    def _hold_events(self, key: bytes, message: StartInstance, settlement: Settlement) -> None:
        """Events that came with a start for an instance that cannot take them now wait at their place."""
        arrival, _ = entity_keys.mail_arrival(key)
        for number, (name, data) in enumerate(message.events, 1):
            place = (arrival, number)
            event = RaiseEvent(at_us=message.at_us, name=name, input=data, sender=message.sender, place=place)
            settlement.put_back(place, event)

    def _accept(self, mails: list[Mail], settlement: Settlement) -> None:
        """Held mail is answered once, and keeps its place; an event is the life's own from now on."""
        for key, message in mails:
            settlement.answer(message.reply, ACCEPTED)
            if isinstance(message, RaiseEvent):
                place = entity_keys.mail_arrival(key)
                settlement.put_back(place, msgspec.structs.replace(message, reply="", place=place))

    def _drop_held(self, instance: Instance, key: bytes, settlement: Settlement) -> None:
        """Mail that the old life held does not reach the new one."""
        if not instance.holding:
            return
        box = entity_keys.mailbox(instance.address)
        for held, _ in instance.view.scan(box, box + bytes((1,)), key):
            settlement.consume(held)
            settlement.count("messages dropped: their life was replaced")

    # Control and refusals

    def _cancel(self, instance: Instance, mail: Mail, settlement: Settlement) -> None:
        """A life that has no code to ask yet ends."""
        key, message = mail
        assert isinstance(message, Cancel), "taken as one"
        settlement.consume(key)
        if is_for(instance, message):
            settlement.rewind = True  # what was held is answered and dropped now
            finish(instance, [], End("Canceled", reason=message.reason), settlement)
            settlement.answer(message.reply, ACCEPTED)

    def _control(self, instance: Instance, mail: Mail, settlement: Settlement) -> None:
        key, message = mail
        settlement.consume(key)
        head, origin = instance.head, instance.origin
        if isinstance(message, Purge):
            self._purge(instance, message, settlement)
            return
        if isinstance(message, Rewind):
            settle_rewind(instance, message, settlement)
            return
        if not instance.alive or head is None or origin is None:
            if message.reply:
                settlement.answer(message.reply, refuse(absent(instance)))
            return
        if isinstance(message, Terminate):
            if not is_for(instance, message):
                return
            if not message.parent:  # of a thousand children one line would be too many
                logger.info("%s is terminated: %s", instance.address, message.reason)
            terminate(instance, message.reason, message.recursive, settlement)
        elif isinstance(message, Suspend | Resume):
            self._suspend(instance, head, message, settlement)
        elif isinstance(message, ChildBack) and message.life == head.life:
            child = Child(message.instance, message.execution, message.action)
            instance.children.add(child)
            settlement.put(child_suffix(child), child)
        settlement.answer(message.reply, ACCEPTED)

    def _purge(self, instance: Instance, message: Purge, settlement: Settlement) -> None:
        """Forget a life that has ended, in this commit; a large history goes after it (G18)."""
        head = instance.head
        if head is None or (message.life and message.life != head.life):
            settlement.answer(message.reply, ABSENT)
            return
        if not instance.alive and message.ended_us not in (0, head.updated_us):
            settlement.answer(message.reply, ABSENT)  # it was rewound, and has ended anew
            return
        if instance.alive:
            status = "Suspended" if head.suspended else head.status
            settlement.answer(message.reply, refuse(InstanceNotFinished(instance.address, status)))
            return
        clear(instance, settlement)
        settlement.delete(HEAD)
        settlement.delete(ORIGIN)
        instance.head = instance.origin = None
        settlement.answer(message.reply, PURGED)

    def _suspend(self, instance: Instance, head: Head, message: Suspend | Resume, settlement: Settlement) -> None:
        suspend = isinstance(message, Suspend)
        if head.suspended is suspend:
            return
        events: list[HistoryEvent] = []
        if head.chunks:
            events.append(Suspended(message.reason) if suspend else Resumed(message.reason))
        write_turn(instance, change(head, suspended=suspend), events, settlement)
        settlement.rewind = not suspend

    def _refuse(self, instance: Instance, mail: Mail, settlement: Settlement) -> None:
        key, message = mail
        settlement.consume(key)
        if isinstance(message, ChildDone):
            self.child_done(instance, message, settlement)
        if keep_late(instance, message, settlement):
            return
        if message.reply:
            settlement.answer(message.reply, refuse(absent(instance)))
        elif isinstance(message, RaiseEvent):
            settlement.count("events dropped: nobody is there")
