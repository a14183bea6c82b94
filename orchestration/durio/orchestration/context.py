"""OrchestrationContext: what an orchestrator may do. Names and their order are those of Azure's Python."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterable, MutableMapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NoReturn, TypeVar, overload

from durio.entities import EntityId, check_entity_id, check_instance_id, check_text, from_us, storable, to_us
from durio.orchestration.calling import CallingContext
from durio.orchestration.engine import Engine, encode_input, generation_of, section_of
from durio.orchestration.history import EventSent, LockRequested, TimerSet
from durio.orchestration.limits import DUE_US_MAX, EVENT_NAME_BYTES_MAX, LOCK_ENTITIES_MAX, TASK_DEPTH_MAX
from durio.orchestration.registry import Orchestration
from durio.orchestration.sections import CriticalSection, LockTask
from durio.orchestration.tasks import AllTask, AnyTask, EventTask, Task, TimerTask

T = TypeVar("T")


class OrchestrationContext(CallingContext):
    """What one execution of an orchestrator sees of the world, and how it acts on it.

    Everything it gives is the same in live run and replay. Tasks start when they are called, not when awaited.
    """

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self._uuids = 0
        assert engine.started is not None, "an execution begins with Started"
        self._started = engine.started

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
        action = self._engine.recorder.ask(TimerSet(self._engine.recorder.next_id(), due_us))
        task = TimerTask(self._engine, f"timer {action.id}", action.id, _no_value)
        self._engine.open[action.id] = task
        return task

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
        draft = EventSent(engine.recorder.next_id(), storable(str(instance_id)), event_name)

        def fill() -> EventSent:
            target = check_instance_id(instance_id)
            data = engine.payloads.encode(event_data, f"event {event_name!r}")
            return EventSent(draft.id, target, event_name, data)

        engine.recorder.request(draft, fill)

    # Locks

    def lock_entities(self, entities: Iterable[EntityId]) -> Task[CriticalSection]:
        """Lock entities for a critical section: `async with await ctx.lock_entities([a, b]):` (G12).

        They are asked one after the other, in one order for the whole hub. Until the section is left, nobody else's
        calls and signals run on them. A request that is not wanted any more is withdrawn by `cancel()` of the task.
        Raises `NotRegistered`, `LockingRulesViolation`, `ValueError` for none or too many.
        """
        engine = self._engine
        addresses = tuple(sorted({str(check_entity_id(entity)) for entity in entities}))
        if not 0 < len(addresses) <= LOCK_ENTITIES_MAX:
            raise ValueError(f"lock_entities takes 1 to {LOCK_ENTITIES_MAX} entities, not {len(addresses)}")
        draft = LockRequested(engine.recorder.next_id(), addresses)

        def fill() -> LockRequested:
            section = section_of(engine)
            if section is not None:
                section.check_lock()
            for address in addresses:
                engine.registry.entities.get(EntityId.parse(address).name)
            return draft

        engine.recorder.request(draft, fill)
        engine.section = CriticalSection(engine.recorder, draft.id, addresses)
        task = LockTask(engine, engine.section)
        engine.open[draft.id] = task
        return task

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
        data = encode_input(self._engine, input_, f"input of orchestration {self.name!r}")
        raise self._engine.continue_as_new(data)

    def set_custom_status(self, status: object) -> None:
        """Show `status`, a JSON value, in `get_status`; None clears it. Raises `PayloadError`."""
        data = None if status is None else self._engine.payloads.encode(status, "custom status")
        self._engine.recorder.check_inside()
        if not self._engine.recorder.silent:
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
        return uuid.uuid5(uuid.NAMESPACE_OID, f"{self.instance_id}\0{generation_of(self._engine)}\0{self._uuids}")

    def create_replay_safe_logger(self, logger: logging.Logger) -> ReplaySafeLogger:
        """A logger that is silent while the code replays."""
        return ReplaySafeLogger(logger, self)

    # Inside

    def decode(self, data: bytes, type_: object, what: str) -> Any:
        """Decode a payload; for durio itself."""
        return self._engine.payloads.decode(data, type_, what)

    def _members(self, tasks: Iterable[Task[T]]) -> list[Task[T]]:
        members = list(tasks)
        for member in members:
            if not isinstance(member, Task) or member.owner is not self._engine:
                raise TypeError(f"{member!r} is no task of this execution; pass what ctx.call_activity etc. return")
            if member.depth >= TASK_DEPTH_MAX:
                raise ValueError(f"task_all and task_any may be nested {TASK_DEPTH_MAX} deep at most")
        return members


DurableOrchestrationContext = OrchestrationContext
"""The same under the name that Azure's Python has for it, so that its annotations stay as they are."""


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
    if len(check_text(name, "event name").encode()) > EVENT_NAME_BYTES_MAX:
        raise ValueError(f"the name of an event has at most {EVENT_NAME_BYTES_MAX} bytes, not {name[:40]!r}…")
    return name


def _no_value(_: bytes) -> None:
    return None


def begin(behaviour: Orchestration, context: OrchestrationContext, data: bytes | None) -> Any:
    """Call an orchestrator with its input: the coroutine, the generator or the result. Raises `PayloadError`."""
    if not behaviour.takes_input or (data is None and behaviour.has_default):
        return behaviour.function(context)
    what = f"input of orchestration {behaviour.name!r}"
    value = context.decode(b"null" if data is None else data, behaviour.input_type, what)
    return behaviour.function(context, value)
