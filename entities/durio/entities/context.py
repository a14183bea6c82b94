"""EntityContext: what an entity operation may do. Names are those of `azure.durable_functions.DurableEntityContext`."""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final, Protocol, TypeVar, overload

from durio.entities.address import EntityId, check_entity_id, check_instance_id, operation_name
from durio.entities.clock import to_us
from durio.entities.errors import DurioError
from durio.entities.messages import Message, Operation, StartInstance, checked_tags
from durio.entities.payloads import Payloads

T = TypeVar("T")


class Directory(Protocol):
    """What a context must know of the hub around it: which names exist, and fresh ids."""

    def entity_name(self, name: str) -> str:
        """The registered entity of that name; raises `NotRegistered`."""
        ...

    def orchestration_name(
        self, orchestration: str | Callable[..., Any], version: str | None
    ) -> tuple[str, str | None]:
        """Name and version of an orchestration; raises `NotRegistered`."""
        ...

    def new_id(self) -> str:
        """A fresh instance id."""
        ...


class NoOperation(DurioError, RuntimeError):
    """`EntityContext.current()` was called outside of an entity operation. The developer must move the call."""

    def __str__(self) -> str:
        return "no entity operation is running here; EntityContext.current() works inside operations only"


class EntityContext:
    """One operation of one entity.

    Guarantees (G10): nothing it collects has an effect unless the operation returns; state is a fresh copy, so
    changing it does nothing before `set_state`.
    """

    def __init__(
        self,
        entity_id: EntityId,
        operation: Operation,
        state: bytes | None,
        now_us: int,
        payloads: Payloads,
        directory: Directory,
    ) -> None:
        self._entity_id = entity_id
        self._operation = operation
        self._now_us = now_us
        self._payloads = payloads
        self._directory = directory
        self.state = state
        self.state_set = False
        self.result: bytes | None = None
        self.sent: list[tuple[str, Message, int | None]] = []

    @staticmethod
    def current() -> EntityContext:
        """The operation that is running: how a method of an entity class reaches its context.

        Raises `NoOperation` outside of one.
        """
        context = CURRENT_OPERATION.get()
        if context is None:
            raise NoOperation
        return context

    @property
    def entity_id(self) -> EntityId:
        """The entity whose operation this is."""
        return self._entity_id

    @property
    def entity_name(self) -> str:
        """Its name, lower-cased."""
        return self._entity_id.name

    @property
    def entity_key(self) -> str:
        """Its key."""
        return self._entity_id.key

    @property
    def operation_name(self) -> str:
        """The operation to perform."""
        return self._operation.name

    @property
    def is_newly_constructed(self) -> bool:
        """Whether the entity has no state yet."""
        return self.state is None

    @overload
    def get_input(self) -> Any: ...
    @overload
    def get_input(self, expected_type: type[T]) -> T: ...
    def get_input(self, expected_type: object = Any) -> Any:
        """The decoded input, as `expected_type` if given; None if there is none. Raises `PayloadError`."""
        return self.decode_input(expected_type)

    def decode_input(self, type_: object, absent: bytes | None = None) -> Any:
        """The input as a type that is known at run time only; `absent` is decoded if there is none."""
        data = absent if self._operation.input is None else self._operation.input
        return None if data is None else self._payloads.decode(data, type_, f"input of {self._operation.name!r}")

    @property
    def has_input(self) -> bool:
        """Whether an input came along."""
        return self._operation.input is not None

    @overload
    def get_state(self, initializer: Callable[[], Any] | None = None) -> Any: ...
    @overload
    def get_state(self, initializer: Callable[[], T], expected_type: type[T]) -> T: ...
    @overload
    def get_state(self, initializer: None = None, *, expected_type: type[T]) -> T | None: ...
    def get_state(self, initializer: Callable[[], Any] | None = None, expected_type: object = Any) -> Any:
        """A fresh copy of the state; what `initializer()` gives (or None) if there is none."""
        if self.state is None:
            return initializer() if initializer is not None else None
        return self._payloads.decode(self.state, expected_type, f"state of {self._entity_id}")

    def set_state(self, state: object) -> None:
        """Make `state` the new state; None deletes the entity, all other falsy values are states (G11)."""
        self.state = None if state is None else self._payloads.encode(state, f"state of {self._entity_id}")
        self.state_set = True

    def destruct_on_exit(self) -> None:
        """Delete the entity when the operation returns."""
        self.set_state(None)

    def set_result(self, result: object) -> None:
        """Answer the caller with `result`, a JSON value. Raises `PayloadError`."""
        self.result = self._payloads.encode(result, f"result of {self._operation.name!r} of {self._entity_id}")

    def signal_entity(
        self,
        entity_id: EntityId,
        operation: str | Callable[..., Any],
        operation_input: object = None,
        *,
        signal_time: datetime | None = None,
    ) -> None:
        """Send a signal when this operation returns, delivered at `signal_time` (aware) if given.

        Raises `NotRegistered` for an unknown entity name, `PayloadError` for an input that is not JSON.
        """
        self._directory.entity_name(check_entity_id(entity_id).name)
        name = operation_name(operation)
        message = Operation(
            at_us=self._now_us,
            name=name,
            input=self._encode_input(operation_input, f"input of {name!r}"),
            sender=str(self._entity_id),
        )
        due_us = None if signal_time is None else to_us(signal_time, "signal_time")
        self.sent.append((str(entity_id), message, due_us))

    def start_new(
        self,
        orchestration: str | Callable[..., Any],
        instance_id: str | None = None,
        client_input: object = None,
        *,
        version: str | None = None,
        tags: dict[str, str] | None = None,
    ) -> str:
        """Start an orchestration when this operation returns; one that runs already is left alone (G11).

        Returns the instance id, a fresh one if none is given. Raises `NotRegistered`, `InvalidAddress`,
        `PayloadError`.
        """
        name, version = self._directory.orchestration_name(orchestration, version)
        address = self._directory.new_id() if instance_id is None else check_instance_id(instance_id)
        message = StartInstance(
            at_us=self._now_us,
            name=name,
            version=version,
            input=self._encode_input(client_input, f"input of orchestration {name!r}"),
            if_running="return",
            tags=checked_tags(tags),
            sender=str(self._entity_id),
        )
        self.sent.append((address, message, None))
        return address

    def _encode_input(self, value: object, what: str) -> bytes | None:
        return None if value is None else self._payloads.encode(value, what)


CURRENT_OPERATION: Final[contextvars.ContextVar[EntityContext | None]] = contextvars.ContextVar(
    "durio_operation", default=None
)
"""The operation that is running, for `EntityContext.current()`."""
