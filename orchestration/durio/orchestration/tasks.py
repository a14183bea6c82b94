"""Durable tasks: what an orchestrator awaits (or yields). They compare by identity, as in Azure's Python."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from typing import Any, Generic, Protocol, TypeVar, cast

from durio.entities import Failure, Guard, LockLost
from durio.orchestration.errors import LockCycle, TaskCancelledError, TaskFailedError, TaskNotCompleted
from durio.orchestration.history import EventRaised
from durio.orchestration.refusals import rebuild

T_co = TypeVar("T_co", covariant=True)
V = TypeVar("V")

Decode = Callable[[bytes], Any]


class TaskOwner(Protocol):
    """What a task asks of the execution that it belongs to."""

    @property
    def guard(self) -> Guard:
        """What its code runs behind: each execution has its own."""
        ...

    @property
    def position(self) -> int:
        """Where in the history the execution stands."""
        ...

    def observe(self, task: Task[Any]) -> bool:
        """Finish `task` if it can be finished now, as an await of it would; False: it cannot."""
        ...

    def is_ready(self, task: Task[Any]) -> bool:
        """Whether an await of `task` would return at once."""
        ...

    def cancel_action(self, action: int) -> None:
        """The result of an action is not wanted any more."""
        ...

    def finished(self, task: Task[Any]) -> None:
        """`task` finished while the code may be waiting for it."""
        ...

    def failed(self, error: BaseException, actions: Iterable[int] = (), others: Iterable[BaseException] = ()) -> None:
        """`error` tells of the failure of `actions`, and of those that the `others` tell of (G27)."""
        ...


class Task(Generic[T_co]):
    """Something durable that will have a result.

    `await task` (or `yield task` in a generator) gives the result or raises what went wrong. A finished task may be
    awaited again.
    """

    def __init__(self, owner: TaskOwner, what: str) -> None:
        self.owner = owner
        self.what = what
        self.position: int | None = None
        """When it finished, in the order of the history; None: not yet."""
        self.depth = 0
        """How deep tasks are nested in it."""
        self._value: Any = None
        self._error: BaseException | None = None

    def __await__(self) -> Generator[Task[Any], Any, T_co]:
        return cast(T_co, (yield self))

    def __repr__(self) -> str:
        state = "pending" if self.position is None else "failed" if self._error is not None else "completed"
        return f"<{type(self).__name__} {self.what} {state}>"

    @property
    def is_completed(self) -> bool:
        """Whether an await of it would return (or raise) at once."""
        return self.position is not None or self.owner.is_ready(self)

    @property
    def is_failed(self) -> bool:
        """Whether it finished with an error."""
        return self._error is not None

    @property
    def result(self) -> T_co:
        """The result, as an await would give it. Raises what went wrong, or `TaskNotCompleted`."""
        if self.position is None and not self.owner.observe(self):
            raise TaskNotCompleted(self.what)
        return self.outcome()

    def outcome(self) -> T_co:
        """The result of a finished task; raises its error."""
        if self._error is not None:
            raise self._error
        return cast(T_co, self._value)

    def complete(self, position: int, value: Any) -> None:
        """It finished with a result."""
        self.position, self._value = position, value

    def fail(self, position: int, error: BaseException) -> None:
        """It finished with an error."""
        self.position, self._error = position, error

    def cancel(self) -> bool:
        """Give the task up: awaiting it raises `TaskCancelledError` from now on. False: it had finished."""
        if self.position is not None:
            return False
        self.withdraw()
        self.fail(self.owner.position, TaskCancelledError(self.what))
        self.owner.finished(self)
        return True

    def withdraw(self) -> None:
        """Tell the kernel that nobody wants the result."""


class ActionTask(Task[T_co]):
    """A task that one action of the history stands for: its bytes are decoded when they are first asked for."""

    def __init__(self, owner: TaskOwner, what: str, action: int, decode: Decode) -> None:
        super().__init__(owner, what)
        self.action = action
        self._decode = decode
        self._data: bytes | None = None
        self._encoded = False

    def arrive(self, position: int, data: bytes | None) -> None:
        """The result came."""
        self.position, self._data, self._encoded = position, data, True

    def outcome(self) -> T_co:
        if self._encoded:
            self._encoded = False
            try:
                self._value = None if self._data is None else self._decode(self._data)
            except Exception as error:
                self._error = error
            self._data = None
        return super().outcome()

    def go_wrong(self, position: int, failure: Failure) -> None:
        """The failure came."""
        self.fail(position, TaskFailedError(self.what, failure))

    def fail(self, position: int, error: BaseException) -> None:
        super().fail(position, error)
        self.owner.failed(error, (self.action,))

    def withdraw(self) -> None:
        self.owner.cancel_action(self.action)


class TimerTask(ActionTask[None]):
    """A durable timer. `cancel()` drops it."""


class CallTask(ActionTask[T_co]):
    """A call of an entity. `inside`: whether from a critical section that has locked it."""

    def __init__(self, owner: TaskOwner, what: str, action: int, decode: Decode, entity: str, inside: bool) -> None:
        super().__init__(owner, what, action, decode)
        self.entity = entity
        self.inside = inside

    def go_wrong(self, position: int, failure: Failure) -> None:
        refusal = rebuild(failure)
        if isinstance(refusal, LockLost | LockCycle):  # it was not done: not the operation failed, the waiting did
            self.fail(position, refusal)
        else:
            super().go_wrong(position, failure)


class EventTask(Task[T_co]):
    """Waits for an external event. It takes one only when the code observes it (G22)."""

    def __init__(self, owner: TaskOwner, name: str, number: int, decode: Decode) -> None:
        super().__init__(owner, f"event {name!r}")
        self.name = name.casefold()
        self.number = number
        """In the order of creation: of several waiters the first gets the event."""
        self._decode = decode

    def take(self, position: int, event: EventRaised) -> None:
        """The event is this task's from now on."""
        try:
            self.complete(position, None if event.input is None else self._decode(event.input))
        except Exception as error:
            self.fail(position, error)


