"""Causes: which actions' failures an error tells of (G27)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import msgspec

from durio.entities import Failure
from durio.orchestration.errors import Cancelled, TaskFailedError


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
        """The actions whose failures an error carries: its own, and those of what it was raised from, or while.

        What lies behind a request to end did not end the execution: the request did, and it stays accepted (G26).
        """
        found: set[int] = set()
        for one in _chain(error, _ended_by):
            known = self._known.get(id(one))
            if known is not None and known[0] is one:
                found |= known[1]
        return tuple(sorted(found))

    def forget_frames(self) -> None:
        """Nobody looks at these errors any more."""
        for error, _ in self._known.values():
            forget_frames(error)


def forget_frames(error: BaseException) -> None:
    """Let go of the frames that an error and those on its chain went through.

    These frames refer to the error, and would be kept, with all that they hold, until the garbage collector comes.
    """
    for one in _chain(error, lambda link: (link.__cause__, link.__context__)):
        one.__traceback__ = None


def _ended_by(error: BaseException) -> tuple[BaseException | None, ...]:
    if isinstance(error, Cancelled):
        return ()
    return (error.__cause__ or (None if error.__suppress_context__ else error.__context__),)


def _chain(
    error: BaseException, before: Callable[[BaseException], Iterable[BaseException | None]]
) -> Iterator[BaseException]:
    """An error, those in it, and those `before` it; each once."""
    seen, todo = set[int](), [error]
    while todo:
        error = todo.pop()
        if id(error) in seen:
            continue
        seen.add(id(error))
        yield error
        inner = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
        todo += [one for one in (*inner, *before(error)) if one is not None]


def failure_of(error: BaseException) -> Failure:
    """Why an execution failed; the failure of a task stays visible as the inner one."""
    failure = Failure.of(error)
    if isinstance(error, TaskFailedError):
        return msgspec.structs.replace(failure, inner=error.failure, non_retriable=error.non_retriable)
    return failure
