"""G24: activities run at least once, after their commit; their result is taken once."""

from __future__ import annotations

import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.lowlevel

from durio.entities import SystemEnv
from durio.orchestration import (
    ActivityContext,
    App,
    NoActivity,
    OrchestrationContext,
    TaskCancelledError,
    TaskFailedError,
)
from tests.orchestration.helpers import finished, hub, output

notes: list[Any] = []
gate = threading.Event()


@pytest.fixture(autouse=True)
def _fresh() -> None:
    notes.clear()
    gate.clear()


app = App()


@app.activity
async def rests(seconds: float) -> float:
    """Sleeps, and notes whether it came to its end."""
    try:
        await trio.sleep(seconds)
    except trio.Cancelled:
        notes.append("cancelled")
        raise
    notes.append(seconds)
    return seconds


@app.activity(limit=2)
async def few(number: int) -> int:
    notes.append(1)
    most = len(notes)
    await trio.sleep(1)
    notes.pop()
    return most


@app.activity
def in_thread(value: str) -> list[Any]:
    context = ActivityContext.current()
    return [value, threading.current_thread() is threading.main_thread(), context.name, context.attempt]


@app.activity(limit=1)
def stubborn(name: str) -> str:
    """Ignores its cancellation until the gate opens."""
    if name == "first":
        notes.append(ActivityContext.current())
        gate.wait()
    return name


@app.orchestration
async def fans_out(ctx: OrchestrationContext, count: int) -> list[int]:
    return await ctx.task_all([ctx.call_activity(few, number) for number in range(count)])


@app.orchestration
async def calls_thread(ctx: OrchestrationContext) -> list[Any]:
    return await ctx.call_activity(in_thread, "hello")


@app.orchestration
async def leaves_thread(ctx: OrchestrationContext) -> str:
    """Gives up on the first activity; the second one needs its slot."""
    first = ctx.call_activity(stubborn, "first")
    await ctx.wait_for_external_event("go")
    first.cancel()
    return await ctx.call_activity(stubborn, "second")


async def test_no_more_than_the_limit_at_a_time(tmp_path: Path, autojump_clock: object) -> None:
    """G24: at most `limit` of one activity run at a time; all of them run."""
    async with hub(tmp_path, app) as client:
        await client.start_new(fans_out, "x", 7)
        assert max(await output(client, "x")) == 2
        assert trio.current_time() >= 4


async def test_plain_functions_run_in_threads(tmp_path: Path) -> None:
    """G24: a plain function runs in a thread of its own and knows its context."""
    async with hub(tmp_path, app, env=SystemEnv()) as client:
        await client.start_new(calls_thread, "x")
        assert await output(client, "x") == ["hello", False, "in_thread", 1]


async def test_a_thread_that_ignores_its_cancellation_is_abandoned(tmp_path: Path) -> None:
    """G24: cancelling sets a flag for a thread; one that ignores it is left alone and its slot is free."""
    async with hub(tmp_path, app, env=SystemEnv()) as client:
        try:
            await client.start_new(leaves_thread, "x")
            with trio.fail_after(60):
                while not notes:
                    await trio.lowlevel.checkpoint()
            await client.raise_event("x", "go")
            assert await output(client, "x") == "second"
            assert notes[0].cancelled
        finally:
            gate.set()


def test_there_is_no_context_outside() -> None:
    """G24: `ActivityContext.current()` outside of an activity is an error that says so."""
    with pytest.raises(NoActivity, match="inside activities only"):
        ActivityContext.current()


@app.orchestration
async def times_out(ctx: OrchestrationContext) -> list[str]:
    try:
        await ctx.call_activity(rests, 100.0, timeout_s=2.5)
    except TaskFailedError as error:
        return [error.failure.type, error.failure.message]
    return []


async def test_a_time_out_ends_an_attempt(tmp_path: Path, autojump_clock: object) -> None:
    """G24: `timeout_s` ends an attempt: the activity is cancelled, its task fails with the facts."""
    async with hub(tmp_path, app) as client:
        await client.start_new(times_out, "x")
        kind, message = await output(client, "x")
        assert kind.endswith("ActivityTimeout")
        assert message == "activity 'rests' took longer than 2.5 s and was cancelled"
    assert notes == ["cancelled"]


@app.orchestration
async def cancels(ctx: OrchestrationContext) -> list[Any]:
    task = ctx.call_activity(rests, 100.0)
    await ctx.create_timer(timedelta(seconds=1))
    first, second = task.cancel(), task.cancel()
    try:
        await task
    except TaskCancelledError as error:
        return [first, second, str(error)]
    return []


