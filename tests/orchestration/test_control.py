"""G26: terminate, suspend and resume have a lane of their own."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import trio

from durio.entities import CONTROL_LANE
from durio.orchestration import App, Client, InstanceFinished, InstanceNotFound, OrchestrationContext
from durio.orchestration.messages import Suspend
from tests.orchestration.helpers import Stepper, answered, finished, hub, output, unread

app = App()
notes: list[str] = []


@pytest.fixture(autouse=True)
def _fresh() -> None:
    notes.clear()


@app.activity
async def slow(name: str) -> str:
    await trio.sleep(10)
    notes.append(name)
    return name


@app.orchestration
async def waits(ctx: OrchestrationContext) -> Any:
    return await ctx.wait_for_external_event("go")


@app.orchestration
async def family(ctx: OrchestrationContext, depth: int) -> None:
    """Has one child a generation, called `<own id>.`; the last one waits."""
    if depth:
        await ctx.call_sub_orchestrator(family, depth - 1, ctx.instance_id + ".")
    await ctx.wait_for_external_event("go")


@app.orchestration
async def works(ctx: OrchestrationContext) -> list[Any]:
    """Has an activity, a timer and an event under way at once."""
    tasks = [ctx.call_activity(slow, "work"), ctx.create_timer(timedelta(seconds=5)), ctx.wait_for_external_event("go")]
    ctx.set_custom_status("waiting")
    return await ctx.task_all(tasks)


@pytest.mark.parametrize("recursive", [True, False])
async def test_terminate_reaches_all_descendants_unless_told_not_to(
    tmp_path: Path, autojump_clock: object, recursive: bool
) -> None:
    """G26: terminate ends children and grandchildren too; with `recursive=False` they go on."""
    async with hub(tmp_path, app) as client:
        await client.start_new(family, "x", 3)
        await client.terminate("x", "enough", recursive=recursive)
        status = await client.get_status("x")
        assert (status.runtime_status, status.output) == ("Terminated", "enough")
        for child in ("x.", "x..", "x..."):
            if recursive:
                assert (await finished(client, child)).output == "enough"
            else:
                assert (await client.get_status(child)).runtime_status == "Running"


async def test_the_reason_of_a_terminate_is_kept_and_logged(
    tmp_path: Path, autojump_clock: object, caplog: pytest.LogCaptureFixture
) -> None:
    """G26: it is the output of the instance, and in the log once, not again for each child."""
    async with hub(tmp_path, app) as client:
        await client.start_new(family, "x", 3)
        with caplog.at_level("INFO", "durio.orchestration"):
            await client.terminate("x", "found a bug")
            await finished(client, "x...")
        assert (await client.get_status("x")).output == "found a bug"
    assert [record.message for record in caplog.records] == ["x is terminated: found a bug"]


async def test_terminate_before_the_start_was_read(tmp_path: Path, autojump_clock: object) -> None:
    """G26: a control message that finds its life's start unread applies after it."""
    by_hand = Stepper(app)
    started = by_hand.start("works", "x")
    terminated = by_hand.terminate("x", "no")
    by_hand.settle()
    assert (by_hand.refusal(started), by_hand.refusal(terminated)) == ("", "")
    assert by_hand.status("x") == "Terminated"


def test_a_terminate_that_came_before_a_start_does_not_reach_its_life() -> None:
    """G4, G26: a terminate does not end a life whose start came after it."""
    hub = Stepper(app)
    early, started = hub.terminate("x"), hub.start("waits", "x")
    hub.settle()
    assert (hub.refusal(early), hub.refusal(started)) == (InstanceNotFound.__name__, "")
    assert hub.status("x") == "Running"
    hub.terminate("x")
    hub.settle()
    late, again = hub.terminate("x"), hub.start("waits", "x")
    hub.settle()
    assert (hub.refusal(late), hub.refusal(again)) == (InstanceFinished.__name__, "")
    assert hub.status("x") == "Running"


@app.orchestration
async def adopts(ctx: OrchestrationContext) -> None:
    await ctx.call_sub_orchestrator(waits, instance_id="x")


def test_no_child_escapes_through_an_id_that_is_taken_first() -> None:
    """G26: a child whose id was still taken when its parent was terminated does not begin a life afterwards."""
    hub = Stepper(app)
    hub.start("waits", "x")
    hub.settle()
    hub.start("adopts", "parent")
    hub.terminate("parent")
    hub.raise_event("x", "go")
    hub.settle()
    assert hub.status("parent") == "Terminated"
    assert hub.status("x") in ("Completed", "Terminated")


def test_no_child_escapes_that_was_started_in_the_same_turn() -> None:
    """G26: a child started in the turn before the terminate ends with its parent."""
    hub = Stepper(app)
    hub.start("family", "x", 2)
    hub.terminate("x")
    hub.settle()
    assert (hub.status("x"), hub.status("x.")) == ("Terminated", "Terminated")
    assert hub.status("x..") in ("", "Terminated")  # its parent may have ended before its first step


