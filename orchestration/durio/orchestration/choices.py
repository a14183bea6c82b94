"""The first of many tasks: the most common choice, awaited without a graph of its members."""

from __future__ import annotations

from typing import Any

from durio.orchestration.history import EventRaised
from durio.orchestration.tasks import AnyTask, CompositeTask, EventTask, Task
from durio.orchestration.waits import Events, Wait


class First:
    """One await of a `task_any` of which no member waits for events or is made of others.

    Says what a `Wait` would say. A loop over the first of n tasks looks at all that are left in every round: this must
    be a plain walk, or 2,000 tasks stop the hub for seconds (G8).
    """

    __slots__ = ("_members", "_winner", "task")

    def __init__(self, task: AnyTask[Any]) -> None:
        self.task = task
        self._members: frozenset[Task[Any]] | None = None
        self._winner: Task[Any] | None = None
        earliest: int | None = None
        for member in task.members:  # of those that finished at one position the first counts
            position = member.position
            if position is not None and (earliest is None or position < earliest):
                self._winner, earliest = member, position

    @property
    def ready(self) -> bool:
        """Whether the awaited task is finished."""
        return self._winner is not None or self.task.position is not None

    def is_there(self, task: Task[Any]) -> bool:
        """Whether a task inside the awaited one is finished."""
        return task.position is not None

    def finished(self, task: Task[Any]) -> None:
        """A task that is not an event waiter finished just now."""
        if self._winner is not None:
            return
        if self._members is None:
            self._members = frozenset(self.task.members)
        if task in self._members and task.position is not None:
            self._winner = task

    def arrived(self, position: int, event: EventRaised) -> None:
        """Events are nothing to these tasks."""

    def observe(self) -> None:
        """The code goes on: what it sees now is finished for good."""
        if self.task.position is None and self._winner is not None:
            assert self._winner.position is not None, "it finished"
            self.task.finish(self._winner.position, self._winner)


def wait_for(task: Task[Any], events: Events) -> Wait | First:
    """One await of `task`."""
    if isinstance(task, AnyTask) and task.position is None and not any(map(_is_open, task.members)):
        return First(task)
    return Wait(task, events)


def _is_open(member: Task[Any]) -> bool:
    """Whether it takes more than its own end to finish it."""
    return isinstance(member, _OPEN) and member.position is None


_OPEN = (EventTask, CompositeTask)
