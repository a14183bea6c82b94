"""G20: replay is checked; code that is missing changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from durio.entities import EntityContext, EntityId
from durio.orchestration import App, InstanceAlreadyExists, InstanceFinished, NonDeterminismError, OrchestrationContext
from tests.orchestration.helpers import answered, finished, hub, output

HERE = Path(__file__).name
K = EntityId("e", "k")


async def act(ctx: OrchestrationContext) -> Any:
    await ctx.call_activity("one")
    return await ctx.wait_for_external_event("go")


async def other_act(ctx: OrchestrationContext) -> Any:
    await ctx.call_activity("two")
    return await ctx.wait_for_external_event("go")


async def nap(ctx: OrchestrationContext) -> Any:
    await ctx.create_timer(timedelta(seconds=0))
    return await ctx.wait_for_external_event("go")


async def child(ctx: OrchestrationContext) -> Any:
    _ = ctx.call_sub_orchestrator("main", instance_id="kid")
    return await ctx.wait_for_external_event("go")


async def signal(ctx: OrchestrationContext) -> Any:
    ctx.signal_entity(K, "one")
    return await ctx.wait_for_external_event("go")


async def other_signal(ctx: OrchestrationContext) -> Any:
    ctx.signal_entity(K, "two")
    return await ctx.wait_for_external_event("go")


async def nothing(ctx: OrchestrationContext) -> Any:
    return await ctx.wait_for_external_event("go")  # the line that waits


async def more(ctx: OrchestrationContext) -> Any:
    await ctx.call_activity("one")
    _ = ctx.call_activity("two")
    return await ctx.wait_for_external_event("go")


async def ends(ctx: OrchestrationContext) -> Any:
    await ctx.call_activity("one")
    return "ended"


async def swallows(ctx: OrchestrationContext) -> Any:
    try:
        await ctx.call_activity("two")
    except NonDeterminismError:
        return "swallowed"


def app_of(code: Callable[..., Any] | None, version: str | None = None) -> App:
    """An app whose orchestration `main` is this code."""
    app = App()
    if code is not None:
        app.orchestration(name="main", version=version)(code)

    def work() -> None: ...
    def e(ctx: EntityContext) -> None: ...

    app.activity(name="one")(work)
    app.activity(name="two")(work)
    app.entity(e)
    return app


CHANGES = [
    (act, other_act, "ActivityScheduled(id=1, name='one')", "ActivityScheduled(id=1, name='two')"),
    (act, nap, "ActivityScheduled(id=1, name='one')", "TimerSet(id=1)"),
    (nap, act, "TimerSet(id=1)", "ActivityScheduled(id=1, name='one')"),
    (child, signal, "ChildStarted(id=1, name='main', instance='kid')", "EntitySignaled(id=1, entity='@e@k'"),
    (signal, other_signal, "operation='one'", "operation='two'"),
    (nothing, act, "nothing more", "ActivityScheduled(id=1, name='one')"),
    (act, nothing, "ActivityScheduled(id=1, name='one')", "nothing more"),
    (act, more, "nothing more", "ActivityScheduled(id=2, name='two')"),
    (more, act, "ActivityScheduled(id=2, name='two')", "nothing more"),
    (act, ends, "no end yet", "to end as Completed"),
    (act, swallows, "ActivityScheduled(id=1, name='one')", "ActivityScheduled(id=1, name='two')"),
]


@pytest.mark.parametrize(("old", "new", "expected", "actual"), CHANGES)
async def test_changed_code_fails_with_both_sides(
    tmp_path: Path, autojump_clock: object, old: Any, new: Any, expected: str, actual: str
) -> None:
    """G20: other action, kind or name than history holds fails the instance, showing both sides and the place."""
    async with hub(tmp_path, app_of(old)) as client:
        await client.start_new("main", "x")
        await trio.sleep(1)
        before = (await client.get_status("x", show_history=True)).history
    async with hub(tmp_path, app_of(new)) as client:
        with pytest.raises(InstanceFinished):
            await client.raise_event("x", "go")
        status = await finished(client, "x")
        after = (await client.get_status("x", show_history=True)).history
    assert status.runtime_status == "Failed"
    assert status.failure is not None
    assert status.failure.is_caused_by(NonDeterminismError)
    holds, _, wants = status.output.partition("but the code wants")
    assert expected in holds
    assert actual in wants
    if new is not ends:
        assert HERE in holds
        assert f" in {new.__name__}" in holds
    assert before is not None
    assert after is not None
    assert after[: len(before)] == before  # it stays whole


async def test_the_error_names_the_line_that_waits_when_an_action_is_gone(
    tmp_path: Path, autojump_clock: object
) -> None:
    """G20: with nothing left to compare, the place is the line where the code waits."""
    async with hub(tmp_path, app_of(act)) as client:
        await client.start_new("main", "x")
    async with hub(tmp_path, app_of(nothing)) as client:
        with pytest.raises(InstanceFinished):
            await client.raise_event("x", "go")
        line = next(
            number
            for number, text in enumerate(Path(__file__).read_text().splitlines(), 1)
            if "line that waits" in text
        )
        assert f"{HERE}:{line} in nothing" in (await finished(client, "x")).output


async def test_inputs_and_due_times_may_change(tmp_path: Path, autojump_clock: object) -> None:
    """G20: what is compared is kind, order and names; another input or due time is no difference."""

    async def before(ctx: OrchestrationContext) -> Any:
        _ = ctx.create_timer(timedelta(seconds=1000))
        return await ctx.wait_for_external_event("go")

    async def after(ctx: OrchestrationContext) -> Any:
        _ = ctx.create_timer(timedelta(seconds=5))
        return await ctx.wait_for_external_event("go")

    async with hub(tmp_path, app_of(before)) as client:
        await client.start_new("main", "x")
    async with hub(tmp_path, app_of(after)) as client:
        await client.raise_event("x", "go", 1)
        assert await output(client, "x") == 1


async def test_hold_keeps_the_instance_for_fitting_code(
    tmp_path: Path, autojump_clock: object, caplog: pytest.LogCaptureFixture
) -> None:
    """G20, G16: with "hold" the instance stays as it is, takes its mail in, and goes on with fitting code."""
    async with hub(tmp_path, app_of(act)) as client:
        await client.start_new("main", "x")
    async with hub(tmp_path, app_of(other_act), on_nondeterminism="hold") as client:
        await answered(client.raise_event("x", "go", 7))
        with pytest.raises(InstanceAlreadyExists):
            await answered(client.start_new("main", "x"))
        assert (await client.get_status("x")).runtime_status == "Running"
    assert "x is held" in caplog.text
    async with hub(tmp_path, app_of(act)) as client:
        assert await output(client, "x") == 7


@pytest.mark.parametrize("code", [other_act, None])
async def test_a_held_instance_can_be_controlled(tmp_path: Path, autojump_clock: object, code: Any) -> None:
    """G13, G20, G26: suspend, resume, terminate and a replacing start reach an instance that is held."""
    async with hub(tmp_path, app_of(act)) as client:
        for instance_id in "xy":
            await client.start_new("main", instance_id)
    app = app_of(code)
    app.orchestration(name="fresh")(nothing)
    async with hub(tmp_path, app, on_nondeterminism="hold") as client:
        for instance_id in "xy":
            await answered(client.raise_event(instance_id, "other"))
            await answered(client.suspend(instance_id))
            await answered(client.resume(instance_id))
        await answered(client.terminate("x"))
        assert (await client.get_status("x")).runtime_status == "Terminated"
        await answered(client.start_new("fresh", "y", if_running="replace"))
        await client.raise_event("y", "go", 3)
        assert await output(client, "y") == 3


@pytest.mark.parametrize("lacking", [app_of(None), app_of(act, version="other")])
async def test_missing_code_holds_the_instance(
    tmp_path: Path, autojump_clock: object, lacking: App, caplog: pytest.LogCaptureFixture
) -> None:
    """G20: code that is missing (name, version) never changes an instance; it goes on when the code is there."""
    async with hub(tmp_path, app_of(act, "1")) as client:
        await client.start_new("main", "x")
        before = await client.get_status("x")
    async with hub(tmp_path, lacking) as client:
        await answered(client.raise_event("x", "go", 5))
        await trio.sleep(100)
        assert await client.get_status("x") == before
    assert "x is held: no code for main 1" in caplog.text
    async with hub(tmp_path, app_of(act, "1")) as client:
        assert await output(client, "x") == 5


async def test_a_pending_instance_without_code_waits_for_it(tmp_path: Path, autojump_clock: object) -> None:
    """G20: an instance whose start falls due while its code is missing begins when the code is there."""
    async with hub(tmp_path, app_of(nothing)) as client:
        created = (await client.get_status(await client.start_new("main", "clock"))).created_time
        assert created is not None
        await client.start_new("main", "x", start_at=created + timedelta(seconds=50))
    async with hub(tmp_path, app_of(None)) as client:
        await answered(client.raise_event("x", "go", 5))
        await trio.sleep(100)
        assert (await client.get_status("x")).runtime_status == "Pending"
    async with hub(tmp_path, app_of(nothing)) as client:
        assert await output(client, "x") == 5


async def test_an_instance_keeps_its_version(tmp_path: Path, autojump_clock: object) -> None:
    """G20: an instance runs with the version it was started with; new instances get the one registered last."""
    app = app_of(act, "1")
    async with hub(tmp_path, app) as client:
        await client.start_new("main", "old")
    app.orchestration(name="main", version="2")(nothing)
    async with hub(tmp_path, app) as client:
        await client.start_new("main", "new")
        for instance_id, version in (("old", "1"), ("new", "2")):
            await client.raise_event(instance_id, "go", instance_id)
            assert await output(client, instance_id) == instance_id
            assert (await client.get_status(instance_id)).version == version


@pytest.mark.parametrize("if_running", ["raise", "return"])
async def test_a_start_does_not_replace_what_it_finds_running_with_other_code(
    tmp_path: Path, autojump_clock: object, caplog: pytest.LogCaptureFixture, if_running: Any
) -> None:
    """G15, G20: a start on a running instance whose code does not fit any more is answered as for a running one; the
    instance fails, is logged, and is not started anew behind everybody's back.
    """
    first, second = App(), App()
    for app, code in ((first, act), (second, other_act)):
        app.orchestration(name="main")(code)
        app.activity(name="one")(lambda: None)
        app.activity(name="two")(lambda: None)
    async with hub(tmp_path, first) as client:
        await client.start_new("main", "x")
        await trio.testing.wait_all_tasks_blocked()  # its activity is done; it waits for an event
    async with hub(tmp_path, second) as client:
        if if_running == "return":
            assert not (await client.start_new("main", "x", if_running="return")).created
        else:
            with pytest.raises(InstanceAlreadyExists, match="Running"):
                await client.start_new("main", "x")
        status = await finished(client, "x")
        assert status.failure is not None
        assert status.failure.is_caused_by(NonDeterminismError)
        assert "is not deterministic" in caplog.text
