"""serve: opens a hub and serves its HTTP API, until it is told to stop."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final
from urllib.parse import urlsplit

import trio
from starlette.routing import BaseRoute

from durio.entities.limits import PAYLOAD_BYTES_MAX
from durio.hosting.access import LOOPBACK, checked_keys, is_loopback, reached_by_others
from durio.hosting.http import http_api
from durio.hosting.limits import CONNECTIONS_MAX, GRACE_S, KEEP_ALIVE_S, REQUEST_S
from durio.hosting.links import checked_base_url
from durio.hosting.listening import Bounds, listen
from durio.orchestration import App, open_hub

logger = logging.getLogger("durio.hosting")

HOST: Final = "127.0.0.1"
PORT: Final = 7071


async def serve(
    app: App,
    hub: str | os.PathLike[str],
    *,
    host: str = HOST,
    port: int = PORT,
    keys: Sequence[str] = (),
    base_url: str = "",
    trust_forwarded: bool = False,
    cors_origins: Sequence[str] = (),
    request_bytes_max: int = PAYLOAD_BYTES_MAX,
    unwrap_json_strings: bool | None = None,
    routes: Sequence[BaseRoute] = (),
    connections_max: int = CONNECTIONS_MAX,
    keep_alive_s: float = KEEP_ALIVE_S,
    request_s: float = REQUEST_S,
    grace_s: float = GRACE_S,
    stop: trio.Event | None = None,
    task_status: trio.TaskStatus[list[str]] = trio.TASK_STATUS_IGNORED,
    **hub_options: Any,
) -> None:
    """Open the hub at `hub` as its owner and serve its HTTP API on `host` and `port` until SIGINT, SIGTERM or `stop`.

    Port 0 is any free one; `task_status` is told the URLs. `keys` are needed by what others reach: by any address but a
    loopback one, by a `base_url`, behind a proxy; clients on this machine need none under `/durabletask`.
    `connections_max` are served at once, the others wait. `keep_alive_s`: how long a connection may be without a whole
    head of a request; `request_s`: how long a body may take to arrive. The other parameters are those of `http_api`,
    and of `open_hub`. At the end no new requests are taken, those in flight have `grace_s` seconds, and the hub is
    closed. Raises `ValueError` without a needed key and for a `base_url` that is none, `OSError` for a port that is
    taken, and what `open_hub` raises.
    """
    given, seen_as = checked_keys(keys), urlsplit(checked_base_url(base_url))
    bounds = Bounds(connections_max, keep_alive_s, request_s, grace_s)
    public = reached_by_others(host, base_url, trust_forwarded)
    if public and not given:
        raise ValueError(f"{public} can be reached by others: give keys=[...] that they must have")
    hosts = sorted(LOOPBACK | {host, seen_as.hostname or host}) if is_loopback(host) else None
    if base_url:
        cors_origins = [*cors_origins, f"{seen_as.scheme}://{seen_as.netloc}"]
    stopping = trio.Event() if stop is None else stop
    async with open_hub(hub, app, **hub_options) as client:
        api = http_api(
            client,
            app,
            keys=given,
            base_url=base_url,
            trust_forwarded=trust_forwarded,
            cors_origins=cors_origins,
            hosts=hosts,
            request_bytes_max=request_bytes_max,
            unwrap_json_strings=unwrap_json_strings,
            local_rpc=not public,
            routes=routes,
        )
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_stop_at_signal, stopping)
            await listen(api, host, port, stopping, bounds, task_status=task_status)
            nursery.cancel_scope.cancel()


async def _stop_at_signal(stopping: trio.Event) -> None:
    with suppress(RuntimeError), trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for number in signals:
            if stopping.is_set():
                raise KeyboardInterrupt
            logger.info("%s: stopping", signal.Signals(number).name)
            stopping.set()
