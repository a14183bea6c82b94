"""The command `top`: a live view of a hub."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

import attrs
import trio
from cyclopts import Parameter
from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from durio.entities import keys as entity_keys
from durio.hosting.cli_errors import UsageError
from durio.hosting.cli_instances import status_json
from durio.hosting.cli_output import Out, age, ago, clean, fit, local, status_text, table
from durio.hosting.cli_session import owner_of, reading
from durio.hosting.cli_settings import Common, settings_of
from durio.hosting.cli_values import duration_s
from durio.orchestration import Client, DurableOrchestrationStatus, EntityLock
from durio.orchestration.index import BY_STATUS, ENDED, STATUSES
from durio.storage import HubFolder, HubReader

COUNTED_MAX: Final = 20_000
"""So many of each status are counted at most: a look must not take long."""
ROWS_READ: Final = 1000
NEWEST: Final = 10
LOCKS: Final = 5
INTERVAL_S_MIN: Final = 0.1
FURTHEST: Final = timedelta(days=20_000)


@attrs.frozen
class Frame:
    """One look at a hub. `counts`: of each status, at most `COUNTED_MAX`."""

    at: datetime
    at_s: float
    owner: int | None
    counts: dict[str, int]
    newest: list[DurableOrchestrationStatus]
    locks: list[EntityLock]
    started: float | None = None
    ended: float | None = None

    def since(self, before: Frame | None) -> Frame:
        """The same with the throughput since an earlier look, as far as everything was counted."""
        if before is None or max((*self.counts.values(), *before.counts.values()), default=0) >= COUNTED_MAX:
            return self
        passed_s = max(self.at_s - before.at_s, 0.001)
        ended = [sum(frame.counts[status] for status in ENDED) for frame in (before, self)]
        there = [sum(frame.counts.values()) for frame in (before, self)]
        return attrs.evolve(
            self,
            started=max(there[1] - there[0], 0) / passed_s,
            ended=max(ended[1] - ended[0], 0) / passed_s,
        )


async def top(
    *,
    once: Annotated[bool, Parameter(negative="", show_default=False, help="One look, then end.")] = False,
    every: Annotated[str, Parameter(metavar="DURATION", help="How often to look.")] = "1s",
    common: Common = Common(),
) -> None:
    """Watch a hub: instances by status, what starts and ends in a second, the newest instances, locks.

    With --json one line for each look. Ctrl-C ends. A hub that may not be written to is looked at once.
    """
    out, hub = Out(common), settings_of(common).require_hub()
    once = once or not HubFolder.at(hub).may_be_written  # nobody could own it for as long as it is watched
    pause_s = duration_s(every, "--every")
    if pause_s < INTERVAL_S_MIN:
        raise UsageError(f"--every {every}: look ten times a second at most")
    async with reading(common) as client:
        store = HubReader.open(hub)
        try:
            before: Frame | None = None
            if once or out.json or not out.console.is_terminal:
                while True:
                    before = (await look(client, store)).since(before)
                    out.line(frame_json(before)) if out.json else out.show(shown(before, hub, out.console.width))
                    if once:
                        return
                    await trio.sleep(pause_s)
            with Live(console=out.console, screen=True, auto_refresh=False) as live:
                while True:
                    before = (await look(client, store)).since(before)
                    live.update(shown(before, hub, out.console.width), refresh=True)
                    await trio.sleep(pause_s)
        finally:
            store.close()


async def look(client: Client, store: HubReader) -> Frame:
    """Look at a hub once."""
    counts: dict[str, int] = {}
    for status, code in STATUSES.items():
        counts[status] = 0
        for rows in _rows(store, entity_keys.index(BY_STATUS + code)):
            counts[status] += rows
            await trio.lowlevel.checkpoint()
    now = datetime.now(UTC)
    return Frame(
        now,
        trio.current_time(),
        owner_of(store.path),
        counts,
        await newest(client, now),
        await client.list_locks(LOCKS + 1),
    )


async def newest(client: Client, now: datetime) -> list[DurableOrchestrationStatus]:
    """The instances created last, the newest first: found by looking back further and further."""
    back = timedelta(milliseconds=1)
    while back < FURTHEST:
        page = await client.get_status_page(ROWS_READ, created_time_from=now - back)
        if len(page.statuses) >= NEWEST:
            return page.statuses[: -NEWEST - 1 : -1]
        back *= 8
    return (await client.get_status_page(NEWEST)).statuses[::-1]


def _rows(store: HubReader, prefix: bytes) -> Iterator[int]:
    start, counted = prefix, 0
    while counted < COUNTED_MAX:
        rows = store.scan(start, entity_keys.stop_of(prefix), limit=ROWS_READ)
        counted += len(rows)
        yield len(rows)
        if len(rows) < ROWS_READ:
            return
        start = rows[-1][0] + b"\0"


def frame_json(frame: Frame) -> dict[str, Any]:
    """A look for programs."""
    return {
        "time": frame.at,
        "owner": frame.owner,
        "counts": frame.counts,
        "startedPerSecond": frame.started,
        "endedPerSecond": frame.ended,
        "newest": [status_json(status) for status in frame.newest],
        "locks": [{"entityId": str(lock.entity_id), "instanceId": lock.instance_id} for lock in frame.locks[:LOCKS]],
    }


def shown(frame: Frame, hub: str, width: int) -> RenderableType:
    """A look for people."""
    owner = "no owner" if frame.owner is None else f"owner {frame.owner or '?'}"
    title = Text.assemble(("durio top", "bold"), f"  {clean(hub)}  {owner}  {local(frame.at)}")
    counts = Text("  ").join(
        Text.assemble(status_text(status), f" {count:,}" + ("+" if count >= COUNTED_MAX else ""))
        for status, count in frame.counts.items()
        if count or status in ("Running", "Completed", "Failed")
    )
    parts: list[RenderableType] = [title, counts]
    if frame.started is not None and frame.ended is not None:
        parts.append(f"in a second {frame.started:,.1f} started, {frame.ended:,.1f} ended")
    newest = table("instance", "orchestration", "status", "updated")
    for status in frame.newest:
        updated = ago(status.last_updated_time, frame.at)
        newest.add_row(status.instance_id, clean(status.name or ""), status_text(status.runtime_status), updated)
    fit(newest, width)
    parts += ["", newest if frame.newest else "no instances"]
    if frame.locks:
        locks = table("locked entity", "held by", "for", "waiting", right=("waiting",))
        for lock in frame.locks[:LOCKS]:
            locks.add_row(str(lock.entity_id), lock.instance_id, age(lock.age_s), str(len(lock.waiters)))
        parts += ["", locks]
        if len(frame.locks) > LOCKS:
            parts.append("and more: durio locks")
    return Group(*parts)
