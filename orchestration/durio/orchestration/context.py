"""OrchestrationContext: what an orchestrator may do. Names and their order are those of Azure's Python."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Coroutine, Generator, Iterable, MutableMapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NoReturn, Protocol, TypeVar, overload

from durio.entities import EntityId, InvalidAddress, Payloads, check_instance_id, from_us, to_us
from durio.orchestration.history import (
    Action,
    ActivityScheduled,
    ChildStarted,
    EntityCalled,
    EntitySignaled,
    EventSent,
    Started,
    TimerSet,
)
from durio.orchestration.limits import DUE_US_MAX, EVENT_NAME_BYTES_MAX
from durio.orchestration.registry import Registry
from durio.orchestration.retries import RetryOptions, RetryTask
from durio.orchestration.tasks import ActionTask, AllTask, AnyTask, Decode, EventTask, Task, TaskOwner, TimerTask

T = TypeVar("T")
R = TypeVar("R")
I = TypeVar("I")  # noqa: E741  # the input of a call
E = TypeVar("E")  # an entity class
ActionT = TypeVar("ActionT", bound=Action)
OpenedT = TypeVar("OpenedT", bound=ActionTask[Any])

Orchestrator = Coroutine[Any, Any, R] | Generator[Any, Any, R]


class Engine(TaskOwner, Protocol):
    """What the context asks of the execution behind it."""

    instance_id: str
    ancestors: tuple[str, ...]
    registry: Registry
    payloads: Payloads
    started: Started | None
    clock_us: int
    is_replaying: bool
    open: dict[int, ActionTask[Any]]
    waiters: int
    status_set: bool
    custom_status: bytes | None
    dead: bool

    def next_id(self) -> int: ...
    def root(self) -> str: ...
    def request(self, draft: ActionT, fill: Callable[[], ActionT]) -> ActionT: ...
    def ask(self, action: ActionT) -> ActionT: ...
    def continue_as_new(self, input_: bytes | None) -> BaseException: ...


class OrchestrationContext:
    """What one execution of an orchestrator sees of the world, and how it acts on it.

    Everything it gives is the same in live run and replay. Tasks start when they are called, not when awaited.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._uuids = 0
        assert engine.started is not None, "an execution begins with Started"
        self._started = engine.started
        self._custom_status: Any = None

    # Who and when

    @property
    def instance_id(self) -> str:
        """The id of this instance."""
        return self._engine.instance_id

    @property
    def execution_id(self) -> str:
        """The id of this execution: continue-as-new begins a new one."""
        return self._started.execution

    @property
    def parent_instance_id(self) -> str | None:
        """The instance that started this one as a sub-orchestration, if any."""
        return self._started.parent_instance_id

    @property
    def name(self) -> str:
        """The name of the orchestration."""
        return self._started.name

    @property
    def version(self) -> str | None:
        """The version of the code that this instance was started with."""
        return self._started.version

    @property
    def tags(self) -> dict[str, str]:
        """The tags that the instance was started with."""
        return dict(self._started.tags or {})

    @property
    def is_replaying(self) -> bool:
        """Whether the code runs over what it did before. Use it for logs only; the safe logger does."""
        return self._engine.is_replaying

    @property
    def current_utc_datetime(self) -> datetime:
        """The time of this turn: aware, UTC, the same in replay; it never goes back within an execution (G28)."""
        return from_us(self._engine.clock_us)

    @overload
    def get_input(self) -> Any: ...
    @overload
    def get_input(self, expected_type: type[T]) -> T: ...
    def get_input(self, expected_type: object = Any) -> Any:
        """The decoded input, freshly made at each call; None if there is none. Raises `PayloadError`."""
        data = self._started.input
        return None if data is None else self.decode(data, expected_type, f"input of orchestration {self.name!r}")

    # Activities

    @overload
    def call_activity(
        self,
        name: Callable[[], Coroutine[Any, Any, R]],
        /,
        *,
        timeout_s: float | None = None,
        tags: dict[str, str] | None = None,
    ) -> Task[R]: ...
    @overload
    def call_activity(
        self,
        name: Callable[[I], Coroutine[Any, Any, R]],
        input_: I,
        /,
        *,
        timeout_s: float | None = None,
        tags: dict[str, str] | None = None,
    ) -> Task[R]: ...
    @overload
    def call_activity(
        self, name: Callable[[], R], /, *, timeout_s: float | None = None, tags: dict[str, str] | None = None
    ) -> Task[R]: ...
    @overload
    def call_activity(
        self,
        name: Callable[[I], R],
        input_: I,
        /,
        *,
        timeout_s: float | None = None,
        tags: dict[str, str] | None = None,
    ) -> Task[R]: ...
    @overload
    def call_activity(
        self,
        name: str,
        input_: object = None,
        *,
        expected_type: type[T],
        timeout_s: float | None = None,
        tags: dict[str, str] | None = None,
    ) -> Task[T]: ...
    @overload
    def call_activity(
        self, name: str, input_: object = None, *, timeout_s: float | None = None, tags: dict[str, str] | None = None
    ) -> Task[Any]: ...
    def call_activity(
        self,
        name: str | Callable[..., Any],
        input_: object = None,
        *,
        expected_type: object = None,
        timeout_s: float | None = None,
        tags: dict[str, str] | None = None,
    ) -> Task[Any]:
        """Run an activity (a function or its name) with `input_`.

        `timeout_s` ends an attempt; the result is decoded by `expected_type`, else by the activity's annotation.
        Raises `NotRegistered` and `PayloadError` at the call; the task raises `TaskFailedError`.
        """
        what, decode = self._activity(name, expected_type)
        task: ActionTask[Any] = ActionTask(self._engine, f"activity {what!r}", 0, decode)
        self._attempt(name, what, input_, timeout_s, tags, "", task, 1)
        return task

    @overload
    def call_activity_with_retry(
        self,
        name: Callable[[], Coroutine[Any, Any, R]],
        retry_options: RetryOptions,
        /,
        *,
        timeout_s: float | None = None,
        tags: dict[str, str] | None = None,
    ) -> Task[R]: ...
    @overload
    def call_activity_with_retry(
        self,
        name: Callable[[I], Coroutine[Any, Any, R]],
        retry_options: RetryOptions,
        input_: I,
        /,
        *,
        timeout_s: float | None = None,
        tags: dict[str, str] | None = None,
    ) -> Task[R]: ...
    @overload
    def call_activity_with_retry(
        self,
        name: Callable[[], R],
        retry_options: RetryOptions,
        /,
        *,
        timeout_s: float | None = None,
        tags: dict[str, str] | None = None,
    ) -> Task[R]: ...
    @overload
    def call_activity_with_retry(
        self,
        name: Callable[[I], R],
        retry_options: RetryOptions,
        input_: I,
        /,
        *,
        timeout_s: float | None = None,
        tags: dict[str, str] | None = None,
    ) -> Task[R]: ...
    @overload
    def call_activity_with_retry(
        self,
        name: str,
        retry_options: RetryOptions,
        input_: object = None,
        *,
        expected_type: type[T],
        timeout_s: float | None = None,
        tags: dict[str, str] | None = None,
    ) -> Task[T]: ...
    @overload
    def call_activity_with_retry(
        self,
        name: str,
        retry_options: RetryOptions,
        input_: object = None,
        *,
        timeout_s: float | None = None,
        tags: dict[str, str] | None = None,
    ) -> Task[Any]: ...
    def call_activity_with_retry(
        self,
        name: str | Callable[..., Any],
        retry_options: RetryOptions,
        input_: object = None,
        *,
        expected_type: object = None,
        timeout_s: float | None = None,
        tags: dict[str, str] | None = None,
    ) -> Task[Any]:
        """Run an activity, and again as `retry_options` say when it fails. All attempts share one idempotency key."""
        what, decode = self._activity(name, expected_type)
        key = ""

        def attempt(task: RetryTask[Any], number: int) -> int:
            nonlocal key
            action = self._attempt(name, what, input_, timeout_s, tags, key, task, number)
            key = key or action.key
            return action.id

        return RetryTask(self._engine, f"activity {what!r}", retry_options, attempt, self._pause, self._now_us, decode)

    # Sub-orchestrations

    @overload
    def call_sub_orchestrator(
        self,
        name: Callable[[OrchestrationContext], Orchestrator[R]],
        /,
        *,
        instance_id: str | None = None,
        version: str | None = None,
        tags: dict[str, str] | None = None,
    ) -> Task[R]: ...
    @overload
    def call_sub_orchestrator(
        self,
        name: Callable[[OrchestrationContext, I], Orchestrator[R]],
        input_: I,
        /,
        instance_id: str | None = None,
        *,
        version: str | None = None,
        tags: dict[str, str] | None = None,
    ) -> Task[R]: ...
    @overload
    def call_sub_orchestrator(
        self,
        name: str,
        input_: object = None,
        instance_id: str | None = None,
        *,
        version: str | None = None,
        expected_type: type[T],
        tags: dict[str, str] | None = None,
    ) -> Task[T]: ...
    @overload
    def call_sub_orchestrator(
        self,
        name: str,
        input_: object = None,
        instance_id: str | None = None,
        *,
        version: str | None = None,
        tags: dict[str, str] | None = None,
    ) -> Task[Any]: ...
    def call_sub_orchestrator(
        self,
        name: str | Callable[..., Any],
        input_: object = None,
        instance_id: str | None = None,
        *,
        version: str | None = None,
        expected_type: object = None,
        tags: dict[str, str] | None = None,
    ) -> Task[Any]:
        """Start a sub-orchestration and wait for its output; it is an instance of its own.

        Without `instance_id` it gets one that no other ever has (G29). Raises `NotRegistered`, `InvalidAddress`,
        `PayloadError` at the call; the task raises `TaskFailedError` (also if the id is taken).
        """
        what, decode = self._orchestration(name, version, expected_type)
        task: ActionTask[Any] = ActionTask(self._engine, f"sub-orchestration {what!r}", 0, decode)
        self._child(name, version, what, input_, instance_id, tags, task)
        return task

    @overload
    def call_sub_orchestrator_with_retry(
        self,
        name: Callable[[OrchestrationContext], Orchestrator[R]],
        retry_options: RetryOptions,
        /,
        *,
        instance_id: str | None = None,
        version: str | None = None,
        tags: dict[str, str] | None = None,
    ) -> Task[R]: ...
    @overload
    def call_sub_orchestrator_with_retry(
        self,
        name: Callable[[OrchestrationContext, I], Orchestrator[R]],
        retry_options: RetryOptions,
        input_: I,
        /,
        instance_id: str | None = None,
        *,
        version: str | None = None,
        tags: dict[str, str] | None = None,
    ) -> Task[R]: ...
    @overload
    def call_sub_orchestrator_with_retry(
        self,
        name: str,
        retry_options: RetryOptions,
        input_: object = None,
        instance_id: str | None = None,
        *,
        version: str | None = None,
        expected_type: type[T],
        tags: dict[str, str] | None = None,
    ) -> Task[T]: ...
    @overload
    def call_sub_orchestrator_with_retry(
        self,
        name: str,
        retry_options: RetryOptions,
        input_: object = None,
        instance_id: str | None = None,
        *,
        version: str | None = None,
        tags: dict[str, str] | None = None,
    ) -> Task[Any]: ...
    def call_sub_orchestrator_with_retry(
        self,
        name: str | Callable[..., Any],
        retry_options: RetryOptions,
        input_: object = None,
        instance_id: str | None = None,
        *,
        version: str | None = None,
        expected_type: object = None,
        tags: dict[str, str] | None = None,
    ) -> Task[Any]:
        """The same, started again as `retry_options` say when it fails. A given `instance_id` serves all attempts."""
        what, decode = self._orchestration(name, version, expected_type)

        def attempt(task: RetryTask[Any], _number: int) -> int:
            return self._child(name, version, what, input_, instance_id, tags, task).id

        shown = f"sub-orchestration {what!r}"
        return RetryTask(self._engine, shown, retry_options, attempt, self._pause, self._now_us, decode)

    # Entities

    @overload
    def call_entity(self, entity_id: EntityId, operation: Callable[[E], Coroutine[Any, Any, R]], /) -> Task[R]: ...
    @overload
    def call_entity(
        self, entity_id: EntityId, operation: Callable[[E, I], Coroutine[Any, Any, R]], input: I, /
    ) -> Task[R]: ...
    @overload
    def call_entity(self, entity_id: EntityId, operation: Callable[[E], R], /) -> Task[R]: ...
    @overload
    def call_entity(self, entity_id: EntityId, operation: Callable[[E, I], R], input: I, /) -> Task[R]: ...
    @overload
    def call_entity(
        self, entity_id: EntityId, operation: str, input: object = None, *, expected_type: type[T]
    ) -> Task[T]: ...
    @overload
    def call_entity(self, entity_id: EntityId, operation: str, input: object = None) -> Task[Any]: ...
    def call_entity(
        self,
        entity_id: EntityId,
        operation: str | Callable[..., Any],
        input: object = None,
        *,
        expected_type: object = None,
    ) -> Task[Any]:
        """Run an operation of an entity (a method of its class, or its name) and wait for the result.

        Raises `NotRegistered` and `PayloadError` at the call; the task raises `TaskFailedError`.
        """
        engine, name, address = self._engine, _operation_name(operation), str(entity_id)
        draft = EntityCalled(engine.next_id(), address, name)

        def fill() -> EntityCalled:
            engine.registry.entities.get(entity_id.name)
            return EntityCalled(draft.id, address, name, self._encode(input, f"input of {name!r}"))

        behaviour = engine.registry.entities.find(entity_id.name)
        type_ = expected_type
        if type_ is None:
            type_ = Any if behaviour is None else behaviour.result_type(name)
        action = engine.request(draft, fill)
        what = f"operation {name!r} of {address}"
        return self._opened(
            ActionTask(engine, what, action.id, partial(self.decode, type_=type_, what=f"result of {what}"))
        )

    def signal_entity(
        self,
        entity_id: EntityId,
        operation: str | Callable[..., Any],
        input: object = None,
        *,
        signal_time: datetime | None = None,
    ) -> None:
        """Send a signal, delivered at `signal_time` (aware) if given. Raises `NotRegistered` and `PayloadError`."""
        engine, name, address = self._engine, _operation_name(operation), str(entity_id)
        due_us = None if signal_time is None else to_us(signal_time, "signal_time")
        draft = EntitySignaled(engine.next_id(), address, name)

        def fill() -> EntitySignaled:
            engine.registry.entities.get(entity_id.name)
            data = self._encode(input, f"input of {name!r}")
            return EntitySignaled(draft.id, address, name, data, due_us)

        engine.request(draft, fill)

    # Time and events

    def create_timer(self, fire_at: datetime | timedelta) -> TimerTask:
        """A durable timer that fires at an aware datetime, or after a timedelta. No limit on how far away.

        Raises `ValueError` for a naive datetime.
        """
        if isinstance(fire_at, timedelta):
            due_us = self._engine.clock_us + fire_at // timedelta(microseconds=1)
        else:
            due_us = to_us(fire_at, "fire_at")
        if not 0 <= due_us <= DUE_US_MAX:
            raise ValueError(f"fire_at={fire_at!r} is out of the range of datetime")
        action = self._engine.ask(TimerSet(self._engine.next_id(), due_us))
        return self._opened(TimerTask(self._engine, f"timer {action.id}", action.id, _no_value))

    @overload
    def wait_for_external_event(self, name: str) -> Task[Any]: ...
    @overload
    def wait_for_external_event(self, name: str, expected_type: type[T]) -> Task[T]: ...
    def wait_for_external_event(self, name: str, expected_type: object = Any) -> Task[Any]:
        """Wait for an event; events that came before are kept and come first. Names compare case-insensitively.

        A waiter takes its event only when the code observes it, so one that lost in `task_any` takes nothing (G22).
        """
        check_event_name(name)
        self._engine.waiters += 1
        decode = partial(self.decode, type_=expected_type, what=f"event {name!r}")
        return EventTask(self._engine, name, self._engine.waiters, decode)

    def send_event(self, instance_id: str, event_name: str, event_data: object = None) -> None:
        """Send an event to another instance, one way. Raises `InvalidAddress`, `PayloadError`."""
        engine = self._engine
        check_event_name(event_name)
        draft = EventSent(engine.next_id(), str(instance_id), event_name)

        def fill() -> EventSent:
            target = check_instance_id(instance_id)
            data = engine.payloads.encode(event_data, f"event {event_name!r}")
            return EventSent(draft.id, target, event_name, data)

        engine.request(draft, fill)

    # Together

    def task_all(self, tasks: Iterable[Task[T]]) -> Task[list[T]]:
        """Wait for all; gives their results in the order of `tasks`, or raises the failure that came first (G30)."""
        members = self._members(tasks)
        return AllTask(self._engine, f"task_all of {len(members)}", members)

    def task_any(self, tasks: Iterable[Task[T]]) -> Task[Task[T]]:
        """Wait for the first; gives the task that became ready first. Raises `ValueError` if there are none."""
        members = self._members(tasks)
        if not members:
            raise ValueError("task_any of no tasks would wait for ever")
        return AnyTask(self._engine, f"task_any of {len(members)}", members)

    # The instance itself

    def continue_as_new(self, input_: object = None) -> NoReturn:
        """Begin this instance anew with `input_` and an empty history; nothing after this call runs but cleanup.

        Events that the code has not observed, and all unread mail, stay for the new execution (G23).
        """
        data = self._encode(input_, f"input of orchestration {self.name!r}")
        raise self._engine.continue_as_new(data)

    def set_custom_status(self, status: object) -> None:
        """Show `status`, a JSON value, in `get_status`; None clears it. Raises `PayloadError`."""
        data = None if status is None else self._engine.payloads.encode(status, "custom status")
        if not self._engine.dead:
            self._engine.custom_status, self._engine.status_set = data, True

    @property
    def custom_status(self) -> Any:
        """What this execution set last as its custom status."""
        data = self._engine.custom_status
        return None if data is None else self.decode(data, Any, "custom status")

    def new_uuid(self) -> str:
        """A UUID that is the same in replay, and that no other call, execution or instance ever gets (G29)."""
        return str(self.new_guid())

    def new_guid(self) -> uuid.UUID:
        """The same as a `UUID` object."""
        self._uuids += 1
        return uuid.uuid5(uuid.NAMESPACE_OID, f"{self.instance_id}\0{self.execution_id}\0{self._uuids}")

    def create_replay_safe_logger(self, logger: logging.Logger) -> ReplaySafeLogger:
        """A logger that is silent while the code replays."""
        return ReplaySafeLogger(logger, self)

    # Inside

    def decode(self, data: bytes, type_: object, what: str) -> Any:
        """Decode a payload; for durio itself."""
        return self._engine.payloads.decode(data, type_, what)

    def _encode(self, value: object, what: str) -> bytes | None:
        return None if value is None else self._engine.payloads.encode(value, what)

    def _now_us(self) -> int:
        return self._engine.clock_us

    def _opened(self, task: OpenedT) -> OpenedT:
        self._engine.open[task.action] = task
        return task

    def _activity(self, which: str | Callable[..., Any], expected_type: object) -> tuple[str, Decode]:
        try:
            found = self._engine.registry.activity(which)
        except LookupError:
            name = which if isinstance(which, str) else getattr(which, "__name__", repr(which))
            return name, partial(self.decode, type_=Any, what=f"result of activity {name!r}")
        type_ = found.result_type if expected_type is None else expected_type
        return found.name, partial(self.decode, type_=type_, what=f"result of activity {found.name!r}")

    def _attempt(
        self,
        which: str | Callable[..., Any],
        name: str,
        input_: object,
        timeout_s: float | None,
        tags: dict[str, str] | None,
        key: str,
        task: ActionTask[Any],
        attempt: int,
    ) -> ActivityScheduled:
        engine = self._engine
        number = engine.next_id()
        draft = ActivityScheduled(number, name)
        key = key or f"{self.instance_id}:{self.execution_id}:{number}"
        timeout_ms = _timeout_ms(timeout_s)

        def fill() -> ActivityScheduled:
            engine.registry.activity(which)
            data = self._encode(input_, f"input of activity {name!r}")
            return ActivityScheduled(number, name, data, key, attempt, timeout_ms, tags)

        action = engine.request(draft, fill)
        task.action = number
        engine.open[number] = task
        return action

    def _orchestration(
        self, which: str | Callable[..., Any], version: str | None, expected_type: object
    ) -> tuple[str, Decode]:
        try:
            found = self._engine.registry.orchestration(which, version)
        except LookupError:
            name = which if isinstance(which, str) else getattr(which, "__name__", repr(which))
            return name, partial(self.decode, type_=Any, what=f"output of orchestration {name!r}")
        type_ = found.result_type if expected_type is None else expected_type
        return found.name, partial(self.decode, type_=type_, what=f"output of orchestration {found.name!r}")

    def _child(
        self,
        which: str | Callable[..., Any],
        version: str | None,
        name: str,
        input_: object,
        instance_id: str | None,
        tags: dict[str, str] | None,
        task: ActionTask[Any],
    ) -> ChildStarted:
        engine = self._engine
        number = engine.next_id()
        child = f"{engine.root()}:{self.execution_id}:{number}" if instance_id is None else str(instance_id)
        draft = ChildStarted(number, child, name)

        def fill() -> ChildStarted:
            found = engine.registry.orchestration(which, version)
            check_instance_id(child)
            if child == self.instance_id or child in engine.ancestors:
                raise InvalidAddress(child, "it is the id of this instance or of an ancestor, which waits for it")
            data = self._encode(input_, f"input of orchestration {name!r}")
            return ChildStarted(number, child, name, found.version, data, tags)

        action = engine.request(draft, fill)
        task.action = number
        engine.open[number] = task
        return action

    def _pause(self, task: RetryTask[Any], delay_us: int) -> int:
        action = self._engine.ask(TimerSet(self._engine.next_id(), min(self._engine.clock_us + delay_us, DUE_US_MAX)))
        self._engine.open[action.id] = task
        return action.id

    def _members(self, tasks: Iterable[Task[T]]) -> list[Task[T]]:
        members = list(tasks)
        for member in members:
            if not isinstance(member, Task) or member.owner is not self._engine:
                raise TypeError(f"{member!r} is no task of this execution; pass what ctx.call_activity etc. return")
        return members


