"""Replay: whether code fits the histories that a hub holds, before the code runs on them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing

import attrs
import msgspec

from durio.entities import Payloads, Vault, View, is_entity
from durio.entities import keys as entity_keys
from durio.orchestration.app import App
from durio.orchestration.execution import Execution
from durio.orchestration.history import HistoryEvent, Started
from durio.orchestration.instance import Decoders, Instance, load, read_history
from durio.orchestration.records import Head
from durio.storage import CorruptRecord, HubFolder, LmdbStore, NotAHub, Reads

CHECKED_WHEN_FINISHED = ("Completed",)
"""Of finished lives only these say what the code did: others were ended from outside, or by an error."""


@attrs.frozen
class ReplayResult:
    """What the replay of one instance showed. `error` is None if the code fits.

    `error`: `NonDeterminismError` (the code does something else), `NotRegistered` (it is not there), `CorruptRecord`.
    """

    instance_id: str
    name: str
    version: str | None
    runtime_status: str
    events: int
    error: Exception | None = None

    @property
    def fits(self) -> bool:
        """Whether the instance goes on with this code."""
        return self.error is None


def replay_histories(hub: str | os.PathLike[str] | Reads, app: App, *, finished: bool = False) -> list[ReplayResult]:
    """Replay the history of every running instance of a hub with the code of `app`; nothing is run, nothing changes.

    For a check before a deploy: on a hub that is closed, or on a `durio.storage.HubReader` of one that is open.
    `finished`: instances that have completed, too. Gives a result for every instance, in the order of their ids.
    Raises what opening a hub raises: `HubInUse`, `NotAHub`, `FormatMismatch`, `NoSpace`.
    """
    if not isinstance(app, App):
        raise TypeError(f"app is an App object, not {app!r}")
    if isinstance(hub, str | os.PathLike):
        if not os.path.isdir(hub):
            raise FileNotFoundError(f"no hub folder at {os.fspath(hub)!r}: replay_histories makes no new one")
        folder = HubFolder.at(hub)
        folder.check()
        if not folder.exists:
            raise NotAHub(folder.path, "it is empty, and replay_histories makes no new one")
        with closing(LmdbStore.open(hub)) as store:
            return list(replay_all(View(store), app, Vault(store), finished=finished))
    if not hasattr(hub, "scan"):
        raise TypeError(f"hub is a path or a Store, not {hub!r}")
    return list(replay_all(View(hub), app, Vault(hub), finished=finished))


def replay_all(view: View, app: App, vault: Vault, *, finished: bool = False) -> Iterator[ReplayResult]:
    """Replay the instances that a view shows, one at a time."""
    decoders = Decoders()
    payloads = app.payloads.of_hub(vault)
    for address in _instances(view):
        result = _replayed(view, address, app, decoders, payloads, finished)
        if result is not None:
            yield result


def _replayed(
    view: View, address: str, app: App, decoders: Decoders, payloads: Payloads, finished: bool
) -> ReplayResult | None:
    """The replay of an instance that is wanted. One that an owner brings on meanwhile is looked at again."""
    before: tuple[Head, ReplayResult] | None = None
    while True:
        try:
            instance = load(view, address, decoders)
        except (CorruptRecord, msgspec.MsgspecError) as error:
            return ReplayResult(address, "", None, "", 0, error)
        head = instance.head
        if head is None or instance.origin is None:
            return None
        if not instance.alive and not (finished and head.status in CHECKED_WHEN_FINISHED):
            return None
        if before is not None and before[0] == head:
            return before[1]
        result = replay_instance(instance, app, decoders, payloads)
        if result.error is None:
            return result
        before = head, result


def replay_instance(instance: Instance, app: App, decoders: Decoders, payloads: Payloads) -> ReplayResult:
    """Replay the current execution of one instance."""
    head, origin = instance.head, instance.origin
    assert head is not None and origin is not None, "there is a life"
    events = 0
    error: Exception | None = None
    behaviour = app.registry.exact_orchestration(origin.name, origin.version)
    if behaviour is None:
        error = app.registry.missing_orchestration(origin.name, origin.version)
    else:
        ancestors = () if origin.parent is None else origin.parent.ancestors
        execution = Execution(instance.address, behaviour, app.registry, payloads, ancestors)
        try:
            history = _History(instance, decoders)
            for _ in execution.replay(history, head.rewinds):
                pass
            events = history.events
            error = execution.recorder.broken or execution.guard.offence
        except (CorruptRecord, msgspec.MsgspecError) as unreadable:
            error = unreadable
        finally:
            execution.drop()
    status = "Suspended" if head.suspended and instance.alive else head.status
    return ReplayResult(instance.address, origin.name, origin.version, status, events, error)


class _History:
    """The history of an instance, read bit by bit and counted; empty if the code never began."""

    def __init__(self, instance: Instance, decoders: Decoders) -> None:
        self._parts = read_history(instance, decoders)
        self.events = 0

    def __iter__(self) -> Iterator[HistoryEvent]:
        before: list[HistoryEvent] = []
        began = False
        for part in self._parts:
            self.events += len(part)
            if not began:
                before += part
                began = any(isinstance(event, Started) for event in part)
                if began:
                    yield from before
            else:
                yield from part


def _instances(view: View) -> Iterator[str]:
    start, stop = entity_keys.ACTOR, entity_keys.stop_of(entity_keys.ACTOR)
    while True:
        try:
            rows = view.scan(entity_keys.ACTOR, start, stop, 1)
            if not rows:
                return
            key = rows[0][0]
        except CorruptRecord as damaged:  # reading the instance will say so
            key = damaged.key
        address = entity_keys.address_of(key)
        if not is_entity(address):
            yield address
        start = entity_keys.stop_of(entity_keys.actor(address))
