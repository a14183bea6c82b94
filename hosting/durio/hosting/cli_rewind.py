"""The command `rewind`: a failed instance goes on from before its failure."""

from __future__ import annotations

from typing import Annotated, Any

from cyclopts import Parameter

from durio.hosting.cli_errors import CliError
from durio.hosting.cli_instances import InstanceId
from durio.hosting.cli_output import Out, clean
from durio.hosting.cli_session import changing, reading
from durio.hosting.cli_settings import Common
from durio.orchestration import InstanceFinished, RewindPlan


async def rewind(
    instance_id: InstanceId,
    /,
    *,
    reason: Annotated[str, Parameter(allow_leading_hyphen=True, show_default=False, help="Why; it is kept.")] = "",
    dry_run: Annotated[
        bool, Parameter(negative="", show_default=False, help="Only say what would be done; nothing changes.")
    ] = False,
    common: Common = Common(),
) -> None:
    """Take a failed instance back to the failures that ended it, and let it go on.

    What failed, and what came after it, is done again; results and events that it has got stay. Repair the cause first.
    """
    out = Out(common)
    async with reading(common) if dry_run else changing(common) as client:
        try:
            plan = await client.rewind(instance_id, reason, dry_run=dry_run)
        except InstanceFinished as error:
            raise CliError(f"{error}: only what has failed is rewound; see durio restart") from error
    if out.json:
        out.document({"instanceId": instance_id, "dryRun": dry_run, **_json(plan)})
        return
    for heading, lines in (
        ("taken back", plan.dropped),
        ("asked for again", plan.again),
        ("rewound before", plan.rewound),
        ("terminated", plan.terminated),
        ("kept", plan.kept),
    ):
        if lines:
            out.show(f"{heading}:", *(f"  {clean(line)}" for line in lines))
    out.note("nothing was changed" if dry_run else f"{instance_id} rewound")


def _json(plan: RewindPlan) -> dict[str, Any]:
    return {
        "rewind": plan.number,
        "dropped": plan.dropped,
        "again": plan.again,
        "rewound": plan.rewound,
        "terminated": plan.terminated,
        "kept": plan.kept,
    }
