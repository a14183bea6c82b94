"""G30: task_all and task_any."""

from __future__ import annotations

from collections.abc import Generator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import trio

from durio.orchestration import (
    App,
    OrchestrationContext,
    Task,
    TaskCancelledError,
    TaskFailedError,
    TaskNotCompleted,
)
from tests.orchestration.helpers import Stepper, finished, hub, output

app = App()


@app.activity
async def after(delay_s: float) -> float:
    """Returns after a delay; fails after a negative one."""
    await trio.sleep(abs(delay_s))
    if delay_s < 0:
        raise ValueError(f"failed after {-delay_s}")
    return delay_s


@app.orchestration
async def alls(ctx: OrchestrationContext, delays: list[float]) -> list[float]:
    return await ctx.task_all([ctx.call_activity(after, delay) for delay in delays])


@app.orchestration
async def sums(ctx: OrchestrationContext, delays: list[float]) -> float:
    tasks = [ctx.call_activity(after, delay) for delay in delays]
    await ctx.task_all(tasks)
    return sum(task.result for task in tasks)


@app.orchestration
async def anys(ctx: OrchestrationContext, delays: list[float]) -> list[Any]:
    tasks = [ctx.call_activity(after, delay) for delay in delays]
    winner = await ctx.task_any(tasks)
    return [tasks.index(winner), winner.result, await ctx.task_all(tasks)]


async def test_task_all_gives_results_in_argument_order(tmp_path: Path, autojump_clock: object) -> None:
    """G30: `task_all` gives a list in the order of its arguments, and of none an empty list."""
    async with hub(tmp_path, app) as client:
        await client.start_new(alls, "x", [3.0, 1.0, 2.0])
        assert await output(client, "x") == [3.0, 1.0, 2.0]
        await client.start_new(alls, "empty", [])
        assert await output(client, "empty") == []


async def test_after_task_all_each_task_has_its_result(tmp_path: Path, autojump_clock: object) -> None:
    """G30: as in the C# sample, which adds up the `.result` of each task."""
    async with hub(tmp_path, app) as client:
        await client.start_new(sums, "x", [3.0, 1.0, 2.0])
        assert await output(client, "x") == 6.0


async def test_task_all_raises_the_failure_that_came_first(tmp_path: Path, autojump_clock: object) -> None:
    """G30: `task_all` waits for all, then raises the failure that came first in time."""
    async with hub(tmp_path, app) as client:
        await client.start_new(alls, "x", [-3.0, -1.0, 5.0, -2.0])
        status = await finished(client, "x")
        assert "failed after 1.0" in status.output
        assert trio.current_time() >= 5


async def test_task_any_gives_the_first(tmp_path: Path, autojump_clock: object) -> None:
    """G30: `task_any` gives the task that finished first; the others go on."""
    async with hub(tmp_path, app) as client:
        await client.start_new(anys, "x", [3.0, 1.0, 2.0])
        assert await output(client, "x") == [1, 1.0, [3.0, 1.0, 2.0]]


async def test_a_failed_task_wins_too(tmp_path: Path, autojump_clock: object) -> None:
    """G30: a task that failed is finished: `task_any` gives it, its `.result` raises."""
    async with hub(tmp_path, app) as client:
        await client.start_new(anys, "x", [3.0, -1.0])
        assert "failed after 1.0" in (await finished(client, "x")).output


@app.orchestration
async def bad_members(ctx: OrchestrationContext) -> list[str]:
    errors: list[str] = []
    coroutine: Any = after(1.0)
    bad: list[list[Any]] = [[], [1], [coroutine]]
    for members in bad:
        try:
            _ = ctx.task_any(members)
        except (TypeError, ValueError) as error:
            errors.append(f"{type(error).__name__}: {error}")
    coroutine.close()
    return errors


async def test_bad_members_are_refused(tmp_path: Path, autojump_clock: object) -> None:
    """G30: `task_any` of nothing is a `ValueError`; what is no task of this execution is a `TypeError`."""
    async with hub(tmp_path, app) as client:
        await client.start_new(bad_members, "x")
        none, number, coroutine = await output(client, "x")
        assert none == "ValueError: task_any of no tasks would wait for ever"
        assert number.startswith("TypeError: 1 is no task")
        assert coroutine.startswith("TypeError: <coroutine object after")


@app.orchestration
async def again(ctx: OrchestrationContext) -> list[Any]:
    good, bad = ctx.call_activity(after, 1.0), ctx.call_activity(after, -2.0)
    seen: list[Any] = [good.is_completed, repr(good)]
    seen += [await good, await good, good.result, good.is_completed, good.is_failed]
    for _ in range(2):
        try:
            await bad
        except TaskFailedError as error:
            seen.append(error.failure.type)
    seen.append([bad.is_completed, bad.is_failed, repr(bad)])
    both = ctx.task_all([good, good, ctx.task_any([bad, good])])
    first, second, winner = await both
    return [*seen, first, second, winner is good, len(await both)]


