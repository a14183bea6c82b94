"""How executions and lives end: return, failure, continue-as-new, terminate, replace."""

from __future__ import annotations

from durio.entities import CONTROL_LANE, HEAD_LANE, Failure, Settlement, refusal_of
from durio.entities import keys as entity_keys
from durio.orchestration.decision import End
from durio.orchestration.errors import Cancelled, Terminated
from durio.orchestration.history import Chunk, Ended, HistoryEvent
from durio.orchestration.instance import JOB, TIMER, Instance
from durio.orchestration.limits import APPETITE_MIN
from durio.orchestration.locking import release_locks
from durio.orchestration.messages import Cancel, ChildDone, ContinueAsNew, RaiseEvent, Terminate
from durio.orchestration.records import (
    FINAL,
    GENERATIONS,
    HEAD,
    HISTORY,
    LATE,
    ORIGIN,
    Head,
    Origin,
    Outcome,
    Snapshot,
    child_suffix,
    history_suffix,
    late_suffix,
)


def write_turn(instance: Instance, head: Head, events: list[HistoryEvent], settlement: Settlement) -> None:
    """Append the events of a turn to the history and write the head, with the clock of the turn."""
    if events:
        settlement.insert(history_suffix(head.generation, head.chunks), Chunk(events))
        head = change(head, chunks=head.chunks + 1)
    head = change(head, updated_us=settlement.now_us)
    instance.head = head
    settlement.put(HEAD, head)


def change(
    head: Head,
    *,
    status: str | None = None,
    suspended: bool | None = None,
    chunks: int | None = None,
    updated_us: int | None = None,
    clock_us: int | None = None,
) -> Head:
    """A head that differs in what is given (`msgspec.structs.replace` is several times slower)."""
    return Head(
        head.life,
        head.execution,
        head.generation,
        head.chunks if chunks is None else chunks,
        head.status if status is None else status,
        head.suspended if suspended is None else suspended,
        head.created_us,
        head.updated_us if updated_us is None else updated_us,
        head.clock_us if clock_us is None else clock_us,
        head.custom_status,
        head.needs,
        head.calls,
        head.rewinds,
        head.gaps,
        head.kept,
    )


def finish(
    instance: Instance,
    events: list[HistoryEvent],
    end: End,
    settlement: Settlement,
    *,
    keep_history: bool = True,
) -> None:
    """End the life: its outcome is written, timers and locks go, whoever waits is answered (G12, G15, G24).

    Activities go on after Completed and are cancelled otherwise; Canceled asks the children to end, too (G26).
    `keep_history` is False when a new life cuts the
    history in the same write set.
    """
    head, origin = instance.head, instance.origin
    assert head is not None and origin is not None, "a life goes on"
    events = [*events, Ended(end.status, end.output, end.failure, end.reason, end.causes)] if keep_history else []
    outcome = Outcome(end.output, end.failure, end.reason)
    settlement.put(FINAL, outcome)
    write_turn(instance, change(head, status=end.status, suspended=False), events, settlement)
    instance.outcome = outcome
    drop_timers(instance, settlement)
    release_locks(instance, settlement)
    if origin.due_key and head.status == "Pending":
        settlement.unschedule(origin.due_key)
    if end.status != "Completed":
        cancel_jobs(instance, settlement)
    if end.status == "Canceled":
        _cancel_children(instance, head, end.reason, settlement)
    _drop_code(instance)
    parent = origin.parent
    if parent is not None:
        failure = end.failure
        if end.status == "Terminated":
            failure = refusal_of(Terminated(instance.address, end.reason))
        elif end.status == "Canceled":
            failure = Failure.of(Cancelled(instance.address, end.reason))
        done = ChildDone(
            at_us=settlement.now_us,
            instance=instance.address,
            execution=parent.execution,
            action=parent.action,
            result=end.output,
            failure=failure,
        )
        settlement.send(parent.address, done)
    assert instance.head is not None, "just written"
    settlement.end(head.life, Snapshot(instance.head, origin, outcome))


