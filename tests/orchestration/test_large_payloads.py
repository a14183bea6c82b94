"""Large payloads through a whole hub: once on disk, from every place to every place, and gone when nobody has them."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import settings
from hypothesis import strategies as st

from durio.entities import EntityContext, EntityId, PayloadTooLarge, RequestIdReused, VirtualEnv, keys
from durio.entities.blob_check import check_blobs
from durio.entities.limits import BLOB_BYTES_MIN
from durio.orchestration import App, OrchestrationContext, connect, open_hub, replay_histories, verify
from durio.simulation import Parts, Sim, call, raise_event, simulate, start, terminate
from durio.storage import LmdbStore, MemoryDisk, MemoryStore, Reads, WriteSet
from tests.orchestration.helpers import finished, hub, output

SIZE = 3 * BLOB_BYTES_MIN
app = App()


@app.entity
@attrs.define
class Shelf:
    """Keeps texts."""

    texts: list[str] = attrs.Factory(list)

    def put(self, text: str) -> int:
        self.texts.append(text)
        return len(self.texts)

    def take(self) -> str:
        return self.texts.pop()

    def look(self) -> int:
        return len(self.texts)

    def clear(self) -> None:
        EntityContext.current().destruct_on_exit()

    async def swap(self, text: str) -> str:
        self.texts, old = [text], self.texts
        return "".join(old)


@app.activity
async def pass_on(text: str) -> str:
    return text


@app.activity
def double(text: str) -> list[str]:
    return [text, text]


@app.orchestration
async def echo(ctx: OrchestrationContext, text: str = "") -> str:
    return text or await ctx.wait_for_external_event("text")


@app.orchestration
async def holds(ctx: OrchestrationContext, text: str) -> None:
    await ctx.wait_for_external_event("never")


@app.orchestration
async def tour(ctx: OrchestrationContext, text: str) -> dict[str, Any]:
    """Sends what is large to everywhere."""
    shelf = EntityId("shelf", ctx.instance_id)
    ctx.set_custom_status(text)
    ctx.signal_entity(shelf, "put", text)
    ctx.signal_entity(shelf, "put", text, signal_time=ctx.current_utc_datetime + timedelta(minutes=1))
    ctx.send_event(ctx.instance_id, "own", text)
    passed = await ctx.call_activity(pass_on, text)
    doubled = await ctx.call_activity(double, passed)
    child = await ctx.call_sub_orchestrator(echo, doubled[1])
    await ctx.create_timer(ctx.current_utc_datetime + timedelta(minutes=2))
    taken = await ctx.call_entity(shelf, "take")
    event = await ctx.wait_for_external_event("text")
    own = await ctx.wait_for_external_event("own")
    return {"all": [text, passed, *doubled, child, taken, event, own], "left": await ctx.call_entity(shelf, "look")}


@app.orchestration
async def rounds(ctx: OrchestrationContext, text: str) -> str:
    if not text.endswith("..."):
        ctx.continue_as_new(text + ".")
    return text


@app.orchestration
async def waits(ctx: OrchestrationContext, text: str) -> Any:
    await ctx.call_activity(double, text)
    await ctx.call_activity(double, text + "!")
    return await ctx.wait_for_external_event("go")


def blobs(store: Reads) -> int:
    """How many blobs there are on disk."""
    found = {key[:17] for key, _ in store.scan(keys.BLOB, keys.stop_of(keys.BLOB))}
    return len(found)


def assert_clean(tmp_path: Path, expected: int | None = None) -> None:
    """A hub that is closed: every reference leads somewhere, and nothing is left over."""
    with LmdbStore.open(tmp_path / "hub") as store:
        assert check_blobs(store) == []
        assert expected is None or blobs(store) == expected


@pytest.mark.parametrize("reopen", [False, True], ids=["live", "reopened"])
@pytest.mark.parametrize("letter", ["x", "ä"])
async def test_a_large_payload_goes_everywhere(
    letter: str, reopen: bool, tmp_path: Path, autojump_clock: object
) -> None:
    """G2, G19, G33: inputs, results, events, timers, children, states and statuses may be large, over a restart too."""
    text = letter * SIZE
    async with hub(tmp_path, app) as client:
        await client.start_new(tour, "t", text)
        if not reopen:
            await client.raise_event("t", "text", text)
            await finished(client, "t")
    assert [one.error for one in replay_histories(tmp_path / "hub", app)] == [None] * reopen
    async with hub(tmp_path, app, activations_max=0) as client:
        if reopen:
            await client.raise_event("t", "text", text)
        result = await output(client, "t")
    assert result == {"all": [text] * 8, "left": 1}
    assert_clean(tmp_path)


class WeighingStore(MemoryStore):
    """Counts the bytes that are read."""

    read = 0

    def get(self, key: bytes) -> bytes | None:
        found = super().get(key)
        self.read += len(found or b"")
        return found

    def scan(self, start: bytes, stop: bytes | None = None, *, limit: int | None = None) -> list[tuple[bytes, bytes]]:
        found = super().scan(start, stop, limit=limit)
        self.read += sum(len(value) for _, value in found)
        return found


async def test_a_look_without_the_input_does_not_read_it(autojump_clock: object) -> None:
    """A status with `show_input=False` costs the same, however large the input is; so does a list."""
    disk = MemoryDisk()
    async with open_hub(MemoryStore(disk), app, env=VirtualEnv()) as client:
        await client.start_new(holds, "x", "x" * SIZE)
    store = WeighingStore(disk)
    async with open_hub(store, app, env=VirtualEnv()) as client:
        assert (await client.get_status("x", show_input=False)).input_ is None
        assert (await client.get_status_all())[0].input_ is None
        assert store.read < BLOB_BYTES_MIN
        assert (await client.get_status("x")).input_ == "x" * SIZE
        assert store.read > SIZE


async def test_it_is_on_disk_once(tmp_path: Path, autojump_clock: object) -> None:
    """A text that is passed from client to activity to result to output is one blob, and stays one."""
    text = "x" * SIZE
    async with hub(tmp_path, app) as client:
        await client.start_new(echo, "a", text)
        assert await output(client, "a") == text
        await client.raise_event(await client.start_new(echo, "b"), "text", text)
        assert await output(client, "b") == text
        assert blobs(client._link.store) == 1
        status = await client.get_status("b", show_history=True, show_history_output=True)
        assert str(status.history).count(text) == 2
    assert (tmp_path / "hub" / "0" / "data.mdb").stat().st_size < 3 * SIZE
    assert_clean(tmp_path, 1)


async def test_a_state_that_is_replaced_or_deleted_is_gone(tmp_path: Path, autojump_clock: object) -> None:
    """G2: with the last record that has it a large payload goes."""
    shelf = EntityId("shelf", "k")
    async with hub(tmp_path, app) as client:
        store = client._link.store
        await client.call_entity(shelf, Shelf.put, "x" * SIZE)
        assert blobs(store) == 1
        await client.call_entity(shelf, Shelf.swap, "y" * SIZE)
        assert blobs(store) == 1
        await client.call_entity(shelf, Shelf.clear)
        assert blobs(store) == 0
    assert_clean(tmp_path, 0)


async def test_a_life_that_is_replaced_leaves_nothing(tmp_path: Path, autojump_clock: object) -> None:
    """G2, G15: a new life on the same id lets go of input, history and output of the old one."""
    async with hub(tmp_path, app) as client:
        for instance in ("finished", "running"):
            await client.start_new(waits, instance, "x" * SIZE)
        await client.raise_event("finished", "go", "y" * SIZE)
        assert await output(client, "finished") == "y" * SIZE
        await client.raise_event("running", "other", "z" * SIZE)
        for instance in ("finished", "running"):
            await client.start_new(echo, instance, if_running="replace")
        assert blobs(client._link.store) == 0
    assert_clean(tmp_path, 0)


async def test_continue_as_new_leaves_nothing_behind(tmp_path: Path, autojump_clock: object) -> None:
    """G23: each execution lets go of the input of the one before."""
    async with hub(tmp_path, app) as client:
        await client.start_new(rounds, "r", "x" * SIZE)
        assert len(await output(client, "r")) == SIZE + 3
    assert_clean(tmp_path, 1)


async def test_an_answer_is_kept_as_long_as_its_request(tmp_path: Path, autojump_clock: object) -> None:
    """G3: a large answer is given again to a repeated request, and goes when the request is forgotten."""
    shelf, text = EntityId("shelf", "k"), "x" * SIZE
    async with hub(tmp_path, app, dedupe_s=3600) as client:
        await client.call_entity(shelf, Shelf.put, text, request_id="put")
        assert await client.call_entity(shelf, Shelf.take, request_id="take") == text
    async with hub(tmp_path, app, dedupe_s=3600) as client:
        assert await client.call_entity(shelf, Shelf.take, request_id="take") == text
        assert await client.call_entity(shelf, Shelf.put, "x" * SIZE, request_id="put") == 1
        with pytest.raises(RequestIdReused):
            await client.call_entity(shelf, Shelf.put, "y" * SIZE, request_id="put")
        assert blobs(client._link.store) == 1
    assert_clean(tmp_path, 1)


async def test_an_operation_that_changes_nothing_writes_nothing(tmp_path: Path, autojump_clock: object) -> None:
    """A large state is encoded after every operation, and written only when it is another one."""
    shelf = EntityId("shelf", "k")
    async with hub(tmp_path, app) as client:
        await client.call_entity(shelf, Shelf.put, "x" * SIZE)
        store = client._link.store
        before = store.scan(keys.BLOB, keys.stop_of(keys.BLOB))
        assert await client.call_entity(shelf, Shelf.look) == 1
        assert store.scan(keys.BLOB, keys.stop_of(keys.BLOB)) == before


async def test_another_process_gives_and_gets_large_payloads(tmp_path: Path, autojump_clock: object) -> None:
    """G2, G31: what comes through the inbox is a blob when it is taken in; the owner's limit holds, too."""
    text, shelf = "x" * SIZE, EntityId("shelf", "k")
    async with (
        hub(tmp_path, app, payload_bytes_max=2 * SIZE) as own,
        connect(tmp_path / "hub", app=app, env=VirtualEnv()) as client,
    ):
        await client.start_new(echo, "a", text)
        assert await output(client, "a") == text
        await client.start_new(echo, "b", events=[("text", text)])
        assert await output(client, "b") == text
        assert await client.call_entity(shelf, Shelf.put, [text][0]) == 1
        assert await client.call_entity(shelf, Shelf.take) == text
        assert await output(own, "a") == text
        with pytest.raises(PayloadTooLarge):
            await client.start_new(echo, "c", 3 * text)
        assert not await own.get_status("c")
        assert blobs(own._link.store) >= 2
    assert_clean(tmp_path)


