"""G26: cancel asks the code to end; it may clean up, or refuse."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from durio.entities import EntityId
from durio.orchestration import (
    App,
    Cancelled,
    InstanceFinished,
    InstanceNotFound,
    OrchestrationContext,
    TaskFailedError,
)
from tests.orchestration.helpers import Stepper, finished, hub, output
from tests.orchestration.links import Opened

app = App()
notes: list[str] = []
ROOM = EntityId("room", "1")


@pytest.fixture(autouse=True)
def _fresh() -> None:
    notes.clear()


@app.entity
@attrs.define
class Room:
    guests: int = 0

    def enter(self) -> int:
        self.guests += 1
        return self.guests


@app.activity
def note(what: str) -> str:
    notes.append(what)
    return what


@app.activity
async def slow() -> None:
    await trio.sleep(3600)
    notes.append("slow")


@app.orchestration
async def waits(ctx: OrchestrationContext) -> Any:
    return await ctx.wait_for_external_event("go")


@app.orchestration
async def tidy(ctx: OrchestrationContext) -> Any:
    """Cleans up with an activity, and lets the error pass."""
    try:
        return await ctx.task_all([ctx.call_activity(slow), ctx.wait_for_external_event("go")])
    except Exception:
        return "swallowed"
    finally:
        await ctx.call_activity(note, "cleaned")


@app.orchestration
def by_yield(ctx: OrchestrationContext) -> Any:
    try:
        yield ctx.wait_for_external_event("go")
    except Cancelled as error:
        yield ctx.call_activity(note, error.reason)
        raise


@app.orchestration
async def stubborn(ctx: OrchestrationContext) -> list[Any]:
    """Notes each request and waits on; the same wait goes on afterwards."""
    seen: list[Any] = []
    event = ctx.wait_for_external_event("go")
    while True:
        try:
            return [*seen, await event]
        except Cancelled as error:
            seen.append(error.reason)


@app.orchestration
async def again(ctx: OrchestrationContext, round_: int) -> Any:
    try:
        return await ctx.wait_for_external_event("go") if round_ == 0 else f"round {round_}"
    finally:
        if round_ == 0:
            ctx.continue_as_new(round_ + 1)


@app.orchestration
async def parent(ctx: OrchestrationContext, child: str) -> Any:
    return await ctx.call_sub_orchestrator(child, instance_id="child")


@app.orchestration
async def keeps_on(ctx: OrchestrationContext) -> Any:
    try:
        return await ctx.call_sub_orchestrator(waits, instance_id="child")
    except TaskFailedError as error:
        return [error.failure.is_caused_by(Cancelled), error.failure.message]


@app.orchestration
async def guarded(ctx: OrchestrationContext) -> Any:
    """Is asked to end while it waits for a lock, and goes on."""
    try:
        async with await ctx.lock_entities([ROOM]):
            return "inside"
    except Cancelled:
        return await ctx.call_entity(ROOM, Room.enter)


@app.orchestration
async def holds(ctx: OrchestrationContext) -> None:
    async with await ctx.lock_entities([ROOM]):
        await ctx.wait_for_external_event("go")


async def test_uncaught_it_ends_as_canceled_after_its_cleanup(opened: Opened, tmp_path: Path) -> None:
    """G25, G26: cleanup code may await activities; then the status is Canceled and the output is the reason."""
    async with opened(tmp_path, app) as client:
        await client.start_new("tidy", "x")
        await client.cancel("x", "not wanted")
        status = await client.wait_for_completion("x")
        assert (status.runtime_status, status.output, status.failure) == ("Canceled", "not wanted", None)
        with pytest.raises(InstanceFinished):
            await client.cancel("x")
        with pytest.raises(InstanceNotFound):
            await client.cancel("nobody")
    assert notes == ["cleaned"]


@pytest.mark.parametrize("evict", [False, True])
def test_live_and_replayed_code_see_the_same_request(evict: bool) -> None:
    """G19, G26: each request is raised once, at the await that it meets, and a replay raises it again there."""
    hub = Stepper(app, evict=evict)
    hub.start("stubborn", "x")
    hub.start("by_yield", "y")
    hub.settle()
    for reason in ("one", "two"):
        hub.cancel("x", reason)
        hub.settle()
    hub.cancel("y", "three")
    hub.settle()
    hub.raise_event("x", "go", 5)
    hub.settle()
    assert hub.output("x") == ["one", "two", 5]
    assert (hub.status("y"), notes) == ("Canceled", ["three"])


async def test_continue_as_new_in_cleanup_wins(tmp_path: Path, autojump_clock: object) -> None:
    """G23, G26: code that begins anew while it is asked to end goes on."""
    async with hub(tmp_path, app) as client:
        await client.start_new(again, "x", 0)
        await client.cancel("x")
        assert await output(client, "x") == "round 1"


async def test_children_are_asked_when_the_parent_ends_as_canceled(tmp_path: Path, autojump_clock: object) -> None:
    """G26: no child escapes, and each may clean up; a parent that caught it leaves its children alone."""
    async with hub(tmp_path, app) as client:
        await client.start_new(parent, "x", "tidy")
        await client.cancel("x", "enough")
        assert (await finished(client, "x")).runtime_status == "Canceled"
        child = await finished(client, "child")
        assert (child.runtime_status, child.output, notes) == ("Canceled", "enough", ["cleaned"])


def test_a_child_started_in_the_same_turn_does_not_escape() -> None:
    """G26: the request comes behind the start of the child, which has not begun when its parent is asked to end."""
    hub = Stepper(app)
    hub.start("parent", "x", "waits")
    hub.cancel("x")
    hub.settle()
    assert (hub.status("x"), hub.status("child")) == ("Canceled", "Canceled")


def test_a_request_of_a_parent_reaches_nobody_else() -> None:
    """G26: an instance that took the id of the child goes on."""
    hub = Stepper(app)
    hub.start("waits", "child")
    hub.settle()
    hub.start("keeps_on", "x")
    hub.cancel("x")
    hub.settle()
    assert hub.status("child") == "Running"


async def test_the_parent_sees_a_canceled_child_as_a_failed_task(tmp_path: Path, autojump_clock: object) -> None:
    """G26: a child that was cancelled by somebody else fails its task, with the reason."""
    async with hub(tmp_path, app) as client:
        await client.start_new(keeps_on, "x")
        await client.cancel("child", "no time")
        assert await output(client, "x") == [True, "instance 'child' was cancelled: no time"]


async def test_suspended_it_waits_and_pending_it_ends_at_once(tmp_path: Path, autojump_clock: object) -> None:
    """G13, G26: the request is accepted at once in every state; a suspended instance hears of it when it goes on."""
    async with hub(tmp_path, app) as client:
        await client.start_new(waits, "x")
        await client.suspend("x")
        await client.cancel("x", "late")
        assert (await client.get_status("x")).runtime_status == "Suspended"
        await client.resume("x")
        assert (await finished(client, "x")).output == "late"
        later = datetime.now(UTC) + timedelta(days=1)
        await client.start_new(waits, "y", start_at=later)
        await client.raise_event("y", "go", 1)
        await client.cancel("y", "never")
        status = await client.get_status("y")
        assert (status.runtime_status, status.output) == ("Canceled", "never")
        await client.start_new(waits, "y")
        assert (await client.get_status("y")).runtime_status == "Running"  # its event went with the life before


async def test_a_lock_that_is_waited_for_is_withdrawn(tmp_path: Path, autojump_clock: object) -> None:
    """G12, G26: code that goes on after a request does not own a lock that it never entered."""
    async with hub(tmp_path, app) as client:
        await client.start_new(holds, "holder")
        await client.start_new(guarded, "x")
        await client.cancel("x")
        await client.raise_event("holder", "go")
        assert await output(client, "x") == 1
        assert await client.list_locks() == []


async def test_it_ends_nothing_whose_code_is_missing(tmp_path: Path, autojump_clock: object) -> None:
    """G20, G26: without its code a running instance hears nothing; with it again it does."""
    async with hub(tmp_path, app) as client:
        await client.start_new(waits, "x")
    async with hub(tmp_path, App()) as client:
        await client.cancel("x", "held")
        assert (await client.get_status("x")).runtime_status == "Running"
    async with hub(tmp_path, app) as client:
        assert (await finished(client, "x")).output == "held"


async def test_a_request_id_may_be_repeated(tmp_path: Path, autojump_clock: object) -> None:
    """G3, G26: the same request again is the same request."""
    async with hub(tmp_path, app) as client:
        await client.start_new(stubborn, "x")
        for _ in range(3):
            await client.cancel("x", "once", request_id="r")
        await client.raise_event("x", "go")
        assert await output(client, "x") == ["once", None]
