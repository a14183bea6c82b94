"""What a client sees of an instance: `DurableOrchestrationStatus`, as in Azure's Python."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import attrs

from durio.entities import Failure, from_us
from durio.orchestration.history import HistoryEvent, Woke
from durio.orchestration.records import ALIVE, OrchestrationRuntimeStatus, Snapshot, execution_of

Decode = Callable[[bytes, str], Any]
"""Decodes a payload; the second argument says which: "input", "output", "status" or "history"."""


@attrs.frozen
class DurableOrchestrationStatus:
    """The status of an instance at its last commit; falsy if there is no such instance.

    `output` is the decoded result of a completed instance, the failure in words of a failed one, the reason of a
    terminated one. `history` is filled when it was asked for.
    """

    instance_id: str
    name: str | None = None
    runtime_status: OrchestrationRuntimeStatus | None = None
    created_time: datetime | None = None
    last_updated_time: datetime | None = None
    input_: Any = None
    output: Any = None
    custom_status: Any = None
    failure: Failure | None = None
    version: str | None = None
    tags: dict[str, str] = attrs.Factory(dict)
    parent_instance_id: str | None = None
    execution_id: str | None = None
    history: list[dict[str, Any]] | None = None

    def __bool__(self) -> bool:
        return self.created_time is not None

    @property
    def is_finished(self) -> bool:
        """Whether the life has ended."""
        return self.runtime_status is not None and self.runtime_status in _FINISHED


_FINISHED = (
    OrchestrationRuntimeStatus.Completed,
    OrchestrationRuntimeStatus.Failed,
    OrchestrationRuntimeStatus.Terminated,
    OrchestrationRuntimeStatus.Canceled,
)


def status_of(
    instance_id: str,
    snapshot: Snapshot,
    decode: Decode,
    *,
    show_input: bool = True,
    history: list[dict[str, Any]] | None = None,
) -> DurableOrchestrationStatus:
    """The status that a snapshot shows. `decode(data, what)` decodes payloads."""
    head, origin, outcome = snapshot.head, snapshot.origin, snapshot.final
    alive = head.status in ALIVE
    output: Any = None
    if outcome is not None and not alive:
        if head.status == "Completed":
            output = None if outcome.output is None else decode(outcome.output, "output")
        elif outcome.failure is not None:
            output = f"{outcome.failure.type}: {outcome.failure.message}"
        else:
            output = outcome.reason
    return DurableOrchestrationStatus(
        instance_id=instance_id,
        name=origin.name,
        runtime_status=OrchestrationRuntimeStatus("Suspended" if alive and head.suspended else head.status),
        created_time=from_us(head.created_us),
        last_updated_time=from_us(head.updated_us),
        input_=decode(origin.input, "input") if show_input and origin.input is not None else None,
        output=output,
        custom_status=None if head.custom_status is None else decode(head.custom_status, "status"),
        failure=None if alive or outcome is None else outcome.failure,
        version=origin.version,
        tags=dict(origin.tags or {}),
        parent_instance_id=None if origin.parent is None else origin.parent.address,
        execution_id=execution_of(head.execution),
        history=history,
    )


def payloads_shown(snapshot: Snapshot) -> list[bytes | None]:
    """The payloads that a status shows."""
    output = None if snapshot.final is None else snapshot.final.output
    return [snapshot.origin.input, output, snapshot.head.custom_status]


_UNSEEN = frozenset(("key", "arrival", "sub", "causes", "again", "timers"))


class HistoryRows:
    """History for people: one dict an event, with its time and decoded payloads (results only if `show_output`)."""

    def __init__(self, decode: Decode, show_output: bool) -> None:
        self._decode = decode
        self._show_output = show_output
        self._at_us = 0

    def rows(self, events: list[HistoryEvent]) -> Iterator[dict[str, Any]]:
        """The rows of the next events."""
        for event in events:
            if isinstance(event, Woke):
                self._at_us = event.at_us
            else:
                yield self._row(event)

    def _row(self, event: HistoryEvent) -> dict[str, Any]:
        row: dict[str, Any] = {"event_type": type(event).__name__, "timestamp": from_us(self._at_us)}
        for name in event.__struct_fields__:
            value = getattr(event, name)
            if name in _UNSEEN or value is None:
                continue
            if name in ("result", "output"):
                if self._show_output:
                    row[name] = self._decode(value, "history")
            elif isinstance(value, bytes):
                row[name] = self._decode(value, "history")
            elif name == "due_us":
                row["due_time"] = from_us(value)
            elif isinstance(value, Failure):
                row[name] = failure_dict(value)
            else:
                row[name] = value
        return row


def failure_dict(failure: Failure) -> dict[str, Any]:
    """A failure for people."""
    return {
        "type": failure.type,
        "message": failure.message,
        "stack": failure.stack,
        "non_retriable": failure.non_retriable,
        "inner": None if failure.inner is None else failure_dict(failure.inner),
    }
