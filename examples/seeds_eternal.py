"""Azure's Python sample "eternal orchestration" as it is, run by durio.

Its hours pass in a moment on Trio's `MockClock`. Changed are the imports (the sample forgot `logging`), the
registration and the annotations; the bodies are Azure's, but for the HTTP request and response around the client.
"""

from __future__ import annotations

import logging
import sys
import tempfile
from collections.abc import Generator
from datetime import timedelta
from typing import Any

import trio
from trio.testing import MockClock

import durio.orchestration as df
from durio.entities import VirtualEnv

app = df.App()
cleanups: list[float] = []


@app.orchestration(name="Periodic_Cleanup_Loop")
def orchestrator_function(context: df.OrchestrationContext) -> Generator[Any, Any, None]:
    yield context.call_activity("DoCleanup")

    # sleep for one hour between cleanups
    next_cleanup = context.current_utc_datetime + timedelta(hours=1)
    yield context.create_timer(next_cleanup)

    context.continue_as_new(None)


@app.activity(name="DoCleanup")
async def do_cleanup() -> None:
    cleanups.append(trio.current_time() / 3600)
    await trio.sleep(30 * 60)


async def start(client: df.Client) -> str:
    instance_id = "StaticId"

    await client.start_new("Periodic_Cleanup_Loop", instance_id, None)

    logging.info(f"Started orchestration with ID = '{instance_id}'.")  # noqa: G004, LOG015  # the sample's line
    return instance_id


async def main(hub: str) -> None:
    async with df.open_hub(hub, app, env=VirtualEnv()) as client:
        instance_id = await start(client)
        await trio.sleep(24 * 3600 - 1)
        await client.terminate(instance_id, "a day is enough")
        status = await client.get_status(instance_id, show_history=True)
    assert status.history is not None
    print(f"In 24 hours {len(cleanups)} cleanups of half an hour began, at {cleanups[0]:.1f}, {cleanups[1]:.1f}, ...")
    print(f"They never overlap, and the history holds {len(status.history)} entries: those of the last generation.")
    assert cleanups == [1.5 * number for number in range(16)]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        clock = MockClock(autojump_threshold=0)
        trio.run(main, sys.argv[1] if len(sys.argv) > 1 else temporary, clock=clock)
