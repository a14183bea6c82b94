"""Commands that act on instances: events, ends, holds, restarts, purges."""

from __future__ import annotations

import sys
from functools import partial
from typing import Annotated, Final

import trio
from cyclopts import Parameter

from durio.hosting.cli_errors import CliError, Exit, UsageError
from durio.hosting.cli_instances import Input, InstanceId
from durio.hosting.cli_list import Which
from durio.hosting.cli_output import Far, Out
from durio.hosting.cli_session import changing, reading
from durio.hosting.cli_settings import Common
from durio.hosting.cli_signals import typed
from durio.hosting.cli_values import json_value
from durio.orchestration import InstanceNotFinished
from durio.orchestration.queries import InstanceFilter

COUNTED_AT_ONCE: Final = 1000
Reason = Annotated[str, Parameter(allow_leading_hyphen=True, show_default=False, help="Why; it is kept.")]
Yes = Annotated[bool, Parameter(name=("--yes", "-y"), negative="", show_default=False, help="Do not ask.")]


async def raise_event(
    instance_id: InstanceId,
    event: Annotated[str, Parameter(help="Name of the event.")],
    /,
    *,
    input: Input = None,
    common: Common = Common(),
) -> None:
    """Send an event to an instance; it waits there until the code takes it."""
    data = None if input is None else json_value(input)
    async with changing(common) as client:
        await client.raise_event(instance_id, event, data)
    _done(common, instance_id, f"event {event} accepted by {instance_id}")


async def terminate(
    instance_id: InstanceId,
    /,
    *,
    reason: Reason = "",
    recursive: Annotated[bool, Parameter(negative="--not-recursive", help="Sub-orchestrations, too.")] = True,
    common: Common = Common(),
) -> None:
    """End an instance at once; its code cannot object."""
    async with changing(common) as client:
        await client.terminate(instance_id, reason, recursive=recursive)
    _done(common, instance_id, f"{instance_id} terminated")


async def cancel(instance_id: InstanceId, /, *, reason: Reason = "", common: Common = Common()) -> None:
    """Ask an instance to end: Cancelled is raised in its code, which may clean up first."""
    async with changing(common) as client:
        await client.cancel(instance_id, reason)
    _done(common, instance_id, f"{instance_id} was asked to end")


async def suspend(instance_id: InstanceId, /, *, reason: Reason = "", common: Common = Common()) -> None:
    """Hold an instance: events and results wait until it is resumed."""
    async with changing(common) as client:
        await client.suspend(instance_id, reason)
    _done(common, instance_id, f"{instance_id} suspended")


async def resume(instance_id: InstanceId, /, *, reason: Reason = "", common: Common = Common()) -> None:
    """Let a suspended instance go on."""
    async with changing(common) as client:
        await client.resume(instance_id, reason)
    _done(common, instance_id, f"{instance_id} resumed")


async def restart(
    instance_id: InstanceId,
    /,
    *,
    same_id: Annotated[
        bool, Parameter(negative="", show_default=False, help="Under the same id; it must have ended.")
    ] = False,
    common: Common = Common(),
) -> None:
    """Start an orchestration again with the input that it had, and print the id of the new instance."""
    out = Out(common)
    async with changing(common) as client:
        started = await client.restart(instance_id, not same_id)
    if out.json:
        out.document({"instanceId": started.instance_id, "created": started.created})
    else:
        sys.stdout.write(started.instance_id + "\n")


async def purge(
    *instance_ids: Annotated[str, Parameter(help="Ids of instances that have ended.")],
    which: Which = Which(),
    all: Annotated[bool, Parameter(negative="", show_default=False, help="All that have ended.")] = False,
    yes: Yes = False,
    common: Common = Common(),
) -> Exit:
    """Forget instances that have ended, by id, or all that match: their status, history and output.

    At a terminal it asks before it purges by filter. Exit code 1 if one of the ids was not purged.
    """
    out = Out(common)
    if instance_ids:
        if all or not which.is_all:
            raise UsageError("purge by ids, or by filter, not both")
        return await _purge_ids(common, out, instance_ids)
    if which.is_all and not all:
        raise UsageError("which instances? name ids, or a filter as --status Completed --updated-to 30d, or --all")
    wanted, ended = which.filter(), 0
    if not yes and sys.stdin.isatty():
        with out.working("counting instances"):
            ended = await _count_ended(common, wanted)
        await trio.lowlevel.checkpoint()  # an earlier Ctrl-C is raised here, not behind the answer
        answer = typed(partial(out.ask, f"purge {ended:,} instance{'' if ended == 1 else 's'}? [y/N] "))
        if answer.strip().lower() not in ("y", "yes"):
            raise CliError("nothing was purged")
    async with changing(common) as client:
        with out.working("purging") as tell:
            told = None if tell is None else partial(_tell, tell, ended)
            deleted = (await client.purge_instance_history_by(**wanted, progress=told)).instances_deleted
    if out.json:
        out.document({"instancesDeleted": deleted})
    else:
        out.show(f"{deleted:,} purged")
    return Exit.OK


async def _count_ended(common: Common, wanted: InstanceFilter) -> int:
    async with reading(common) as client:
        found = client.iterate_status(page_size=COUNTED_AT_ONCE, **wanted)
        return [one.is_finished async for one in found].count(True)


def _tell(tell: Far, ended: int, what: str, deleted: int, _: int) -> None:
    """How many of those that there were when it was asked."""
    tell(what, min(deleted, ended) if ended else deleted, ended)


async def _purge_ids(common: Common, out: Out, instance_ids: tuple[str, ...]) -> Exit:
    deleted = 0
    async with changing(common) as client:
        for instance_id in instance_ids:
            try:
                gone = (await client.purge_instance_history(instance_id)).instances_deleted
            except InstanceNotFinished as refused:
                out.note(str(refused))
                continue
            if not gone:
                out.note(f"there is no instance with ID '{instance_id}'")
            deleted += gone
    if out.json:
        out.document({"instancesDeleted": deleted})
    else:
        out.show(f"{deleted:,} purged")
    return Exit.OK if deleted == len(instance_ids) else Exit.NO


def _done(common: Common, instance_id: str, told: str) -> None:
    out = Out(common)
    if out.json:
        out.document({"instanceId": instance_id, "done": True})
    else:
        out.note(told)
