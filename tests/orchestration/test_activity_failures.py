"""G24: whatever goes wrong in an activity, the hub stays whole."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import trio

from durio.orchestration import App, OrchestrationContext, TaskCancelledError, TaskFailedError
from tests.orchestration.helpers import hub, output

app = App()


@app.activity
async def works() -> None:
    """Nothing is wrong with it."""


async def fails_in_cleanup() -> None:
    async def bad() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise ValueError("in cleanup")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(bad)
        nursery.start_soon(trio.sleep_forever)


async def leaves_python() -> None:
    sys.exit(3)


def leaves_python_in_thread() -> None:
    raise SystemExit(4)


async def raises_group() -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(leaves_python)
        nursery.start_soon(trio.sleep_forever)


@app.orchestration
async def runs(ctx: OrchestrationContext, options: dict[str, Any]) -> str:
    task = ctx.call_activity(options["name"], timeout_s=options.get("timeout_s"))
    if options.get("cancel"):
        await ctx.create_timer(timedelta(seconds=1))
        task.cancel()
    try:
        await task
    except (TaskFailedError, TaskCancelledError) as error:
        return str(error)
    return "no error"


for function in (fails_in_cleanup, leaves_python, leaves_python_in_thread, raises_group):
    app.activity(function)


@pytest.mark.parametrize(
    ("function", "options", "said"),
    [
        (fails_in_cleanup, {"timeout_s": 1}, "took longer than 1.0 s"),
        (fails_in_cleanup, {"cancel": True}, "was cancelled"),
        (leaves_python, {}, "SystemExit: 3"),
        (leaves_python_in_thread, {}, "SystemExit: 4"),
        (raises_group, {}, "SystemExit: 3"),
    ],
)
async def test_an_activity_that_goes_wrong_fails_alone(
    tmp_path: Path, autojump_clock: object, function: Callable[[], object], options: dict[str, Any], said: str
) -> None:
    """G24: whatever an activity raises, on its way out too, fails its task; the hub stays whole."""
    async with hub(tmp_path, app) as client:
        await client.start_new(runs, "x", {"name": function.__name__, **options})
        assert said in await output(client, "x")
        await client.start_new(runs, "y", {"name": works.__name__})
        await output(client, "y")
