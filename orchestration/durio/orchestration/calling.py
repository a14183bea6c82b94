"""CallingContext: the half of the orchestration context that calls activities, sub-orchestrations and entities."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from datetime import datetime
from functools import partial
from typing import Any, Self, TypedDict, TypeVar, Unpack, overload

from durio.entities import EntityId, check_entity_id, operation_name, to_us
from durio.orchestration.calls import ActivityCall, ChildCall, once, retried
from durio.orchestration.engine import Engine, encode_input, section_of
from durio.orchestration.history import EntityCalled, EntitySignaled
from durio.orchestration.retries import RetryOptions
from durio.orchestration.tasks import CallTask, Task

T = TypeVar("T")
R = TypeVar("R")
I = TypeVar("I")  # noqa: E741  # the input of a call
E = TypeVar("E")  # an entity class

Orchestrator = Coroutine[Any, Any, R] | Generator[Any, Any, R]


class ActivityOptions(TypedDict, total=False):
    """Options of an activity call: `timeout_s` ends an attempt that takes longer."""

    timeout_s: float | None
    tags: dict[str, str] | None


class ChildOptions(TypedDict, total=False):
    """Options of a sub-orchestration call: the version of the code (the default one if not given), and tags."""

    version: str | None
    tags: dict[str, str] | None


class CallingContext:
    """Calls and signals. A task starts when it is called, not when it is awaited."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    # Activities

    @overload
    def call_activity(
        self, name: Callable[[], Coroutine[Any, Any, R]], /, **options: Unpack[ActivityOptions]
    ) -> Task[R]: ...
    @overload
    def call_activity(
        self, name: Callable[[I], Coroutine[Any, Any, R]], input_: I, /, **options: Unpack[ActivityOptions]
    ) -> Task[R]: ...
    @overload
    def call_activity(self, name: Callable[[], R], /, **options: Unpack[ActivityOptions]) -> Task[R]: ...
    @overload
    def call_activity(self, name: Callable[[I], R], input_: I, /, **options: Unpack[ActivityOptions]) -> Task[R]: ...
    @overload
    def call_activity(
        self, name: str, input_: object = None, *, expected_type: type[T], **options: Unpack[ActivityOptions]
    ) -> Task[T]: ...
    @overload
    def call_activity(self, name: str, input_: object = None, **options: Unpack[ActivityOptions]) -> Task[Any]: ...
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
        return once(self._engine, ActivityCall.of(self._engine, name, input_, expected_type, timeout_s, tags))

    @overload
    def call_activity_with_retry(
        self,
        name: Callable[[], Coroutine[Any, Any, R]],
        retry_options: RetryOptions,
        /,
        **options: Unpack[ActivityOptions],
    ) -> Task[R]: ...
    @overload
    def call_activity_with_retry(
        self,
        name: Callable[[I], Coroutine[Any, Any, R]],
        retry_options: RetryOptions,
        input_: I,
        /,
        **options: Unpack[ActivityOptions],
    ) -> Task[R]: ...
    @overload
    def call_activity_with_retry(
        self, name: Callable[[], R], retry_options: RetryOptions, /, **options: Unpack[ActivityOptions]
    ) -> Task[R]: ...
    @overload
    def call_activity_with_retry(
        self, name: Callable[[I], R], retry_options: RetryOptions, input_: I, /, **options: Unpack[ActivityOptions]
    ) -> Task[R]: ...
    @overload
    def call_activity_with_retry(
        self,
        name: str,
        retry_options: RetryOptions,
        input_: object = None,
        *,
        expected_type: type[T],
        **options: Unpack[ActivityOptions],
    ) -> Task[T]: ...
    @overload
    def call_activity_with_retry(
        self, name: str, retry_options: RetryOptions, input_: object = None, **options: Unpack[ActivityOptions]
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
        call = ActivityCall.of(self._engine, name, input_, expected_type, timeout_s, tags)
        return retried(self._engine, call, retry_options)

    # Sub-orchestrations

    @overload
    def call_sub_orchestrator(
        self,
        name: Callable[[Self], Orchestrator[R]],
        /,
        *,
        instance_id: str | None = None,
        **options: Unpack[ChildOptions],
    ) -> Task[R]: ...
    @overload
    def call_sub_orchestrator(
        self,
        name: Callable[[Self, I], Orchestrator[R]],
        input_: I,
        /,
        instance_id: str | None = None,
        **options: Unpack[ChildOptions],
    ) -> Task[R]: ...
    @overload
    def call_sub_orchestrator(
        self,
        name: str,
        input_: object = None,
        instance_id: str | None = None,
        *,
        expected_type: type[T],
        **options: Unpack[ChildOptions],
    ) -> Task[T]: ...
    @overload
    def call_sub_orchestrator(
        self, name: str, input_: object = None, instance_id: str | None = None, **options: Unpack[ChildOptions]
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
        `PayloadError`, `LockingRulesViolation` at the call; the task raises `TaskFailedError` (also for a taken id).
        """
        call = ChildCall.of(self._engine, name, input_, instance_id, version, expected_type, tags)
        return once(self._engine, call)

    @overload
    def call_sub_orchestrator_with_retry(
        self,
        name: Callable[[Self], Orchestrator[R]],
        retry_options: RetryOptions,
        /,
        *,
        instance_id: str | None = None,
        **options: Unpack[ChildOptions],
    ) -> Task[R]: ...
    @overload
    def call_sub_orchestrator_with_retry(
        self,
        name: Callable[[Self, I], Orchestrator[R]],
        retry_options: RetryOptions,
        input_: I,
        /,
        instance_id: str | None = None,
        **options: Unpack[ChildOptions],
    ) -> Task[R]: ...
    @overload
    def call_sub_orchestrator_with_retry(
        self,
        name: str,
        retry_options: RetryOptions,
        input_: object = None,
        instance_id: str | None = None,
        *,
        expected_type: type[T],
        **options: Unpack[ChildOptions],
    ) -> Task[T]: ...
    @overload
    def call_sub_orchestrator_with_retry(
        self,
        name: str,
        retry_options: RetryOptions,
        input_: object = None,
        instance_id: str | None = None,
        **options: Unpack[ChildOptions],
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
        call = ChildCall.of(self._engine, name, input_, instance_id, version, expected_type, tags)
        return retried(self._engine, call, retry_options)

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

        Raises `NotRegistered`, `PayloadError` and `LockingRulesViolation` at the call; the task raises
        `TaskFailedError`, and `LockCycle` if the wait for the entity would never end.
        """
        engine, name, address = self._engine, operation_name(operation), str(check_entity_id(entity_id))
        section = section_of(engine)
        lock = None if section is None else section.action
        draft = EntityCalled(engine.recorder.next_id(), address, name, lock=lock)

        def fill() -> EntityCalled:
            if section is not None:
                section.check_call(address)
            engine.registry.entities.get(entity_id.name)
            data = encode_input(self._engine, input, f"input of {name!r}")
            return EntityCalled(draft.id, address, name, data, lock=lock)

        behaviour = engine.registry.entities.find(entity_id.name)
        type_ = expected_type
        if type_ is None:
            type_ = Any if behaviour is None else behaviour.result_type(name)
        action = engine.recorder.request(draft, fill)
        what = f"operation {name!r} of {address}"
        decode = partial(self._engine.payloads.decode, type_=type_, what=f"result of {what}")
        task: CallTask[Any] = CallTask(engine, what, action.id, decode, address, section is not None)
        engine.open[action.id] = task
        if section is not None:
            section.called(address, task)
        return task

    def signal_entity(
        self,
        entity_id: EntityId,
        operation: str | Callable[..., Any],
        input: object = None,
        *,
        signal_time: datetime | None = None,
    ) -> None:
        """Send a signal, delivered at `signal_time` (aware) if given.

        Raises `NotRegistered`, `PayloadError`, `LockingRulesViolation`.
        """
        engine, name, address = self._engine, operation_name(operation), str(check_entity_id(entity_id))
        due_us = None if signal_time is None else to_us(signal_time, "signal_time")
        draft = EntitySignaled(engine.recorder.next_id(), address, name)

        def fill() -> EntitySignaled:
            section = section_of(engine)
            if section is not None:
                section.check_signal(address)
            engine.registry.entities.get(entity_id.name)
            data = encode_input(self._engine, input, f"input of {name!r}")
            return EntitySignaled(draft.id, address, name, data, due_us)

        engine.recorder.request(draft, fill)
