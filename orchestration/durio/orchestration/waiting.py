"""Waiting: what the code of an instance waits for, and whether anything that is under way can end the wait."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any, Final

import attrs

from durio.entities import Payloads, payloads_of
from durio.entities import keys as entity_keys
from durio.orchestration.choices import First
from durio.orchestration.execution import Execution
from durio.orchestration.history import ChildStarted, EntityCalled, HistoryEvent
from durio.orchestration.instance import OTHER, Decoders, Instance, read_history
from durio.orchestration.records import ALIVE, HEAD, ORIGIN, execution_of
from durio.orchestration.registry import Orchestration, Registry
from durio.orchestration.tasks import ActionTask, AnyTask, CompositeTask, EventTask, Task
from durio.orchestration.waits import Wait
from durio.storage import Reads

ASKED_MAX: Final = 1000
"""So many answered requests may lie in memory: they are cleared away together."""

EVENTS: Final = "it waits for events, and only somebody outside can send them"
LOST: Final = "nothing that is under way can end its wait"
NO_START: Final = "it has not begun, and nothing is there that would begin it"
NO_CODE: Final = "nothing is under way for it; what it waits for is not known here, without its code"


@attrs.frozen
class Diagnosis:
    """Why an instance stands still. `certain`: no event from outside can make it go on."""

    waits_for: tuple[str, ...]
    why: str
    certain: bool


def has_mail(store: Reads, address: str) -> bool:
    """Whether an actor has unread messages."""
    box = entity_keys.mailbox(address)
    return bool(store.scan(box, entity_keys.stop_of(box), limit=1))


class Examination:
    """Looks at one instance: at its rows, and, by a replay, at what its code awaits. Nothing changes.

    Guarantees: an instance that something under way will bring on is never said to stand still. What is under way ends
    by putting mail into the instance's mailbox in the same commit: if it has none afterwards, what was read in
    between fits together.
    """

    def __init__(self, instance: Instance, registry: Registry, payloads: Payloads, decoders: Decoders, store: Reads):
        self._instance = instance
        self._registry = registry
        self._payloads = payloads
        self._decoders = decoders
        self._store = store
        self.found: Diagnosis | None = None
        """Why it stands still; None if it does not."""
        self._asked: dict[int, ChildStarted | EntityCalled] = {}
        """Who was asked, by action. Of activities and timers the instance knows the keys, and there is one lock."""

    def run(self, behaviour: Orchestration | None) -> Generator[None, None, None]:
        """Look; others may have their turn at each step. `behaviour`: its code, if it is here."""
        self.found = yield from self._look(behaviour)

    def _look(self, behaviour: Orchestration | None) -> Generator[None, None, Diagnosis | None]:
        head, origin = self._instance.head, self._instance.origin
        assert head is not None and origin is not None, "there is a life"
        waits_for_mail = has_mail(self._store, self._instance.address)
        if head.status == "Pending" or head.chunks == 0:
            due = bool(origin.due_key) and self._store.get(origin.due_key) is not None
            return None if due or waits_for_mail else Diagnosis((), NO_START, True)
        if behaviour is None:
            for _ in self._history():
                yield
            under_way = waits_for_mail or any(map(self._is_under_way, self._instance.open))
            return None if under_way else Diagnosis((), NO_CODE, False)
        ancestors = () if origin.parent is None else origin.parent.ancestors
        execution = Execution(self._instance.address, behaviour, self._registry, self._payloads, ancestors)
        try:
            yield from execution.replay(self._history(), head.rewinds)
            broken = execution.recorder.broken or execution.guard.offence
            if broken is not None:
                return Diagnosis(("code that does what its history says",), str(broken), True)
            if waits_for_mail or execution.wait is None:
                return None
            return self._judged(execution.wait)
        finally:
            execution.drop()

    def _history(self) -> Iterator[HistoryEvent | None]:
        """The events of the current execution, each with what it refers to in memory; None: give way."""
        for part in read_history(self._instance, self._decoders):
            for event in part:
                if isinstance(event, ChildStarted | EntityCalled):
                    self._asked[event.id] = event
                for payload in payloads_of(event):
                    for _ in self._payloads.loading(payload):
                        yield None
                yield event
            still_open = self._instance.open
            if len(self._asked) > 2 * len(still_open) + ASKED_MAX:
                self._asked = {action: event for action, event in self._asked.items() if action in still_open}
            yield None

    def _judged(self, wait: Wait | First) -> Diagnosis | None:
        waits = _Waits(wait, {action for action in self._instance.open if self._is_under_way(action)})
        if waits.can_end(wait.task, events=False):
            return None
        certain = not waits.can_end(wait.task, events=True)
        missing, under_way = waits.leaves()
        if under_way and not certain:
            return None  # when it has ended, and only the event is missing, it stands still
        return Diagnosis(missing, LOST if certain else EVENTS, certain)

    def _is_under_way(self, action: int) -> bool:
        """Whether anything is going to confirm an open action."""
        kind, key = self._instance.open[action]
        if kind != OTHER:
            return self._store.get(key) is not None
        event = self._asked.get(action)
        if isinstance(event, ChildStarted):
            return self._is_child_alive(event)
        if isinstance(event, EntityCalled):
            return has_mail(self._store, event.entity)
        section = self._instance.section
        return section is not None and bool(section.waits_for) and has_mail(self._store, section.waits_for)

    def _is_child_alive(self, event: ChildStarted) -> bool:
        if has_mail(self._store, event.instance):  # its start may be among it
            return True
        group, decoders = entity_keys.actor(event.instance), self._decoders
        head, origin = self._store.get(group + HEAD), self._store.get(group + ORIGIN)
        if head is None or origin is None or decoders.head.decode(head).status not in ALIVE:
            return False
        parent, ours = decoders.origin.decode(origin).parent, self._instance.head
        assert ours is not None, "there is a life"
        same = parent is not None and execution_of(parent.execution) == execution_of(ours.execution)
        return same and parent is not None and parent.action == event.id


class _Waits:
    """The tree of tasks that is awaited, and what of it can still be finished."""

    def __init__(self, wait: Wait | First, under_way: set[int]) -> None:
        self._wait = wait
        self._under_way = under_way

    def can_end(self, root: Task[Any], *, events: bool) -> bool:
        """Whether a task can be finished: by what is under way, and by events too if these are counted."""
        seen: dict[Task[Any], bool] = {}

        def can(task: Task[Any]) -> bool:
            found = seen.get(task)
            if found is None:
                found = seen[task] = self._wait.is_there(task) or look(task)
            return found

        def look(task: Task[Any]) -> bool:
            if isinstance(task, CompositeTask):
                return (any if isinstance(task, AnyTask) else all)(map(can, task.members))
            return events if isinstance(task, EventTask) else self._is_under_way(task)

        return can(root)

    def leaves(self) -> tuple[tuple[str, ...], bool]:
        """What is waited for and nothing under way brings, in words; and whether anything else is under way."""
        missing: dict[str, None] = {}
        under_way = False
        seen, todo = {self._wait.task}, [self._wait.task]
        while todo:
            task = todo.pop()
            if self._wait.is_there(task):
                continue
            if isinstance(task, CompositeTask):
                inner = [member for member in task.members if member not in seen]
                seen.update(inner)
                todo.extend(reversed(inner))
            elif self._is_under_way(task):
                under_way = True
            else:
                missing[task.what] = None
        return tuple(missing), under_way

    def _is_under_way(self, task: Task[Any]) -> bool:
        return isinstance(task, ActionTask) and task.action in self._under_way
