"""When is an awaited task ready? Computed for each await anew, over all that is inside the awaited task (G22)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any

from durio.orchestration.history import EventRaised
from durio.orchestration.tasks import AllTask, AnyTask, CompositeTask, EventTask, Task

Arrived = tuple[int, EventRaised]
"""An event and its position in the history."""


class Events:
    """External events that the code has not observed yet, in the order of arrival; names compare case-insensitively."""

    def __init__(self) -> None:
        self._by_name: dict[str, deque[Arrived]] = {}

    def add(self, position: int, event: EventRaised) -> None:
        """An event arrived."""
        self._by_name.setdefault(event.name.casefold(), deque()).append((position, event))

    def of(self, name: str) -> Iterable[Arrived]:
        """The events of a name, the oldest first."""
        return self._by_name.get(name, ())

    def take(self, name: str, arrived: Arrived) -> None:
        """The code observed this one."""
        self._by_name[name].remove(arrived)

    def unobserved(self) -> list[EventRaised]:
        """All that is left, in the order of arrival."""
        left = [event for events in self._by_name.values() for _, event in events]
        return sorted(left, key=lambda event: (event.arrival, event.sub))


class _Node:
    """A task inside the awaited one."""

    __slots__ = ("members", "missing", "parents", "ready", "task", "winner")

    def __init__(self, task: Task[Any]) -> None:
        self.task = task
        self.parents: list[_Node] = []
        self.members: list[_Node] = []
        self.missing = 0
        self.ready = False
        self.winner: _Node | None = None


class Wait:
    """One await of one task.

    Guarantees: the oldest unobserved event of a name is offered to the first created waiter inside the awaited task
    that can still matter; nothing is taken before `observe`; the cost of a message is O(1), not O(members).
    """

    __slots__ = ("_events", "_leaves", "_offers", "_root", "_waiters", "position")

    def __init__(self, task: Task[Any], events: Events) -> None:
        self.position = 0
        self._events = events
        self._leaves: dict[Task[Any], _Node] = {}
        self._offers: dict[_Node, Arrived] = {}
        self._waiters: dict[str, list[_Node]] = {}
        self._root = self._build(task)
        self._begin()

    @property
    def ready(self) -> bool:
        """Whether the awaited task is finished."""
        return self._root.ready

    @property
    def task(self) -> Task[Any]:
        """The awaited task."""
        return self._root.task

    def finished(self, task: Task[Any]) -> None:
        """A task that is not an event waiter finished just now."""
        node = self._leaves.get(task)
        if node is not None and task.position is not None:
            self._make_ready(node, task.position)

    def arrived(self, position: int, event: EventRaised) -> None:
        """An event arrived just now."""
        name = event.name.casefold()
        if name in self._waiters:
            self._offer(name, (position, event), position)

    def observe(self) -> None:
        """The code goes on: what it sees now is taken, and finished for good."""
        self._observe(self._root)

    def _build(self, task: Task[Any]) -> _Node:
        root = _Node(task)
        self._leaves[task] = root
        todo = [root]
        while todo:
            node = todo.pop()
            task = node.task
            if task.position is not None:
                continue
            if isinstance(task, CompositeTask):
                for member in task.members:
                    inner = self._leaves.get(member)
                    if inner is None:
                        inner = self._leaves[member] = _Node(member)
                        todo.append(inner)
                    inner.parents.append(node)
                    node.members.append(inner)
                node.missing = len(task.members)
            elif isinstance(task, EventTask):
                self._waiters.setdefault(task.name, []).append(node)
        return root

    def _begin(self) -> None:
        """Take in all that is finished already, in the order in which it happened."""
        happened: list[tuple[int, int, _Node | str, EventRaised | None]] = []
        for number, (task, node) in enumerate(self._leaves.items()):
            if task.position is not None:
                happened.append((task.position, number, node, None))
            elif isinstance(task, AllTask) and not task.members:
                happened.append((0, number, node, None))
        for name, nodes in self._waiters.items():
            nodes.sort(key=_creation)
            happened.extend((position, 0, name, event) for position, event in self._events.of(name))
        if len(happened) > 1:
            happened.sort(key=lambda item: item[:2])
        for position, _, subject, event in happened:
            if isinstance(subject, _Node):
                self._make_ready(subject, position)
            elif event is not None:
                self._offer(subject, (position, event), position)
            if self._root.ready:
                return

    def _make_ready(self, node: _Node, position: int) -> None:
        if node.ready:
            return
        node.ready = True
        if node is self._root:
            self.position = position
        for parent in node.parents:
            if parent.ready:
                continue
            if isinstance(parent.task, AnyTask):
                parent.winner = node
                self._make_ready(parent, position)
                self._release(position)
            else:
                parent.missing -= 1
                if parent.missing == 0:
                    self._make_ready(parent, position)

    def _offer(self, name: str, arrived: Arrived, position: int) -> None:
        for node in self._waiters[name]:
            if node not in self._offers and self._matters(node):
                self._offers[node] = arrived
                self._make_ready(node, position)
                return

    def _release(self, position: int) -> None:
        """An inner choice fell: events offered to its losers go to others who wait."""
        if self._root.ready:
            return
        for node in [node for node in self._offers if not self._matters(node)]:
            arrived = self._offers.pop(node)
            assert isinstance(node.task, EventTask), "only event waiters are offered events"
            self._offer(node.task.name, arrived, position)

    def _matters(self, node: _Node) -> bool:
        """Whether what happens to `node` can still be part of what the await returns."""
        seen, todo = {node}, [node]
        while todo:
            node = todo.pop()
            if node is self._root:
                return True
            for parent in node.parents:
                if parent not in seen and (parent.winner is None or parent.winner is node):
                    seen.add(parent)
                    todo.append(parent)
        return False

    def _observe(self, node: _Node) -> None:
        task = node.task
        if task.position is not None:
            return
        if isinstance(task, EventTask):
            arrived = self._offers[node]
            self._events.take(task.name, arrived)
            task.take(arrived[0], arrived[1])
        elif isinstance(task, AnyTask):
            assert node.winner is not None, "a ready choice has a winner"
            self._observe(node.winner)
            task.finish(self.position, node.winner.task)
        elif isinstance(task, CompositeTask):
            for member in node.members:
                self._observe(member)
            task.finish(self.position, None)


def _creation(node: _Node) -> int:
    assert isinstance(node.task, EventTask), "waiters wait for events"
    return node.task.number
