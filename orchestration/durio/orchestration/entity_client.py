"""EntityClient: signals, calls and reads entities."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from datetime import datetime
from functools import partial
from typing import Any, Generic, TypeVar, overload

import attrs

from durio.entities import (
    STATE,
    EntityId,
    EntityKind,
    EntityOperationFailed,
    Operation,
    Payloads,
    View,
    check_entity_id,
    operation_name,
    to_us,
)
from durio.entities import keys as entity_keys
from durio.orchestration.activities import current_activity
from durio.orchestration.app import App
from durio.orchestration.asking import Asking
from durio.orchestration.limits import LOCKS_MAX
from durio.orchestration.link import Link
from durio.orchestration.lock_status import EntityLock, list_locks, lock_of
from durio.orchestration.names import result_type_of

T = TypeVar("T")
R = TypeVar("R")
I = TypeVar("I")  # noqa: E741  # the input of a call
E = TypeVar("E")  # an entity class


@attrs.frozen
class EntityStateResponse(Generic[T]):
    """The state of an entity at its last commit."""

    entity_exists: bool
    entity_state: T | None = None


class EntityClient(Asking):
    """The half of the client that deals with entities."""

    def __init__(self, link: Link, app: App, entities: EntityKind, payloads: Payloads | None = None) -> None:
        super().__init__(link, app, payloads)
        self._entities = entities

    async def signal_entity(
        self,
        entity_id: EntityId,
        operation: str | Callable[..., Any],
        operation_input: object = None,
        *,
        signal_time: datetime | None = None,
        request_id: str | None = None,
    ) -> None:
        """Send a signal; returns when it is durable. With `signal_time` (aware) it is delivered then.

        Raises `NotRegistered`, `PayloadError`.
        """
        self._check_outside()
        build = self._operation(entity_id, operation, operation_input)
        due_us = None if signal_time is None else to_us(signal_time, "signal_time")
        await self._ask(str(entity_id), build, request_id, tell=True, due_us=due_us)

    @overload
    async def call_entity(
        self, entity_id: EntityId, operation: Callable[[E], Coroutine[Any, Any, R]], /, *, request_id: str | None = None
    ) -> R: ...
    @overload
    async def call_entity(
        self,
        entity_id: EntityId,
        operation: Callable[[E, I], Coroutine[Any, Any, R]],
        operation_input: I,
        /,
        *,
        request_id: str | None = None,
    ) -> R: ...
    @overload
    async def call_entity(
        self, entity_id: EntityId, operation: Callable[[E], R], /, *, request_id: str | None = None
    ) -> R: ...
    @overload
    async def call_entity(
        self,
        entity_id: EntityId,
        operation: Callable[[E, I], R],
        operation_input: I,
        /,
        *,
        request_id: str | None = None,
    ) -> R: ...
    @overload
    async def call_entity(
        self,
        entity_id: EntityId,
        operation: str,
        operation_input: object = None,
        *,
        expected_type: type[T],
        request_id: str | None = None,
    ) -> T: ...
    @overload
    async def call_entity(
        self, entity_id: EntityId, operation: str, operation_input: object = None, *, request_id: str | None = None
    ) -> Any: ...
    async def call_entity(
        self,
        entity_id: EntityId,
        operation: str | Callable[..., Any],
        operation_input: object = None,
        *,
        expected_type: object = None,
        request_id: str | None = None,
    ) -> Any:
        """Run an operation of an entity (a method of its class, or its name) and wait for the result.

        Raises `EntityOperationFailed` if it raised, `NotRegistered`, `PayloadError`, and in an activity `LockCycle` if
        its own orchestration keeps the entity locked until the activity returns.
        """
        self._check_outside()
        build = self._operation(entity_id, operation, operation_input)
        name = build.keywords["name"]
        answer = await self._ask(str(entity_id), build, request_id, behalf=current_activity())
        failure = answer.failure
        if failure is not None:
            raise EntityOperationFailed(str(entity_id), name, failure.type, failure.message, failure.stack)
        if answer.value is None:
            return None
        behaviour = self._app.registry.entities.get(entity_id.name)
        type_ = behaviour.result_type(name) if expected_type is None else expected_type
        if type_ is Any and callable(operation):
            type_ = result_type_of(operation)
        await self._load(answer.value)
        return self._payloads.decode(answer.value, type_, f"result of {name!r} of {entity_id}")

    @overload
    async def read_entity_state(self, entity_id: EntityId) -> EntityStateResponse[Any]: ...
    @overload
    async def read_entity_state(self, entity_id: EntityId, expected_type: type[T]) -> EntityStateResponse[T]: ...
    async def read_entity_state(self, entity_id: EntityId, expected_type: object = Any) -> EntityStateResponse[Any]:
        """The state at the last commit, as `expected_type` if given, else as plain JSON. Raises `PayloadError`."""
        self._check_reading()
        data = self._link.store.get(entity_keys.actor(str(check_entity_id(entity_id))) + STATE)
        if data is None:
            return EntityStateResponse(False)
        state = self._entities.decode_row(data).state
        await self._load(state)
        return EntityStateResponse(True, self._payloads.decode(state, expected_type, f"state of {entity_id}"))

    async def list_locks(self, locks_max: int = LOCKS_MAX) -> list[EntityLock]:
        """The locked entities, in the order of their ids: who holds them, since when, and who waits (G12)."""
        self._check_reading()
        await self._link.checkpoint()
        return list_locks(View(self._link.store), self._link.env.now_us(), locks_max)

    async def get_lock(self, entity_id: EntityId) -> EntityLock | None:
        """Who holds an entity, and who waits for it; None if it is free."""
        self._check_reading()
        await self._link.checkpoint()
        return lock_of(View(self._link.store), check_entity_id(entity_id), self._link.env.now_us())

    def _operation(
        self, entity_id: EntityId, operation: str | Callable[..., Any], operation_input: object
    ) -> partial[Any]:
        self._app.registry.entities.get(check_entity_id(entity_id).name)
        name = operation_name(operation)
        return partial(Operation, name=name, input=self._encode(operation_input, f"input of {name!r}"))
