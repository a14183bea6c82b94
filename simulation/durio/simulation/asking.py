"""What clients of a simulation ask: `call`, `signal`, `start`, … with plain values, or with Hypothesis strategies."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final, Literal

import attrs

from durio.entities import EntityId, NotRegistered, operation_name
from durio.orchestration import App
from durio.simulation.plan import Kind, Request


class _Nothing:
    """There is no input; None is one."""

    def __repr__(self) -> str:
        return "NOTHING"


NOTHING: Final = _Nothing()


@attrs.frozen(eq=False)
class Ask:
    """One thing that clients may ask. `input` and `target` are values, or strategies that a test draws from."""

    kind: Kind
    what: Callable[..., Any] | str
    input: object = NOTHING
    target: object = None
    entity: type | Callable[..., Any] | str | None = None
    options: Mapping[str, Any] = attrs.Factory(dict)


def call(
    operation: Callable[..., Any] | str,
    input: object = NOTHING,  # the field's word
    /,
    *,
    key: object = None,
    entity: type | Callable[..., Any] | str | None = None,
) -> Ask:
    """A client calls an operation: a method of an entity class, or a name together with `entity`.

    `input` and `key` are values or strategies; without `key` it is one of the simulation's `keys`.
    """
    return Ask("call", operation, input, key, entity)


def signal(
    operation: Callable[..., Any] | str,
    input: object = NOTHING,
    /,
    *,
    key: object = None,
    entity: type | Callable[..., Any] | str | None = None,
    after: timedelta | None = None,
) -> Ask:
    """A client signals an entity, to be delivered `after` a time if that is given; otherwise like `call`."""
    return Ask("signal", operation, input, key, entity, _given(after_s=_seconds(after)))


def start(
    orchestration: Callable[..., Any] | str,
    input: object = NOTHING,
    /,
    *,
    instance_id: object = None,
    if_running: Literal["raise", "return", "replace"] = "raise",
    if_finished: Literal["start", "raise"] = "start",
    version: str | None = None,
    after: timedelta | None = None,
    events: Sequence[tuple[str, object]] = (),
    tags: Mapping[str, str] | None = None,
) -> Ask:
    """A client starts an orchestration. Without `instance_id` each start has an id of its own: its name and a number.

    `after`: it begins so much later (`start_at`). The other options are those of `Client.start_new`.
    """
    options = _given(
        if_running=if_running if if_running != "raise" else None,
        if_finished=if_finished if if_finished != "start" else None,
        version=version,
        after_s=_seconds(after),
        events=[list(event) for event in events] or None,
        tags=None if tags is None else dict(tags),
    )
    return Ask("start", orchestration, input, instance_id, None, options)


def raise_event(instance_id: object, event_name: str, event_data: object = None, /) -> Ask:
    """A client raises an event for an instance. Id and data are values or strategies."""
    return Ask("event", event_name, event_data, instance_id)


def cancel(instance_id: object, /) -> Ask:
    """A client asks an instance to end."""
    return Ask("cancel", "", NOTHING, instance_id)


def terminate(instance_id: object, /, *, recursive: bool = True) -> Ask:
    """A client terminates an instance, and its children unless `recursive` is False."""
    return Ask("terminate", "", NOTHING, instance_id, None, {} if recursive else {"recursive": False})


def suspend(instance_id: object, /) -> Ask:
    """A client suspends an instance."""
    return Ask("suspend", "", NOTHING, instance_id)


def resume(instance_id: object, /) -> Ask:
    """A client resumes an instance."""
    return Ask("resume", "", NOTHING, instance_id)


def rewind(instance_id: object, /) -> Ask:
    """A client rewinds an instance that has failed."""
    return Ask("rewind", "", NOTHING, instance_id)


def request_of(app: App, ask: Ask, client: int, value: object, target: object, number: int) -> Request:
    """The request that an `Ask` makes of drawn values. Raises what a client raises for wrong names and values."""
    data = "" if value is NOTHING else app.payloads.encode(value, f"input of {ask.what!r}").decode()
    options = tuple(sorted(ask.options.items()))
    if ask.kind in ("call", "signal"):
        name = entity_name(app, ask)
        operation = operation_name(ask.what)
        return Request(client, ask.kind, str(EntityId(name, str(target))), operation, data, options)
    if ask.kind == "start":
        found = app.registry.orchestration(ask.what, ask.options.get("version"))
        instance_id = f"{found.name}-{number}" if target is None else str(target)
        return Request(client, "start", instance_id, found.name, data, options)
    name = ask.what if isinstance(ask.what, str) else ""
    return Request(client, ask.kind, str(target), name, data, options)


def _given(**options: Any) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _seconds(after: timedelta | None) -> float | None:
    return None if after is None else after.total_seconds()


def entity_name(app: App, ask: Ask) -> str:
    """Which entity a call or signal is for. Raises `NotRegistered`."""
    what = ask.what if ask.entity is None else ask.entity
    if isinstance(what, str):
        app.registry.entities.get(what.lower())
        return what.lower()
    found = app.registry.entities.name_of(what)
    if found is None:
        raise NotRegistered("entity", getattr(what, "__qualname__", repr(what)), ())
    return found


def knows(app: App, ask: Ask) -> bool:
    """Whether an app has the code that is asked for."""
    try:
        if ask.kind in ("call", "signal"):
            entity_name(app, ask)
        elif ask.kind == "start":
            app.registry.orchestration(ask.what, ask.options.get("version"))
    except NotRegistered:
        return False
    return True


def named(asks: Sequence[Ask]) -> str:
    """What is asked for, in a few words."""
    return ", ".join(sorted({getattr(ask.what, "__qualname__", str(ask.what)) for ask in asks}))