async def test_cancel_ends_an_activity(tmp_path: Path, autojump_clock: object) -> None:
    """G24: `task.cancel()` cancels the activity; its result is not waited for and never comes."""
    async with hub(tmp_path, app, activations_max=0) as client:
        await client.start_new(cancels, "x")
        assert await output(client, "x") == [True, False, "activity 'rests' was cancelled by task.cancel()"]
        await trio.sleep(200)
    assert notes == ["cancelled"]


@app.orchestration
async def ends(ctx: OrchestrationContext, how: str) -> None:
    _ = ctx.call_activity(rests, 50.0)
    await ctx.wait_for_external_event("end")
    if how == "fail":
        raise ValueError("on purpose")
    if how == "offend":
        await trio.sleep(1)


@pytest.mark.parametrize("how", ["return", "fail", "offend", "terminate", "replace"])
async def test_what_becomes_of_activities_at_the_end(tmp_path: Path, autojump_clock: object, how: str) -> None:
    """G24: activities go on after a return, and are cancelled on failure, terminate and replace."""
    async with hub(tmp_path, app, activations_max=0) as client:
        await client.start_new(ends, "x", how)
        await trio.sleep(5)
        if how == "terminate":
            await client.terminate("x")
        elif how == "replace":
            await client.start_new(cancels, "x", if_running="replace")
        else:
            await client.raise_event("x", "end")
        await trio.sleep(200)
    assert notes == ([50.0] if how == "return" else ["cancelled"] * (2 if how == "replace" else 1))


@pytest.mark.parametrize("how", ["return", "replace"])
async def test_a_new_life_cancels_what_the_old_one_left(tmp_path: Path, autojump_clock: object, how: str) -> None:
    """G24: the start of a new life cancels activities that an earlier life left running."""
    async with hub(tmp_path, app) as client:
        await client.start_new(ends, "x", "return")
        await trio.sleep(5)
        if how == "return":
            await client.raise_event("x", "end")
            await finished(client, "x")
        await client.start_new(ends, "x", "return", if_running="replace")
        await trio.sleep(1)
        assert notes == ["cancelled"]


@app.activity
async def interrupted() -> int:
    notes.append(ActivityContext.current().idempotency_key)
    await trio.sleep(10)
    return len(notes)


@app.orchestration
async def survives(ctx: OrchestrationContext) -> int:
    return await ctx.call_activity(interrupted)


async def test_an_activity_cut_off_by_a_close_runs_again(tmp_path: Path, autojump_clock: object) -> None:
    """G24: an activity without a committed result runs again at the next open, with the same idempotency key."""
    for number in range(3):
        async with hub(tmp_path, app) as client:
            if number == 0:
                await client.start_new(survives, "x")
            await trio.sleep(5)
    async with hub(tmp_path, app) as client:
        assert await output(client, "x") == 4
        await client.start_new(survives, "y")
        await output(client, "y")
    assert len(notes) == 5
    assert len(set(notes)) == 2


async def test_an_activity_without_code_waits_for_it(
    tmp_path: Path, autojump_clock: object, caplog: pytest.LogCaptureFixture
) -> None:
    """G24, G20: an activity whose code is missing is held, and runs when a hub with the code is opened."""
    async with hub(tmp_path, app) as client:
        await client.start_new(survives, "x")
    lacking = App()
    lacking.orchestration(survives)
    async with hub(tmp_path, lacking) as client:
        await trio.sleep(100)
        assert (await client.get_status("x")).runtime_status == "Running"
    assert "activity 'interrupted' of x is held" in caplog.text
    async with hub(tmp_path, app) as client:
        await output(client, "x")


@app.activity
async def tagged() -> list[Any]:
    context = ActivityContext.current()
    return [context.instance_id, context.name, context.task_id, context.attempt, context.tags]


@app.orchestration
async def passes_tags(ctx: OrchestrationContext) -> list[Any]:
    return await ctx.call_activity(tagged, tags={"colour": "blue"})


async def test_an_activity_knows_where_it_belongs(tmp_path: Path, autojump_clock: object) -> None:
    """G24: the context of an activity tells instance, name, number, attempt and tags."""
    async with hub(tmp_path, app) as client:
        await client.start_new(passes_tags, "x")
        assert await output(client, "x") == ["x", "tagged", 1, 1, {"colour": "blue"}]
