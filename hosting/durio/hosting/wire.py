"""The wire: statuses and histories in the words of Azure's HTTP API. Nothing here decides anything, it only renames."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final

from durio.orchestration import DurableOrchestrationStatus, EntityMetadata

Plain = Callable[[Any], Any]
"""Makes of a value what JSON can hold."""

Row = Mapping[str, Any]


def seconds(time: datetime | None) -> str | None:
    """A time with the precision of seconds, as statuses have it."""
    return None if time is None else time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def exactly(time: datetime) -> str:
    """A time with its microseconds."""
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z")


def status_object(status: DurableOrchestrationStatus, plain: Plain, *, show_input: bool = True) -> dict[str, Any]:
    """The status of an instance. Azure's clients read `historyEvents`, or `history`: both are there."""
    told = {
        "name": status.name,
        "instanceId": status.instance_id,
        "runtimeStatus": None if status.runtime_status is None else str(status.runtime_status),
        "input": plain(status.input_) if show_input else None,
        "customStatus": plain(status.custom_status),
        "output": plain(status.output),
        "createdTime": seconds(status.created_time),
        "lastUpdatedTime": seconds(status.last_updated_time),
        "historyEvents": None,
    }
    if status.history is not None:
        told["historyEvents"] = told["history"] = history_events(status.history, plain, show_input=show_input)
    return told


def entity_object(entity: EntityMetadata, fetch_state: bool) -> dict[str, Any]:
    """An entity in a list."""
    told: dict[str, Any] = {
        "entityId": {"name": entity.entity_id.name, "key": entity.entity_id.key},
        "lastOperationTime": exactly(entity.last_operation_time),
    }
    return told | {"state": entity.state} if fetch_state else told


def history_events(rows: Iterable[Row], plain: Plain, *, show_input: bool) -> list[dict[str, Any]]:
    """A history as the host of Azure's functions shows it: what was scheduled goes into what came of it."""
    told: list[dict[str, Any] | None] = []
    scheduled: dict[int, int] = {}
    for row in rows:
        kind = row["event_type"]
        if kind == "CancelTask":
            scheduled.pop(row["id"], None)  # a result of it will not come; what was scheduled stays in sight
            continue
        event = _event(row, plain, show_input)
        if kind in _SCHEDULED:
            scheduled[row["id"]] = len(told)
        elif kind in _RESULTS and row["id"] in scheduled:
            place = scheduled.pop(row["id"])
            asked = told[place]
            assert asked is not None, "it has one result"
            if asked["EventType"] == "EventSent":  # a message is not what comes back: both stay
                event["Name"] = asked.get("Name")
            else:
                told[place] = None
                event = _merged(asked, event)
        told.append(event)
    return [event for event in told if event is not None]


_SCHEDULED: Final = frozenset(("ActivityScheduled", "ChildStarted", "TimerSet", "EntityCalled"))
_RESULTS: Final = frozenset(
    ("ActivityCompleted", "ActivityFailed", "ChildCompleted", "ChildFailed", "TimerFired", "EntityAnswered")
)
_NAMES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "Started": "ExecutionStarted",
        "ActivityScheduled": "TaskScheduled",
        "ActivityCompleted": "TaskCompleted",
        "ActivityFailed": "TaskFailed",
        "ChildStarted": "SubOrchestrationInstanceCreated",
        "ChildCompleted": "SubOrchestrationInstanceCompleted",
        "ChildFailed": "SubOrchestrationInstanceFailed",
        "TimerSet": "TimerCreated",
        "EntityCalled": "EventSent",
        "EntitySignaled": "EventSent",
        "EntityAnswered": "EventRaised",
        "Suspended": "ExecutionSuspended",
        "Resumed": "ExecutionResumed",
        "Rewound": "ExecutionRewound",
        "CancelRequested": "ExecutionCancelRequested",
        "Ended": "ExecutionCompleted",
    }
)
_FIELDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "due_time": "FireAt",
        "instance": "InstanceId",
        "target": "InstanceId",
        "entity": "InstanceId",
        "operation": "Name",
        "output": "Result",
        "status": "OrchestrationStatus",
    }
)
_HIDDEN: Final = frozenset(
    (
        "event_type",
        "timestamp",
        "id",
        "execution",
        "parent_instance_id",
        "version",
        "tags",
        "attempt",
        "timeout_ms",
        "lock",
    )
)


def _event(row: Row, plain: Plain, show_input: bool) -> dict[str, Any]:
    kind = row["event_type"]
    event: dict[str, Any] = {"EventType": _NAMES.get(kind, kind), "Timestamp": exactly(row["timestamp"])}
    for field, value in row.items():
        if field in _HIDDEN or (field == "reason" and (kind == "Ended" or not value)):
            continue
        if field == "input" and not show_input and kind != "EventRaised":
            continue
        if field in ("failure", "refused"):
            event["Reason"] = f"{value['type']}: {value['message']}"
            event["Details"] = value["stack"]
        elif field == "name" and kind == "Started":
            event["FunctionName"] = value
        elif isinstance(value, datetime):
            event[_FIELDS.get(field, _pascal(field))] = exactly(value)
        else:
            event[_FIELDS.get(field, _pascal(field))] = plain(value)
    if kind == "Ended" and "Result" not in event and row.get("reason"):
        event["Result"] = row["reason"]
    return event


def _merged(asked: dict[str, Any], event: dict[str, Any]) -> dict[str, Any]:
    """What came of something, with what was asked."""
    found: dict[str, Any] = {}
    if "FireAt" not in asked:
        found = {"ScheduledTime": asked["Timestamp"], "FunctionName": asked.get("Name")}
    found |= {field: asked[field] for field in ("FireAt", "InstanceId", "Input") if field in asked}
    return {"EventType": event["EventType"], "Timestamp": event["Timestamp"], **found, **event}


def _pascal(field: str) -> str:
    return "".join(part.capitalize() for part in field.split("_"))
