"""Commands about entities: list them, signal them, call them; who holds which."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Final

from cyclopts import Parameter
from rich.text import Text

from durio.hosting.cli_errors import CliError, UsageError
from durio.hosting.cli_instances import Input
from durio.hosting.cli_output import PLAIN_WIDTH, Out, age, local, plain, status_text, table, value_text
from durio.hosting.cli_session import changing, owner_of, reading
from durio.hosting.cli_settings import Common, settings_of
from durio.hosting.cli_table import Listing
from durio.hosting.cli_values import entity_id, json_value, moment
from durio.orchestration import EntityLock, EntityMetadata

Entity = Annotated[str, Parameter(help="The entity, as Counter@clicks.")]
Operation = Annotated[str, Parameter(help="Name of the operation.")]
STATE_CHARS_MAX: Final = 120
PAGE: Final = 500


async def entities(
    which: Annotated[str | None, Parameter(help="A name, or one entity as Counter@clicks.")] = None,
    /,
    *,
    prefix: Annotated[str, Parameter(show_default=False, allow_leading_hyphen=True, help="Keys that begin so.")] = "",
    state: Annotated[bool, Parameter(negative="", show_default=False, help="Show their states.")] = False,
    limit: Annotated[int, Parameter(help="Show at most so many; 0: all.")] = 100,
    common: Common = Common(),
) -> None:
    """List the entities that have a state; of one entity print its state.

    With --json one line for each. Exit code 1 if the one entity has no state.
    """
    out = Out(common)
    if which is not None and "@" in which.removeprefix("@"):
        await _one(out, common, which)
        return
    if limit < 0 or (prefix and which is None):
        raise UsageError(
            f"--limit {limit} is below 0" if limit < 0 else "--prefix is of the keys of a name: say the name"
        )
    columns = ("entity", "last operation", *(("state",) if state else ()))
    folds = state and out.console.width < PLAIN_WIDTH  # long states at a terminal: nothing is shown before the end
    rows, folded = Listing(out, *columns), table(*columns, wide=("state",))
    shown, token, more = 0, None, False
    async with reading(common) as client:
        while True:
            size = min(PAGE, limit - shown) if limit else PAGE
            page = await client.list_entities(
                which, prefix, fetch_state=state or out.json, page_size=size, continuation_token=token
            )
            shown += len(page.entities)
            if out.json:
                for one in page.entities:
                    out.line(_json(one))
            elif folds:
                for one in page.entities:
                    folded.add_row(*_cells(one, state))
            else:
                rows.write(_cells(one, state) for one in page.entities)
            token = page.continuation_token
            more = token is not None and shown == limit
            if token is None or more:
                break
    if not out.json and (folds or not shown):
        out.show(folded if shown else "no entities")
    if more:
        out.note(f"the first {limit:,}; there are more: --limit 0 shows all")


def _json(one: EntityMetadata) -> dict[str, Any]:
    return {"entityId": str(one.entity_id), "lastOperationTime": one.last_operation_time, "state": one.state}


def _cells(one: EntityMetadata, state: bool) -> tuple[str | Text, ...]:
    shown = (value_text(one.state, STATE_CHARS_MAX),) if state else ()
    return (str(one.entity_id), local(one.last_operation_time), *shown)


async def _one(out: Out, common: Common, text: str) -> None:
    wanted = entity_id(text)
    async with reading(common) as client:
        found = await client.read_entity_state(wanted)
    if not found.entity_exists:
        raise CliError(f"{wanted} has no state")
    out.document({"entityId": str(wanted), "state": found.entity_state} if out.json else found.entity_state)


async def signal(
    entity: Entity,
    operation: Operation,
    /,
    *,
    input: Input = None,
    at: Annotated[str | None, Parameter(metavar="TIME", help="Not before: ISO 8601, or 10m, 2h from now.")] = None,
    common: Common = Common(),
) -> None:
    """Send a signal to an entity; nobody waits for the operation.

    Without an owner and an app the signal waits on disk.
    """
    out = Out(common)
    wanted, given = entity_id(entity), None if input is None else json_value(input)
    due = None if at is None else moment(at, "--at", datetime.now(UTC), ahead=True)
    settings = settings_of(common)
    alone = owner_of(settings.require_hub()) is None
    async with reading(common) if alone and settings.app is None else changing(common, make=True) as client:
        await client.signal_entity(wanted, operation, given, signal_time=due)
    if out.json:
        out.document({"entityId": str(wanted), "done": True})
    else:
        out.note(
            f"{wanted} signaled"
            + ("; it waits for the next owner of the hub" if alone and settings.app is None else "")
        )


async def call(entity: Entity, operation: Operation, /, *, input: Input = None, common: Common = Common()) -> None:
    """Run an operation of an entity and print its result as JSON."""
    out = Out(common)
    given = None if input is None else json_value(input)
    wanted = entity_id(entity)
    async with changing(common, make=True) as client:
        result = await client.call_entity(wanted, operation, given)
    out.document(result)


async def locks(*, common: Common = Common()) -> None:
    """List the locked entities: who holds them, since when, and who waits."""
    out = Out(common)
    async with reading(common) as client:
        found = await client.list_locks()
    if out.json:
        out.document([_lock_json(lock) for lock in found])
        return
    rows = table("entity", "held by", "status", "for", "waiting", right=("for",), wide=("waiting",))
    for lock in found:
        waiting = [waiter.instance_id or "a client" for waiter in lock.waiters]
        waiting += ["…"] if lock.more else []
        rows.add_row(
            str(lock.entity_id), lock.instance_id, status_text(lock.runtime_status), age(lock.age_s), ", ".join(waiting)
        )
    out.show(rows if found else "no entity is locked")


def _lock_json(lock: EntityLock) -> dict[str, Any]:
    return {
        "entityId": str(lock.entity_id),
        "instanceId": lock.instance_id,
        "runtimeStatus": lock.runtime_status,
        "since": plain(lock.since),
        "ageSeconds": lock.age_s,
        "waiters": [{"kind": w.kind, "instanceId": w.instance_id, "since": plain(w.since)} for w in lock.waiters],
        "more": lock.more,
    }
