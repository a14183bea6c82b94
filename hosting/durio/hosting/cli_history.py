"""The command `history`: what an instance has seen and asked for, as a timeline."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Annotated, Any, Final

from cyclopts import Parameter
from rich.text import Text

from durio.hosting.cli_instances import InstanceId, status_json
from durio.hosting.cli_output import Out, age, clean, local, status_text, table, value_text
from durio.hosting.cli_session import reading
from durio.hosting.cli_settings import Common
from durio.orchestration import InstanceNotFound

NAMED: Final = ("name", "instance", "entity", "operation", "target", "entities", "status")
BEGINNINGS: Final = ("ActivityScheduled", "ChildStarted", "EntityCalled", "LockRequested", "TimerSet")
ENDINGS: Final = (
    ("ActivityCompleted", "green"),
    ("ActivityFailed", "bold red"),
    ("ChildCompleted", "green"),
    ("ChildFailed", "bold red"),
    ("EntityAnswered", "green"),
    ("LockGranted", "green"),
    ("LockRefused", "bold red"),
    ("TimerFired", "green"),
)
FAILURES: Final = ("failure", "refused", "inner")
SHOWN: Final = ("name", "entity", "operation", "target", "entities")
CLOCK_WIDTH_MIN: Final = 100
"""On a narrower terminal offsets have to do."""
DETAIL_CHARS_MAX: Final = 200


async def history(
    instance_id: InstanceId,
    /,
    *,
    output: Annotated[bool, Parameter(negative="", show_default=False, help="Inputs and results, too.")] = False,
    common: Common = Common(),
) -> None:
    """Show what an instance has seen and asked for: times, names, how long things took, failures."""
    out = Out(common)
    async with reading(common) as client:
        found = await client.get_status(instance_id, show_history=True, show_history_output=output)
    if not found:
        raise InstanceNotFound(instance_id)
    events = list(told(found.history or (), output))
    if out.json:
        out.document({**status_json(found), "history": events})
        return
    title = Text.assemble(
        (found.instance_id, "bold"), f"  {clean(found.name or '')}  ", status_text(found.runtime_status)
    )
    out.show(title, f"created {local(found.created_time)}, last updated {local(found.last_updated_time)}", "")
    clock = out.console.width >= CLOCK_WIDTH_MIN
    columns = (*(("time",) if clock else ()), "offset", "event", "#", "what", "took", "detail")
    rows = table(*columns, right=("offset", "#", "took"), wide=("what", "detail"))
    for event in events:
        cells = _cells(event, output)
        rows.add_row(*(cells if clock else cells[1:]))
    out.show(rows)


def told(rows: Iterable[dict[str, Any]], output: bool) -> Iterator[dict[str, Any]]:
    """The events for programs: camelCase names, the offset from the first one, and how long what ends has taken."""
    first: datetime | None = None
    begun: dict[int, tuple[dict[str, Any], datetime]] = {}
    for row in rows:
        at: datetime = row["timestamp"]
        first = first or at
        event = {_camel(name): _failure(name, value) for name, value in row.items() if output or name != "input"}
        event["offsetSeconds"] = round((at - first).total_seconds(), 6)
        kind, action = row["event_type"], row.get("id")
        if kind in BEGINNINGS and action is not None:
            begun[action] = event, at
        elif action in begun and kind in dict(ENDINGS):
            beginning, since = begun[action]
            event["durationSeconds"] = round((at - since).total_seconds(), 6)
            event.update({name: beginning[name] for name in NAMED if name in beginning and name not in event})
        yield event


def _cells(event: dict[str, Any], output: bool) -> tuple[str | Text, ...]:
    kind, took = event["eventType"], event.get("durationSeconds")
    style = dict(ENDINGS).get(kind, "bold red" if event.get("failure") or event.get("refused") else "")
    return (
        event["timestamp"].astimezone().strftime("%H:%M:%S.%f")[:-3],
        f"+{event['offsetSeconds']:.3f}",
        Text(kind, style=style),
        str(event.get("id", "")),
        _what(event),
        "" if took is None else age(took),
        _detail(event, output),
    )


def _what(event: dict[str, Any]) -> str | Text:
    if event["eventType"] == "Ended":
        return status_text(event["status"])
    found = (event.get(key) for key in SHOWN)
    names = (" ".join(value) if isinstance(value, list | tuple) else str(value) for value in found if value is not None)
    return clean(" ".join(names))


def _detail(event: dict[str, Any], output: bool) -> str | Text:
    failure = event.get("failure") or event.get("refused")
    if failure:
        return Text(clean(f"{failure['type']}: {failure['message']}")[:DETAIL_CHARS_MAX], style="red")
    parts = []
    if event["eventType"] == "ChildStarted":
        parts.append(f"as {clean(event['instance'])}")
    if event.get("attempt", 1) != 1:
        parts.append(f"attempt {event['attempt']}")
    if "dueTime" in event:
        same_day = local(event["dueTime"])[:10] == local(event["timestamp"])[:10]
        parts.append(f"due {local(event['dueTime'])[11 if same_day else 0 :]}")
    if event.get("reason"):
        parts.append(clean(str(event["reason"])))
    if output:
        shown = [name for name in ("input", "result", "output") if event.get(name) is not None]
        parts += [f"{name} {value_text(event[name], DETAIL_CHARS_MAX)}" for name in shown]
    return ", ".join(parts)


def _failure(name: str, value: Any) -> Any:
    """The names within failures, too."""
    if name not in FAILURES or not isinstance(value, dict):
        return value
    return {_camel(key): _failure(key, part) for key, part in value.items()}


def _camel(name: str) -> str:
    head, *others = name.split("_")
    return head + "".join(other.title() for other in others)
