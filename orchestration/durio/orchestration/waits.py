"""When is an awaited task ready? Computed for each await anew, over all that is inside the awaited task (G22)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from itertools import islice
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

    def take_oldest(self, name: str) -> Arrived:
        """The code observes the oldest event of a name."""
        return self._by_name[name].popleft()

    def unobserved(self) -> list[EventRaised]:
        """All that is left, in the order of arrival."""
        left = [event for events in self._by_name.values() for _, event in events]
        return sorted(left, key=lambda event: (event.arrival, event.sub))


class _Node:
    """A task inside the awaited one."""

    __slots__ = ("members", "missing", "position", "ready", "task", "winner")

    def __init__(self, task: Task[Any]) -> None:
        self.task = task
        self.members: Sequence[_Node] = ()
        self.missing = 0
        self.ready = False
        self.position = 0
        self.winner: _Node | None = None


class Wait:
    """One await of one task.

    Guarantees: of the waiters inside the awaited task that can still matter, the k-th created is offered the k-th
    unobserved event of its name; nothing is taken before `observe`, and then in this order; the cost of a message is
    O(1), not O(members), unless choices are nested in it.
    """

    __slots__ = ("_arrived", "_events", "_fell", "_leaves", "_next", "_parents", "_plain", "_root", "_waiters")

    def __init__(self, task: Task[Any], events: Events) -> None:
        self._events = events
        self._leaves: dict[Task[Any], _Node] = {}
        self._parents: dict[_Node, tuple[_Node, ...]] = {}  # not in the nodes: these would refer to each other
        self._waiters: dict[str, list[_Node]] = {}
        self._arrived: dict[str, int] = {}
        self._next: dict[str, int] = {}
        self._fell = False
        self._plain = True
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

    def is_there(self, task: Task[Any]) -> bool:
        """Whether a task inside the awaited one is finished, or could be with what is there."""
        node = self._leaves.get(task)
        return task.position is not None or (node is not None and node.ready)

    def finished(self, task: Task[Any]) -> None:
        """A task that is not an event waiter finished just now."""
        node = self._leaves.get(task)
        if node is not None and task.position is not None:
            self._make_ready(node, task.position)
            self._offer_anew(task.position)

    def arrived(self, position: int, event: EventRaised) -> None:
        """An event arrived just now."""
        name = event.name.casefold()
        if name in self._waiters:
            self._offer(name, position)

    def observe(self) -> None:
        """The code goes on: what it sees now is taken, and finished for good."""
        seen: dict[_Node, None] = {}
        self._collect(self._root, seen)
        waiters = [node.task for node in seen if isinstance(node.task, EventTask)]
        for waiter in sorted(waiters, key=_creation):
            position, event = self._events.take_oldest(waiter.name)
            waiter.take(position, event)
        for node in reversed(seen):
            task = node.task
            if isinstance(task, CompositeTask) and task.position is None:
                task.finish(node.position, None if node.winner is None else node.winner.task)

    def _build(self, task: Task[Any]) -> _Node:
        root = _Node(task)
        self._leaves[task] = root
        todo = deque([root])  # in the order of the arguments: of what is ready at once the first counts
        while todo:
            node = todo.popleft()
            task = node.task
            if task.position is not None:
                continue
            if isinstance(task, CompositeTask):
                self._plain = self._plain and (node is root or not isinstance(task, AnyTask))
                members: list[_Node] = []
                for member in task.members:
                    inner = self._leaves.get(member)
                    if inner is None:
                        inner = self._leaves[member] = _Node(member)
                        todo.append(inner)
                    self._parents[inner] = (*self._parents.get(inner, ()), node)
                    members.append(inner)
                node.members, node.missing = members, len(members)
            elif isinstance(task, EventTask):
                self._waiters.setdefault(task.name, []).append(node)
        return root

    def _begin(self) -> None:
        """Take in all that is finished already, in the order in which it happened."""
        happened: list[tuple[int, int, _Node | str]] = []
        for number, (task, node) in enumerate(self._leaves.items()):
            if task.position is not None:
                happened.append((task.position, number, node))
            elif isinstance(task, AllTask) and not task.members:
                happened.append((0, number, node))
        for name, nodes in self._waiters.items():
            nodes.sort(key=lambda node: _creation(node.task))
            # So many waiters can be offered so many events at most, however many wait for their turn.
            events = islice(self._events.of(name), len(nodes))
            happened.extend((position, 0, name) for position, _ in events)
        if len(happened) > 1:
            happened.sort(key=lambda item: item[:2])
        for position, _, subject in happened:
            if isinstance(subject, _Node):
                self._make_ready(subject, position)
                self._offer_anew(position)
            else:
                self._offer(subject, position)
            if self._root.ready:
                return

    def _make_ready(self, node: _Node, position: int) -> None:
        if node.ready:
            return
        node.ready = True
        node.position = position
        for parent in self._parents.get(node, ()):
            if parent.ready:
                continue
            if isinstance(parent.task, AnyTask):
                parent.winner = node
                self._fell = True
                self._make_ready(parent, position)
            else:
                parent.missing -= 1
                if parent.missing == 0:
                    self._make_ready(parent, position)

    def _offer(self, name: str, position: int) -> None:
        """One more event of that name is there."""
        self._arrived[name] = self._arrived.get(name, 0) + 1
        if not self._plain:
            self._match(name, position)
            self._offer_anew(position)
            return
        waiters, number = self._waiters[name], self._next.get(name, 0)
        self._next[name] = number + 1
        if number < len(waiters):
            self._make_ready(waiters[number], position)

    def _offer_anew(self, position: int) -> None:
        """Inner choices fell: events that were offered to their losers go to others who wait."""
        while self._fell and not self._root.ready:
            self._fell = False
            for name in self._arrived:
                self._match(name, position)

    def _match(self, name: str, position: int) -> None:
        """Offer the events of a name to the waiters that matter, in the order of their creation."""
        changed = True
        while changed and not self._root.ready:
            changed = False
            left = self._arrived[name]
            for node in self._waiters[name]:
                if left == 0:
                    return
                if not self._matters(node):
                    continue
                left -= 1
                if not node.ready:
                    self._make_ready(node, position)
                    changed = True  # and with it, maybe, what matters
                    break

    def _matters(self, node: _Node) -> bool:
        """Whether what happens to `node` can still be part of what the await returns."""
        seen, todo = {node}, [node]
        while todo:
            node = todo.pop()
            if node is self._root:
                return True
            for parent in self._parents.get(node, ()):
                if parent not in seen and (parent.winner is None or parent.winner is node):
                    seen.add(parent)
                    todo.append(parent)
        return False

    def _collect(self, root: _Node, seen: dict[_Node, None]) -> None:
        """The tasks that the code observes, each before those inside it."""
        todo = [root]
        while todo:
            node = todo.pop()
            if node.task.position is not None:
                continue
            seen.pop(node, None)  # one that is inside several must come behind all of them
            seen[node] = None
            if node.winner is not None:
                todo.append(node.winner)
            elif not isinstance(node.task, AnyTask):
                todo.extend(node.members)


def _creation(task: Task[Any]) -> int:
    assert isinstance(task, EventTask), "waiters wait for events"
    return task.number