class CompositeTask(Task[V]):
    """A task made of others."""

    def __init__(self, owner: TaskOwner, what: str, members: Sequence[Task[Any]]) -> None:
        super().__init__(owner, what)
        self.members = tuple(members)
        self.depth = 1 + max((member.depth for member in members), default=0)

    def finish(self, position: int, winner: Task[Any] | None) -> None:
        """All that it waits for is there; its members are observed already."""
        raise NotImplementedError

    def withdraw(self) -> None:
        for member in self.members:
            member.cancel()


class AllTask(CompositeTask[list[V]]):
    """Waits for all: their results in the order of the arguments, or the failure that came first in time (G30)."""

    def finish(self, position: int, winner: Task[Any] | None) -> None:
        failed: Task[Any] | None = None
        values: list[Any] = []
        errors: list[Exception] = []
        for member in self.members:
            try:
                values.append(member.outcome())
            except Exception as error:
                errors.append(error)
                if failed is None or (member.position or 0) < (failed.position or 0):
                    failed = member
        if failed is None:
            self.complete(position, values)
            return
        try:
            failed.outcome()
        except Exception as error:
            self.owner.failed(error, others=errors)
            self.fail(position, error)


class AnyTask(CompositeTask[Task[V]]):
    """Waits for the first: gives the task that became ready first. The others take nothing and go on (G22)."""

    def finish(self, position: int, winner: Task[Any] | None) -> None:
        self.complete(position, winner)


def needed_by(task: Task[Any]) -> list[ActionTask[Any]]:
    """The actions that an await of `task` cannot return without: all of `task_all`, of a choice only a single one."""
    found: list[ActionTask[Any]] = []
    seen, todo = {task}, [task]
    while todo:
        task = todo.pop()
        if task.position is not None:
            continue
        if isinstance(task, ActionTask):
            found.append(task)
        elif isinstance(task, AllTask) or (isinstance(task, AnyTask) and len(task.members) == 1):
            inner = [member for member in task.members if member not in seen]
            seen.update(inner)
            todo.extend(inner)
    return found
