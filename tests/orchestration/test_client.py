"""G13, G14: what a client may rely on when a call returns, and what it reads."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import trio

from durio.entities import EntityContext, EntityId
from durio.orchestration import (
    App,
    Client,
    InstanceNotFound,
    OrchestrationContext,
    OrchestrationRuntimeStatus,
    Started,
    open_hub,
)
from durio.storage import HubClosed
from tests.orchestration.helpers import finished, hub, output
from tests.orchestration.links import Opened

app = App()
clients: list[Client] = []
begun: list[bool] = []
TALLY = EntityId("tally", "k")


@pytest.fixture(autouse=True)
def _fresh() -> None:
    clients.clear()


@app.entity
def tally(ctx: EntityContext) -> None:
    total = ctx.get_state(lambda: 0) + (ctx.get_input() or 0)
    ctx.set_state(total)
    ctx.set_result(total)


@app.orchestration
async def waits(ctx: OrchestrationContext, value: Any = None) -> Any:
    ctx.set_custom_status("began")
    return await ctx.wait_for_external_event("go")


@app.activity
async def asks() -> list[Any]:
    """Uses the client inside of an activity, as it may."""
    client = clients[0]
    started = await client.start_new(waits, "from activity")
    await client.raise_event(started, "go", 5)
    status = await client.wait_for_completion(started)
    total = await client.call_entity(TALLY, "add", 3)
    await client.signal_entity(TALLY, "add", 4)
    return [status.output, total, (await client.read_entity_state(TALLY)).entity_exists]


@app.orchestration
async def lets_ask(ctx: OrchestrationContext) -> list[Any]:
    return await ctx.call_activity(asks)


async def test_asks_are_allowed_inside_activities(tmp_path: Path, opened: Opened) -> None:
    """G13: an activity may use the client, asks included."""
    async with opened(tmp_path, app) as client:
        clients.append(client)
        await client.start_new(lets_ask, "x")
        assert await output(client, "x") == [5, 3, True]


async def test_the_next_read_shows_what_an_ask_did(tmp_path: Path, opened: Opened) -> None:
    """G13, G14: when an ask returns its turn is durable, and a start has run its first step."""
    async with opened(tmp_path, app) as client:
        started = await client.start_new(waits, client_input={"a": 1})
        status = await client.get_status(started)
        assert (status.runtime_status, status.custom_status, status.input_) == ("Running", "began", {"a": 1})
        await client.suspend(started)
        assert (await client.get_status(started)).runtime_status == OrchestrationRuntimeStatus.Suspended
        await client.resume(started)
        await client.raise_event(started, "go", 1)
        assert (await client.get_status(started)).output == 1
        assert str(started) == started.instance_id


async def test_a_cancelled_call_is_not_retracted(tmp_path: Path, opened: Opened) -> None:
    """G13: cancelling a call never takes its message back."""
    async with opened(tmp_path, app) as client:
        for call in (
            lambda: client.start_new(waits, "x"),
            lambda: client.raise_event("x", "go", 7),
            lambda: client.signal_entity(TALLY, "add", 2),
        ):
            with trio.CancelScope() as scope:
                scope.cancel()
                await call()
            assert scope.cancelled_caught
        assert await client.call_entity(TALLY, "get") == 2
        assert await output(client, "x") == 7


async def test_reads_show_the_last_commit(tmp_path: Path, opened: Opened) -> None:
    """G14: while a start is not durable a read shows nothing of it, and then all of it."""
    async with opened(tmp_path, app) as client:
        seen: list[bool] = []

        async def start() -> None:
            await client.start_new(waits, "x")
            seen.append(bool(await client.get_status("x")))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(start)
            seen.append(bool(await client.get_status("x")))
        assert seen == [False, True]


async def test_the_status_of_nobody_is_falsy(tmp_path: Path, opened: Opened) -> None:
    """G14: an unknown instance has a status without content; waiting for one is an error."""
    async with opened(tmp_path, app) as client:
        status = await client.get_status("nobody")
        assert not status
        assert (status.instance_id, status.runtime_status, status.created_time) == ("nobody", None, None)
        with pytest.raises(InstanceNotFound):
            await client.wait_for_completion("nobody")


async def test_waiting_binds_to_the_life_that_goes_on(tmp_path: Path, opened: Opened) -> None:
    """G17: `wait_for_completion` gives the end of the life that was there, also when a new one began at once."""
    async with opened(tmp_path, app) as client:
        ends: list[Any] = []

        async def watch() -> None:
            ends.append((await client.wait_for_completion("x")).output)

        for number in range(3):
            await client.start_new(waits, "x", if_running="replace")
            async with trio.open_nursery() as nursery:
                nursery.start_soon(watch)
                await opened.settle(client)
                if number == 1:
                    await client.start_new(waits, "x", if_running="replace", events=[("go", "of the next life")])
                else:
                    await client.raise_event("x", "go", number)
        assert ends == [0, "replaced", 2]


async def test_waiting_for_a_finished_life_returns_at_once(tmp_path: Path, opened: Opened) -> None:
    """G17: the end of a life can be asked for again, also after a restart."""
    async with opened(tmp_path, app) as client:
        await client.start_new(waits, "x", events=[("go", [1])])
        assert await output(client, "x") == [1]
    async with opened(tmp_path, app) as client:
        assert await output(client, "x") == [1]


async def test_an_answer_of_an_earlier_process_reaches_nobody(tmp_path: Path, opened: Opened) -> None:
    """G3, G5: mail that an earlier process had accepted does not answer the calls of this one."""
    async with opened(tmp_path, app) as client:
        await client.start_new(waits, "x")
        await client.suspend("x")
        for number in range(20):
            await client.raise_event("x", "go", number)
    async with opened(tmp_path, app) as client:
        totals: list[int] = []

        async def count() -> None:
            totals.append(await client.call_entity(TALLY, "add", 1))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.resume, "x")
            for _ in range(30):
                nursery.start_soon(count)
        assert sorted(totals) == [*range(1, 31)]


async def test_a_closed_hub_says_so(tmp_path: Path, opened: Opened) -> None:
    """G13: whoever waits when the hub closes, and whoever comes later, is told that it is closed."""
    waiting: list[str] = []
    async with trio.open_nursery() as nursery, opened(tmp_path, app) as client:
        await client.start_new(waits, "x")

        async def watch() -> None:
            try:
                await client.wait_for_completion("x")
            except HubClosed:
                waiting.append("closed")

        nursery.start_soon(watch)
        await opened.settle(client)
    assert waiting == ["closed"]
    with pytest.raises(HubClosed):
        await client.start_new(waits, "y")
    with pytest.raises(HubClosed):
        await client.get_status("x")


async def test_status_shows_the_history(tmp_path: Path, opened: Opened) -> None:
    """G14: history is shown on request, its results only when they are asked for."""
    async with opened(tmp_path, app) as client:
        await client.start_new(waits, "x", {"a": 1}, tags={"k": "v"}, events=[("go", "secret")])
        status = await client.get_status("x", show_history=True)
        assert status.history is not None
        assert [row["event_type"] for row in status.history] == ["Started", "EventRaised", "Ended"]
        assert all(row["timestamp"] >= datetime(2026, 1, 1, tzinfo=UTC) for row in status.history)
        assert "output" not in status.history[-1]
        shown = await client.get_status("x", show_history=True, show_history_output=True, show_input=False)
        assert shown.history is not None
        assert shown.history[-1]["output"] == "secret"
        assert (shown.input_, shown.tags) == (None, {"k": "v"})


async def test_ids_are_made_when_none_is_given(tmp_path: Path, opened: Opened) -> None:
    """G29: without an id each start gets a fresh one, in every opening of the hub."""
    ids: list[str] = []
    for _ in range(3):
        async with opened(tmp_path, app) as client:
            for _ in range(3):
                started = await client.start_new(waits)
                assert started == Started(started.instance_id, created=True)
                ids.append(started.instance_id)
    assert len(set(ids)) == 9
    assert [one for one in ids if not re.fullmatch("[0-9a-f]{32}", one)] == []


async def test_a_falsy_output_and_none(tmp_path: Path, opened: Opened) -> None:
    """G33: None, 0, False, "" and [] are outputs like all others."""
    async with opened(tmp_path, app) as client:
        values: list[Any] = [None, 0, False, "", [], {}]
        for number, value in enumerate(values):
            await client.start_new(waits, f"x{number}", events=[("go", value)])
            status = await finished(client, f"x{number}")
            assert status.output == value
            assert type(status.output) is type(value)


async def test_an_id_is_that_of_one_hub(tmp_path: Path, autojump_clock: object) -> None:
    """G15: the same id in two hubs is two instances."""
    async with open_hub(tmp_path / "one", app) as one, open_hub(tmp_path / "two", app) as two:
        for client in (one, two):
            assert (await client.start_new(waits, "x")).created
        await one.raise_event("x", "go", 1)
        assert await output(one, "x") == 1
        assert (await two.get_status("x")).runtime_status == "Running"


@pytest.mark.parametrize("spelling", ["Completed", "COMPLETED", "completed"])
def test_a_status_has_every_spelling_but_in_sets(spelling: str) -> None:
    """The statuses of the samples, as they spell them: equal, and in a list; a set finds only its own spelling."""
    status = OrchestrationRuntimeStatus.Completed
    assert status == spelling
    assert status in [spelling, "FAILED"]
    assert status != "Failed"
    assert (status in {spelling, "Failed"}) is (spelling == "Completed")


async def test_times_of_a_status(tmp_path: Path, autojump_clock: object) -> None:
    """G14: created is when it was started, and stays; updated is its last commit."""
    async with hub(tmp_path, app) as client:
        await client.start_new(waits, "x")
        first = await client.get_status("x")
        assert first.created_time == first.last_updated_time
        await trio.sleep(60)
        await client.raise_event("x", "go", 1)
        last = await finished(client, "x")
        assert last.created_time == first.created_time
        assert last.last_updated_time is not None
        assert first.last_updated_time is not None
        assert (last.last_updated_time - first.last_updated_time).total_seconds() >= 60


@app.activity
def noted() -> None:
    begun.append(True)


@app.orchestration
async def awaits_nothing(ctx: OrchestrationContext) -> Any:
    ctx.call_activity(noted)
    return await ctx.wait_for_external_event("go")


async def test_a_task_begins_when_it_is_made(tmp_path: Path, autojump_clock: object) -> None:
    """An activity runs though nobody awaits it."""
    begun.clear()
    async with hub(tmp_path, app) as client:
        await client.start_new(awaits_nothing, "x")
        with trio.fail_after(100):
            while not begun:
                await trio.sleep(0.1)
        assert (await client.get_status("x")).runtime_status == "Running"
