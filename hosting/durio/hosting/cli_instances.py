"""Commands about instances: start, status, list."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from math import inf
from typing import Annotated, Any, Final, Literal

import attrs
import trio
from cyclopts import Parameter

from durio.hosting.cli_errors import CliError, Exit, UsageError
from durio.hosting.cli_output import Out, clean, facts, local_with_zone, status_text, value_text
from durio.hosting.cli_session import changing, owner_of, reading
from durio.hosting.cli_settings import Common, settings_of
from durio.hosting.cli_values import duration_s, events, json_value, moment, pairs
from durio.orchestration import (
    DurableOrchestrationStatus,
    InstanceAlreadyExists,
    InstanceNotFound,
    OrchestrationRuntimeStatus,
)
from durio.orchestration.client import StartOptions

InstanceId = Annotated[str, Parameter(help="Id of the instance; behind -- if it begins with a dash.")]
Input = Annotated[
    str | None, Parameter(allow_leading_hyphen=True, metavar="JSON", help="JSON, @FILE, or - for standard input.")
]
Within = Annotated[
    str | None, Parameter(name="--timeout", metavar="DURATION", help="Wait no longer than 30s, 10m, 2h.")
]
COMPLETED: Final = OrchestrationRuntimeStatus.Completed


def status_json(status: DurableOrchestrationStatus) -> dict[str, Any]:
    """A status as programs get it: the names of the HTTP API, and what it does not have."""
    failure = status.failure
    return {
        "name": status.name,
        "instanceId": status.instance_id,
        "runtimeStatus": status.runtime_status,
        "input": status.input_,
        "customStatus": status.custom_status,
        "output": status.output,
        "createdTime": status.created_time,
        "lastUpdatedTime": status.last_updated_time,
        "version": status.version,
        "tags": status.tags,
        "parentInstanceId": status.parent_instance_id,
        "executionId": status.execution_id,
        "failure": None
        if failure is None
        else {"type": failure.type, "message": failure.message, "stack": failure.stack},
    }


def show_status(out: Out, status: DurableOrchestrationStatus) -> None:
    """Everything about one instance."""
    if out.json:
        out.document(status_json(status))
        return
    failed = status.failure is not None
    tags = "  ".join(f"{name}={value}" for name, value in status.tags.items())
    rows = (
        ("instance", status.instance_id),
        ("orchestration", status.name if status.version is None else f"{status.name} version {status.version}"),
        ("status", status_text(status.runtime_status)),
        ("created", local_with_zone(status.created_time)),
        ("updated", local_with_zone(status.last_updated_time)),
        ("parent", status.parent_instance_id),
        ("tags", clean(tags) or None),
        ("input", _value(status.input_)),
        ("custom status", _value(status.custom_status)),
        ("failure" if failed else "output", clean(str(status.output)) if failed else _value(status.output)),
    )
    out.show(facts(rows))
    if status.failure is not None and status.failure.stack:
        out.show("", clean(status.failure.stack.rstrip()))


def _value(value: object) -> Any:
    return None if value is None else value_text(value)


@Parameter(name="*")
@attrs.frozen
class How:
    """Options of a start."""

    if_running: Annotated[
        Literal["raise", "return", "replace"], Parameter(help="If an instance runs under that id.")
    ] = "raise"
    if_finished: Annotated[Literal["start", "raise"], Parameter(help="If one has ended under that id.")] = "start"
    version: Annotated[str | None, Parameter(help="Version of the orchestration, instead of the default.")] = None
    tag: Annotated[
        tuple[str, ...], Parameter(negative="", metavar="NAME=VALUE", show_default=False, help="A tag.")
    ] = ()
    at: Annotated[str | None, Parameter(metavar="TIME", help="Not before: ISO 8601, or 10m, 2h from now.")] = None
    event: Annotated[
        tuple[str, ...],
        Parameter(negative="", metavar="NAME=JSON", show_default=False, help="An event that comes with the start."),
    ] = ()

    def options(self) -> StartOptions:
        """What `start_new` takes. Raises `UsageError`."""
        return StartOptions(
            version=self.version,
            if_running=self.if_running,
            if_finished=self.if_finished,
            start_at=None if self.at is None else moment(self.at, "--at", datetime.now(UTC), ahead=True),
            events=events(self.event),
            tags=dict(pairs(self.tag, "--tag")) or None,
        )


async def start(
    name: Annotated[str, Parameter(help="Name of the orchestration.")],
    /,
    *,
    input: Input = None,
    id: Annotated[
        str | None, Parameter(allow_leading_hyphen=True, help="Its id; a fresh one if none is given.")
    ] = None,
    how: How = How(),
    wait: Annotated[
        bool, Parameter(negative="", show_default=False, help="Wait for the end, print the output.")
    ] = False,
    within: Within = None,
    common: Common = Common(),
) -> Exit:
    """Start an orchestration and print its id.

    With --wait: print its output, and end with exit code 1 if it did not complete, 5 if the time was up.
    """
    out, limit_s = Out(common), limit_of(within, wait)
    given, options = None if input is None else json_value(input), how.options()
    alone = owner_of(settings_of(common).require_hub()) is None
    async with changing(common, make=True) as client:
        try:
            started = await client.start_new(name, id, given, **options)
        except InstanceAlreadyExists as taken:
            raise CliError(
                f"{taken.instance_id} exists already: {taken.name}, {taken.runtime_status}; "
                "see --if-running and --if-finished"
            ) from taken
        out.note(f"{started.instance_id} {'created' if started.created else 'runs already'}")
        if wait:
            with trio.move_on_after(limit_s):
                return _ended(out, await client.wait_for_completion(started), started.created)
            raise CliError(f"it has not ended after {within}; durio status {started.instance_id}", Exit.NOT_YET)
    if out.json:
        out.document({"instanceId": started.instance_id, "created": started.created})
    else:
        sys.stdout.write(started.instance_id + "\n")
    if alone:
        out.note("no process owns the hub now: durio run goes on with it")
    return Exit.OK


def limit_of(within: str | None, wait: bool) -> float:
    """For how many seconds to wait. Raises `UsageError` for a time-out without anything to wait for."""
    if within is None:
        return inf
    if not wait:
        raise UsageError("--timeout is for --wait")
    return duration_s(within)


def _ended(out: Out, status: DurableOrchestrationStatus, created: bool) -> Exit:
    completed = status.runtime_status == COMPLETED
    if out.json:
        out.document({"created": created, **status_json(status)})
    elif completed:
        out.document(status.output)
    else:
        out.note(f"{status.runtime_status}: {status.output}")
    return Exit.OK if completed else Exit.NO


async def status(
    instance_id: InstanceId,
    /,
    *,
    wait: Annotated[bool, Parameter(negative="", show_default=False, help="Wait until it has ended.")] = False,
    within: Within = None,
    common: Common = Common(),
) -> Exit:
    """Show an instance.

    Exit code 1 if there is none; with --wait also if it did not complete, 5 if the time was up.
    """
    out, limit_s = Out(common), limit_of(within, wait)
    async with changing(common) if wait else reading(common) as client:
        if wait:
            with trio.move_on_after(limit_s):
                await client.wait_for_completion(instance_id)
        found = await client.get_status(instance_id)
    if not found:
        raise InstanceNotFound(instance_id)
    show_status(out, found)
    if wait and not found.is_finished:
        return Exit.NOT_YET
    return Exit.NO if wait and found.runtime_status != COMPLETED else Exit.OK
