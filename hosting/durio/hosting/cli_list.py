"""The command `list`, and the options that choose instances."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Final

import attrs
from cyclopts import Group, Parameter
from rich.text import Text

from durio.hosting.cli_errors import UsageError
from durio.hosting.cli_instances import status_json
from durio.hosting.cli_output import Out, ago, clean, short, status_text
from durio.hosting.cli_session import reading
from durio.hosting.cli_settings import Common
from durio.hosting.cli_table import Listing
from durio.hosting.cli_values import moment, pairs
from durio.orchestration import DurableOrchestrationStatus, OrchestrationRuntimeStatus
from durio.orchestration.queries import InstanceFilter

FILTERS: Final = Group("Which", sort_key=50)
PAGE: Final = 500


@Parameter(name="*", group=FILTERS)
@attrs.frozen
class Which:
    """Options that choose instances. All that is asked for has to fit."""

    status: Annotated[
        tuple[str, ...],
        Parameter(group=FILTERS, negative="", show_default=False, help="In this status; several fit any."),
    ] = ()
    name: Annotated[str | None, Parameter(group=FILTERS, help="Of this orchestration.")] = None
    prefix: Annotated[str | None, Parameter(group=FILTERS, allow_leading_hyphen=True, help="Ids that begin so.")] = None
    tag: Annotated[
        tuple[str, ...],
        Parameter(group=FILTERS, negative="", metavar="NAME=VALUE", show_default=False, help="With this tag."),
    ] = ()
    created_from: Annotated[
        str | None, Parameter(group=FILTERS, metavar="TIME", help="Created since: ISO 8601, or 10m, 2h ago.")
    ] = None
    created_to: Annotated[str | None, Parameter(group=FILTERS, metavar="TIME", help="Created until.")] = None
    updated_from: Annotated[str | None, Parameter(group=FILTERS, metavar="TIME", help="Updated since.")] = None
    updated_to: Annotated[str | None, Parameter(group=FILTERS, metavar="TIME", help="Updated until.")] = None

    @property
    def is_all(self) -> bool:
        """Whether nothing was asked for."""
        return self == Which()

    def filter(self) -> InstanceFilter:
        """What the client's queries take. Raises `UsageError`."""
        now = datetime.now(UTC)
        known = {status.casefold() for status in OrchestrationRuntimeStatus.__members__}
        for status in self.status:
            if status.casefold() not in known:
                raise UsageError(f"--status {status}: there are {', '.join(OrchestrationRuntimeStatus.__members__)}")

        def time(text: str | None, option: str) -> datetime | None:
            return None if text is None else moment(text, option, now)

        tags: Mapping[str, str] | None = dict(pairs(self.tag, "--tag")) or None
        return InstanceFilter(
            runtime_status=self.status or None,
            name=self.name,
            instance_id_prefix=self.prefix,
            tags=tags,
            created_time_from=time(self.created_from, "--created-from"),
            created_time_to=time(self.created_to, "--created-to"),
            updated_time_from=time(self.updated_from, "--updated-from"),
            updated_time_to=time(self.updated_to, "--updated-to"),
        )


async def list_(
    *,
    which: Which = Which(),
    limit: Annotated[int, Parameter(help="Show at most so many; 0: all.")] = 100,
    common: Common = Common(),
) -> None:
    """List instances, the oldest first.

    With --json one line for each.
    """
    out = Out(common)
    if limit < 0:
        raise UsageError(f"--limit {limit} is below 0")
    wanted, now, shown, more = which.filter(), datetime.now(UTC), 0, False
    rows = Listing(out, "instance", "orchestration", "status", "created", "updated")
    async with reading(common) as client:
        token: str | None = None
        while True:
            size = min(PAGE, limit - shown) if limit else PAGE
            page = await client.get_status_page(size, token, show_input=out.json, **wanted)
            if out.json:
                for found in page.statuses:
                    out.line(status_json(found))
            else:
                rows.write(_cells(found, now) for found in page.statuses)
            shown, token = shown + len(page.statuses), page.continuation_token
            more = token is not None and shown == limit
            if token is None or more:
                break
    if not out.json and rows.empty:
        out.show("no instances")
    if more:
        out.note(f"the first {limit:,}; there are more: --limit 0 shows all")


def _cells(found: DurableOrchestrationStatus, now: datetime) -> tuple[str | Text, ...]:
    return (
        found.instance_id,
        _versioned(found),
        status_text(found.runtime_status),
        short(found.created_time, now),
        ago(found.last_updated_time, now),
    )


def _versioned(status: DurableOrchestrationStatus) -> str:
    name = clean(status.name or "")
    return name if status.version is None else f"{name} {clean(status.version)}"