def whole(sim: Sim) -> None:
    """Every reference leads to a blob, and every blob has a holder."""
    assert check_blobs(sim._process.store) == []


@simulate(
    start(tour, st.sampled_from(["text", "längerer"]), instance_id="t"),
    raise_event("t", "text", st.just("text")),
    call(Shelf.put, st.just("some text"), key="t"),
    call(Shelf.swap, st.just("other"), key="t"),
    start(rounds, st.just("x"), instance_id="r"),
    terminate("t"),
    app=app,
    max_crashes=3,
    invariant=whole,
    settings=settings(max_examples=25),
    parts=Parts(blob_bytes_min=2),
)
def test_no_crash_loses_or_leaves_a_large_payload(sim: Sim) -> None:
    """G2*, G19*: at every commit and after any crash all large payloads are there, and none that nobody holds."""
    whole(sim)
    for status in sim.instances.values():
        assert status.runtime_status != "Failed", status.output


@pytest.mark.parametrize("damage", ["row", "holder", "record"])
async def test_verify_looks_at_large_payloads(damage: str, tmp_path: Path, autojump_clock: object) -> None:
    """G32: a part that is missing, a blob that nobody holds, a holder that is not noted: each is named."""
    async with hub(tmp_path, app) as client:
        await client.call_entity(EntityId("shelf", "k"), Shelf.put, "x" * SIZE)
    assert verify(tmp_path / "hub").ok
    with LmdbStore.open(tmp_path / "hub") as store:
        table = {"row": keys.BLOB, "holder": keys.HOLDER, "record": keys.ACTOR}[damage]
        store.commit(WriteSet(tuple((key, None) for key, _ in store.scan(table, keys.stop_of(table)))))
    report = verify(tmp_path / "hub")
    words = {"row": "has 0 of 1 rows", "holder": "as the holder of 0", "record": "no record refers to"}[damage]
    assert any(words in finding.why for finding in report.findings), report
