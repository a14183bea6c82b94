"""G23: continue-as-new is a message in the instance's own mailbox; nothing falls between two executions."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import trio

from durio.entities import EntityContext, EntityId
from durio.entities import keys as entity_keys
from durio.orchestration import App, InstanceAlreadyExists, OrchestrationContext
from tests.orchestration.helpers import Stepper, finished, hub, output, rows_of, unread

app = App()
notes: list[str] = []


@pytest.fixture(autouse=True)
def _fresh() -> None:
    notes.clear()


@app.entity
def book(ctx: EntityContext) -> None:
    """Notes every operation."""
    ctx.set_state([*ctx.get_state(list), ctx.operation_name])


@app.orchestration
async def collects(ctx: OrchestrationContext, seen: list[Any]) -> list[Any]:
    """Takes one event an execution, over `a` and `b` in turn, until it has six."""
    if len(seen) == 6:
        return seen
    name = "ab"[len(seen) % 2]
    seen.append(await ctx.wait_for_external_event(name))
    return ctx.continue_as_new(seen)


def test_events_and_mail_stay_in_arrival_order() -> None:
    """G23: unobserved events keep their arrival numbers and come before unread mail, interleaved names included."""
    hub = Stepper(app)
    hub.start("collects", "x", [])
    hub.settle()
    for number, name in enumerate("bbabaa"):
        hub.raise_event("x", name, f"{name}{number}")
    hub.settle()
    assert hub.output("x") == ["a2", "b0", "a4", "b1", "a5", "b3"]


@app.orchestration
async def hands_over(ctx: OrchestrationContext, round_: int) -> list[Any]:
    """Lets events pile up in the first execution and takes all of them in the second."""
    if round_ == 0:
        await ctx.wait_for_external_event("next")
        ctx.continue_as_new(1)
    return [await ctx.wait_for_external_event("e") for _ in range(4)]


@pytest.mark.parametrize("evict", [False, True])
def test_kept_events_come_before_later_ones(evict: bool) -> None:
    """G23: events seen but not observed by the old execution come first in the new one, then what was unread."""
    hub = Stepper(app, evict=evict)
    hub.start("hands_over", "x", 0)
    hub.settle()
    for value in (1, 2):
        hub.raise_event("x", "E", value)
        hub.settle()
    hub.raise_event("x", "next")
    hub.raise_event("x", "e", 3)
    hub.settle()
    hub.raise_event("x", "e", 4)
    hub.settle()
    assert hub.output("x") == [1, 2, 3, 4]
    assert unread(hub.disk, "x") == 0


@pytest.mark.parametrize("if_running", ["raise", "return"])
def test_events_of_a_start_outlive_a_continue_as_new_in_the_first_step(if_running: str) -> None:
    """G16, G23: events that came with a start are not lost when the code continues as new before it saw them."""
    hub = Stepper(app)
    if if_running == "return":
        hub.start("hands_over", "x", 0)
        hub.settle()
    events = [("next", None), *(("e", n) for n in range(4))]
    hub.start("hands_over", "x", 0, events=events, if_running=if_running)
    hub.settle()
    assert hub.output("x") == [0, 1, 2, 3]


@app.orchestration
async def at_once(ctx: OrchestrationContext, round_: int) -> object:
    if round_ == 0:
        ctx.continue_as_new(1)
    return [await ctx.wait_for_external_event("e"), await ctx.wait_for_external_event("f")]


async def test_events_of_a_start_reach_the_second_execution(tmp_path: Path, autojump_clock: object) -> None:
    """G16, G23: code that continues as new before its first await still gets the events of its start."""
    async with hub(tmp_path, app) as client:
        await client.start_new(at_once, "x", 0, events=[("e", 1), ("f", 2)])
        assert await output(client, "x") == [1, 2]


@app.activity
async def slow(value: str) -> str:
    await trio.sleep(10)
    notes.append(value)
    return value


@app.orchestration
async def leaves_work(ctx: OrchestrationContext, round_: int) -> str:
    task = ctx.call_activity(slow, f"round {round_}")
    _ = ctx.create_timer(timedelta(seconds=20))
    if round_ == 0:
        await ctx.create_timer(timedelta(seconds=1))
        ctx.continue_as_new(1)
    return await task


async def test_results_of_the_old_execution_are_dropped(tmp_path: Path, autojump_clock: object) -> None:
    """G23, G24: the activity of the old execution still runs, its result and timers reach nobody."""
    async with hub(tmp_path, app) as client:
        await client.start_new(leaves_work, "x", 0)
        assert await output(client, "x") == "round 1"
        history = (await client.get_status("x", show_history=True)).history
        assert history is not None
        assert [row["event_type"] for row in history].count("ActivityCompleted") == 1
    assert notes == ["round 0", "round 1"]


@app.orchestration
async def cleans_up(ctx: OrchestrationContext, round_: int) -> str:
    if round_ == 0:
        try:
            ctx.continue_as_new(1)
        finally:
            ctx.signal_entity(EntityId("book", "k"), "signalled")
            await ctx.call_entity(EntityId("book", "k"), "called")
            await ctx.create_timer(timedelta(seconds=5))
    return "second"


@pytest.mark.parametrize("evict", [False, True])
def test_cleanup_after_continue_as_new_works_durably(evict: bool) -> None:
    """G23, G25: what `finally` does after the request has its durable effect, once, before the next execution."""
    hub = Stepper(app, evict=evict)
    hub.start("cleans_up", "x", 0)
    hub.settle()
    assert hub.status("x") == "Running"
    hub.pass_s(5)
    assert hub.output("x") == "second"
    assert book_of(hub) == ["signalled", "called"]


def book_of(hub: Stepper) -> list[str]:
    """The state of the entity that notes."""
    entity: Any = hub.entities.load(hub.kernel.view, "@book@k")
    found: list[str] = hub.app.payloads.decode(entity.state)
    return found


@app.orchestration
async def swallows(ctx: OrchestrationContext, how: str) -> str:
    if how == "again":
        return "second"
    try:
        ctx.continue_as_new("again")
    except BaseException as error:
        if how == "raises":
            raise ValueError("something else") from error
    return "first"


@pytest.mark.parametrize("how", ["returns", "raises"])
async def test_the_noted_request_wins(tmp_path: Path, autojump_clock: object, how: str) -> None:
    """G23: the request wins over whatever the code then does, a swallowed signal or another error included."""
    async with hub(tmp_path, app) as client:
        await client.start_new(swallows, "x", how)
        assert await output(client, "x") == "second"


@app.orchestration
async def child(ctx: OrchestrationContext) -> None:
    await ctx.wait_for_external_event("never")


@app.orchestration
async def leaves_child(ctx: OrchestrationContext, round_: int) -> None:
    if round_ == 0:
        _ = ctx.call_sub_orchestrator(child, instance_id="kid")
        ctx.continue_as_new(1)
    await ctx.wait_for_external_event("never")


async def test_children_stay_linked(tmp_path: Path, autojump_clock: object) -> None:
    """G23: a child started by an earlier execution is still a child: it ends with its parent."""
    async with hub(tmp_path, app, activations_max=0) as client:
        await client.start_new(leaves_child, "x", 0)
        assert (await client.get_status("kid")).runtime_status == "Running"
        await client.terminate("x")
        assert (await finished(client, "kid")).runtime_status == "Terminated"


@app.orchestration(version="7")
async def dressed(ctx: OrchestrationContext, round_: int) -> list[Any]:
    if round_ == 0:
        ctx.set_custom_status({"since": "round 0"})
        await ctx.wait_for_external_event("next")
        ctx.continue_as_new(1)
    await ctx.wait_for_external_event("end")
    return [ctx.version, ctx.tags]


async def test_status_tags_and_version_stay(tmp_path: Path, autojump_clock: object) -> None:
    """G23: status, custom status, tags, version and creation time stay; execution id and input change."""
    async with hub(tmp_path, app) as client:
        await client.start_new(dressed, "x", 0, tags={"team": "blue"})
        before = await client.get_status("x")
        await trio.sleep(5)
        await client.raise_event("x", "next")
        after = await client.get_status("x")
        assert (after.runtime_status, after.custom_status) == ("Running", {"since": "round 0"})
        assert (after.tags, after.version, after.created_time) == ({"team": "blue"}, "7", before.created_time)
        assert (before.input_, after.input_) == (0, 1)
        assert after.execution_id != before.execution_id
        await client.raise_event("x", "end")
        assert await output(client, "x") == ["7", {"team": "blue"}]


@app.orchestration
async def eternal(ctx: OrchestrationContext, round_: int) -> int:
    for _ in range(5):
        await ctx.wait_for_external_event("tick")
    if round_ == 200:
        return round_
    return ctx.continue_as_new(round_ + 1)


@pytest.mark.parametrize("evict", [False, True])
def test_the_history_on_disk_is_cut(evict: bool) -> None:
    """G23: after hundreds of executions the instance takes as many rows as after one."""
    hub = Stepper(app, evict=evict)
    hub.start("eternal", "x", 0)
    hub.settle()
    rows = 0
    for number in range(1000):
        hub.raise_event("x", "tick")
        hub.settle()
        rows = max(rows, len(rows_of(hub.disk, entity_keys.ACTOR, "x")))
        assert number < 5 or hub.instance("x").head is not None
    assert rows <= 8  # head, origin, and a history of at most six turns
    assert unread(hub.disk, "x") == 0
    assert len(hub.disk.snapshot()) <= 8


@app.orchestration
async def spins(ctx: OrchestrationContext, left: int) -> None:
    notes.append("spins")
    if left:
        ctx.continue_as_new(left - 1)


@app.orchestration
async def waits_its_turn(ctx: OrchestrationContext) -> None:
    notes.append("other")


def test_after_continue_as_new_the_others_get_their_turn() -> None:
    """G23: an actor that continues as new goes to the back of the queue."""
    hub = Stepper(app)
    hub.start("spins", "x", 10)
    hub.start("waits_its_turn", "y")
    hub.settle()
    assert notes[:3] == ["spins", "other", "spins"]


@app.orchestration
async def suspended_between(ctx: OrchestrationContext, round_: int) -> int:
    await ctx.wait_for_external_event("next")
    if round_ == 3:
        return round_
    return ctx.continue_as_new(round_ + 1)


async def test_an_eternal_orchestration_is_a_singleton(tmp_path: Path, autojump_clock: object) -> None:
    """G15, G23: while it goes on, its id is taken in every generation and between them; when it returns it is free."""
    async with hub(tmp_path, app) as client:
        await client.start_new(suspended_between, "StaticId", 0)
        refused = 0
        async with trio.open_nursery() as nursery:

            async def start_again() -> None:
                nonlocal refused
                with pytest.raises(InstanceAlreadyExists):
                    await client.start_new(suspended_between, "StaticId", 0)
                refused += 1

            for _ in range(3):
                nursery.start_soon(client.raise_event, "StaticId", "next")
                for _ in range(5):
                    nursery.start_soon(start_again)
        assert refused == 15
        await client.raise_event("StaticId", "next")
        assert await output(client, "StaticId") == 3
        assert (await client.start_new(suspended_between, "StaticId", 0)).created


async def test_executions_over_closed_and_opened_hubs(tmp_path: Path, autojump_clock: object) -> None:
    """G23: a generation may end in one process and the next begin in another."""
    for number in range(4):
        async with hub(tmp_path, app) as client:
            if number == 0:
                await client.start_new(suspended_between, "x", 0)
            await client.raise_event("x", "next")
    async with hub(tmp_path, app) as client:
        assert await output(client, "x") == 3
