"""The commands `run` and `serve`: the owner of a hub, without and with the HTTP API."""

from __future__ import annotations

import errno
import os
import signal
import socket
from collections.abc import Iterable
from datetime import timedelta
from functools import partial
from typing import Annotated, Final, Literal

import attrs
import trio
from cyclopts import Parameter

from durio.hosting.access import reached_by_others
from durio.hosting.cli_errors import CliError, UsageError, single_error
from durio.hosting.cli_output import Out
from durio.hosting.cli_program import load_app, start_logging
from durio.hosting.cli_session import writing
from durio.hosting.cli_settings import Common, settings_of
from durio.hosting.cli_values import duration_s, pairs
from durio.hosting.limits import CONNECTIONS_MAX
from durio.hosting.links import checked_base_url
from durio.hosting.serving import HOST, PORT
from durio.hosting.serving import serve as serve_hub
from durio.orchestration import Retention, open_hub
from durio.orchestration.index import ENDED

PORT_MAX: Final = 65535
NO_PORT: Final = (errno.EADDRINUSE, errno.EADDRNOTAVAIL, errno.EACCES)


Program = Annotated[str | None, Parameter(metavar="MODULE:APP", help="The program; as --app.")]
Standby = Annotated[
    bool, Parameter(negative="", show_default=False, help="While another process owns the hub, wait for its end.")
]
OnNondeterminism = Annotated[
    Literal["fail", "hold"], Parameter(help="Instances whose code does not fit their history.")
]
Keep = Annotated[
    tuple[str, ...],
    Parameter(
        negative="",
        metavar="STATUS=DURATION",
        show_default=False,
        help="Forget instances by themselves so long after their end, as Completed=30d.",
    ),
]
Log = Annotated[Literal["debug", "info", "warning", "error"], Parameter(help="What is logged.")]


async def run(
    program: Program = None,
    /,
    *,
    standby: Standby = False,
    on_nondeterminism: OnNondeterminism = "fail",
    keep: Keep = (),
    log: Log = "info",
    common: Common = Common(),
) -> None:
    """Open the hub with the app and run it until Ctrl-C, or SIGTERM.

    The hub is made if it is not there.
    """
    out, settings = Out(common), settings_of(common if program is None else attrs.evolve(common, app=program))
    hub, app, retention = settings.require_hub(), load_app(settings), retention_of(keep)
    start_logging(log)
    with writing(hub), trio.open_signal_receiver(signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_leave_at, signals, nursery.cancel_scope)
            async with open_hub(hub, app, standby=standby, on_nondeterminism=on_nondeterminism, retention=retention):
                known = app.registry
                out.note(
                    f"the hub {hub} is open, owned by process {os.getpid()}: {len(known.orchestrations)} "
                    f"orchestrations, {len(known.activities)} activities; Ctrl-C ends"
                )
                await trio.sleep_forever()


async def serve(
    program: Program = None,
    /,
    *,
    host: Annotated[str, Parameter(help="Anything but a loopback address needs a key.")] = HOST,
    port: Annotated[int, Parameter(help="0: any free one.")] = PORT,
    key: Annotated[
        tuple[str, ...], Parameter(negative="", show_default=False, help="A key that requests must have [DURIO_KEY].")
    ] = (),
    base_url: Annotated[str, Parameter(show_default=False, help="How others reach it, behind a proxy.")] = "",
    trust_forwarded: Annotated[
        bool, Parameter(negative="", show_default=False, help="Believe the Forwarded headers of a proxy.")
    ] = False,
    cors_origin: Annotated[
        tuple[str, ...], Parameter(negative="", show_default=False, help="An origin whose pages may ask.")
    ] = (),
    connections_max: Annotated[
        int, Parameter(help="Connections that are served at once; others wait.")
    ] = CONNECTIONS_MAX,
    standby: Standby = False,
    on_nondeterminism: OnNondeterminism = "fail",
    keep: Keep = (),
    log: Log = "info",
    common: Common = Common(),
) -> None:
    """Open the hub with the app, run it, and serve its HTTP API until Ctrl-C, or SIGTERM."""
    out, settings = Out(common), settings_of(common if program is None else attrs.evolve(common, app=program))
    hub, app, retention = settings.require_hub(), load_app(settings), retention_of(keep)
    keys, base_url = key or tuple(os.environ.get("DURIO_KEY", "").split()), _checked_url(base_url)
    if not keys:
        _check_private(host, base_url, trust_forwarded)
    if not 0 <= port <= PORT_MAX:
        raise UsageError(f"--port {port}: ports are 0 to {PORT_MAX}")
    if connections_max < 1:
        raise UsageError(f"--connections-max {connections_max}: one connection is the least")
    start_logging(log)
    served = partial(
        serve_hub,
        app,
        hub,
        host=host,
        port=port,
        keys=keys,
        base_url=base_url,
        trust_forwarded=trust_forwarded,
        cors_origins=cors_origin,
        connections_max=connections_max,
        standby=standby,
        on_nondeterminism=on_nondeterminism,
        retention=retention,
    )
    try:
        with writing(hub):
            async with trio.open_nursery() as nursery:
                urls = await nursery.start(served)
                out.note(f"the hub {hub} is served at {', '.join(urls)} by process {os.getpid()}; Ctrl-C ends")
    except BaseExceptionGroup as group:
        found = single_error(group)
        if isinstance(found, OSError) and (found.errno in NO_PORT or isinstance(found, socket.gaierror)):
            raise CliError(f"--host {host} --port {port}: {found.strerror}") from found
        raise


def _checked_url(base_url: str) -> str:
    try:
        return checked_base_url(base_url)
    except ValueError as error:
        raise UsageError(str(error)) from None


def _check_private(host: str, base_url: str, trust_forwarded: bool) -> None:
    """Raise `UsageError` if others can reach a server that has no keys."""
    public = reached_by_others(host, base_url, trust_forwarded)
    if public:
        raise UsageError(f"{public} can be reached by others: say --key KEY, or set DURIO_KEY")


def retention_of(texts: Iterable[str]) -> Retention | None:
    """What `--keep` says. Raises `UsageError`."""
    ages: dict[str, timedelta] = {}
    for status, age in pairs(texts, "--keep", "STATUS=DURATION"):
        name = {ended.casefold(): ended.lower() for ended in ENDED}.get(status.casefold())
        if name is None:
            raise UsageError(f"--keep {status}={age}: an instance ends as one of {', '.join(ENDED)}")
        if name in ages:
            raise UsageError(f"--keep {status}={age}: it was said before how long {name} instances are kept")
        ages[name] = timedelta(seconds=duration_s(age, "--keep"))
    return (
        Retention(
            completed=ages.get("completed"),
            failed=ages.get("failed"),
            terminated=ages.get("terminated"),
            canceled=ages.get("canceled"),
        )
        if ages
        else None
    )


async def _leave_at(signals: object, scope: trio.CancelScope) -> None:
    async for _ in signals:  # type: ignore[attr-defined]  # trio has no public name for it
        scope.cancel()
