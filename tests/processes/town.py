"""The program that owners and clients of these tests run, and processes that run it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
import trio

from durio.entities import EntityContext
from durio.orchestration import App, OrchestrationContext, open_hub

app = App()


@app.entity
def tally(ctx: EntityContext) -> None:
    """Adds up what it is given."""
    total = ctx.get_state(lambda: 0) + (ctx.get_input() or 0)
    ctx.set_state(total)
    ctx.set_result(total)


@app.entity
@attrs.define
class Box:
    """Holds one thing."""

    item: list[int] = attrs.Factory(list)

    def put(self, item: int) -> tuple[int, ...]:
        self.item.append(item)
        return tuple(self.item)


@app.orchestration
async def waits(ctx: OrchestrationContext, value: Any = None) -> Any:
    """Waits for "go", and returns what came with it."""
    ctx.set_custom_status("began")
    return await ctx.wait_for_external_event("go")


@app.orchestration
async def once(ctx: OrchestrationContext, who: Any = None) -> Any:
    """Ends at once with what it was given."""
    return who


async def own(folder: str, standby: bool) -> None:
    """Own the hub until killed."""
    os.write(1, b"coming\n")
    async with open_hub(folder, app, standby=standby):
        os.write(1, b"open\n")
        await trio.sleep_forever()


@contextmanager
def owner(folder: Path, *, standby: bool = False) -> Iterator[subprocess.Popen[bytes]]:
    """A process that owns the hub, or waits for it; killed at the end."""
    command = [sys.executable, "-m", "tests.processes.town", str(folder), "standby" if standby else "owner"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]) as process:
        try:
            if not standby:
                until(process, b"open")
            yield process
        finally:
            process.send_signal(signal.SIGKILL)


def until(process: subprocess.Popen[bytes], word: bytes) -> None:
    """Wait until a process says a word."""
    assert process.stdout is not None
    said = b""
    while said.strip() != word:
        said = process.stdout.readline()
        assert said, f"it ended without having said {word!r}"


if __name__ == "__main__":
    trio.run(own, sys.argv[1], sys.argv[2] == "standby")
