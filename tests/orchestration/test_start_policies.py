"""G15: one turn of the instance decides about a start; nobody can race it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from durio.orchestration import App, Client, InstanceAlreadyExists, InstanceFinished, OrchestrationContext, Started
from tests.orchestration.helpers import Stepper, finished, hub, output

app = App()


@app.orchestration
async def waits(ctx: OrchestrationContext, name: str = "") -> list[Any]:
    """Waits for two events, shows the first."""
    first = await ctx.wait_for_external_event("go")
    ctx.set_custom_status(first)
    return [name, first, await ctx.wait_for_external_event("go")]


@app.orchestration
async def other(ctx: OrchestrationContext) -> None:
    if await ctx.wait_for_external_event("go") == "Failed":
        raise ValueError("as it was told")


@app.orchestration
async def parent(ctx: OrchestrationContext, child: str) -> object:
    return await ctx.call_sub_orchestrator(waits, "child", child)


FAR = datetime(2030, 1, 1, tzinfo=UTC)


async def bring(client: Client, state: str) -> None:
    """Make the instance "x" what the test needs."""
    if state == "absent":
        return
    await client.start_new(waits, "x", "old", start_at=FAR if state == "pending" else None)
    if state == "suspended":
        await client.suspend("x")
    if state == "finished":
        await client.terminate("x", "over")


@pytest.mark.parametrize("if_finished", ["start", "raise"])
@pytest.mark.parametrize("if_running", ["raise", "return", "replace"])
@pytest.mark.parametrize("state", ["absent", "alive", "pending", "suspended", "finished"])
async def test_every_policy_in_every_state(
    tmp_path: Path, autojump_clock: object, state: str, if_running: Any, if_finished: Any
) -> None:
    """G15: the two policies alone decide whether a start creates, finds, replaces or is refused."""
    async with hub(tmp_path, app) as client:
        await bring(client, state)
        before = await client.get_status("x")
        policy = if_running if state in ("alive", "pending", "suspended") else if_finished
        if state != "absent" and policy == "raise":
            with pytest.raises(InstanceAlreadyExists) as refused:
                await client.start_new(waits, "x", "new", if_running=if_running, if_finished=if_finished)
            shown = {"alive": "Running", "finished": "Terminated"}.get(state, state.title())
            assert (refused.value.instance_id, refused.value.name) == ("x", "waits")
            assert refused.value.runtime_status == shown
            assert await client.get_status("x") == before
            return
        started = await client.start_new(waits, "x", "new", if_running=if_running, if_finished=if_finished)
        found = policy == "return" and state != "absent"
        assert started == Started("x", created=not found)
        after = await client.get_status("x")
        assert (after.execution_id == before.execution_id) is found
        if not found:
            assert (after.runtime_status, after.input_) == ("Running", "new")


async def test_return_needs_the_same_name(tmp_path: Path, autojump_clock: object) -> None:
    """G15: `if_running="return"` finds only the orchestration that was asked for."""
    async with hub(tmp_path, app) as client:
        await client.start_new(other, "x")
        with pytest.raises(InstanceAlreadyExists, match="orchestration 'other', Running"):
            await client.start_new(waits, "x", "new", if_running="return")


async def test_a_replaced_life_ends_as_terminated_with_its_children(tmp_path: Path, autojump_clock: object) -> None:
    """G15: replacing is one turn: whoever waits for the old life sees it Terminated, and its children end too."""
    ends: list[object] = []
    async with hub(tmp_path, app) as client:
        await client.start_new(parent, "x", "kid")

        async def watch() -> None:
            status = await client.wait_for_completion("x")
            ends.append((status.runtime_status, status.output))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch)
            await wait_all_tasks_blocked()
            await client.start_new(waits, "x", "new", if_running="replace")
        assert ends == [("Terminated", "replaced")]
        assert (await finished(client, "kid")).runtime_status == "Terminated"
        assert (await client.get_status("x")).name == "waits"


async def test_of_a_hundred_starts_at_once_one_creates(tmp_path: Path, autojump_clock: object) -> None:
    """G15: of 100 concurrent starts of one id exactly one creates it and 99 are told what runs there."""
    created: list[Started] = []
    refused: list[InstanceAlreadyExists] = []
    async with hub(tmp_path, app) as client:

        async def start(number: int) -> None:
            try:
                created.append(await client.start_new(waits, "one", f"n{number}"))
            except InstanceAlreadyExists as error:
                refused.append(error)

        async with trio.open_nursery() as nursery:
            for number in range(100):
                nursery.start_soon(start, number)
    assert [started.created for started in created] == [True]
    assert {(error.instance_id, error.name, error.runtime_status) for error in refused} == {("one", "waits", "Running")}
    assert len(refused) == 99


@pytest.mark.parametrize("end", ["Completed", "Failed", "Terminated", "Canceled"])
async def test_every_end_frees_the_id(tmp_path: Path, autojump_clock: object, end: str) -> None:
    """G15: however an instance ended, a plain start of its id creates the next one, and is refused before."""
    async with hub(tmp_path, app) as client:
        await client.start_new(other, "x")
        with pytest.raises(InstanceAlreadyExists):
            await client.start_new(other, "x")
        if end == "Terminated":
            await client.terminate("x")
        elif end == "Canceled":
            await client.cancel("x")
        else:
            await client.raise_event("x", "go", end)
        assert (await finished(client, "x")).runtime_status == end
        assert (await client.start_new(other, "x")).created
        assert (await client.get_status("x")).runtime_status == "Running"


@pytest.mark.parametrize("if_running", ["return", "replace"])
@pytest.mark.parametrize("state", ["absent", "alive", "pending", "suspended", "finished"])
async def test_events_of_a_start_reach_whichever_life_answers(
    tmp_path: Path, autojump_clock: object, state: str, if_running: Any
) -> None:
    """G15: `events=` are delivered in the same turn, in order, to the life that answers."""
    async with hub(tmp_path, app) as client:
        await bring(client, state)
        events = [("GO", 1), ("go", 2)]
        started = await client.start_new(waits, "x", "new", if_running=if_running, events=events)
        held = not started.created and state in ("pending", "suspended")
        if not held:
            assert (await client.get_status("x")).runtime_status == "Completed"  # in the very turn that answered
        elif state == "suspended":
            await client.resume("x")
        assert await output_after(client, until=FAR) == ["new" if started.created else "old", 1, 2]


async def output_after(client: Client, *, until: datetime) -> Any:
    """The output of "x", if need be after the virtual years until its start."""
    with trio.fail_after((until - datetime(2026, 1, 1, tzinfo=UTC)).total_seconds() + 60):
        return (await client.wait_for_completion("x")).output


async def test_a_child_on_a_taken_id_fails_its_task(tmp_path: Path, autojump_clock: object) -> None:
    """G15: a child on an id that is taken is no child: its task fails with what runs there, which goes on."""
    async with hub(tmp_path, app) as client:
        await client.start_new(waits, "taken", "old")
        await client.start_new(parent, "p", "taken")
        status = await finished(client, "p")
        assert status.runtime_status == "Failed"
        assert status.failure is not None
        assert status.failure.is_caused_by(InstanceAlreadyExists)
        assert "orchestration 'waits', Running" in status.output
        assert (await client.get_status("taken")).input_ == "old"


async def test_a_child_on_the_id_of_a_finished_instance_is_started(tmp_path: Path, autojump_clock: object) -> None:
    """G15: an id whose life has ended is free for a child."""
    async with hub(tmp_path, app) as client:
        await bring(client, "finished")
        await client.start_new(parent, "p", "x")
        await client.raise_event("x", "go", 1)
        await client.raise_event("x", "go", 2)
        assert await output(client, "p") == ["child", 1, 2]


def test_starts_that_wait_at_the_end_of_a_life_are_decided_in_order() -> None:
    """G15: at an end unread starts stay and are decided in order, unread asks get `InstanceFinished`."""
    hub = Stepper(app)
    hub.start("waits", "x", "old")
    hub.settle()
    hub.raise_event("x", "go", 1)
    ends = hub.raise_event("x", "go", 2)
    late = hub.raise_event("x", "go", 3)
    first, second = hub.start("waits", "x", "first"), hub.start("waits", "x", "second")
    to_first = hub.raise_event("x", "go", 4)
    hub.settle()
    assert [hub.refusal(token) for token in (ends, late, to_first)] == ["", InstanceFinished.__name__, ""]
    assert (hub.refusal(first), hub.refusal(second)) == ("", InstanceAlreadyExists.__name__)
    hub.raise_event("x", "go", 5)
    hub.settle()
    assert hub.output("x") == ["first", 4, 5]


def test_the_due_time_of_a_replaced_life_does_not_start_the_new_one() -> None:
    """G15: what was scheduled for a replaced Pending life does not reach the new one."""
    hub = Stepper(app)
    soon_us = hub.now_us + 10_000_000
    hub.start("waits", "x", "old", due_us=soon_us)
    hub.settle()
    hub.now_us = soon_us
    hub.start("waits", "x", "new", due_us=soon_us + 90_000_000, if_running="replace")
    hub.kernel.fire_due(hub.now_us)
    hub.settle()
    assert hub.status("x") == "Pending"
    hub.pass_s(90)
    assert hub.status("x") == "Running"


async def test_mail_held_for_a_replaced_life_does_not_reach_the_new_one(tmp_path: Path, autojump_clock: object) -> None:
    """G15: events that a Suspended life holds end with it when it is replaced."""
    async with hub(tmp_path, app) as client:
        await bring(client, "suspended")
        await client.raise_event("x", "go", "for the old one")
        await client.start_new(waits, "x", "new", if_running="replace")
        await client.raise_event("x", "go", 1)
        await client.raise_event("x", "go", 2)
        assert await output(client, "x") == ["new", 1, 2]


async def test_a_start_in_the_past_begins_at_once(tmp_path: Path, autojump_clock: object) -> None:
    """G15: `start_at` in the past is created Pending and begins right away."""
    async with hub(tmp_path, app) as client:
        await client.start_new(waits, "x", "new", start_at=FAR - timedelta(days=9999), events=[("go", 1), ("go", 2)])
        assert await output(client, "x") == ["new", 1, 2]
