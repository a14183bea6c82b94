"""Commands that look after a hub: backup, upgrade, replay."""

from __future__ import annotations

from contextlib import closing
from typing import Annotated

from cyclopts import Parameter

from durio.entities import Vault, View
from durio.hosting.cli_errors import Exit
from durio.hosting.cli_output import Out, clean, status_text, table
from durio.hosting.cli_program import load_app
from durio.hosting.cli_session import existing, present, writing
from durio.hosting.cli_settings import Common, settings_of
from durio.orchestration import ReplayResult
from durio.orchestration import backup as backup_hub
from durio.orchestration.index import SHOWN_ALIVE
from durio.orchestration.queries import count_by_status
from durio.orchestration.replay import CHECKED_WHEN_FINISHED, replay_all
from durio.orchestration.upgrading import upgrade as upgrade_hub
from durio.storage import HubReader


def backup(to: Annotated[str, Parameter(help="A new folder.")], /, *, common: Common = Common()) -> None:
    """Copy the hub, while it works or closed, to a new folder that is a hub, and check the copy."""
    out = Out(common)
    hub = existing(settings_of(common).require_hub())
    with out.working(f"copying {hub}") as tell:
        report = backup_hub(hub, to, progress=tell)
    if out.json:
        out.document({"path": report.path, "records": report.records})
    else:
        out.show(f"{report.path}: {report.records:,} records, checked")


def upgrade(
    *,
    backup: Annotated[str | None, Parameter(metavar="DIR", help="Where the copy goes.")] = None,
    common: Common = Common(),
) -> None:
    """Bring a hub of an older disk format up to date, after a copy was made of it."""
    out = Out(common)
    hub = present(settings_of(common).require_hub())
    with writing(hub), out.working(f"upgrading {hub}") as tell:
        copy = upgrade_hub(hub, backup=backup, progress=tell)
    if out.json:
        out.document({"upgraded": copy is not None, "backup": copy})
    else:
        out.show("it is up to date already" if copy is None else f"upgraded; as it was before: {copy}")


def replay(
    *,
    finished: Annotated[bool, Parameter(negative="", show_default=False, help="Completed instances, too.")] = False,
    common: Common = Common(),
) -> Exit:
    """Try the code of the app on the histories of the hub; nothing is run, nothing changes.

    For a check before a deploy. Exit code 1 if an instance would not go on.
    """
    out = Out(common)
    settings = settings_of(common)
    app = load_app(settings)
    results: list[ReplayResult] = []
    with closing(HubReader.open(existing(settings.require_hub()))) as store, out.working("replaying") as tell:
        statuses = (*SHOWN_ALIVE, *(CHECKED_WHEN_FINISHED if finished else ()))
        wanted = 0 if tell is None else count_by_status(store, statuses)
        for result in replay_all(View(store), app, Vault(store), finished=finished):
            results.append(result)
            if tell is not None:
                tell("instances replayed", min(len(results), wanted), wanted)
    broken = [result for result in results if not result.fits]
    if out.json:
        out.document(
            [
                {
                    "instanceId": result.instance_id,
                    "name": result.name,
                    "version": result.version,
                    "runtimeStatus": result.runtime_status,
                    "events": result.events,
                    "fits": result.fits,
                    "error": None if result.error is None else f"{type(result.error).__name__}: {result.error}",
                }
                for result in results
            ]
        )
        return Exit.NO if broken else Exit.OK
    if broken:
        rows = table("instance", "orchestration", "status", "events", "why not", right=("events",), wide=("why not",))
        for result in broken:
            named = result.name if result.version is None else f"{result.name} {result.version}"
            status = status_text(result.runtime_status)
            rows.add_row(result.instance_id, clean(named), status, f"{result.events:,}", clean(str(result.error)))
        out.show(rows)
    out.note(f"{len(results) - len(broken):,} of {len(results):,} instances go on with this code")
    return Exit.NO if broken else Exit.OK
