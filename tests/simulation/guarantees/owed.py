"""What a hub owes, read from its disk: for everything that somebody waits for, the one row that will bring it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from durio.entities import Answered, Operation, StartInstance, is_entity
from durio.orchestration.history import (
    ActivityCompleted,
    ActivityFailed,
    ActivityScheduled,
    CancelTask,
    ChildCompleted,
    ChildFailed,
    ChildStarted,
    EntityAnswered,
    EntityCalled,
    HistoryEvent,
    TimerFired,
    TimerSet,
)
from durio.orchestration.messages import ActivityDone, ChildDone, Terminate, TimerDue
from durio.orchestration.records import ALIVE, Head
from durio.simulation import Sim
from tests.simulation.guarantees.disk import Disk

Owed = tuple[str, str, int]
"""An instance, its execution, and the action that has no result yet."""

_ASKED = (ActivityScheduled, TimerSet, ChildStarted, EntityCalled)
_ENDED = (ActivityCompleted, ActivityFailed, ChildCompleted, ChildFailed, TimerFired, EntityAnswered, CancelTask)


def nothing_is_owed_twice_or_never(sim: Sim) -> None:
    """Each result that a living instance waits for is brought by exactly one row of the disk."""
    disk = Disk(sim)
    bringers = Counter(_bringers(disk))
    for owed, event in _waited_for(sim, disk):
        assert bringers[owed] == 1, f"{bringers[owed]} rows bring the result of {event} to {owed}"


def everything_is_done(sim: Sim) -> None:
    """No message, timer or activity waits, but the mail of those who are suspended."""
    disk = Disk(sim)
    waiting = [(address, message) for address, _, message in disk.mail() if not _holds(disk.head(address))]
    assert not waiting, f"unread, and nobody will read it: {waiting}"
    assert not disk.timers, f"no time passes any more for {disk.timers}"
    assert not disk.jobs, f"activities that do not run: {disk.jobs}"


def no_money_is_lost(sim: Sim) -> None:
    """What is in the accounts, and on its way to them, is 0 altogether."""
    disk = Disk(sim)
    payloads = sim._subject.app.payloads
    there = sum(payloads.decode(state)["balance"] for name, state in disk.states() if name.startswith("@account@"))
    coming = [message for _, _, message in disk.mail()] + [message for _, _, message in disk.timers]
    on_its_way = sum(
        payloads.decode(message.input or b"0")
        for message in coming
        if isinstance(message, Operation) and message.name == "receive"
    )
    assert there + on_its_way == 0, f"{there} in the accounts, {on_its_way} on its way"


def no_child_escapes(sim: Sim) -> None:
    """A child that lives has its parent, of that life and not terminated, or the order to end is in its mailbox.

    For programs in which no parent ends in any other way.
    """
    disk = Disk(sim)
    for address in _instances(disk):
        head, origin = disk.head(address), disk.origin(address)
        if head is None or origin is None or origin.parent is None or head.status not in ALIVE:
            continue
        parent = disk.head(origin.parent.address)
        assert parent is not None, f"{address} is the child of nobody"
        if parent.life != origin.parent.life or parent.status == "Terminated":
            orders = [message for _, _, message in disk.mail(address) if isinstance(message, Terminate)]
            assert orders, f"{address} lives, but the parent that it had in {origin.parent.address} was terminated"


def _waited_for(sim: Sim, disk: Disk) -> Iterator[tuple[Owed, HistoryEvent]]:
    for address in _instances(disk):
        head = disk.head(address)
        if head is None or head.status not in ALIVE:
            continue
        waiting: dict[int, HistoryEvent] = {}
        for event in sim.history(address):
            if isinstance(event, _ENDED):
                waiting.pop(event.id, None)
            elif isinstance(event, _ASKED) and getattr(event, "refused", None) is None:
                waiting[event.id] = event
        for action, event in waiting.items():
            yield (address, head.execution, action), event


def _bringers(disk: Disk) -> Iterator[Owed]:
    """What each row of the disk will bring in the end."""
    for job in disk.jobs.values():
        yield job.address, job.execution, job.action
    for _, address, message in disk.timers:
        if isinstance(message, TimerDue):
            yield address, message.execution, message.action
    for address, _, message in disk.mail():
        if isinstance(message, ActivityDone | TimerDue | ChildDone | Answered):
            yield address, message.execution, message.action
        elif isinstance(message, Operation) and message.caller is not None:
            yield message.caller.address, message.caller.execution, message.caller.action
        elif isinstance(message, StartInstance) and message.parent is not None:
            yield message.parent.address, message.parent.execution, message.parent.action
    for address in _instances(disk):
        head, origin = disk.head(address), disk.origin(address)
        if head is not None and head.status in ALIVE and origin is not None and origin.parent is not None:
            yield origin.parent.address, origin.parent.execution, origin.parent.action


def _instances(disk: Disk) -> list[str]:
    return [address for address in disk.addresses if not is_entity(address)]


def _holds(head: Head | None) -> bool:
    return head is not None and head.suspended and head.status in ALIVE
