"""A server in a process of its own: `python -m tests.hosting.server HUB`. It says where it listens, and serves."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from subprocess import PIPE

import trio

from durio.hosting import serve
from tests.hosting.town import app

ROOT = Path(__file__).parents[2]


async def main(hub: str) -> None:
    async with trio.open_nursery() as nursery:
        urls: list[str] = await nursery.start(lambda **status: serve(app, hub, port=0, **status))
        print(urls[0], flush=True)


@asynccontextmanager
async def server(hub: Path) -> AsyncIterator[tuple[trio.Process, int]]:
    """Such a process and its port; it is killed at the end, if it still runs."""
    process = await trio.lowlevel.open_process(
        [sys.executable, "-m", "tests.hosting.server", str(hub)], stdout=PIPE, cwd=ROOT
    )
    try:
        assert process.stdout is not None
        line = b""
        while not line.endswith(b"\n"):
            part = await process.stdout.receive_some()
            assert part, "it ended before it listened"
            line += part
        yield process, int(line.decode().strip().rstrip("/").rpartition(":")[2])
    finally:
        with trio.CancelScope(shield=True):
            if process.returncode is None:
                process.kill()
            await process.wait()
            if process.stdout is not None:
                await process.stdout.aclose()


if __name__ == "__main__":
    trio.run(main, sys.argv[1])
