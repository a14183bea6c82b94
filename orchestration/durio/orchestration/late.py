"""Late: what a life had got, or was sent, and its code did not see before it failed. A rewind gives it (G27)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from durio.entities import Answered, Message, Settlement
from durio.entities import keys as entity_keys
from durio.orchestration.instance import Instance
from durio.orchestration.messages import ActivityDone, ChildDone, RaiseEvent, message_decoder
from durio.orchestration.records import execution_of, late_event_suffix, late_suffix

_DECODER: Final = message_decoder()


def keep_late(instance: Instance, message: Message, settlement: Settlement) -> bool:
    """Keep what comes to a life that has failed, if a rewind needs it: nobody would send it again. False: it goes.

    Results of sub-orchestrations and calls, activities that have returned, and events that the life had accepted.
    """
    head = instance.head
    if head is None or head.status != "Failed":
        return False
    if isinstance(message, RaiseEvent):
        if message.place is None:
            return False
        settlement.put(late_event_suffix(head.generation, *message.place), message)
        return True
    if not isinstance(message, ChildDone | Answered | ActivityDone):
        return False
    if isinstance(message, ActivityDone) and (message.failure is not None or message.execution != head.execution):
        return False  # it is run again
    if execution_of(message.execution) != execution_of(head.execution):
        return False
    settlement.put(late_suffix(head.generation, message.action, message.execution), message)
    return True


def late_of(instance: Instance) -> Iterator[tuple[bytes, Message]]:
    """What was kept for a rewind, each with the suffix of its row."""
    assert instance.head is not None, "it has failed"
    group = entity_keys.actor(instance.address)
    generation = instance.head.generation
    start, stop = group + late_suffix(generation), group + late_suffix(generation + 1)
    for key, row in instance.view.scan(group, start, stop):
        message = _DECODER.decode(row) if isinstance(row, bytes) else row
        assert isinstance(message, Message), "nothing else is there"
        yield key[len(group) :], message
