"""G27: rewinding what is written in other ways, and looking at what was rewound."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import trio

from durio.orchestration import (
    App,
    Cancelled,
    OrchestrationContext,
    RetryOptions,
    TaskFailedError,
    replay_histories,
    verify,
)
from tests.orchestration.helpers import finished, hub, output

app = App()
runs: list[str] = []
broken: set[str] = set()


@pytest.fixture(autouse=True)
def _fresh() -> None:
    runs.clear()
    broken.clear()


@app.activity
def work(name: str) -> str:
    runs.append(name)
    if name in broken:
        raise ValueError(f"{name} is broken")
    return name.upper()


@app.orchestration
def by_yield(ctx: OrchestrationContext) -> Any:
    """A generator, as in Azure's Python."""
    first = yield ctx.call_activity(work, "a")
    both = yield ctx.task_all([ctx.call_activity(work, "b"), ctx.create_timer(timedelta(seconds=5))])
    return [first, both[0]]


@app.orchestration
async def choice(ctx: OrchestrationContext) -> Any:
    """A timer lost a choice, and is open when it fails."""
    limit = ctx.create_timer(timedelta(hours=1))
    first = ctx.call_activity(work, "a")
    winner = await ctx.task_any([limit, first])
    assert winner is first
    second = await ctx.call_activity(work, "b")
    await limit
    return [first.result, second]


@app.orchestration
async def nested(ctx: OrchestrationContext) -> Any:
    inner = ctx.task_all([ctx.call_activity(work, "a"), ctx.call_activity(work, "b")])
    outer = ctx.task_all([inner, ctx.call_activity(work, "c"), ctx.call_activity(work, "d")])
    return await outer


@app.orchestration
async def wrapped(ctx: OrchestrationContext) -> Any:
    """The failure is caught, and another error raised much later."""
    try:
        first = await ctx.call_activity(work, "a")
    except TaskFailedError as error:
        await ctx.create_timer(timedelta(seconds=1))
        raise ExceptionGroup("several", [KeyError("x"), RuntimeError("late")]) from error
    return first


@app.orchestration
async def grouped(ctx: OrchestrationContext) -> Any:
    errors: list[Exception] = []
    results: list[Any] = []
    for name in ("a", "b", "c"):
        try:
            results.append(await ctx.call_activity(work, name))
        except TaskFailedError as error:
            errors.append(error)
    if errors:
        raise ExceptionGroup("some", errors)
    return results


@app.orchestration
async def cleans(ctx: OrchestrationContext) -> Any:
    """Fails, and what it does in `finally` fails, too."""
    try:
        return await ctx.call_activity(work, "a")
    finally:
        await ctx.call_activity(work, "b")


@app.orchestration
async def again(ctx: OrchestrationContext, done: list[Any]) -> Any:
    """Goes on as new after it was rewound; events that it had got and not taken are there then, in order."""
    if not done:
        done = [await ctx.call_activity(work, "a")]
        ctx.continue_as_new(done)
    for _ in range(3):
        done.append(await ctx.wait_for_external_event("e"))
    return done


@app.orchestration
async def paused(ctx: OrchestrationContext) -> Any:
    """One member is in the pause of its retry when the other has failed already."""
    retry = RetryOptions(3_600_000, 3)
    return await ctx.task_all([ctx.call_activity_with_retry(work, retry, "a"), ctx.call_activity(work, "b")])


@app.orchestration
async def twice(ctx: OrchestrationContext) -> Any:
    """Two sub-orchestrations of chosen ids, tried again under the same ones."""
    retry = RetryOptions(1_000, 2)
    return await ctx.call_sub_orchestrator_with_retry(leaf, retry, "a", "leaf")


@app.orchestration
async def leaf(ctx: OrchestrationContext, name: str) -> Any:
    return await ctx.call_activity(work, name)


CASES: list[tuple[str, set[str], Any]] = [
    ("by_yield", {"b"}, ["A", "B"]),
    ("by_yield", {"a"}, ["A", "B"]),
    ("choice", {"b"}, ["A", "B"]),
    ("nested", {"a", "d"}, [["A", "B"], "C", "D"]),
    ("wrapped", {"a"}, "A"),
    ("grouped", {"a", "c"}, ["A", "B", "C"]),
    ("cleans", {"a", "b"}, "A"),
    ("cleans", {"b"}, "A"),
    ("paused", {"a", "b"}, ["A", "B"]),
    ("twice", {"a"}, "A"),
]


@pytest.mark.parametrize("reopened", [False, True])
@pytest.mark.parametrize(("name", "bad", "result"), CASES)
async def test_it_ends_as_if_nothing_had_failed(
    tmp_path: Path, autojump_clock: object, name: str, bad: set[str], result: Any, reopened: bool
) -> None:
    """G19, G27: whatever the code looks like, also when it is replayed in between, and its histories fit afterwards."""
    broken.update(bad)
    async with hub(tmp_path, app) as client:
        await client.start_new(name, "x")
        with trio.fail_after(1_000_000):
            assert (await client.wait_for_completion("x")).runtime_status == "Failed"
        broken.clear()
        if not reopened:
            await client.rewind("x")
            with trio.fail_after(1_000_000):
                status = await client.wait_for_completion("x")
            assert status.output == result
    if reopened:
        async with hub(tmp_path, app) as client:
            await client.rewind("x")
        async with hub(tmp_path, app) as client:
            with trio.fail_after(1_000_000):
                status = await client.wait_for_completion("x")
            assert status.output == result
            assert await client.find_stuck() == []
            assert (await client.get_status("x", True, True)).history is not None
    assert verify(tmp_path / "hub").ok
    assert [found.error for found in replay_histories(tmp_path / "hub", app, finished=True)] == [None] * len(
        list(replay_histories(tmp_path / "hub", app, finished=True))
    )


async def test_events_keep_their_order_over_a_later_continue_as_new(tmp_path: Path, autojump_clock: object) -> None:
    """G16, G23, G27: events from before the failure come before those from after the rewind."""
    broken.add("a")
    async with hub(tmp_path, app) as client:
        await client.start_new(again, "x", [], events=[("e", 1), ("e", 2)])
        await finished(client, "x")
        broken.clear()
        await client.rewind("x")
        await client.raise_event("x", "e", 3)
        assert await output(client, "x") == ["A", 1, 2, 3]


async def test_a_rewound_instance_can_be_suspended_and_cancelled(tmp_path: Path, autojump_clock: object) -> None:
    """G26, G27: what reaches every running instance reaches it, too."""
    program = App()
    program.activity(work)

    @program.orchestration
    async def waits(ctx: OrchestrationContext) -> Any:
        await ctx.call_activity(work, "a")
        try:
            await ctx.wait_for_external_event("never")
        except Cancelled:
            return "cancelled"

    broken.add("a")
    async with hub(tmp_path, program) as client:
        await client.start_new(waits, "x")
        await finished(client, "x")
        broken.clear()
        await client.rewind("x")
        await client.suspend("x")
        assert (await client.get_status("x")).runtime_status == "Suspended"
        await client.cancel("x")
        await client.resume("x")
        assert await output(client, "x") == "cancelled"
    assert verify(tmp_path / "hub").ok
