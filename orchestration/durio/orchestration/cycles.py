"""Cycles: who waits for whom over locks, looked up in the rows of instances and entities before an edge closes one.

There is no table of edges that could differ from the truth: a lock, a critical section, what an instance cannot go on
without, and unread mail are all durable rows, and reads go through the overlay.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final

import msgspec

from durio.entities import MAIL_LANE, LockRequest, Message, Operation, Parent, View, entity_messages, find_lock
from durio.entities import keys as entity_keys
from durio.orchestration.limits import CYCLE_MAIL_MAX, CYCLE_NODES_MAX
from durio.orchestration.records import (
    ALIVE,
    CHILD,
    HEAD,
    ORIGIN,
    SECTION,
    Child,
    Head,
    Origin,
    Section,
    cannot_go_on_without,
)

Chain = tuple[str, ...]
"""Addresses, each waiting for the next: instances, and between them the entities that they wait for."""

_HEAD: Final = msgspec.msgpack.Decoder(Head)
_ORIGIN: Final = msgspec.msgpack.Decoder(Origin)
_SECTION: Final = msgspec.msgpack.Decoder(Section)
_CHILD: Final = msgspec.msgpack.Decoder(Child)
_MAIL: Final = entity_messages()


class Cycles:
    """The wait-for graph, seen from one instance that is about to wait.

    Guarantees: what it finds is a cycle that nothing but an end from outside would break; an edge counts only if both
    ends are there (the request is still unread, the lock is not being released, the parent waits for just that child).
    It looks at a bounded number of rows: beyond that it finds nothing.
    """

    def __init__(self, view: View, address: str, section: Section | None, parent: Parent | None) -> None:
        """`section` and `parent` are those of the instance now, in the middle of its turn."""
        self._view = view
        self._section = section
        self._gone: set[tuple[str, str]] = set()
        """Waits that looked like ones, and are over."""
        self._goals = [address]
        """The instance, and those of its ancestors that must wait for it, one for the other."""
        while parent is not None and parent.address not in self._goals:
            head = self._head(parent.address)
            if head is None or not cannot_go_on_without(head, parent.execution, parent.action):
                break
            self._goals.append(parent.address)
            origin = self._get(parent.address, ORIGIN, _ORIGIN)
            parent = None if origin is None else origin.parent

    @property
    def locks(self) -> bool:
        """Whether the instance, or one that must wait for it, has locked anything."""
        sections = (self._section, *(self._get(goal, SECTION, _SECTION) for goal in self._goals[1:]))
        return any(section is not None and section.granted for section in sections)

    def of_entity(self, entity: str) -> Chain:
        """The cycle that a wait of the instance for an entity would close; empty if there is none."""
        owner = self.owner(entity)
        return () if not owner else self._search((self._goals[0], entity, owner))

    def of_child(self, child: str) -> Chain:
        """The cycle that a wait of the instance for a child would close."""
        return self._search((self._goals[0], child))

    def owner(self, entity: str) -> str:
        """The instance that holds an entity and is not about to release it; empty if there is none."""
        lock = find_lock(self._view, entity)
        if lock is None:
            return ""
        mine = lock.owner == self._goals[0]
        section = self._section if mine else self._get(lock.owner, SECTION, _SECTION)
        return lock.owner if section is not None and section.request == lock.request else ""

    def mails_of(self, entity: str, waits: Callable[[Message], bool]) -> Iterator[bytes]:
        """The keys of unread messages of an entity."""
        box = entity_keys.mailbox(entity)
        start, stop = box + bytes((MAIL_LANE,)), entity_keys.stop_of(box)
        for key, row in self._view.scan(box, start, stop, CYCLE_MAIL_MAX):
            message = _MAIL.decode(row) if isinstance(row, bytes) else row
            if isinstance(message, Message) and waits(message):
                yield key

    def waits_of(self, address: str, entity: str) -> Iterator[bytes]:
        """The unread messages by which an instance waits for an entity: an answer on its way is no wait."""
        head, section = self._head(address), self._get(address, SECTION, _SECTION)
        if section is not None and section.waits_for == entity:
            yield from self.mails_of(entity, partial(_asks_for, section.request))
        if head is not None and entity in head.calls:
            yield from self.mails_of(entity, partial(is_call_of, address, head))

    def _search(self, path: Chain) -> Chain:
        """Walk from the end of a path. Only what closes a cycle is looked at closely: queues may be long."""
        begun = len(path) - 1
        while chain := self._walk(path):
            waits = [(chain[at - 1], chain[at]) for at in range(begun + 1, len(chain)) if chain[at].startswith("@")]
            gone = [wait for wait in waits if not any(self.waits_of(*wait))]
            if not gone:
                return chain
            self._gone.update(gone)
        return ()

    def _walk(self, path: Chain) -> Chain:
        seen, todo = {path[-1]}, [path]
        while todo and len(seen) < CYCLE_NODES_MAX:
            path = todo.pop()
            last = path[-1]
            if last in self._goals:  # and from there down to where the path began
                return path + tuple(reversed(self._goals[: self._goals.index(last)]))
            for step in self._edges(last):
                if step[-1] not in seen:
                    seen.add(step[-1])
                    todo.append(path + step)
        return ()

    def _edges(self, address: str) -> Iterator[Chain]:
        """For whom an instance must wait: over an entity that they have locked, or as its children."""
        head = self._head(address)
        if head is None:
            return
        section = self._get(address, SECTION, _SECTION)
        entities = head.calls if section is None or not section.waits_for else (section.waits_for, *head.calls)
        for entity in entities:
            owner = "" if (address, entity) in self._gone else self.owner(entity)
            if owner and owner != address:  # a grant that is on its way is no wait
                yield entity, owner
        if head.needs:
            yield from self._children(address, head)

    def _children(self, address: str, head: Head) -> Iterator[Chain]:
        group = entity_keys.actor(address)
        start = group + CHILD
        for _, row in self._view.scan(group, start, entity_keys.stop_of(start), CYCLE_NODES_MAX):
            child: Any = _CHILD.decode(row) if isinstance(row, bytes) else row
            if not cannot_go_on_without(head, child.execution, child.action):
                continue
            origin = self._get(child.instance, ORIGIN, _ORIGIN)
            parent = None if origin is None else origin.parent
            if parent is not None and (parent.execution, parent.action) == (child.execution, child.action):
                yield (child.instance,)

    def _head(self, address: str) -> Head | None:
        head = self._get(address, HEAD, _HEAD)
        return head if head is not None and head.status in ALIVE else None

    def _get(self, address: str, suffix: bytes, decoder: msgspec.msgpack.Decoder[Any]) -> Any:
        group = entity_keys.actor(address)
        return self._view.get(group, group + suffix, decoder)


def _asks_for(request: str, message: Message) -> bool:
    return isinstance(message, LockRequest) and message.request == request


def is_call_of(address: str, head: Head, message: Message) -> bool:
    """Whether a message is a call that an instance, as its head says, cannot go on without."""
    caller = message.caller if isinstance(message, Operation) else None
    return (
        caller is not None and caller.address == address and cannot_go_on_without(head, caller.execution, caller.action)
    )
