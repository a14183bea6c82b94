"""`replay_histories`: which instances of which hubs are checked, and what is said of those that cannot be read."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import lmdb
import pytest
import trio
from trio.testing import MockClock

from durio.entities import CONTROL_LANE, NotRegistered, VirtualEnv
from durio.orchestration import App, Client, NonDeterminismError, OrchestrationContext, open_hub, replay_histories
from durio.orchestration.messages import Suspend
from durio.storage import (
    CorruptRecord,
    FormatMismatch,
    HubInUse,
    LmdbStore,
    MemoryDisk,
    MemoryStore,
    NotAHub,
    WriteSet,
    backup,
)
from tests.orchestration.helpers import Stepper
from tests.orchestration.replaying import K, act, app_of, ends, live, more, only, other_act, records, started


def found(path: Path, app: App, **options: Any) -> list[tuple[str, str, bool]]:
    """Id, status, and whether the code fits."""
    return [(r.instance_id, r.runtime_status, r.fits) for r in replay_histories(path, app, **options)]


def test_suspended_instances_are_replayed(tmp_path: Path) -> None:
    """What is suspended goes on one day; it is checked as what runs, and shown as suspended."""
    path = tmp_path / "hub"
    live(path, app_of(act), started("a"), started("b"), lambda c: c.suspend("a"), lambda c: c.raise_event("a", "go"))
    assert found(path, app_of(act)) == [("a", "Suspended", True), ("b", "Running", True)]
    assert found(path, app_of(other_act)) == [("a", "Suspended", False), ("b", "Running", False)]


def test_resumed_instances_are_replayed(tmp_path: Path) -> None:
    """Having been suspended is no difference."""
    path = tmp_path / "hub"
    live(path, app_of(act), started(), lambda c: c.suspend("x"), lambda c: c.resume("x"))
    assert found(path, app_of(act)) == [("x", "Running", True)]
    assert found(path, app_of(more)) == [("x", "Running", False)]


def test_pending_instances_need_their_code(tmp_path: Path) -> None:
    """An instance that has not begun has no history to differ from; but its code must be there."""
    path = tmp_path / "hub"

    async def later(client: Client) -> None:
        created = (await client.get_status("x")).created_time
        assert created is not None
        await client.start_new("main", "later", start_at=created + timedelta(days=1))

    live(path, app_of(act), started(), later, lambda client: client.raise_event("later", "go", 1))
    assert found(path, app_of(act)) == [("later", "Pending", True), ("x", "Running", True)]
    assert found(path, app_of(other_act)) == [("later", "Pending", True), ("x", "Running", False)]
    pending, _ = replay_histories(path, app_of(act, version="2"))
    assert isinstance(pending.error, NotRegistered)
    assert (pending.events, pending.name, pending.version) == (0, "main", None)


async def fails(ctx: OrchestrationContext) -> Any:
    await ctx.call_activity("one")
    raise ValueError("always")


def test_finished_instances_are_checked_on_demand(tmp_path: Path) -> None:
    """`finished=True` adds those that completed; what failed or was terminated says nothing of the code."""
    path, app = tmp_path / "hub", app_of(ends, waits=act, fails=fails)
    stories = [lambda c, name=name: c.start_new(name, f"it {name}") for name in ("waits", "fails")]
    live(path, app, started("done"), *stories, lambda c: c.terminate("it waits"))
    assert found(path, app) == []
    assert found(path, app, finished=True) == [("done", "Completed", True)]
    (result,) = replay_histories(path, app_of(act), finished=True)
    assert isinstance(result.error, NonDeterminismError)
    assert (result.error.expected, result.error.actual) == ("its end as Completed", "to go on")
    assert found(path, app_of(more), finished=True) == [("done", "Completed", False)]
    assert found(path, app_of(), finished=True) == [("done", "Completed", False)]


async def refused(ctx: OrchestrationContext) -> Any:
    """Asks for an activity that is not there, and goes on with another one."""
    try:
        await ctx.call_activity("three", 1)
    except NotRegistered:
        await ctx.call_activity("one")
    return await ctx.wait_for_external_event("go")


async def not_refused(ctx: OrchestrationContext) -> Any:
    await ctx.call_activity("three", 1)
    return await ctx.wait_for_external_event("go")


def test_a_refusal_in_the_history_is_replayed_as_one(tmp_path: Path) -> None:
    """G19: the refusal is read from the record, also when the activity is there now."""
    path, now = tmp_path / "hub", app_of(refused)
    now.activity(name="three")(lambda number: number)
    live(path, app_of(refused), started())
    assert found(path, app_of(refused)) == [("x", "Running", True)]
    assert found(path, now) == [("x", "Running", True)]
    (result,) = replay_histories(path, app_of(not_refused))
    assert isinstance(result.error, NonDeterminismError)
    assert result.error.expected == "ActivityScheduled(id=2, name='one')"


def test_an_execution_that_has_not_begun_fits(tmp_path: Path) -> None:
    """Between continue-as-new and the first step of the next execution there is nothing to differ from."""

    async def again(ctx: OrchestrationContext) -> None:
        await ctx.wait_for_external_event("go")
        ctx.continue_as_new()

    hub = Stepper(app_of(again))
    hub.start("main", "x")
    hub.settle()
    hub.raise_event("x", "go")
    hub.kernel.run_turn()
    hub.submit("x", Suspend, CONTROL_LANE, reason="")
    hub.settle()
    assert hub.instance("x").open == {}
    result = only(replay_histories(MemoryStore(hub.disk), app_of(again)))
    assert (result.runtime_status, result.fits) == ("Suspended", True)
    assert result.events <= 1  # nothing, or the suspension


ROWS = (("head", b"ab\0000"), ("origin", b"ab\0001"), ("history", b"ab\0h"), ("entity", b"a@e@k\0"))


@pytest.mark.parametrize(("what", "prefix"), ROWS)
def test_damaged_rows_are_reported_and_the_others_are_replayed(tmp_path: Path, what: str, prefix: bytes) -> None:
    """G32: an instance that cannot be read has its error as its result; it hides no other one, nor does an entity."""
    path = tmp_path / "hub"
    live(path, app_of(act), *(started(name) for name in "abc"), lambda client: client.signal_entity(K, "go"))
    (path / "closed.json").unlink()  # as after a kill: what was changed behind a hub that was closed is refused
    with lmdb.open(str(path / "0")) as env, env.begin(write=True) as transaction:
        key, row = next((key, row) for key, row in transaction.cursor() if key.startswith(prefix))
        transaction.put(key, row[:-1] + bytes((row[-1] ^ 1,)))
    results = replay_histories(path, app_of(act))
    assert [result.instance_id for result in results] == ["a", "b", "c"]
    assert [result.fits for result in results] == [True, what == "entity", True]
    if what != "entity":
        assert isinstance(results[1].error, CorruptRecord)
        assert results[1].error.key == key


def test_what_cannot_be_decoded_is_reported(tmp_path: Path) -> None:
    """G32: a row whose checksum fits, and that is none of durio's, is the error of its instance alone."""
    path = tmp_path / "hub"
    live(path, app_of(act), started("a"), started("b"))
    with LmdbStore.open(path) as store:
        rows = [key for key, _ in store.scan(b"ab\0", b"ab\1")]
        for key in (rows[0], rows[-1]):
            disk = MemoryDisk()
            MemoryStore(disk).commit(WriteSet((*store.scan(b""), (key, b"\xc1"))))
            assert [r.fits for r in replay_histories(MemoryStore(disk), app_of(act))] == [True, False]


