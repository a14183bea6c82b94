"""Planning: reads a failed history, bit by bit, for what a rewind of it does (G27)."""

from __future__ import annotations

from collections.abc import Generator

from durio.orchestration.history import ActivityCompleted, ChildCompleted, Ended
from durio.orchestration.instance import Decoders, Instance, rows_of_history
from durio.orchestration.late import late_of
from durio.orchestration.messages import ActivityDone, ChildDone
from durio.orchestration.records import rewinds_of
from durio.orchestration.rewind_plan import Cut, PlaceFinder


def planned(instance: Instance, decoders: Decoders) -> Generator[None, None, None]:
    """Plan the rewind of a failed instance: its `plan` is there at the end. Gives way after every row."""
    head = instance.head
    assert head is not None, "it has failed"
    causes: tuple[int, ...] = ()
    for _, events in rows_of_history(instance, decoders, max(head.chunks - 1, 0)):
        causes = next((event.causes for event in events if isinstance(event, Ended)), ())
        yield
    finder = PlaceFinder(causes)
    for row, events in rows_of_history(instance, decoders):
        if finder.take(row, events):
            break
        yield
    cut = Cut(finder.place or (head.chunks, 0), causes)
    for row, events in rows_of_history(instance, decoders):
        cut.take(row, events)
        yield
    for _, message in late_of(instance):
        if isinstance(message, ActivityDone):
            cut.heard(ActivityCompleted(message.action, message.result), rewinds_of(message.execution))
        elif isinstance(message, ChildDone) and message.failure is None:
            cut.heard(ChildCompleted(message.action, message.result), rewinds_of(message.execution))
    instance.plan = cut