class ReplaySafeLogger(logging.LoggerAdapter[logging.Logger]):
    """Logs what the code says when it says it first, not again in replay."""

    def __init__(self, logger: logging.Logger, context: OrchestrationContext) -> None:
        super().__init__(logger, {"instance_id": context.instance_id})
        self._context = context

    def isEnabledFor(  # noqa: N802  # logging's name
        self, level: int
    ) -> bool:
        return not self._context.is_replaying and super().isEnabledFor(level)

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        return msg, kwargs


def check_event_name(name: object) -> str:
    """Give the name of an event back if it can be one; raise `ValueError` that says why not."""
    if not isinstance(name, str) or not name:
        raise ValueError(f"{name!r} cannot be the name of an event: it is a str that is not empty")
    if len(name.encode("utf-8", "surrogatepass")) > EVENT_NAME_BYTES_MAX:
        raise ValueError(f"the name of an event has at most {EVENT_NAME_BYTES_MAX} bytes, not {name[:40]!r}…")
    return name


def _operation_name(operation: str | Callable[..., Any]) -> str:
    return operation if isinstance(operation, str) else operation.__name__


def _timeout_ms(timeout_s: float | None) -> int | None:
    if timeout_s is None:
        return None
    if not timeout_s > 0:
        raise ValueError(f"timeout_s={timeout_s!r} must be greater than 0")
    return max(round(timeout_s * 1000), 1)


def _no_value(_: bytes) -> None:
    return None
