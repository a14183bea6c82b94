"""Client: starts, asks and reads instances and entities of a hub. Names are those of Azure's Python client."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Literal, TypedDict, TypeVar, Unpack, overload

from durio.entities import (
    StartInstance,
    View,
    check_instance_id,
    checked_tags,
    payloads_of,
    to_us,
)
from durio.entities import keys as entity_keys
from durio.orchestration.backups import BackupClient
from durio.orchestration.context import OrchestrationContext, check_event_name
from durio.orchestration.control import Started, id_of
from durio.orchestration.dead_letters import DeadLetterClient
from durio.orchestration.diagnosing import DiagnosisClient
from durio.orchestration.errors import InstanceNotFound
from durio.orchestration.instance import Instance, load, read_history
from durio.orchestration.limits import HISTORY_SLICE
from durio.orchestration.messages import RaiseEvent
from durio.orchestration.records import ALIVE, HEAD, Head, Snapshot, is_continued
from durio.orchestration.status import Decode, DurableOrchestrationStatus, HistoryRows, payloads_shown, status_of

I = TypeVar("I")  # noqa: E741  # the input of a call

IfRunning = Literal["raise", "return", "replace"]
IfFinished = Literal["start", "raise"]
Events = Sequence[tuple[str, object]]


class StartOptions(TypedDict, total=False):
    """Options of `start_new`; its docstring says what they do."""

    version: str | None
    if_running: IfRunning
    if_finished: IfFinished
    start_at: datetime | None
    events: Events
    tags: Mapping[str, str] | None
    request_id: str | None


class Client(DiagnosisClient, DeadLetterClient, BackupClient):
    """A client of an open hub.

    Tells (`signal_entity`) return when the message is durable; asks (all others that change something) when the
    receiver's turn that accepted or refused them is durable (G13). Reads show the last commit (G14). Cancelling a
    call never retracts its message. With `request_id` a call may be repeated, also after a crash: it is done once and
    gets the first answer (G3); a UUIDv7 makes a good one.
    """

    @overload
    async def start_new(
        self,
        orchestration: Callable[[OrchestrationContext], object],
        instance_id: str | None = None,
        **options: Unpack[StartOptions],
    ) -> Started: ...
    @overload
    async def start_new(
        self,
        orchestration: Callable[[OrchestrationContext, I], object],
        instance_id: str | None,
        client_input: I,
        **options: Unpack[StartOptions],
    ) -> Started: ...
    @overload
    async def start_new(
        self,
        orchestration: Callable[[OrchestrationContext, I], object],
        instance_id: str | None = None,
        *,
        client_input: I,
        **options: Unpack[StartOptions],
    ) -> Started: ...
    @overload
    async def start_new(
        self,
        orchestration: str,
        instance_id: str | None = None,
        client_input: object = None,
        **options: Unpack[StartOptions],
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
        request_id = self._link.request_id(request_id)
        address = self._fresh_id(request_id) if instance_id is None else check_instance_id(instance_id)
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
            events=self._events(events),
            tags=checked_tags(tags),
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
        await self._link.checkpoint()
        address = id_of(instance_id)
        while True:
            instance = load(View(self._link.store), address, self._decoders)
            if instance.head is None or instance.origin is None:
                return DurableOrchestrationStatus(address)
            snapshot = Snapshot(instance.head, instance.origin, instance.outcome)
            decode = self._decoder(snapshot)
            history = await self._history(instance, decode, show_history_output) if show_history else None
            head = self._head(address) if show_history else instance.head
            if head is not None and is_continued(instance.head, head):
                break  # what was read is still the beginning of its history
        shown = payloads_shown(snapshot)
        await self._load(*(shown if show_input else shown[1:]))
        return status_of(address, snapshot, decode, show_input=show_input, history=history)

    async def wait_for_completion(self, instance_id: str | Started) -> DurableOrchestrationStatus:
        """Wait until the life that goes on now has ended, over continue-as-new, and give its last status (G17).

        Use `trio.fail_after` for a time-out. Raises `InstanceNotFound`.
        """
        self._check_outside()
        address = id_of(instance_id)
        head = self._head(address)
        if head is None:
            raise InstanceNotFound(address)
        if head.status in ALIVE:
            snapshot = await self._link.ended(address, head.life)
        else:
            instance = load(View(self._link.store), address, self._decoders)
            if instance.head is None or instance.origin is None or instance.head.life != head.life:
                return await self.wait_for_completion(address)  # a new life began between the two reads
            snapshot = Snapshot(instance.head, instance.origin, instance.outcome)
            await self._link.checkpoint()
        await self._load(*payloads_shown(snapshot))
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
        data = self._payloads.encode(event_data, f"event {event_name!r}")
        build = partial(RaiseEvent, name=check_event_name(event_name), input=data)
        await self._ask(id_of(instance_id), build, request_id)

    async def _history(self, instance: Instance, decode: Decode, show_output: bool) -> list[dict[str, Any]]:
        """The history for people, bit by bit: of a million events others wait for a few at a time (G8)."""
        told = HistoryRows(decode, show_output)
        shown: list[dict[str, Any]] = []
        for events in read_history(instance, self._decoders):
            for start in range(0, len(events), HISTORY_SLICE):
                part = events[start : start + HISTORY_SLICE]
                await self._load(*(data for event in part for data in payloads_of(event)))
                shown.extend(told.rows(part))
                await self._link.checkpoint()
        return shown

    def _head(self, address: str) -> Head | None:
        data = self._link.store.get(entity_keys.actor(address) + HEAD)
        return None if data is None else self._decoders.head.decode(data)

    def _events(self, events: Events) -> tuple[tuple[str, bytes], ...]:
        for event in events:
            if not isinstance(event, tuple | list) or len(event) != 2:
                raise TypeError(f"events are pairs of a name and data, not {event!r}")
        return tuple((check_event_name(n), self._payloads.encode(d, f"event {n!r}")) for n, d in events)


def _check_choice(what: str, choice: str, choices: tuple[str, ...]) -> None:
    if choice not in choices:
        raise ValueError(f"{what}={choice!r} must be one of {', '.join(map(repr, choices))}")