@pytest.mark.parametrize("evict", [False, True])
async def test_a_finished_task_may_be_awaited_again(tmp_path: Path, autojump_clock: object, evict: bool) -> None:
    """G30: a finished task gives its result, or raises its error, as often as it is awaited."""
    async with hub(tmp_path, app, activations_max=0 if evict else 100) as client:
        await client.start_new(again, "x")
        assert await output(client, "x") == [
            *(False, "<ActionTask activity 'after' pending>"),
            *(1.0, 1.0, 1.0, True, False),
            *("ValueError", "ValueError"),
            [True, True, "<ActionTask activity 'after' failed>"],
            *(1.0, 1.0, True, 3),
        ]


@app.orchestration
async def leaves(ctx: OrchestrationContext) -> str:
    _ = ctx.create_timer(timedelta(days=1000))
    _ = ctx.wait_for_external_event("never")
    _ = ctx.call_sub_orchestrator(alls, [1000.0])
    _ = ctx.call_activity(after, 1000.0)
    return "done"


async def test_on_return_nothing_keeps_an_instance_running(tmp_path: Path, autojump_clock: object) -> None:
    """G30: an orchestrator that returns is Completed at once, whatever it left behind."""
    async with hub(tmp_path, app) as client:
        await client.start_new(leaves, "x")
        status = await client.get_status("x")
        assert (status.runtime_status, status.output) == ("Completed", "done")


@app.orchestration
async def cancels(ctx: OrchestrationContext) -> list[Any]:
    timer, event = ctx.create_timer(timedelta(seconds=5)), ctx.wait_for_external_event("e")
    both = ctx.task_any([timer, event])
    done = await ctx.call_activity(after, 1.0)
    seen: list[Any] = [done, both.cancel(), both.cancel(), timer.cancel(), event.is_failed]
    for task in (both, timer, event):
        try:
            await task
        except TaskCancelledError as error:
            seen.append(error.what)
    return [*seen, await ctx.wait_for_external_event("e")]


async def test_cancelled_tasks_raise(tmp_path: Path, autojump_clock: object) -> None:
    """G22, G30: a cancelled task is finished with `TaskCancelledError`; a cancelled waiter takes no event."""
    async with hub(tmp_path, app, activations_max=0) as client:
        await client.start_new(cancels, "x")
        await client.raise_event("x", "e", "kept")
        names = ["task_any of 2", "timer 1", "event 'e'"]
        assert await output(client, "x") == [1.0, True, False, False, True, *names, "kept"]


@app.orchestration
async def nested_deep(ctx: OrchestrationContext, depth: int) -> str:
    task: Task[Any] = ctx.wait_for_external_event("e")
    for number in range(depth):
        task = ctx.task_all([task]) if number % 2 else ctx.task_any([task])
    await task
    return "went"


@pytest.mark.parametrize("depth", [30, 3000])
def test_tasks_nested_thousands_deep_leave_the_hub_whole(depth: int) -> None:
    """G21, G30: however deep tasks are nested, the instance works or fails, and the hub goes on."""
    hub = Stepper(app)
    hub.start("nested_deep", "x", depth)
    hub.start("nested_deep", "y", 1)
    hub.settle()
    for instance_id in ("x", "y"):
        hub.raise_event(instance_id, "e")
    hub.settle()
    assert hub.status("x") == "Completed" if depth == 30 else hub.status("x") in ("Completed", "Failed")
    assert hub.output("y") == "went"


@app.orchestration
def lattice(ctx: OrchestrationContext) -> Generator[Task[Any], Any, str]:
    """Each level waits for both tasks of the level below: 2**40 paths lead to the leaves."""
    left: Task[Any] = ctx.wait_for_external_event("e")
    right: Task[Any] = ctx.wait_for_external_event("e")
    for _ in range(40):
        left, right = ctx.task_all([left, right]), ctx.task_any([left, right])
    yield left
    return "went"


def test_shared_members_cost_no_paths() -> None:
    """G30: tasks that are members of many others are looked at once each."""
    hub = Stepper(app)
    hub.start("lattice", "x")
    hub.settle()
    for _ in range(2):
        hub.raise_event("x", "e")
        hub.settle()
    assert hub.output("x") == "went"


@app.orchestration
async def ties(ctx: OrchestrationContext) -> int:
    event = ctx.wait_for_external_event("e")
    members: list[Task[Any]] = [ctx.task_all([event]), ctx.task_any([event]), ctx.task_all([event])]
    return members.index(await ctx.task_any(members))


def test_of_members_ready_at_once_the_first_argument_wins() -> None:
    """G22: what becomes ready by the same message is ordered by the arguments of `task_any`."""
    hub = Stepper(app)
    hub.start("ties", "x")
    hub.settle()
    hub.raise_event("x", "e")
    hub.settle()
    assert hub.output("x") == 0


@app.orchestration
async def result_too_soon(ctx: OrchestrationContext) -> str:
    try:
        ctx.task_all([ctx.wait_for_external_event("e"), ctx.create_timer(timedelta(seconds=0))]).result  # noqa: B018
    except TaskNotCompleted as error:
        return str(error)
    return "no error"


async def test_a_result_that_is_not_there(tmp_path: Path, autojump_clock: object) -> None:
    """G30: `.result` of an unfinished task is an error that says what to do."""
    async with hub(tmp_path, app) as client:
        await client.start_new(result_too_soon, "x")
        assert await output(client, "x") == "task_all of 2 has no result yet; await it first"
