"""Client: starts, asks and reads instances and entities of a hub. Names are those of Azure's Python client."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Final, Generic, Literal, TypeVar, overload

import attrs
import trio

from durio.entities import (
    CONTROL_LANE,
    CURRENT_GUARD,
    CURRENT_OPERATION,
    MAIL_LANE,
    STATE,
    Answer,
    AskInsideTurn,
    EntityId,
    EntityKind,
    EntityOperationFailed,
    Message,
    Operation,
    PayloadError,
    Runtime,
    StartInstance,
    View,
    caller_line,
    check_instance_id,
    digest_of,
    to_us,
)
from durio.entities import keys as entity_keys
from durio.orchestration.app import App
from durio.orchestration.context import OrchestrationContext, check_event_name
from durio.orchestration.errors import InstanceNotFound
from durio.orchestration.history import HistoryEvent
from durio.orchestration.instance import Decoders, load, read_history
from durio.orchestration.limits import TAGS_MAX
from durio.orchestration.messages import RaiseEvent, Resume, Suspend, Terminate
from durio.orchestration.records import Snapshot
from durio.orchestration.refusals import rebuild
from durio.orchestration.status import DurableOrchestrationStatus, history_of, status_of

T = TypeVar("T")
R = TypeVar("R")
I = TypeVar("I")  # noqa: E741  # the input of a call
E = TypeVar("E")  # an entity class

IfRunning = Literal["raise", "return", "replace"]
IfFinished = Literal["start", "raise"]
Events = Sequence[tuple[str, object]]

INSTEAD: Final = (
    "a turn must not wait for another turn: in an orchestrator use its context, "
    "in an entity operation EntityContext.current(), or do it in an activity"
)


@attrs.frozen
class Started:
    """The answer to `start_new`: the instance, and whether this call created it or found it running."""

    instance_id: str
    created: bool

    def __str__(self) -> str:
        return self.instance_id


@attrs.frozen
class EntityStateResponse(Generic[T]):
    """The state of an entity at its last commit."""

    entity_exists: bool
    entity_state: T | None = None


class Client:
    """A client of an open hub.

    Tells (`signal_entity`) return when the message is durable; asks (all others that change something) when the
    receiver's turn that accepted or refused them is durable (G13). Reads show the last commit (G14). Cancelling a
    call never retracts its message. With `request_id` a call may be repeated, also after a crash: it is done once and
    gets the first answer (G3); a UUIDv7 makes a good one.
    """

    def __init__(self, runtime: Runtime, app: App, entities: EntityKind) -> None:
        self._runtime = runtime
        self._app = app
        self._entities = entities
        self._decoders = Decoders()

    # Instances

    @overload
    async def start_new(
        self,
        orchestration: Callable[[OrchestrationContext], object],
        instance_id: str | None = None,
        *,
        version: str | None = None,
        if_running: IfRunning = "raise",
        if_finished: IfFinished = "start",
        start_at: datetime | None = None,
        events: Events = (),
        tags: Mapping[str, str] | None = None,
        request_id: str | None = None,
    ) -> Started: ...
    @overload
    async def start_new(
        self,
        orchestration: Callable[[OrchestrationContext, I], object],
        instance_id: str | None,
        client_input: I,
        *,
        version: str | None = None,
        if_running: IfRunning = "raise",
        if_finished: IfFinished = "start",
        start_at: datetime | None = None,
        events: Events = (),
        tags: Mapping[str, str] | None = None,
        request_id: str | None = None,
    ) -> Started: ...
    @overload
    async def start_new(
        self,
        orchestration: Callable[[OrchestrationContext, I], object],
        instance_id: str | None = None,
        *,
        client_input: I,
        version: str | None = None,
        if_running: IfRunning = "raise",
        if_finished: IfFinished = "start",
        start_at: datetime | None = None,
        events: Events = (),
        tags: Mapping[str, str] | None = None,
        request_id: str | None = None,
    ) -> Started: ...
    @overload
    async def start_new(
        self,
        orchestration: str,
        instance_id: str | None = None,
        client_input: object = None,
        *,
        version: str | None = None,
        if_running: IfRunning = "raise",
        if_finished: IfFinished = "start",
        start_at: datetime | None = None,
        events: Events = (),
        tags: Mapping[str, str] | None = None,
        request_id: str | None = None,
    ) -> Started: ...
    async def start_new(
        self,
        orchestration: str | Callable[..., object],
        instance_id: str | None = None,
        client_input: object = None,
        *,
        version: str | None = None,
        if_running: IfRunning = "raise",
        if_finished: IfFinished = "start",
        start_at: datetime | None = None,
        events: Events = (),
        tags: Mapping[str, str] | None = None,
        request_id: str | None = None,
    ) -> Started:
        """Start an orchestration (a function or its name), atomically: there is no race to lose (G15).

        `instance_id`: a fresh one if none is given. `if_running`: raise `InstanceAlreadyExists`, return what runs (it
        must have the same name), or replace it. `if_finished`: start anew, or raise. `start_at`: an aware datetime;
        Pending until then. `events`: (name, data) pairs delivered in the same turn. Raises `NotRegistered`,
        `InvalidAddress`, `PayloadError`, `InstanceAlreadyExists`, `RequestIdReused`, `RequestExpired`, `ValueError`.
        """
        self._check_outside()
        found = self._app.registry.orchestration(orchestration, version)
        address = self._instance_id(instance_id, request_id)
        _check_choice("if_running", if_running, ("raise", "return", "replace"))
        _check_choice("if_finished", if_finished, ("start", "raise"))
        build = partial(
            StartInstance,
            name=found.name,
            version=found.version,
            input=self._encode(client_input, f"input of orchestration {found.name!r}"),
            if_running=if_running,
            if_finished=if_finished,
            due_us=None if start_at is None else to_us(start_at, "start_at"),
            events=tuple((check_event_name(n), self._app.payloads.encode(d, f"event {n!r}")) for n, d in events),
            tags=_checked_tags(tags),
        )
        answer = await self._ask(address, build, request_id)
        return Started(address, answer.value == b"true")

    async def get_status(
        self,
        instance_id: str | Started,
        show_history: bool = False,
        show_history_output: bool = False,
        show_input: bool = True,
    ) -> DurableOrchestrationStatus:
        """The status at the last commit; falsy, with `runtime_status` None, if there is no such instance (G14).

        `show_history` fills `history`; `show_history_output` adds the results to it.
        """
        self._check_reading()
        instance = load(View(self._runtime.store), _checked(instance_id), self._decoders)
        if instance.head is None or instance.origin is None:
            return DurableOrchestrationStatus(instance.address)
        snapshot = Snapshot(instance.head, instance.origin, instance.outcome)
        decode = self._decoder(snapshot)
        history = None
        if show_history:
            events: list[HistoryEvent] = []
            for part in read_history(instance, self._decoders):
                events.extend(part)
            history = history_of(events, decode, show_output=show_history_output)
        return status_of(instance.address, snapshot, decode, show_input=show_input, history=history)

    async def wait_for_completion(self, instance_id: str | Started) -> DurableOrchestrationStatus:
        """Wait until the life that goes on now has ended, over continue-as-new, and give its last status (G17).

        Use `trio.fail_after` for a time-out. Raises `InstanceNotFound`.
        """
        self._check_outside()
        address = _checked(instance_id)
        instance = load(View(self._runtime.store), address, self._decoders)
        if instance.head is None or instance.origin is None:
            raise InstanceNotFound(address)
        if instance.alive:
            snapshot: Snapshot = await self._runtime.endings.wait((address, instance.head.life))
        else:
            await trio.lowlevel.checkpoint()
            snapshot = Snapshot(instance.head, instance.origin, instance.outcome)
        return status_of(address, snapshot, self._decoder(snapshot))

    async def raise_event(
        self,
        instance_id: str | Started,
        event_name: str,
        event_data: object = None,
        *,
        request_id: str | None = None,
    ) -> None:
        """Send an event; returns when the instance has accepted it. It waits there until the code takes it (G16).

        Raises `InstanceNotFound`, `InstanceFinished`, `PayloadError`, `ValueError` for an unusable name.
        """
        self._check_outside()
        data = self._app.payloads.encode(event_data, f"event {event_name!r}")
        build = partial(RaiseEvent, name=check_event_name(event_name), input=data)
        await self._ask(_checked(instance_id), build, request_id)

    async def terminate(
        self,
        instance_id: str | Started,
        reason: str = "",
        *,
        recursive: bool = True,
        request_id: str | None = None,
    ) -> None:
        """End an instance, and its sub-orchestrations unless `recursive` is False. Its code cannot object (G26).

        Raises `InstanceNotFound`, `InstanceFinished`.
        """
        self._check_outside()
        build = partial(Terminate, reason=_text(reason), recursive=recursive)
        await self._ask(_checked(instance_id), build, request_id, CONTROL_LANE)

    async def suspend(self, instance_id: str | Started, reason: str = "", *, request_id: str | None = None) -> None:
        """Hold an instance: events and results wait, in order, until `resume`.

        Raises `InstanceNotFound`, `InstanceFinished`.
        """
        self._check_outside()
        await self._ask(_checked(instance_id), partial(Suspend, reason=_text(reason)), request_id, CONTROL_LANE)

    async def resume(self, instance_id: str | Started, reason: str = "", *, request_id: str | None = None) -> None:
        """Let a suspended instance go on. Raises `InstanceNotFound`, `InstanceFinished`."""
        self._check_outside()
        await self._ask(_checked(instance_id), partial(Resume, reason=_text(reason)), request_id, CONTROL_LANE)

    # Entities

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

        Raises `EntityOperationFailed` if it raised, `NotRegistered`, `PayloadError`.
        """
        self._check_outside()
        build = self._operation(entity_id, operation, operation_input)
        name = build.keywords["name"]
        answer = await self._ask(str(entity_id), build, request_id)
        failure = answer.failure
        if failure is not None:
            raise EntityOperationFailed(str(entity_id), name, failure.type, failure.message, failure.stack)
        if answer.value is None:
            return None
        behaviour = self._app.registry.entities.get(entity_id.name)
        type_ = behaviour.result_type(name) if expected_type is None else expected_type
        return self._app.payloads.decode(answer.value, type_, f"result of {name!r} of {entity_id}")

    @overload
    async def read_entity_state(self, entity_id: EntityId) -> EntityStateResponse[Any]: ...
    @overload
    async def read_entity_state(self, entity_id: EntityId, expected_type: type[T]) -> EntityStateResponse[T]: ...
    async def read_entity_state(self, entity_id: EntityId, expected_type: object = Any) -> EntityStateResponse[Any]:
        """The state at the last commit, as `expected_type` if given, else as plain JSON. Raises `PayloadError`."""
        self._check_reading()
        data = self._runtime.store.get(entity_keys.actor(str(entity_id)) + STATE)
        if data is None:
            return EntityStateResponse(False)
        state = self._entities.decode_row(data).state
        return EntityStateResponse(True, self._app.payloads.decode(state, expected_type, f"state of {entity_id}"))

    # Inside

    async def _ask(
        self,
        address: str,
        build: partial[Any],
        request_id: str | None,
        lane: int = MAIL_LANE,
        *,
        tell: bool = False,
        due_us: int | None = None,
    ) -> Answer:
        token = self._runtime.token(request_id)
        message: Message = build(at_us=self._runtime.env.now_us(), reply="" if tell else token)
        digest = b""
        if request_id is not None:
            digest = digest_of(build.func.__name__, address, due_us, *sorted(build.keywords.items()))
        answer = await self._runtime.submit(address, message, token, lane=lane, tell=tell, digest=digest, due_us=due_us)
        if answer.refusal and answer.failure is not None:
            raise rebuild(answer.failure)
        return answer

    def _operation(
        self, entity_id: EntityId, operation: str | Callable[..., Any], operation_input: object
    ) -> partial[Any]:
        self._app.registry.entities.get(entity_id.name)
        name = operation if isinstance(operation, str) else operation.__name__
        return partial(Operation, name=name, input=self._encode(operation_input, f"input of {name!r}"))

    def _encode(self, value: object, what: str) -> bytes | None:
        return None if value is None else self._app.payloads.encode(value, what)

    def _decoder(self, snapshot: Snapshot) -> Callable[[bytes, str], Any]:
        """Decodes what a status shows: input and output as the code declares them, if it is there and they fit."""
        found = self._app.registry.exact_orchestration(snapshot.origin.name, snapshot.origin.version)
        payloads = self._app.payloads

        def decode(data: bytes, what: str) -> Any:
            if found is not None and what in ("input", "output"):
                type_ = found.input_type if what == "input" else found.result_type
                try:
                    return payloads.decode(data, type_, f"{what} of {found.name!r}")
                except PayloadError:  # the code has changed since; plain JSON still shows what it was
                    return payloads.decode(data)
            return payloads.decode(data)

        return decode

    def _instance_id(self, instance_id: str | None, request_id: str | None) -> str:
        if instance_id is not None:
            return check_instance_id(instance_id)
        if request_id is None:
            return self._runtime.env.new_id()
        return uuid.uuid5(uuid.NAMESPACE_OID, f"durio request {request_id}").hex  # a retry must find its instance

    def _check_outside(self) -> None:
        """No client inside a turn: refused before any effect, and not to be swallowed (G13, G21)."""
        self._check_reading()
        if CURRENT_OPERATION.get() is not None:
            raise AskInsideTurn("a durio client was used in an entity operation", INSTEAD, caller_line())

    def _check_reading(self) -> None:
        """No reads either where code is replayed: they would see other data then."""
        guard = CURRENT_GUARD.get()
        if guard is not None:
            raise guard.refuse(AskInsideTurn("a durio client was used inside a turn", INSTEAD, caller_line()))


def _checked(instance_id: str | Started) -> str:
    return check_instance_id(instance_id.instance_id if isinstance(instance_id, Started) else instance_id)


def _check_choice(what: str, choice: str, choices: tuple[str, ...]) -> None:
    if choice not in choices:
        raise ValueError(f"{what}={choice!r} must be one of {', '.join(map(repr, choices))}")


def _text(reason: object) -> str:
    if not isinstance(reason, str):
        raise TypeError(f"reason is a str, not {reason!r}")
    return reason


def _checked_tags(tags: Mapping[str, str] | None) -> dict[str, str] | None:
    if not tags:
        return None
    if len(tags) > TAGS_MAX:
        raise ValueError(f"an instance has at most {TAGS_MAX} tags, not {len(tags)}")
    for name, value in tags.items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise TypeError(f"tags are str: str, not {name!r}: {value!r}")
    return dict(tags)
