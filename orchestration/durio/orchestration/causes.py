"""Causes: which actions' failures an error tells of (G27)."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from durio.entities import Failure
from durio.orchestration.errors import TaskFailedError


class Causes:
    """Remembers of every failed task its error, and the actions that it stands for."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[BaseException, set[int]]] = {}

    def note(self, error: BaseException, actions: Iterable[int] = (), others: Iterable[BaseException] = ()) -> None:
        """`error` tells of the failure of `actions`, and of those that the `others` tell of."""
        _, known = self._known.setdefault(id(error), (error, set()))
        known.update(actions)
        for other in others:
            known.update(self._known.get(id(other), (other, set()))[1])

    def of(self, error: BaseException) -> tuple[int, ...]:
        """The actions whose failures an error carries: its own, and those of what it was raised from, or while."""
        found: set[int] = set()
        seen, todo = set[int](), [error]
        while todo:
            error = todo.pop()
            seen.add(id(error))
            known = self._known.get(id(error))
            if known is not None and known[0] is error:
                found |= known[1]
            inner = [*error.exceptions] if isinstance(error, BaseExceptionGroup) else []
            before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
            todo += [one for one in (*inner, before) if one is not None and id(one) not in seen]
        return tuple(sorted(found))


def failure_of(error: BaseException) -> Failure:
    """Why an execution failed; the failure of a task stays visible as the inner one."""
    failure = Failure.of(error)
    if isinstance(error, TaskFailedError):
        return msgspec.structs.replace(failure, inner=error.failure, non_retriable=error.non_retriable)
    return failure