async def sleeps(ctx: OrchestrationContext) -> Any:
    await ctx.call_activity("one")
    await trio.sleep(1)


async def hides(ctx: OrchestrationContext) -> Any:
    """Swallows the refusal; the instance fails nevertheless (G21)."""
    await ctx.call_activity("one")
    with contextlib.suppress(Exception):
        await trio.sleep(1)
    return await ctx.wait_for_external_event("go")


async def wants_input(ctx: OrchestrationContext, number: int) -> Any:
    await ctx.call_activity("two", number)


async def gives_nonsense(ctx: OrchestrationContext) -> Any:
    await ctx.call_activity("one")
    return object()


REASONS = (
    (fails, "to end as Failed (ValueError: always)"),
    (sleeps, "to end as Failed (durio.entities.errors.NotDurable: "),
    (hides, "to end as Failed (durio.entities.errors.NotDurable: "),
    (wants_input, "to end here (durio.entities.payloads.PayloadError: "),
    (gives_nonsense, "to end as Failed (durio.entities.payloads.PayloadError: "),
)


@pytest.mark.parametrize(("code", "reason"), REASONS)
def test_the_reason_why_new_code_fails_is_told(tmp_path: Path, code: Callable[..., Any], reason: str) -> None:
    """Code that raises where it went on before differs from its history, and the text says what it raised."""
    live(tmp_path / "hub", app_of(act), started())
    error = only(replay_histories(tmp_path / "hub", app_of(code))).error
    assert isinstance(error, NonDeterminismError)
    assert error.actual.startswith(reason)
    assert error.actual in str(error)
    assert f"{Path(__file__).name}:" in error.where


