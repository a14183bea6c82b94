"""Rewinding: the turn that takes a failed life back to the failures that ended it (G27)."""

from __future__ import annotations

from durio.entities import (
    CONTROL_LANE,
    HEAD_LANE,
    Answer,
    Answered,
    Message,
    Parent,
    Settlement,
    StartInstance,
    refuse,
)
from durio.orchestration.acceptance import absent, is_for
from durio.orchestration.endings import change, write_turn
from durio.orchestration.errors import InstanceNotFailed
from durio.orchestration.history import (
    ActivityCompleted,
    ActivityFailed,
    ActivityScheduled,
    ChildCompleted,
    ChildFailed,
    ChildStarted,
    Chunk,
    EntityCalled,
    EventRaised,
    LockRequested,
    TimerFired,
    TimerSet,
)
from durio.orchestration.instance import Instance
from durio.orchestration.late import late_of
from durio.orchestration.locking import request_locks
from durio.orchestration.messages import (
    ActivityDone,
    ChildBack,
    ChildDone,
    GoOn,
    RaiseEvent,
    Rewind,
    StartDue,
    Terminate,
    TimerDue,
)
from durio.orchestration.performing import perform
from durio.orchestration.records import (
    ALIVE,
    FINAL,
    Child,
    Head,
    child_suffix,
    history_suffix,
    rewound_token,
)
from durio.orchestration.rewind_plan import Cut, Open, Result


def wants_plan(instance: Instance, message: Message) -> bool:
    """Whether a rewind has to be planned before its turn."""
    failed = instance.head is not None and instance.head.status == "Failed"
    return isinstance(message, Rewind) and failed and instance.plan is None and is_for(instance, message)


def settle_rewind(instance: Instance, message: Rewind, settlement: Settlement) -> None:
    """The turn of a `Rewind`."""
    head, origin = instance.head, instance.origin
    cut, instance.plan = instance.plan, None
    ours = head is not None and origin is not None and is_for(instance, message)
    if message.parent:
        _settle_childs(instance, message, cut, settlement, ours)
    elif head is None or origin is None or (head.status != "Failed" and head.status not in ALIVE):
        settlement.answer(message.reply, refuse(absent(instance)))
    elif head.status in ALIVE:
        status = "Suspended" if head.suspended else head.status
        settlement.answer(message.reply, refuse(InstanceNotFailed(instance.address, status)))
    else:
        assert cut is not None, "planned"
        plan = cut.in_words(head.rewinds + 1)
        rewind(instance, head, cut, message.reason, settlement)
        _tell_parent(instance, origin.parent, settlement)
        settlement.answer(message.reply, Answer(value=plan.encode()))


def _tell_parent(instance: Instance, parent: Parent | None, settlement: Settlement) -> None:
    """Who ends the parent ends the child, too, though its failure was taken long ago (G26)."""
    if parent is not None:
        back = ChildBack(
            at_us=settlement.now_us,
            life=parent.life,
            instance=instance.address,
            execution=parent.execution,
            action=parent.action,
        )
        settlement.send(parent.address, back, CONTROL_LANE)


def _settle_childs(instance: Instance, message: Rewind, cut: Cut | None, settlement: Settlement, ours: bool) -> None:
    """Rewind the child of a parent that was rewound; if there is none, start it anew."""
    head, origin, outcome = instance.head, instance.origin, instance.outcome
    if ours and head is not None and head.status == "Failed" and cut is not None:
        rewind(instance, head, cut, message.reason, settlement)
    elif ours and head is not None and head.status in ALIVE:
        return  # somebody else has rewound it: it will tell how it ends
    elif ours and head is not None and head.status == "Completed" and origin is not None and origin.parent is not None:
        parent: Parent = origin.parent
        done = ChildDone(
            at_us=settlement.now_us,
            instance=instance.address,
            execution=parent.execution,
            action=parent.action,
            result=None if outcome is None else outcome.output,
        )
        settlement.send(parent.address, done)
    elif message.start is not None:
        settlement.send(instance.address, message.start)


def rewind(instance: Instance, head: Head, cut: Cut, reason: str, settlement: Settlement) -> None:
    """Take the history back, ask again for what failed and for what the failure had cancelled, and go on.

    Behind the message that lets the code go on come, in their old order, the results and events that are kept, and
    results that came after the failure; all of them before other mail.
    """
    number = head.rewinds + 1 if cut.began else head.rewinds
    token = rewound_token(head.execution, number)
    gaps = _take_back(head, cut, settlement)
    instance.head = Head(
        head.life,
        token,
        head.generation,
        head.chunks,
        "Running" if cut.began else "Pending",
        False,
        head.created_us,
        settlement.now_us,
        head.clock_us,
        head.custom_status,
        rewinds=number,
        gaps=gaps,
        kept=(*head.kept, cut.last) if cut.began else head.kept,
    )
    instance.outcome, instance.execution, instance.open = None, None, {}
    instance.complete, instance.stuck = False, False
    settlement.delete(FINAL)
    _end_late_children(instance, head, cut, settlement)
    if cut.began:
        _go_on(instance, token, number, cut, reason, settlement)
    else:
        settlement.send(instance.address, StartDue(at_us=settlement.now_us, life=head.life), HEAD_LANE)
    _give_back(instance, cut, token, settlement)
    settlement.rewind = True
    write_turn(instance, change(instance.head), [], settlement)


