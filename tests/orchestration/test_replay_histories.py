"""`replay_histories`: changed orchestrators are checked against what a real hub holds, before they run on it (G20)."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from durio.entities import NotRegistered
from durio.orchestration import Client, NonDeterminismError, OrchestrationContext, replay_histories
from durio.orchestration.limits import REPLAY_CHUNKS
from tests.orchestration.replaying import (
    Code,
    K,
    act,
    again,
    app_of,
    ends,
    generator,
    gives_up,
    goes_on,
    live,
    more,
    nap,
    only,
    other_act,
    other_generator,
    other_parent,
    other_teller,
    pair,
    parent,
    records,
    started,
    swapped,
    teller,
    tries,
    tries_once,
)

HERE = "replaying.py"
ONE, TWO = "ActivityScheduled(id=1, name='one')", "ActivityScheduled(id=1, name='two')"
KID, OTHER_KID = (f"ChildStarted(id=1, name='kid', instance='{name} kid')" for name in ("the", "another"))
SENT, OTHER_SENT = (f"EventSent(id=1, name='go', target='{name}')" for name in "yz")
CHANGES = [
    pytest.param(act, other_act, ONE, TWO, id="another activity"),
    pytest.param(pair, swapped, ONE, TWO, id="another order"),
    pytest.param(nap, act, "TimerSet(id=1)", ONE, id="a timer less"),
    pytest.param(act, nap, ONE, "TimerSet(id=1)", id="a timer more"),
    pytest.param(act, more, "nothing more", "EntitySignaled(id=2, entity='@e@k', operation='more')", id="a step more"),
    pytest.param(pair, act, "ActivityScheduled(id=2, name='two')", "nothing more", id="a step less"),
    pytest.param(act, ends, "no end yet", "to end as Completed", id="an end"),
    pytest.param(act, again, "no end yet", "to end as ContinuedAsNew", id="a new beginning"),
    pytest.param(generator, other_act, ONE, TWO, id="generator to async def"),
    pytest.param(act, other_generator, "nothing more", "ActivityScheduled(id=2, name='two')", id="to generator"),
    pytest.param(parent, other_parent, KID, OTHER_KID, id="another child"),
    pytest.param(teller, other_teller, SENT, OTHER_SENT, id="another receiver"),
    pytest.param(gives_up, goes_on, "CancelTask(id=1)", "nothing more", id="a cancellation less"),
    pytest.param(tries, tries_once, "TimerSet(id=2)", "to end here", id="no retry"),
]


@pytest.mark.parametrize(("old", "new", "expected", "actual"), CHANGES)
def test_changed_code_is_found_with_both_sides(
    tmp_path: Path, old: Code, new: Code, expected: str, actual: str
) -> None:
    """G20: what history holds, what the code wants instead, and where in the code; the old code fits."""
    live(tmp_path / "hub", app_of(old, kid=act), started())
    found = {result.instance_id: result for result in replay_histories(tmp_path / "hub", app_of(new, kid=act))}["x"]
    assert isinstance(found.error, NonDeterminismError)
    assert not found.fits
    error = found.error
    assert (error.instance_id, error.expected) == ("x", expected)
    assert error.actual.startswith(actual)  # the reason may follow
    assert HERE in error.where
    assert str(error) == (
        f"instance 'x' is not deterministic at {error.where}: its history holds {error.expected}, "
        f"but the code wants {error.actual}; was the code changed under a running instance?"
    )
    fitting = replay_histories(tmp_path / "hub", app_of(old, kid=act))
    assert [(result.fits, result.error) for result in fitting] == [(True, None)] * len(fitting)
    assert (found.name, found.version, found.runtime_status) == ("main", None, "Running")
    assert found.events > 1


async def later_more(ctx: OrchestrationContext) -> Any:
    """Does more, but behind the place where the instance waits; other inputs, a status, and time in between."""
    ctx.set_custom_status(ctx.current_utc_datetime.isoformat())
    await ctx.call_activity("one")
    got = await ctx.wait_for_external_event("go")
    return await ctx.call_activity("two", got)


async def other_input(ctx: OrchestrationContext) -> Any:
    await ctx.call_activity("one")
    await ctx.call_activity("two", 8)
    return await ctx.wait_for_external_event("go")


async def longer_nap(ctx: OrchestrationContext) -> Any:
    await ctx.create_timer(timedelta(days=5))
    await ctx.call_activity("one")
    return await ctx.wait_for_external_event("go")


FITTING = [(act, generator), (generator, act), (act, later_more), (pair, other_input), (nap, longer_nap)]


@pytest.mark.parametrize(("old", "new"), FITTING)
def test_changes_that_do_not_matter_fit(tmp_path: Path, old: Code, new: Code) -> None:
    """G20: kind, order and names count; inputs, due times, the way it is written, and what comes later do not."""
    live(tmp_path / "hub", app_of(old), started())
    result = only(replay_histories(tmp_path / "hub", app_of(new)))
    assert (result.fits, result.error) == (True, None)


def test_nothing_is_run_and_nothing_is_changed(tmp_path: Path) -> None:
    """Every record but the epoch is as before, no activity runs, and the hub goes on with the code that fits."""
    ran: list[str] = []
    path, app = tmp_path / "hub", app_of(tries, ran=ran, kid=parent)
    live(path, app, started("failing"), started("suspended"), lambda client: client.suspend("suspended"))
    live(path, app, lambda client: client.start_new("kid", "parent"), lambda client: client.signal_entity(K, "go"))
    before, ran[:] = records(path), []
    assert len(before) > 10
    for main in (tries, tries_once, act, None):
        replay_histories(path, app_of(main, ran=ran, kid=other_parent), finished=True)
    assert ran == []
    assert records(path) == before

    async def goes_on(client: Client) -> None:
        assert (await client.wait_for_completion("failing")).runtime_status == "Failed"

    live(path, app, goes_on)
    assert ran == ["two"] * 2


def test_code_that_is_not_there_is_found(tmp_path: Path) -> None:
    """G20: without code of that name and version the hub would hold the instance; the error says what there is."""
    path = tmp_path / "hub"
    live(path, app_of(act, version="1"), started())
    gone = only(replay_histories(path, app_of(kid=act)))
    other = only(replay_histories(path, app_of(act, version="2")))
    assert isinstance(gone.error, NotRegistered)
    assert "no orchestration named 'main version 1' is registered (registered: kid)" in str(gone.error)
    assert isinstance(other.error, NotRegistered)
    assert "registered: main version 2" in str(other.error)
    assert (other.name, other.version, other.fits) == ("main", "1", False)
    both = app_of(act, version="1")
    both.orchestration(name="main", version="2")(other_act)
    assert only(replay_histories(path, both)).fits


def test_each_version_is_checked_with_its_own_code(tmp_path: Path) -> None:
    """G20: an instance is replayed by the code of the version that it was started with."""
    path, app, wrong = tmp_path / "hub", app_of(act, version="1"), app_of(act, version="1")
    app.orchestration(name="main", version="2")(pair)
    wrong.orchestration(name="main", version="2")(swapped)
    live(path, app, started("a", version="1"), started("b", version="2"), started("c"))
    assert [(r.instance_id, r.version, r.fits) for r in replay_histories(path, wrong)] == [
        ("a", "1", True),
        ("b", "2", False),
        ("c", "2", False),
    ]


def test_a_child_is_an_instance_like_others(tmp_path: Path) -> None:
    """A changed child is found by its own id; its parent fits."""
    live(tmp_path / "hub", app_of(parent, kid=act), started())
    child, its_parent = replay_histories(tmp_path / "hub", app_of(parent, kid=other_act))
    assert (child.instance_id, child.name, child.fits) == ("the kid", "kid", False)
    assert (its_parent.instance_id, its_parent.fits) == ("x", True)


async def takes_events(ctx: OrchestrationContext) -> Any:
    """Answers every event with a signal."""
    while (event := await ctx.wait_for_external_event("go")) is not None:
        ctx.signal_entity(K, f"got {event}")


async def answers_one_less(ctx: OrchestrationContext) -> Any:
    while (event := await ctx.wait_for_external_event("go")) is not None:
        if event != 149:
            ctx.signal_entity(K, f"got {event}")


def test_long_histories_are_replayed_to_their_end(tmp_path: Path) -> None:
    """A difference in the last of many rows is found, and every event is counted; a row is one turn."""
    path = tmp_path / "hub"

    async def raises(client: Client) -> None:
        for number in range(150):
            await client.raise_event("x", "go", number)

    live(path, app_of(takes_events), started(), raises)
    assert sum(key.startswith(b"ax\0h") for key, _ in records(path)) > 2 * REPLAY_CHUNKS
    fitting = only(replay_histories(path, app_of(takes_events)))
    wrong = only(replay_histories(path, app_of(answers_one_less)))
    assert fitting.fits
    assert fitting.events == wrong.events >= 1 + 150 * 3
    assert isinstance(wrong.error, NonDeterminismError)
    assert wrong.error.expected == "EntitySignaled(id=150, entity='@e@k', operation='got 149')"


async def rounds(ctx: OrchestrationContext, left: int) -> Any:
    """In its last round it does something else."""
    await ctx.call_activity("one" if left else "two")
    if left:
        ctx.continue_as_new(left - 1)
    return await ctx.wait_for_external_event("go")


async def other_rounds(ctx: OrchestrationContext, left: int) -> Any:
    """Differs from `rounds` in every round but the last one."""
    await ctx.call_activity("one" if left > 10 else "two")
    return await ctx.wait_for_external_event("go")


def test_only_the_current_execution_counts(tmp_path: Path) -> None:
    """G23: after continue-as-new the code must fit what came since, with the input of that execution."""
    live(tmp_path / "hub", app_of(rounds), started(client_input=5))
    assert only(replay_histories(tmp_path / "hub", app_of(other_rounds))).fits
    wrong = only(replay_histories(tmp_path / "hub", app_of(act)))
    assert isinstance(wrong.error, NonDeterminismError)
    assert (wrong.error.expected, wrong.error.actual) == (TWO, ONE)
    assert wrong.events < 8