def hub_folder(path: Path, kind: str) -> Path:
    """A folder, or something else, that is no hub."""
    path = path / kind
    if kind == "file":
        path.write_text("nothing")
    elif kind != "missing":
        path.mkdir()
    if kind == "other":
        (path / "notes.txt").write_text("mine")
    if kind == "left over":
        (path / "0").mkdir()
    if kind == "newer":
        (path / "durio.json").write_text(json.dumps({"format": 999, "product": "durio"}))
    return path


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("missing", FileNotFoundError),
        ("file", FileNotFoundError),
        ("empty", NotAHub),
        ("left over", NotAHub),
        ("other", NotAHub),
        ("newer", FormatMismatch),
    ],
)
def test_what_is_no_hub_is_refused_and_left_as_it_is(tmp_path: Path, kind: str, error: type[Exception]) -> None:
    """A check makes no hub: not of a wrong path, and not of an empty folder."""
    path = hub_folder(tmp_path, kind)
    before = sorted(str(found) for found in tmp_path.rglob("*"))
    for hub in (path, str(path)):
        with pytest.raises(error):
            replay_histories(hub, app_of(act))
    assert sorted(str(found) for found in tmp_path.rglob("*")) == before


@pytest.mark.parametrize("hub", [5, None, b"hub", ["hub"]])
def test_a_wrong_type_is_refused_at_the_call(tmp_path: Path, hub: Any) -> None:
    """What is neither a path nor a `Store`, and what is no app, is a `TypeError` that says so."""
    with pytest.raises(TypeError, match="hub is a path or a Store"):
        replay_histories(hub, app_of(act))
    wrong: Any = act
    with pytest.raises(TypeError, match="app is an App object, not <function act"):
        replay_histories(tmp_path, wrong)


def test_a_hub_in_use_is_refused_and_its_copy_is_not(tmp_path: Path) -> None:
    """While a hub is open its folder is `HubInUse`; a backup of it can be checked, and the hub goes on."""
    path, copy = tmp_path / "hub", tmp_path / "copy"

    async def main() -> None:
        async with open_hub(path, app_of(act), env=VirtualEnv()) as client:
            await client.start_new("main", "x")
            await trio.sleep(1)
            with pytest.raises(HubInUse):
                replay_histories(path, app_of(act))
            backup(path, copy)
            assert found(copy, app_of(act)) == [("x", "Running", True)]
            assert found(copy, app_of(other_act)) == [("x", "Running", False)]
            await client.raise_event("x", "go", 7)
            assert (await client.wait_for_completion("x")).output == 7

    trio.run(main, clock=MockClock(autojump_threshold=0))
    assert found(path, app_of(act)) == []
    assert found(copy, app_of(act)) == [("x", "Running", True)]


HOLDER = """
import sys
from durio.storage import LmdbStore
store = LmdbStore.open(sys.argv[1])
sys.stdout.write("open\\n")
sys.stdout.flush()
sys.stdin.read()
"""


def test_a_hub_of_another_process_is_in_use(tmp_path: Path) -> None:
    """`HubInUse` names the process; when that has ended, the hub can be checked."""
    path = tmp_path / "hub"
    live(path, app_of(act), started())
    command = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        with pytest.raises(HubInUse, match=str(holder.pid)):
            replay_histories(path, app_of(act))
        holder.communicate()
    assert found(path, app_of(act)) == [("x", "Running", True)]


async def interrupted(ctx: OrchestrationContext) -> Any:
    raise KeyboardInterrupt


def test_a_store_is_read_and_stays_open(tmp_path: Path) -> None:
    """A `Store` that was given is not closed, and has no commit more; a folder is let go, also when Ctrl-C ends it."""
    path = tmp_path / "hub"
    live(path, app_of(act), started())
    with LmdbStore.open(path) as store:
        commits, rows = store.last_commit, store.scan(b"")
        assert only(replay_histories(store, app_of(act))).fits
        assert (store.last_commit, store.scan(b"")) == (commits, rows)
    with pytest.raises(KeyboardInterrupt):
        replay_histories(path, app_of(interrupted))
    assert records(path) == rows


def test_results_come_in_the_order_of_ids(tmp_path: Path) -> None:
    """Entities are no instances; ids with anything in them are."""
    path, names = tmp_path / "hub", ["a", "B", "a b", "ä", "a/1", "a@b", "日"]
    live(path, app_of(act), *map(started, names), lambda client: client.signal_entity(K, "go"))
    assert [name for name, _, fits in found(path, app_of(act)) if fits] == sorted(names, key=str.encode)
