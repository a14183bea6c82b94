"""served: the HTTP API of a hub on disk, on a port of this machine, in the test's own loop."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import attrs
import trio

from durio.hosting import Links, serve
from durio.orchestration import App


@attrs.frozen
class Served:
    """A hub that is being served."""

    origin: str
    stop: trio.Event

    @property
    def port(self) -> int:
        return urlsplit(self.origin).port or 0

    def binding(self, code: str = "") -> dict[str, object]:
        """What Azure's client libraries are made from."""
        return Links(code=code).binding(self.origin)


@asynccontextmanager
async def served(app: App, hub: Path, **options: Any) -> AsyncIterator[Served]:
    """Serve a hub until the block ends; then it is closed."""
    stop = trio.Event()
    async with trio.open_nursery() as nursery:
        urls: list[str] = await nursery.start(lambda **status: serve(app, hub, port=0, stop=stop, **options, **status))
        try:
            yield Served(urls[0].rstrip("/"), stop)
        finally:
            stop.set()
