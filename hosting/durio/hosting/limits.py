"""Every limit of the HTTP API, with its unit in the name and its reason beside it."""

from __future__ import annotations

from typing import Final

CONNECTIONS_MAX: Final = 500
"""Most connections that are served at once: half of the 1,024 files that a process may usually open, which the hub and
your own code need, too. `serve(connections_max=...)` sets another."""

CONNECTION_REQUESTS_MAX: Final = 1000
"""Most requests on one connection: who holds one for ever would keep its place from others."""

BACKLOG_MAX: Final = 1024
"""Most connections that the kernel holds until there is room for them; it may hold fewer."""

KEEP_ALIVE_S: Final = 20.0
"""How long a connection may be there without a whole head of a request: idle, new, or in the middle of a head. Longer
than the 15 s after which aiohttp leaves an idle connection, so that both do not meet. `serve(keep_alive_s=...)`."""

REQUEST_S: Final = 60.0
"""How long the body of a request may take to arrive: 64 MiB come in that time at 9 Mbit/s. `serve(request_s=...)`."""

STALL_S: Final = 60.0
"""How long a client may need for the next `PIECE_BYTES` of an answer: 280 bytes a second are enough."""

PIECE_BYTES: Final = 16 * 1024
"""How much of an answer is sent at a time, so that a large one that is taken slowly is seen to go on."""

HEAD_BYTES_MAX: Final = 16 * 1024
"""A head, with its target, that is not whole after so many bytes is refused; one that comes at once may be larger."""

BODY_PARTS_MAX: Final = 10
"""Parts of a body that wait for who reads it, each of at most 64 KiB; the client is read no further until then."""

ACCEPT_PAUSE_S: Final = 0.1
"""How long no connection is taken after the system could not give one: without a pause the loop would spin."""

WARN_S: Final = 60.0
"""How often the log says that connections wait: once for each would fill it."""

GRACE_S: Final = 10.0
"""How long requests may go on when `serve` ends, before their connections are closed; `serve(grace_s=...)`."""

WAIT_S_MAX: Final = 3600.0
"""Longest `timeout` of a request that waits for an end: who waits holds a connection."""

PAGE_SIZE_MAX: Final = 10_000
"""Most instances or entities of one page, whatever `top` says: a page is in memory as a whole."""
