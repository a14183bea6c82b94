"""G27: rewind takes a failed instance back to the failures that ended it, and lets it go on."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from durio.entities import EntityId
from durio.orchestration import (
    App,
    Client,
    InstanceFinished,
    InstanceNotFailed,
    InstanceNotFound,
    NonDeterminismError,
    OrchestrationContext,
    RetryOptions,
    TaskFailedError,
    verify,
)
from tests.orchestration.helpers import finished, hub, in_memory, output
from tests.orchestration.links import Opened

app = App()
runs: list[str] = []
broken: set[str] = set()
PURSE = EntityId("purse", "mine")


@pytest.fixture(autouse=True)
def _fresh() -> None:
    runs.clear()
    broken.clear()


@app.activity
def work(name: str) -> str:
    """Fails while its name is among what is broken."""
    runs.append(name)
    if name in broken:
        raise ValueError(f"{name} is broken")
    return name.upper()


@app.activity
async def slow(name: str) -> str:
    await trio.sleep(100)
    runs.append(name)
    return name


@app.entity
@attrs.define
class Purse:
    coins: int = 0

    def put(self, coins: int) -> int:
        if "purse" in broken:
            raise ValueError("it is locked up")
        self.coins += coins
        runs.append(f"put {coins}")
        return self.coins

    async def put_slowly(self, coins: int) -> int:
        await trio.sleep(50)
        self.coins += coins
        return self.coins


@app.orchestration
async def chain(ctx: OrchestrationContext) -> list[str]:
    return [await ctx.call_activity(work, name) for name in ("a", "b", "c")]


@app.orchestration
async def parallel(ctx: OrchestrationContext) -> list[str]:
    first = await ctx.call_activity(work, "first")
    return [first, *await ctx.task_all([ctx.call_activity(work, name) for name in ("a", "b", "c")])]


async def failed(client: Client, instance_id: str) -> None:
    """Waits for an end as Failed."""
    status = await finished(client, instance_id)
    assert status.runtime_status == "Failed", status.output


async def test_only_what_failed_is_done_again(opened: Opened, tmp_path: Path) -> None:
    """G27: completed activities are not run again; the plan says what is done; over every kind of client."""
    async with opened(tmp_path, app) as client:
        broken.add("b")
        await client.start_new("chain", "x")
        await client.wait_for_completion("x")
        plan = await client.rewind("x", dry_run=True)
        assert plan.again == ("ActivityScheduled(id=2, name='work')",)
        assert plan.dropped == ("ActivityFailed(id=2)", "Ended(status='Failed')")
        assert (await client.get_status("x")).runtime_status == "Failed"
        before = (await client.get_status("x")).execution_id
        broken.clear()
        assert await client.rewind("x", "repaired") == plan
        status = await client.wait_for_completion("x")
        assert (status.output, status.execution_id) == (["A", "B", "C"], before)
        history = (await client.get_status("x", True)).history
        assert history is not None
        assert next(row for row in history if row["event_type"] == "Rewound")["reason"] == "repaired"
    assert runs == ["a", "b", "b", "c"]
    assert verify(tmp_path / "hub" if (tmp_path / "hub").exists() else tmp_path).ok


async def test_all_failed_members_of_a_task_all(tmp_path: Path, autojump_clock: object) -> None:
    """G27, G30: of a `task_all` the failed members are run again, all of them, and the completed one is not."""
    async with hub(tmp_path, app) as client:
        broken.update("ac")
        await client.start_new(parallel, "x")
        await failed(client, "x")
        broken.clear()
        await client.rewind("x")
        assert await output(client, "x") == ["FIRST", "A", "B", "C"]
    assert sorted(runs) == ["a", "a", "b", "c", "c", "first"]


@app.orchestration
async def patient(ctx: OrchestrationContext) -> list[Any]:
    """A timer that fires before the failure, one that is open then, and a retry whose attempts are used up."""
    began = ctx.current_utc_datetime
    await ctx.create_timer(timedelta(hours=1))
    reminder = ctx.create_timer(began + timedelta(hours=9))
    retry = RetryOptions(60_000, 3)
    result = await ctx.call_activity_with_retry(work, retry, "a")
    await reminder
    return [result, (ctx.current_utc_datetime - began) >= timedelta(hours=9)]


async def test_timers_and_retries(tmp_path: Path, autojump_clock: object) -> None:
    """G27, G28: a fired timer stays fired, an open one keeps its own time, the last attempt is made again."""
    async with hub(tmp_path, app) as client:
        broken.add("a")
        await client.start_new(patient, "x")
        await failed(client, "x")
        assert runs == ["a", "a", "a"]
        broken.clear()
        await client.rewind("x")
    async with hub(tmp_path, app) as client:  # also when it is loaded anew
        with trio.fail_after(100_000):
            status = await client.wait_for_completion("x")
        assert status.output == ["A", True]
    assert runs == ["a", "a", "a", "a"]


@app.orchestration
async def approval(ctx: OrchestrationContext) -> list[Any]:
    """Seed: an approval that came before the failure is not asked for again."""
    first = await ctx.wait_for_external_event("approved")
    later = ctx.wait_for_external_event("later")
    try:
        await ctx.call_activity(work, "a")
    finally:
        ctx.set_custom_status("tried")
    return [first, await later]


async def test_events_stay(tmp_path: Path, autojump_clock: object) -> None:
    """G16, G27: events from before the failure, and those that it has got and not taken, are there afterwards."""
    async with hub(tmp_path, app) as client:
        broken.add("a")
        await client.start_new(approval, "x", events=[("approved", 1), ("later", 2)])
        await failed(client, "x")
        broken.clear()
        await client.rewind("x")
        assert await output(client, "x") == [1, 2]


@app.orchestration
async def parent(ctx: OrchestrationContext, depth: int) -> Any:
    if depth == 0:
        return await ctx.call_activity(work, "deep")
    return [await ctx.call_sub_orchestrator(parent, depth - 1, f"child-{depth - 1}")]


async def test_failed_children_are_rewound_first(tmp_path: Path, autojump_clock: object) -> None:
    """G27: down to the grandchild that failed; what it did before is not done again."""
    async with hub(tmp_path, app) as client:
        broken.add("deep")
        await client.start_new(parent, "x", 2)
        await failed(client, "x")
        plan = await client.rewind("x", dry_run=True)
        assert plan.rewound == ("child-1",)
        broken.clear()
        await client.rewind("x")
        assert await output(client, "x") == [["DEEP"]]
        assert (await client.get_status("child-0")).output == "DEEP"
    assert runs == ["deep", "deep"]


@pytest.mark.parametrize("how", ["purged", "terminated", "completed"])
async def test_a_failed_child_that_is_something_else_by_now(tmp_path: Path, autojump_clock: object, how: str) -> None:
    """G27: a child that is gone is started again; one that was rewound and has completed tells its result again."""
    async with hub(tmp_path, app) as client:
        broken.add("deep")
        await client.start_new(parent, "x", 1)
        await failed(client, "x")
        broken.clear()
        if how == "purged":
            await client.purge_instance_history("child-0")
        else:
            if how == "terminated":
                broken.add("deep")
            await client.rewind("child-0")
            await finished(client, "child-0")
            broken.clear()
        before = len(runs)
        await client.rewind("x")
        assert await output(client, "x") == ["DEEP"]
        assert len(runs) - before == (0 if how == "completed" else 1)


@app.orchestration
async def family(ctx: OrchestrationContext) -> list[Any]:
    """A child and a slow call that go on while it fails."""
    child = ctx.call_sub_orchestrator(sleeper, instance_id="child")
    call = ctx.call_entity(PURSE, "put_slowly", 5)
    await ctx.call_activity(work, "a")
    return await ctx.task_all([child, call])


@app.orchestration
async def sleeper(ctx: OrchestrationContext) -> str:
    await ctx.create_timer(timedelta(seconds=200))
    return "slept"


@pytest.mark.parametrize("late_s", [1, 1000])
async def test_results_that_come_while_it_is_failed(tmp_path: Path, autojump_clock: object, late_s: float) -> None:
    """G3, G27: a child and a call that go on are neither started again nor lost, when they end before or after it."""
    async with hub(tmp_path, app) as client:
        broken.add("a")
        await client.start_new(family, "x")
        await failed(client, "x")
        await trio.sleep(late_s)
        broken.clear()
        await client.rewind("x")
        assert await output(client, "x") == ["slept", 5]
        assert (await client.read_entity_state(PURSE)).entity_state == {"coins": 5}
    assert verify(tmp_path / "hub").ok


@app.orchestration
async def shopping(ctx: OrchestrationContext) -> list[Any]:
    """Fails in the middle of a critical section."""
    before = await ctx.call_activity(work, "before")
    async with await ctx.lock_entities([PURSE]):
        first = await ctx.call_entity(PURSE, Purse.put, 1)
        await ctx.call_activity(work, "inside")
        second = await ctx.call_entity(PURSE, Purse.put, 10)
    return [before, first, second]


async def test_a_critical_section_is_done_again_as_a_whole(tmp_path: Path, autojump_clock: object) -> None:
    """G12, G27: its locks were given back at the failure, so that others came in: it begins anew behind the lock."""
    async with hub(tmp_path, app) as client:
        broken.add("inside")
        await client.start_new(shopping, "x")
        await failed(client, "x")
        assert await client.list_locks() == []
        await client.call_entity(PURSE, Purse.put, 100)
        broken.clear()
        await client.rewind("x")
        assert await output(client, "x") == ["BEFORE", 102, 112]
        assert await client.list_locks() == []
    assert runs.count("before") == 1


@app.orchestration
async def calls(ctx: OrchestrationContext) -> Any:
    return await ctx.call_entity(PURSE, Purse.put, 7)


async def test_a_failed_call_is_made_again(tmp_path: Path, autojump_clock: object) -> None:
    """G10, G27: the operation that raised had not happened."""
    async with hub(tmp_path, app) as client:
        broken.add("purse")
        await client.start_new(calls, "x")
        await failed(client, "x")
        broken.clear()
        await client.rewind("x")
        assert await output(client, "x") == 7


def buggy(version: int) -> App:
    """An orchestrator that is wrong in itself, and repaired in version 1."""
    program = App()
    program.activity(work)

    @program.orchestration(name="buggy")
    async def code(ctx: OrchestrationContext) -> Any:
        first = await ctx.call_activity(work, "a")
        ctx.signal_entity(PURSE, "put", 3)
        if version == 0:
            raise ZeroDivisionError("a bug")
        second = await ctx.call_activity(work, "b")
        child = await ctx.call_sub_orchestrator("leaf")
        return [first, second, child, ctx.new_uuid() != ""]

    @program.orchestration(name="leaf")
    async def leaf(ctx: OrchestrationContext) -> str:
        return ctx.instance_id

    program.entity(Purse)
    return program


async def test_repaired_code_goes_on_where_it_failed(tmp_path: Path, autojump_clock: object) -> None:
    """G19, G27: nothing was done twice, also what the failing step had asked for; and the next replay does the same."""
    async with hub(tmp_path, buggy(0)) as client:
        await client.start_new("buggy", "x")
        await failed(client, "x")
    async with hub(tmp_path, buggy(1)) as client:
        await client.rewind("x")
        result = await output(client, "x")
        assert result[:2] == ["A", "B"]
        assert (await client.read_entity_state(PURSE)).entity_state == {"coins": 3}
        assert ".1:" in result[2], "the rewind is a part of later ids (G29)"
    assert runs.count("a") == 1
    assert verify(tmp_path / "hub").ok


async def test_code_that_does_not_fit_fails_again(tmp_path: Path, autojump_clock: object) -> None:
    """G20, G27: rewinding does not switch the check of the replay off."""
    other = App()

    @other.orchestration(name="chain")
    async def code(ctx: OrchestrationContext) -> Any:
        await ctx.create_timer(timedelta(seconds=1))

    async with hub(tmp_path, app) as client:
        broken.add("b")
        await client.start_new(chain, "x")
        await failed(client, "x")
    async with hub(tmp_path, other) as client:
        await client.rewind("x")
        status = await finished(client, "x")
        assert status.failure is not None
        assert status.failure.is_caused_by(NonDeterminismError)
    broken.clear()
    async with hub(tmp_path, app) as client:
        await client.rewind("x")
        assert await output(client, "x") == ["A", "B", "C"]


async def test_again_and_again(tmp_path: Path, autojump_clock: object) -> None:
    """G27: an instance that fails again at the same place, or further on, is rewound again, and opened in between."""
    for bad in ("b", "b", "c"):
        broken.add(bad)
        async with hub(tmp_path, app) as client:
            if bad == "b" and not runs:
                await client.start_new(chain, "x")
            else:
                await client.rewind("x", f"before {bad}")
            await failed(client, "x")
        broken.clear()
    async with hub(tmp_path, app) as client:
        plan = await client.rewind("x")
        assert plan.number == 3
        assert await output(client, "x") == ["A", "B", "C"]
    assert runs == ["a", "b", "b", "b", "c", "c"]
    assert verify(tmp_path / "hub").ok


@app.orchestration
async def late(ctx: OrchestrationContext) -> Any:
    """What is asked for behind the failure is taken back: an activity, a timer, a child, an event that is taken."""
    try:
        return [await ctx.call_activity(work, "a"), await ctx.wait_for_external_event("go")]
    except TaskFailedError as error:
        await ctx.call_activity(work, "sorry")
        _ = ctx.call_sub_orchestrator(sleeper, instance_id="late child")
        _ = ctx.create_timer(timedelta(hours=1))
        event = await ctx.wait_for_external_event("go")
        raise RuntimeError(event) from error


async def test_what_came_after_the_failure_is_taken_back(tmp_path: Path, autojump_clock: object) -> None:
    """G27: children that were started there are terminated, timers dropped, and events are there again."""
    async with hub(tmp_path, app) as client:
        broken.add("a")
        await client.start_new(late, "x")
        while not await client.get_status("late child"):
            await trio.sleep(1)
        await client.raise_event("x", "go", 5)
        await failed(client, "x")
        plan = await client.rewind("x", dry_run=True)
        assert plan.terminated == ("late child",)
        assert [words.partition("(")[0] for words in plan.kept] == ["EventRaised"]
        broken.clear()
        await client.rewind("x")
        assert await output(client, "x") == ["A", 5]
        assert (await finished(client, "late child")).output == "rewound"


async def test_late_results_of_what_was_taken_back_are_dropped(tmp_path: Path, autojump_clock: object) -> None:
    """G24, G27: an activity of the old part that ends late is not the new one of the same number."""
    program = App()
    gate = trio.Event()

    @program.activity
    async def held(name: str) -> str:
        runs.append(name)
        if name == "stubborn" and len(runs) == 1:
            with trio.CancelScope(shield=True):
                await gate.wait()
        return f"{name} {len(runs)}"

    @program.activity
    def fails() -> None:
        if broken:
            raise ValueError("no")

    @program.orchestration
    async def both(ctx: OrchestrationContext) -> list[str]:
        task = ctx.call_activity(held, "stubborn")
        await ctx.call_activity(fails)
        return [await task, await ctx.call_activity(held, "next")]

    broken.add("fails")
    async with in_memory(program) as client:
        await client.start_new(both, "x")
        await failed(client, "x")
        broken.clear()
        await client.rewind("x")
        gate.set()
        assert await output(client, "x") == ["stubborn 2", "next 3"]


async def test_who_cannot_be_rewound(tmp_path: Path, autojump_clock: object) -> None:
    """G27, G31: a running, a completed, a terminated and an unknown instance; nothing is changed."""
    async with hub(tmp_path, app) as client:
        await client.start_new(sleeper, "running")
        await client.start_new(chain, "completed")
        await finished(client, "completed")
        await client.start_new(sleeper, "terminated")
        await client.terminate("terminated")
        wrong: list[tuple[str, type[Exception]]] = [
            ("running", InstanceNotFailed),
            ("completed", InstanceFinished),
            ("terminated", InstanceFinished),
            ("nobody", InstanceNotFound),
        ]
        for name, error in wrong:
            for dry_run in (True, False):
                with pytest.raises(error):
                    await client.rewind(name, dry_run=dry_run)


async def test_a_request_id_may_be_repeated_and_a_rewound_life_purged(tmp_path: Path, autojump_clock: object) -> None:
    """G3, G18, G27: the same request rewinds once; afterwards nothing of it is left."""
    async with hub(tmp_path, app) as client:
        broken.add("b")
        await client.start_new(chain, "x")
        await failed(client, "x")
        await client.rewind("x", request_id="r")
        await failed(client, "x")
        await client.rewind("x", request_id="r")
        assert (await client.get_status("x")).runtime_status == "Failed"
        broken.clear()
        await client.rewind("x")
        assert await output(client, "x") == ["A", "B", "C"]
        await client.purge_instance_history("x")
        await client.start_new(chain, "x")
        assert await output(client, "x") == ["A", "B", "C"]
    assert verify(tmp_path / "hub").ok


async def test_waiting_and_terminating_after_a_rewind(tmp_path: Path, autojump_clock: object) -> None:
    """G17, G26: the same life goes on: who waits again is told its new end; it can be terminated at once."""
    async with hub(tmp_path, app) as client:
        broken.add("b")
        await client.start_new(chain, "x")
        await failed(client, "x")
        await client.rewind("x")
        await client.terminate("x", "enough")
        assert (await finished(client, "x")).output == "enough"
    assert verify(tmp_path / "hub").ok
