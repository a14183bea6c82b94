"""Restarting: an orchestration is started again with what it was started with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from durio.orchestration import App, InstanceAlreadyExists, InstanceNotFound, OrchestrationContext
from tests.orchestration.helpers import hub, output
from tests.orchestration.links import Opened

app = App()


@app.orchestration(version="1")
async def echo(ctx: OrchestrationContext, value: Any) -> Any:
    return [1, value]


@app.orchestration(version="2", name="echo")
async def echo2(ctx: OrchestrationContext, value: Any) -> Any:
    return [2, value]


@app.orchestration
async def waits(ctx: OrchestrationContext) -> Any:
    return await ctx.wait_for_external_event("go")


@app.orchestration
async def counts(ctx: OrchestrationContext, left: int) -> int:
    if left:
        ctx.continue_as_new(left - 1)
    return left


async def test_under_a_fresh_id_or_the_same(opened: Opened, tmp_path: Path) -> None:
    """G15: name, version, tags and input are those of the first; the same id only once it has ended."""
    async with opened(tmp_path, app) as client:
        await client.start_new("echo", "x", {"a": [1]}, version="1", tags={"of": "me"})
        first = await client.wait_for_completion("x")
        other = await client.restart("x")
        assert (other.created, other.instance_id != "x") == (True, True)
        for instance_id in (other.instance_id, (await client.restart("x", False)).instance_id):
            status = await client.wait_for_completion(instance_id)
            assert (status.output, status.version, status.tags) == (first.output, "1", {"of": "me"})
        await client.start_new("waits", "y")
        with pytest.raises(InstanceAlreadyExists):
            await client.restart("y", restart_with_new_instance_id=False)
        running = await client.restart("y")
        await client.raise_event(running.instance_id, "go", 7)
        assert (await client.wait_for_completion(running.instance_id)).output == 7
        with pytest.raises(InstanceNotFound):
            await client.restart("nobody")


async def test_large_and_empty_inputs(tmp_path: Path, autojump_clock: object) -> None:
    """A large input is there again, and one that was not given is not there."""
    large = "x" * 300_000
    async with hub(tmp_path, app) as client:
        await client.start_new("echo", "x", large)
        assert await output(client, (await client.restart("x")).instance_id) == [2, large]
        await client.start_new(echo2, "y", client_input=None)
        assert await output(client, (await client.restart("y")).instance_id) == [2, None]


async def test_after_continue_as_new_with_the_last_input(tmp_path: Path, autojump_clock: object) -> None:
    """G23: what an execution was started with is all that is kept of the ones before it."""
    async with hub(tmp_path, app) as client:
        await client.start_new(counts, "x", 2)
        assert await output(client, "x") == 0
        again = await client.restart("x")
        assert await output(client, again.instance_id) == 0
        assert (await client.get_status(again.instance_id)).input_ == 0


async def test_a_request_id_may_be_repeated(tmp_path: Path, autojump_clock: object) -> None:
    """G3: the same request starts one instance, however often it is asked."""
    async with hub(tmp_path, app) as client:
        await client.start_new(waits, "x")
        ids = {(await client.restart("x", request_id="r")).instance_id for _ in range(3)}
        assert len(ids) == 1
