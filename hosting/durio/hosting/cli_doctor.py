"""The command `doctor`: what is wrong with a hub."""

from __future__ import annotations

from typing import Annotated, Any

import attrs
import trio
from cyclopts import Parameter

from durio.hosting.cli_errors import Exit
from durio.hosting.cli_output import Far, Out, clean, local, table
from durio.hosting.cli_program import load_app
from durio.hosting.cli_session import existing, reader_of
from durio.hosting.cli_settings import Common, settings_of
from durio.hosting.cli_values import duration_s
from durio.orchestration import App, DeadLetter, StuckInstance, UnregisteredCode, verify
from durio.storage import Report


@attrs.frozen
class Findings:
    """What was found. `unregistered` is None without an app; nothing but the file is looked at if that is damaged."""

    report: Report
    stuck: list[StuckInstance] = attrs.Factory(list)
    unregistered: list[UnregisteredCode] | None = None
    letters: list[DeadLetter] = attrs.Factory(list)

    @property
    def is_well(self) -> bool:
        """Whether nobody needs to act. Who waits for an event from outside is well."""
        lost = any(stuck.certain for stuck in self.stuck)
        return self.report.ok and not lost and not self.unregistered and not self.letters


def doctor(
    *,
    idle: Annotated[str, Parameter(metavar="DURATION", help="What stands still for less is well.")] = "1m",
    waiting: Annotated[
        bool, Parameter(negative="", show_default=False, help="Show those that wait for events from outside, too.")
    ] = False,
    common: Common = Common(),
) -> Exit:
    """Check a hub: its file and records, instances that nothing can bring on, missing code, dead letters.

    Works while the hub is in use. With the app it knows what instances wait for, and whether their code is there.
    Exit code 1 if something was found.
    """
    out, settings = Out(common), settings_of(common)
    hub, idle_s = existing(settings.require_hub()), duration_s(idle, "--idle")
    app = None if settings.app is None else load_app(settings)
    with out.working(f"checking the file and all records of {hub}") as tell:
        found = Findings(verify(hub, progress=tell))
        if found.report.ok:
            found = trio.run(_examined, found.report, hub, app, idle_s, tell)
    if out.json:
        out.document(_json(found))
    else:
        _show(out, found, waiting)
    return Exit.OK if found.is_well else Exit.NO


async def _examined(report: Report, hub: str, app: App | None, idle_s: float, tell: Far | None) -> Findings:
    async with reader_of(hub, app) as client:
        unregistered = None if app is None else await client.find_unregistered()
        stuck = await client.find_stuck(idle_s=idle_s, progress=tell)
        return Findings(report, stuck, unregistered, await client.list_dead_letters())


def _json(found: Findings) -> dict[str, Any]:
    report = found.report
    return {
        "ok": found.is_well,
        "path": report.path,
        "records": report.records,
        "inUse": report.in_use,
        "damage": [{"where": one.where, "why": one.why} for one in report.findings],
        "damageHidden": report.hidden,
        "stuck": [
            {
                "instanceId": one.instance_id,
                "name": one.name,
                "version": one.version,
                "since": one.since,
                "waitsFor": one.waits_for,
                "why": one.why,
                "certain": one.certain,
            }
            for one in found.stuck
        ],
        "unregistered": None
        if found.unregistered is None
        else [
            {
                "kind": one.kind,
                "name": one.name,
                "version": one.version,
                "count": one.count,
                "examples": one.examples,
                "why": one.why,
            }
            for one in found.unregistered
        ],
        "deadLetters": len(found.letters),
    }


def _show(out: Out, found: Findings, waiting: bool) -> None:
    out.show(clean(str(found.report)))
    if not found.report.ok:
        return
    lost = [one for one in found.stuck if one.certain or waiting]
    if lost:
        rows = table("stands still", "orchestration", "since", "waits for", "why", wide=("waits for", "why"))
        for one in lost:
            waits = clean(", ".join(one.waits_for))
            rows.add_row(one.instance_id, _code(one.name, one.version), local(one.since), waits, clean(one.why))
        out.show("", rows)
    if found.unregistered:
        rows = table("no code for", "", "waiting", "for example", right=("waiting",), wide=("for example",))
        for group in found.unregistered:
            rows.add_row(_code(group.name, group.version), group.kind, f"{group.count:,}", ", ".join(group.examples))
        out.show("", rows)
    elif found.unregistered is None:
        out.note("with --app it is also checked whether the code of all instances is there")
    if found.letters:
        out.show("", f"{len(found.letters):,} dead letters: durio dead-letters")
    outside = sum(not one.certain for one in found.stuck)
    if outside and not waiting:
        out.note(f"{outside:,} wait for events from outside: --waiting shows them")


def _code(name: str, version: str | None) -> str:
    return clean(name if version is None else f"{name} {version}")
