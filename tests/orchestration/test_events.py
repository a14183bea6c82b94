"""G16, G22: no event is lost, and an event is taken when the code observes it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from durio.orchestration import (
    App,
    InstanceFinished,
    InstanceNotFound,
    OrchestrationContext,
    Task,
    TaskNotCompleted,
)
from tests.orchestration.helpers import Stepper, hub, output

app = App()


@app.orchestration
async def takes(ctx: OrchestrationContext, names: list[str]) -> list[Any]:
    """Waits for events by these names, one after the other, after "begin"."""
    await ctx.wait_for_external_event("begin")
    return [await ctx.wait_for_external_event(name) for name in names]


def taken(hub: Stepper, names: list[str], events: list[tuple[str, object]]) -> Any:
    """What `takes` returns when these events came before it waited for any of them."""
    hub.start("takes", "x", names)
    hub.settle()
    for name, value in events:
        hub.raise_event("x", name, value)
    hub.raise_event("x", "begin")
    hub.settle()
    return hub.output("x")


@pytest.mark.parametrize("evict", [False, True])
def test_events_wait_for_their_waiter(evict: bool) -> None:
    """G16: events that come before anybody waits are kept in order, each name for itself."""
    events: list[tuple[str, object]] = [("a", 1), ("b", 2), ("a", 3), ("c", 4), ("b", 5)]
    assert taken(Stepper(app, evict=evict), ["b", "a", "a", "b", "c"], events) == [2, 1, 3, 5, 4]


def test_names_compare_without_case() -> None:
    """G16: names of events compare case-insensitively, beyond ASCII too."""
    assert taken(Stepper(app), ["Approval", "STRASSE"], [("straße", 1), ("aPPROVAL", 2)]) == [2, 1]


def test_an_event_without_data_and_with_falsy_data() -> None:
    """G16: None, 0, False, "" and [] are values of events like all others."""
    values: list[Any] = [None, 0, False, "", []]
    assert taken(Stepper(app), ["e"] * 5, [("e", value) for value in values]) == values


@pytest.mark.parametrize("state", ["pending", "suspended", "suspended and pending"])
async def test_an_instance_that_cannot_take_an_event_now_accepts_it(
    tmp_path: Path, autojump_clock: object, state: str
) -> None:
    """G13, G16: Pending and Suspended instances accept events at once and take them later, in order."""
    start_at = datetime(2026, 1, 1, 0, 0, 30, tzinfo=UTC) if "pending" in state else None
    async with hub(tmp_path, app) as client:
        await client.start_new(takes, "x", ["e", "e"], start_at=start_at)
        if "suspended" in state:
            await client.suspend("x")
        await client.raise_event("x", "begin")
        await client.raise_event("x", "e", 1)
    async with hub(tmp_path, app) as client:
        await client.raise_event("x", "e", 2)
        if "suspended" in state:
            await client.resume("x")
        assert await output(client, "x") == [1, 2]


async def test_nobody_is_there_to_take_an_event(tmp_path: Path, autojump_clock: object) -> None:
    """G16: an event for an unknown or a finished instance is an error to the client, with the facts."""
    async with hub(tmp_path, app) as client:
        with pytest.raises(InstanceNotFound, match="no instance with ID 'x'"):
            await client.raise_event("x", "e")
        await client.start_new(takes, "x", [])
        await client.terminate("x")
        with pytest.raises(InstanceFinished, match="has ended \\(Terminated\\)"):
            await client.raise_event("x", "e")


@app.orchestration
async def polls(ctx: OrchestrationContext) -> list[Any]:
    """Waits with a time-out in a loop; makes a new waiter each time and forgets the old one."""
    got: list[Any] = []
    while len(got) < 3:
        event = ctx.wait_for_external_event("e")
        timer = ctx.create_timer(timedelta(seconds=10))
        winner: Task[Any] = await ctx.task_any([event, timer])
        if winner is event:
            timer.cancel()
            got.append(event.result)
        else:
            got.append("late")
    return [*got, await ctx.wait_for_external_event("e")]


@pytest.mark.parametrize("evict", [False, True])
def test_an_abandoned_waiter_takes_nothing(evict: bool) -> None:
    """G22: waiters that lost to a timer in a loop of `task_any` do not swallow the events that come later."""
    hub = Stepper(app, evict=evict)
    hub.start("polls", "x")
    hub.settle()
    hub.pass_s(25)
    hub.raise_event("x", "e", 1)
    hub.raise_event("x", "e", 2)
    hub.settle()
    assert hub.output("x") == ["late", "late", 1, 2]


@app.orchestration
async def chooses(ctx: OrchestrationContext) -> list[Any]:
    """`task_any` over two names; the loser is awaited afterwards."""
    a, b = ctx.wait_for_external_event("a"), ctx.wait_for_external_event("b")
    await ctx.wait_for_external_event("begin")
    winner = await ctx.task_any([a, b])
    loser = b if winner is a else a
    return ["a" if winner is a else "b", winner.result, await loser]


@pytest.mark.parametrize("order", ["ab", "ba"])
def test_of_several_ready_members_the_first_in_time_wins(order: str) -> None:
    """G22: `task_any` takes the member that became ready first; the loser takes nothing and can be awaited."""
    hub = Stepper(app)
    hub.start("chooses", "x")
    hub.settle()
    for name in order:
        hub.raise_event("x", name, name.upper())
    hub.raise_event("x", "begin")
    hub.settle()
    assert hub.output("x") == [order[0], order[0].upper(), order[1].upper()]


@app.orchestration
async def reads_results(ctx: OrchestrationContext) -> list[Any]:
    """Creates three waiters of one name and observes them out of order, with `.result` too."""
    first, second, third = (ctx.wait_for_external_event("e") for _ in range(3))
    early = ""
    try:
        _ = first.result
    except TaskNotCompleted as error:
        early = str(error)
    await ctx.wait_for_external_event("begin")
    assert second.is_completed
    assert third.is_completed  # an await of it would return at once: it would take the oldest event
    return [early, third.result, second.result, await first, await third]


def test_reading_a_result_is_observing() -> None:
    """G22: `.result` of a waiter counts as awaiting it: whoever is observed first gets the oldest event."""
    hub = Stepper(app)
    hub.start("reads_results", "x")
    hub.settle()
    for value in (1, 2, 3):
        hub.raise_event("x", "e", value)
    hub.raise_event("x", "begin")
    hub.settle()
    assert hub.output("x") == ["event 'e' has no result yet; await it first", 1, 2, 3, 1]


@app.orchestration
async def choice_that_falls(ctx: OrchestrationContext) -> list[Any]:
    """An inner choice holds the oldest event until it falls for something else."""
    inner, outer = ctx.wait_for_external_event("e"), ctx.wait_for_external_event("e")
    never, stop = ctx.wait_for_external_event("never"), ctx.wait_for_external_event("stop")
    choice: Task[Any] = ctx.task_any([ctx.task_all([inner, never]), stop])
    await ctx.task_all([choice, outer, ctx.wait_for_external_event("end")])
    return [outer.result, await inner]


@pytest.mark.parametrize("order", [("e", "e", "stop"), ("e", "stop", "e"), ("stop", "e", "e")])
def test_events_of_a_choice_that_falls_go_to_the_others_in_order(order: tuple[str, ...]) -> None:
    """G22: nothing is latched: when a waiter does not matter any more, the oldest event goes to the next one."""
    hub = Stepper(app)
    hub.start("choice_that_falls", "x")
    hub.settle()
    number = 0
    for name in (*order, "end"):
        number += name == "e"
        hub.raise_event("x", name, number)
        hub.settle()
    assert hub.output("x") == [1, 2]


@app.orchestration
async def loser_lets_go(ctx: OrchestrationContext) -> list[Any]:
    """The loser of a choice was offered the oldest event; the winner was ready with a newer one."""
    loser, winner = ctx.wait_for_external_event("e"), ctx.wait_for_external_event("e")
    _ = await ctx.task_any([winner, ctx.task_all([loser, ctx.wait_for_external_event("never")])])
    return [winner.result, await loser]


def test_a_choice_takes_the_oldest_event_when_its_losers_let_go() -> None:
    """G22: events of one name are observed in the order of their arrival, whatever is nested in what."""
    hub = Stepper(app)
    hub.start("loser_lets_go", "x")
    hub.settle()
    for value in (1, 2):
        hub.raise_event("x", "e", value)
        hub.settle()
    assert hub.output("x") == [1, 2]


@app.orchestration
async def sends(ctx: OrchestrationContext, target: str) -> None:
    for number in range(3):
        ctx.send_event(target, "E", number)
    ctx.send_event("nobody", "e")


async def test_an_orchestration_sends_events(tmp_path: Path, autojump_clock: object) -> None:
    """G16: `send_event` reaches another instance in order; one to nobody is dropped and hurts nobody."""
    async with hub(tmp_path, app) as client:
        await client.start_new(takes, "x", ["e", "e", "e"])
        await client.raise_event("x", "begin")
        await client.start_new(sends, "y", "x")
        assert await output(client, "x") == [0, 1, 2]
        assert await output(client, "y") is None
