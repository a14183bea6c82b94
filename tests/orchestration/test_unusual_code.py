"""Findings of a review of the orchestration layer: each test is a promise that was once not kept."""

from __future__ import annotations

import contextvars
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
import trio

from durio.entities import CONTROL_LANE, CURRENT_GUARD
from durio.orchestration import App, OrchestrationContext, TaskFailedError
from durio.orchestration import kind as kind_module
from durio.orchestration.messages import RaiseEvent, Resume, Suspend, Terminate
from tests.orchestration.helpers import Stepper, hub, in_memory, output


@pytest.mark.parametrize("swapped", [False, True])
def test_the_first_failure_in_time_counts_through_nested_task_alls(swapped: bool) -> None:
    """G30: of two inner `task_all` that failed one after the other the outer one raises the failure that came first."""
    app = App()

    @app.activity
    def fail(name: str) -> None:
        raise ValueError(name)

    @app.orchestration
    async def parent(ctx: OrchestrationContext) -> str:
        early, late = (ctx.task_all([ctx.call_activity(fail, name)]) for name in ("early", "late"))
        try:
            await ctx.task_all([late, early] if swapped else [early, late])
        except TaskFailedError as error:
            return error.failure.message
        return "no failure"

    stepper = Stepper(app)
    stepper.hold_jobs = True
    stepper.start("parent", "i")
    stepper.settle()
    for name in ("early", "late"):
        stepper.finish_job("i", name)
        stepper.settle()
    assert stepper.output("i") == "early"


def test_an_inner_combinator_keeps_the_moment_at_which_it_became_ready() -> None:
    """G22: `task_any` of finished members takes the one that became ready first, a combinator too."""
    app = App()

    @app.activity
    def do(name: str) -> str:
        return name

    @app.orchestration
    async def parent(ctx: OrchestrationContext) -> str:
        inner, plain = ctx.task_all([ctx.call_activity(do, "first")]), ctx.call_activity(do, "second")
        await ctx.task_all([inner, plain])
        members: list[Any] = [plain, inner]
        return "inner" if await ctx.task_any(members) is inner else "plain"

    stepper = Stepper(app)
    stepper.hold_jobs = True
    stepper.start("parent", "i")
    stepper.settle()
    for name in ("first", "second"):
        stepper.finish_job("i", name)
        stepper.settle()
    assert stepper.output("i") == "inner"


async def test_an_async_generator_left_early_does_nothing_behind_the_turns_back(
    tmp_path: Path, autojump_clock: object
) -> None:
    """G19, G21: an async generator that the code leaves early is cleaned up in a turn or not at all, never by Trio."""
    app = App()

    async def events(ctx: OrchestrationContext) -> AsyncGenerator[str, None]:
        try:
            while True:
                yield await ctx.wait_for_external_event("line", str)
        finally:
            ctx.call_activity("note", "cleaned")

    @app.activity
    def note(line: str) -> str:
        return line

    @app.orchestration
    async def reader(ctx: OrchestrationContext) -> str:
        async for line in events(ctx):
            if line == "stop":
                break
        first = await ctx.wait_for_external_event("go", str)
        await ctx.wait_for_external_event("go", str)
        return first

    async with hub(tmp_path, app) as client:
        await client.start_new(reader, "i")
        for line in ("a", "stop"):
            await client.raise_event("i", "line", line)
        await trio.sleep(1)
        await client.raise_event("i", "go", "first")
    async with hub(tmp_path, app) as client:
        await client.raise_event("i", "go", "second")
        assert await output(client, "i") == "first"


async def test_an_activity_that_turns_the_closing_of_the_hub_into_an_error_runs_again(
    tmp_path: Path, autojump_clock: object
) -> None:
    """G24: closing cancels running activities; whatever they make of it, they run again at the next open."""
    app, runs = App(), 0

    @app.activity
    async def work() -> str:
        nonlocal runs
        runs += 1
        if runs == 1:
            try:
                await trio.sleep_forever()
            except trio.Cancelled as error:
                raise RuntimeError("interrupted") from error
        return "done"

    @app.orchestration
    async def parent(ctx: OrchestrationContext) -> str:
        return await ctx.call_activity(work)

    async with hub(tmp_path, app) as client:
        await client.start_new(parent, "i")
        await trio.sleep(1)
    async with hub(tmp_path, app) as client:
        assert await output(client, "i") == "done"
    assert runs == 2