async def test_terminate_answers_the_parent(tmp_path: Path, autojump_clock: object) -> None:
    """G26: for its parent a terminated child is a failed task."""
    async with hub(tmp_path, app) as client:
        await client.start_new(adopts, "parent")
        await client.terminate("x", "by hand")
        status = await finished(client, "parent")
        assert status.runtime_status == "Failed"
        assert "'x' was terminated: by hand" in status.output


@pytest.mark.parametrize("evict", [False, True])
async def test_suspended_holds_everything_and_resume_goes_on_in_order(
    tmp_path: Path, autojump_clock: object, evict: bool
) -> None:
    """G26: results, timers and events wait while Suspended, and are taken in their order after resume."""
    async with hub(tmp_path, app, activations_max=0 if evict else 100) as client:
        await client.start_new(works, "x")
        await client.suspend("x", "a pause")
        await client.suspend("x", "again")
        await client.raise_event("x", "go", "event")
        await trio.sleep(60)
        status = await client.get_status("x", show_history=True)
        assert (status.runtime_status, status.custom_status) == ("Suspended", "waiting")
        assert status.history is not None
        assert [row["event_type"] for row in status.history][-1] == "Suspended"
        await client.resume("x", "on")
        assert await output(client, "x") == ["work", None, "event"]
        history = (await client.get_status("x", show_history=True)).history
        assert history is not None
        kinds = [row["event_type"] for row in history]
        taken = kinds[kinds.index("Resumed") + 1 :]
        assert taken == ["EventRaised", "TimerFired", "ActivityCompleted", "Ended"]


async def test_suspended_survives_a_restart(tmp_path: Path, autojump_clock: object) -> None:
    """G26: a suspended instance stays so over a restart, and so does what it holds."""
    async with hub(tmp_path, app) as client:
        await client.start_new(works, "x")
        await client.suspend("x")
        await client.raise_event("x", "go", 1)
    async with hub(tmp_path, app) as client:
        await trio.sleep(60)
        assert (await client.get_status("x")).runtime_status == "Suspended"
        await client.resume("x")
        assert await output(client, "x") == ["work", None, 1]


async def test_a_suspended_instance_can_be_terminated(tmp_path: Path, autojump_clock: object) -> None:
    """G26: terminate passes by the mail that a suspended instance holds, and drops it."""
    async with hub(tmp_path, app) as client:
        await client.start_new(waits, "x")
        await client.suspend("x")
        await client.raise_event("x", "go")
        await client.terminate("x", "enough")
        assert (await client.get_status("x")).runtime_status == "Terminated"
        await client.start_new(waits, "x")
        assert (await client.get_status("x")).runtime_status == "Running"


async def test_a_pending_instance_can_be_terminated(tmp_path: Path, autojump_clock: object) -> None:
    """G26: terminate of a Pending instance ends it, and its first step never comes."""
    async with hub(tmp_path, app) as client:
        now = (await client.get_status(await client.start_new(waits))).created_time
        assert now is not None
        await client.start_new(works, "x", start_at=now + timedelta(seconds=60))
        await client.terminate("x")
        await trio.sleep(120)
        assert (await client.get_status("x")).runtime_status == "Terminated"
        assert notes == []


async def test_terminate_ends_what_was_under_way(tmp_path: Path, autojump_clock: object) -> None:
    """G26: the code cannot object: it is closed, its activities are cancelled, its mail is gone."""
    async with hub(tmp_path, app) as client:
        await client.start_new(works, "x")
        await client.terminate("x")
        await trio.sleep(60)
        assert notes == []
        assert (await client.get_status("x")).runtime_status == "Terminated"


Call = Any


@pytest.mark.parametrize(
    "call", [Client.terminate, Client.suspend, Client.resume], ids=["terminate", "suspend", "resume"]
)
async def test_control_of_nobody(tmp_path: Path, autojump_clock: object, call: Call) -> None:
    """G26: control of an unknown instance is `InstanceNotFound`, of a finished one `InstanceFinished`."""
    async with hub(tmp_path, app) as client:
        with pytest.raises(InstanceNotFound):
            await answered(call(client, "x"))
        await client.start_new(waits, "x")
        await client.raise_event("x", "go")
        await finished(client, "x")
        with pytest.raises(InstanceFinished, match="Completed"):
            await answered(call(client, "x"))


def test_control_comes_before_the_mail_that_waits() -> None:
    """G26: suspend overtakes the events that were taken in before it, and they are not lost."""
    hub = Stepper(app)
    hub.start("waits", "x")
    hub.settle()
    hub.raise_event("x", "go", 1)
    hub.submit("x", Suspend, CONTROL_LANE, reason="")
    hub.settle()
    assert hub.status("x") == "Suspended"
    assert unread(hub.disk, "x") == 1