def _take_back(head: Head, cut: Cut, settlement: Settlement) -> tuple[tuple[int, int], ...]:
    """Rows that are taken back are never written again: what follows has numbers behind them."""
    first = cut.row
    if cut.left:
        settlement.put(history_suffix(head.generation, cut.row), Chunk(cut.left))
        first += 1
    if first >= head.chunks:
        return head.gaps
    settlement.cut(history_suffix(head.generation, first), history_suffix(head.generation, head.chunks))
    return (*(gap for gap in head.gaps if gap[1] <= first), (first, head.chunks))


def _end_late_children(instance: Instance, head: Head, cut: Cut, settlement: Settlement) -> None:
    late = {(event.instance, event.id) for event in cut.late_children}
    for child in [child for child in instance.children if (child.instance, child.action) in late]:
        message = Terminate(
            at_us=settlement.now_us,
            reason="rewound",
            parent=instance.address,
            parent_life=head.life,
            execution=child.execution,
            action=child.action,
        )
        settlement.send(child.instance, message, CONTROL_LANE)
        instance.children.discard(child)
        settlement.delete(child_suffix(child))


def _go_on(instance: Instance, token: str, number: int, cut: Cut, reason: str, settlement: Settlement) -> None:
    again: list[int] = []
    timers: list[tuple[int, bytes]] = []
    for found in cut.waiting.values():
        action = found.action
        if isinstance(action, TimerSet):
            due = TimerDue(at_us=action.due_us, execution=token, action=action.id, due_us=action.due_us)
            timers.append((action.id, settlement.schedule(action.due_us, instance.address, due)))
        elif isinstance(action, ChildStarted) and action.id in cut.causes:
            _rewind_child(instance, action, found, reason, settlement)
        elif cut.is_asked_again(found):
            again.append(action.id)
            if isinstance(action, LockRequested):
                request_locks(instance, token, action, settlement)
            elif isinstance(action, ActivityScheduled | EntityCalled):
                perform(instance, token, action, settlement)
    instance.open = {}
    go_on = GoOn(
        at_us=settlement.now_us,
        execution=token,
        number=number,
        reason=reason,
        again=tuple(again),
        timers=tuple(timers),
    )
    settlement.send(instance.address, go_on, HEAD_LANE)


def _rewind_child(instance: Instance, action: ChildStarted, found: Open, reason: str, settlement: Settlement) -> None:
    head, origin = instance.head, instance.origin
    assert head is not None and origin is not None, "a life goes on"
    token = rewound_token(head.execution, found.rewinds)
    ancestors = () if origin.parent is None else origin.parent.ancestors
    start = StartInstance(
        at_us=settlement.now_us,
        name=action.name,
        version=action.version,
        input=action.input,
        tags=action.tags,
        parent=Parent(instance.address, head.life, token, action.id, (*ancestors, instance.address)),
    )
    message = Rewind(
        at_us=settlement.now_us, reason=reason, parent=instance.address, parent_life=head.life, start=start
    )
    settlement.send(action.instance, message, CONTROL_LANE)
    child = Child(action.instance, token, action.id)
    instance.children.add(child)
    settlement.put(child_suffix(child), child)


def _give_back(instance: Instance, cut: Cut, token: str, settlement: Settlement) -> None:
    for event in cut.kept:
        if isinstance(event, EventRaised):
            place = (event.arrival, event.sub)
            message: Message = RaiseEvent(at_us=settlement.now_us, name=event.name, input=event.input, place=place)
        else:
            message = _message_of(event, cut.open[event.id], token, settlement.now_us)
        settlement.send(instance.address, message, HEAD_LANE)
    for suffix, late in late_of(instance):
        settlement.delete(suffix)
        if isinstance(late, ActivityDone) or (isinstance(late, ChildDone) and late.failure is None):
            continue  # it is among what is kept, or was taken back
        if isinstance(late, ChildDone) and late.action in cut.causes:
            continue  # it was rewound, and failed again: it is rewound once more now
        settlement.send(instance.address, late, HEAD_LANE)


def _message_of(event: Result, found: Open, token: str, now_us: int) -> Message:
    """The message that brought a result, for the execution that waits for it now."""
    action = found.action
    if isinstance(event, TimerFired):
        assert isinstance(action, TimerSet), "timers fire"
        return TimerDue(at_us=now_us, execution=token, action=event.id, due_us=action.due_us)
    if isinstance(event, ActivityCompleted):
        return ActivityDone(at_us=now_us, execution=token, action=event.id, result=event.result)
    if isinstance(event, ActivityFailed):
        return ActivityDone(at_us=now_us, execution=token, action=event.id, failure=event.failure)
    asked = rewound_token(token, found.rewinds)
    if isinstance(event, ChildCompleted | ChildFailed):
        assert isinstance(action, ChildStarted), "children end"
        result = event.result if isinstance(event, ChildCompleted) else None
        failure = event.failure if isinstance(event, ChildFailed) else None
        return ChildDone(
            at_us=now_us, instance=action.instance, execution=asked, action=event.id, result=result, failure=failure
        )
    return Answered(at_us=now_us, execution=asked, action=event.id, result=event.result, failure=event.failure)
