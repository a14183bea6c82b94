"""Turns that would never end, or take long: they are bounded, or at least seen."""

from __future__ import annotations

import logging
import time
from pathlib import Path

import pytest

from durio.orchestration import App, OrchestrationContext
from tests.orchestration.helpers import hub, output

STEPS = 50
CODE_MS = 101.0

app = App()


@app.orchestration
async def steps(ctx: OrchestrationContext, number: int) -> int:
    for _ in range(number):
        await ctx.task_all([])
    return number


@app.orchestration
async def actions(ctx: OrchestrationContext, number: int) -> int:
    for _ in range(number):
        ctx.send_event("nobody", "e")
    return number


@app.orchestration
async def steps_after_input(ctx: OrchestrationContext, number: int) -> int:
    for _ in range(3):
        await ctx.wait_for_external_event("go")
        for _ in range(number - 1):
            await ctx.task_all([])
    return number


@app.orchestration
async def never_gives_up(ctx: OrchestrationContext) -> None:
    while True:
        try:
            await ctx.task_all([])
        except Exception:
            continue


@app.orchestration
async def computes(ctx: OrchestrationContext) -> None:
    began = time.perf_counter()
    while (time.perf_counter() - began) * 1000 < CODE_MS:
        pass
    await ctx.wait_for_external_event("done")


@pytest.fixture
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("durio.orchestration.recorder.STEPS_MAX", STEPS)


@pytest.mark.parametrize("name", ["steps", "actions"])
async def test_a_turn_has_so_many_steps_and_no_more(
    name: str, few_steps: None, tmp_path: Path, autojump_clock: object
) -> None:
    """G8: at the limit of steps or actions an instance works, one beyond fails with `TurnTooLong`; the hub goes on."""
    async with hub(tmp_path, app) as client:
        await client.start_new(name, "x", STEPS)
        assert await output(client, "x") == STEPS
        status = await client.wait_for_completion(await client.start_new(name, "y", STEPS + 1))
        assert status.runtime_status == "Failed"
        assert status.failure is not None
        assert status.failure.is_caused_by("TurnTooLong")
        await client.start_new(name, "z", 1)
        assert await output(client, "z") == 1


async def test_new_input_begins_the_count_anew(few_steps: None, tmp_path: Path, autojump_clock: object) -> None:
    """G8: steps are counted from the last message on, so a long life is no long turn."""
    async with hub(tmp_path, app) as client:
        events = [("go", n) for n in range(3)]
        await client.start_new(steps_after_input, "x", STEPS, events=events)
        assert await output(client, "x") == STEPS


async def test_an_endless_loop_cannot_be_saved_by_catching(
    few_steps: None, tmp_path: Path, autojump_clock: object
) -> None:
    """G8: code that swallows everything in an endless loop fails as well."""
    async with hub(tmp_path, app) as client:
        status = await client.wait_for_completion(await client.start_new(never_gives_up))
        assert status.failure is not None
        assert status.failure.is_caused_by("TurnTooLong")


async def test_a_slow_step_is_logged_with_its_place(
    tmp_path: Path, autojump_clock: object, caplog: pytest.LogCaptureFixture
) -> None:
    """G8: code that computes for long is named with its instance and the line where it waits then."""
    with caplog.at_level(logging.WARNING, "durio.orchestration"):
        async with hub(tmp_path, app) as client:
            await client.start_new(computes, "slow")
            await client.terminate("slow")
    [record] = [record for record in caplog.records if "a step of" in record.message]
    assert "slow" in record.message
    assert "test_long_turns.py" in record.message
