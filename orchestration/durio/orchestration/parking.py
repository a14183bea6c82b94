"""Parking: what becomes of an instance one of whose messages cannot be run, or whose code cannot (G6)."""

from __future__ import annotations

from collections.abc import Callable

from durio.entities import Mail, Poisoned, Settlement, StartInstance, refusal_of, refuse
from durio.orchestration.acceptance import judge
from durio.orchestration.decision import End
from durio.orchestration.endings import clear, finish
from durio.orchestration.instance import Instance
from durio.orchestration.messages import ChildDone
from durio.orchestration.records import ORIGIN, Head, Origin


def park(
    instance: Instance, mail: Mail | None, error: Poisoned, settlement: Settlement, new_id: Callable[[], str]
) -> None:
    """The life that the message is for becomes Failed, and whoever waits is told.

    A start that would have begun a life begins one that has failed, so that it shows; one that would have replaced a
    life is refused, and the life goes on.
    """
    message = None if mail is None else mail[1]
    fails = instance.alive
    if isinstance(message, StartInstance):
        verdict = judge(instance, message)
        fails = verdict == "create" or (verdict == "found" and bool(message.events))
        if verdict == "create":
            _begin(instance, message, settlement, new_id())
        elif message.parent is not None:
            _tell_parent(instance, message, error, settlement)
    if fails:
        finish(instance, [], End("Failed", failure=refusal_of(error)), settlement)
    if message is not None:
        settlement.answer(message.reply, refuse(error))


def _begin(instance: Instance, message: StartInstance, settlement: Settlement, life: str) -> None:
    """A life that only ends."""
    generation, now_us = clear(instance, settlement), settlement.now_us
    instance.head = Head(life, life, generation, 0, "Running", False, now_us, now_us, now_us)
    instance.origin = Origin(message.name, message.version, message.input, message.parent, message.tags, message.due_us)
    instance.complete = True
    settlement.put(ORIGIN, instance.origin)


def _tell_parent(instance: Instance, message: StartInstance, error: Poisoned, settlement: Settlement) -> None:
    parent = message.parent
    assert parent is not None, "a child's start"
    done = ChildDone(
        at_us=settlement.now_us,
        instance=instance.address,
        execution=parent.execution,
        action=parent.action,
        failure=refusal_of(error),
    )
    settlement.send(parent.address, done)