def terminate(
    instance: Instance, reason: str, recursive: bool, settlement: Settlement, *, keep_history: bool = True
) -> None:
    """End the life from outside; the children of all its executions too, unless told not to (G26)."""
    head = instance.head
    assert head is not None, "a life goes on"
    if recursive:
        for child in sorted({child.instance for child in instance.children}):
            message = Terminate(at_us=settlement.now_us, reason=reason, parent=instance.address, parent_life=head.life)
            settlement.send(child, message, CONTROL_LANE)
        forget_children(instance, settlement)
    settlement.rewind = settlement.rewind or instance.holding  # what was held is answered and dropped now
    finish(instance, [], End("Terminated", reason=reason), settlement, keep_history=keep_history)


def _cancel_children(instance: Instance, head: Head, reason: str, settlement: Settlement) -> None:
    """Behind their starts: what one actor sends to another comes in order, so no child escapes."""
    for child in sorted({child.instance for child in instance.children}):
        message = Cancel(at_us=settlement.now_us, reason=reason, parent=instance.address, parent_life=head.life)
        settlement.send(child, message)


def begin_again(instance: Instance, end: End, new_execution: str, settlement: Settlement) -> None:
    """Continue as new: cut the history, keep what was not observed, and go to the back of the queue (G23)."""
    head, origin = instance.head, instance.origin
    assert head is not None and origin is not None, "a life goes on"
    settlement.cut(history_suffix(head.generation), history_suffix(head.generation + 1))
    drop_timers(instance, settlement)
    release_locks(instance, settlement)
    again = ContinueAsNew(at_us=settlement.now_us, execution=new_execution)
    settlement.send(instance.address, again, HEAD_LANE)
    for event in end.keep:
        place = (event.arrival, event.sub)
        message = RaiseEvent(at_us=settlement.now_us, name=event.name, input=event.input, place=place)
        settlement.put_back(place, message)
    settlement.rewind = settlement.yields = True
    instance.head = Head(
        head.life,
        new_execution,
        head.generation + 1,
        0,
        head.status,
        False,
        head.created_us,
        settlement.now_us,
        head.clock_us,
        head.custom_status,
    )
    instance.origin = Origin(origin.name, origin.version, end.output, origin.parent, origin.tags)
    settlement.put(HEAD, instance.head)
    settlement.put(ORIGIN, instance.origin)
    _drop_code(instance)


def clear(instance: Instance, settlement: Settlement) -> int:
    """Remove what an earlier life left; returns the generation of the new one."""
    head = instance.head
    if head is None:
        # Rows of a life that was purged may still have to be deleted: its generations never come again.
        return settlement.arrival() % GENERATIONS
    settlement.cut(HISTORY, history_suffix(head.generation + 1))
    if head.status == "Failed":
        settlement.cut(LATE, late_suffix(head.generation + 1))
    settlement.delete(FINAL)
    forget_children(instance, settlement)
    cancel_jobs(instance, settlement)
    instance.open, instance.outcome = {}, None
    return head.generation + 1


def forget_children(instance: Instance, settlement: Settlement) -> None:
    """The children are not this life's any more."""
    for child in instance.children:
        settlement.delete(child_suffix(child))
    instance.children = set()


def drop_timers(instance: Instance, settlement: Settlement) -> None:
    """Timers of an execution that is over."""
    for kind, key in instance.open.values():
        if kind == TIMER:
            settlement.unschedule(key)


def cancel_jobs(instance: Instance, settlement: Settlement) -> None:
    """Activities of this instance, of this turn and of all executions before: those on disk are found there."""
    for kind, key in instance.open.values():
        if kind == JOB:
            settlement.cancel_job(key)
    group = entity_keys.JOB + entity_keys.actor(instance.address)[1:]
    for key, _ in instance.view.scan(group, group, entity_keys.stop_of(group)):
        settlement.cancel_job(key)


def _drop_code(instance: Instance) -> None:
    instance.open = {}
    instance.complete = True
    instance.appetite = APPETITE_MIN
    execution, instance.execution = instance.execution, None
    if execution is not None:
        execution.drop()