@pytest.mark.parametrize("lead", range(12))
async def test_waiting_for_a_finished_life_gives_its_status(lead: int, autojump_clock: object) -> None:
    """G17: `wait_for_completion` binds to the life that it finds, though another one is started meanwhile."""
    app = App()

    @app.orchestration
    async def once(ctx: OrchestrationContext, wait: bool) -> None:
        if wait:
            await ctx.wait_for_external_event("never")

    async with in_memory(app) as client:
        for _ in range(5):  # Trio runs tasks in random order
            await client.start_new(once, "i", False, if_running="replace")
            async with trio.open_nursery() as nursery:
                nursery.start_soon(client.start_new, once, "i", True)
                for _ in range(lead):
                    await trio.lowlevel.checkpoint()
                if not (await client.get_status("i")).is_finished:
                    continue
                with trio.fail_after(10):
                    status = await client.wait_for_completion("i")
                assert status.is_finished


def test_a_termination_meant_for_another_life_does_not_keep_resume_waiting() -> None:
    """G9: a suspended instance is resumed although a parent's late termination of another life lies before it."""
    app = App()

    @app.orchestration
    async def waits(ctx: OrchestrationContext) -> Any:
        return await ctx.wait_for_external_event("go")

    stepper = Stepper(app)
    stepper.start("waits", "x")
    stepper.settle()
    stepper.submit("x", Suspend, CONTROL_LANE)
    stepper.settle()
    # What other orchestrations send has no reply; all of it comes in one batch.
    stepper.kernel.deliver("x", RaiseEvent(at_us=stepper.now_us, name="go", input=b"7", sender="other"))
    stray = Terminate(at_us=stepper.now_us, parent="parent", parent_life="gone")
    stepper.kernel.deliver("x", stray, CONTROL_LANE)
    resumed = stepper.submit("x", Resume, CONTROL_LANE)
    stepper.settle()
    assert resumed in stepper.answers
    assert stepper.output("x") == 7


def test_code_that_is_dropped_while_it_replays_is_closed_behind_the_guard(monkeypatch: pytest.MonkeyPatch) -> None:
    """G21, G25: closing the hub in the middle of a replay closes the code as any drop does."""
    app, closed = App(), list[bool]()

    @app.orchestration
    async def waits(ctx: OrchestrationContext) -> None:
        try:
            for _ in range(5):
                await ctx.wait_for_external_event("go")
        finally:
            closed.append(CURRENT_GUARD.get() is not None)

    stepper = Stepper(app)
    stepper.start("waits", "i")
    stepper.settle()
    for _ in range(3):
        stepper.raise_event("i", "go")
        stepper.settle()
    stepper.kernel.close()
    stepper._open()
    closed.clear()
    monkeypatch.setattr(kind_module, "REPLAY_SLICE_MS", -1.0)
    stepper.raise_event("i", "go")
    for _ in range(6):
        stepper.kernel.run_turn()
    activation = stepper.kernel.catalog.get("i")
    assert activation is not None
    assert activation.actor.preparing is not None, "it is in the middle of its replay"
    stepper.kernel.close()
    assert closed == [True]


async def test_context_variables_of_one_activity_do_not_reach_the_next(autojump_clock: object) -> None:
    """G24: an activity that waited for a free slot starts with the context that every other one starts with."""
    app, variable = App(), contextvars.ContextVar("variable", default="clean")

    @app.activity(limit=1)
    async def look(name: str) -> str:
        seen = variable.get()
        variable.set(f"of {name}")
        await trio.sleep(1)
        return seen

    @app.orchestration
    async def parent(ctx: OrchestrationContext) -> list[str]:
        return await ctx.task_all([ctx.call_activity(look, name) for name in "abc"])

    async with in_memory(app) as client:
        await client.start_new(parent, "i")
        assert await output(client, "i") == ["clean", "clean", "clean"]


def test_a_context_used_by_another_instance_is_refused() -> None:
    """G19, G21: only the code of an execution itself can ask for its actions; anything else would not replay."""
    app, contexts = App(), dict[str, OrchestrationContext]()

    @app.orchestration
    async def owner(ctx: OrchestrationContext) -> str:
        contexts["owner"] = ctx
        await ctx.wait_for_external_event("go")
        return "fine"

    @app.orchestration
    async def thief(ctx: OrchestrationContext) -> None:
        contexts["owner"].send_event("other", "stolen")

    stepper = Stepper(app)
    stepper.start("owner", "o")
    stepper.settle()
    stepper.start("thief", "t")
    stepper.settle()
    stepper.raise_event("o", "go")
    stepper.settle()
    assert stepper.status("t") == "Failed"
    assert stepper.output("o") == "fine"
    assert not [event for event in stepper.history("o") if type(event).__name__ == "EventSent"]


def test_the_first_continue_as_new_wins() -> None:
    """G23: the noted request wins over whatever the code then does, another request in its cleanup included."""
    app = App()

    @app.orchestration
    async def again(ctx: OrchestrationContext, what: str) -> str:
        if what == "start":
            try:
                ctx.continue_as_new("first")
            finally:
                ctx.continue_as_new("second")
        return what

    stepper = Stepper(app)
    stepper.start("again", "i", "start")
    stepper.settle()
    assert stepper.output("i") == "first"
