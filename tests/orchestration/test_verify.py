"""G32: `verify` knows what durio writes, finds nothing in a hub that is whole, and names what does not fit."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
import trio

from durio.entities import EntityId
from durio.entities import keys as entity_keys
from durio.orchestration import App, OrchestrationContext, open_hub, verify
from durio.orchestration.checker import HubChecks
from durio.orchestration.index import BY_NAME, BY_STATUS, BY_TAG, BY_UPDATE, by_tag
from durio.orchestration.records import HEAD, Head
from durio.storage import LmdbStore, WriteSet, u64
from durio.storage.checker import check

app = App()


@app.entity(name="Tally")
def tally(context) -> None:  # type: ignore[no-untyped-def]  # as users write it
    context.set_state((context.get_state(lambda: 0) or 0) + 1)
    context.set_result(context.get_state())


@app.activity
async def slow(number: int) -> int:
    await trio.sleep_forever()
    return number


@app.activity
def quick(number: int) -> int:
    return number + 1


@app.orchestration
async def waits(ctx: OrchestrationContext) -> None:
    below = ctx.call_sub_orchestrator(child)
    async with await ctx.lock_entities([EntityId("Tally", "locked")]):
        working = ctx.call_activity(slow, 1)
        timer = ctx.create_timer(timedelta(days=1))
        await ctx.task_any([working, timer, below, ctx.wait_for_external_event("go")])


@app.orchestration
async def child(ctx: OrchestrationContext) -> None:
    await ctx.wait_for_external_event("never")


@app.orchestration
async def eternal(ctx: OrchestrationContext, count: int) -> int:
    for _ in range(40):
        await ctx.call_activity(quick, 1)
    if count < 3:
        ctx.continue_as_new(count + 1)
    return count


@app.orchestration
async def wrong(ctx: OrchestrationContext) -> None:
    raise ValueError("wrong")


async def make(hub: Path) -> None:
    """A hub with something in every table, closed while much of it goes on."""
    async with open_hub(hub, app) as client:
        await client.start_new(waits, "waits", tags={"of": "ann"})
        while not client._link.store.scan(entity_keys.JOB, entity_keys.stop_of(entity_keys.JOB)):  # it holds the lock
            await trio.lowlevel.checkpoint()
        await client.start_new(waits, "waits for the lock", tags={"of": "ann"})
        for orchestration in (eternal, wrong):
            arguments = (0,) if orchestration is eternal else ()
            name = orchestration.__name__
            started = await client.start_new(orchestration, name, *arguments, request_id=f"r-{name}")
            await client.wait_for_completion(started)
        await client.start_new(child, "suspended")
        await client.suspend("suspended")
        await client.raise_event("suspended", "never", "later")
        await client.signal_entity(EntityId("Tally", "locked"), "add")
        await client.signal_entity(EntityId("Tally", "free"), "add")
        await client.call_entity(EntityId("Tally", "free"), "add", request_id="a call")


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """That hub, made once."""
    hub = tmp_path_factory.mktemp("template") / "hub"
    trio.run(make, hub)
    return hub


def test_a_hub_with_everything_in_it_is_whole(template: Path) -> None:
    """No false alarm: instances, entities, locks, timers, jobs, mail, requests, closed in the middle of their work."""
    report = verify(template)
    assert str(report) == f"{template}: {report.records:,} records, nothing is wrong"
    with LmdbStore.open(template) as store:
        tables = {key[:1] for key, _ in store.scan(b"")}
    assert tables >= {b"a", b"m", b"t", b"j", b"l", b"d", b"e"}


def lose(prefix: bytes, number: int = 0) -> Callable[[LmdbStore], None]:
    """The record number so and so under a prefix is gone."""

    def change(store: LmdbStore) -> None:
        keys = [key for key, _ in store.scan(prefix, entity_keys.stop_of(prefix))]
        store.commit(WriteSet(((keys[number], None),)))

    return change


def lose_all(prefix: bytes) -> Callable[[LmdbStore], None]:
    """All records under a prefix are gone."""

    def change(store: LmdbStore) -> None:
        store.commit(WriteSet(tuple((key, None) for key, _ in store.scan(prefix, entity_keys.stop_of(prefix)))))

    return change


def overwrite(prefix: bytes, value: bytes) -> Callable[[LmdbStore], None]:
    """The first record under a prefix holds something else, with a right checksum."""

    def change(store: LmdbStore) -> None:
        key = store.scan(prefix, entity_keys.stop_of(prefix), limit=1)[0][0]
        store.commit(WriteSet(((key, value),)))

    return change


def move(prefix: bytes, to: bytes) -> Callable[[LmdbStore], None]:
    """The first record under a prefix stands under another key, with a right checksum."""

    def change(store: LmdbStore) -> None:
        key, value = store.scan(prefix, entity_keys.stop_of(prefix), limit=1)[0]
        store.commit(WriteSet(((key, None), (to, value))))

    return change


def change_head(address: str, **changes: object) -> Callable[[LmdbStore], None]:
    """What an instance is says something else."""

    def change(store: LmdbStore) -> None:
        key = entity_keys.actor(address) + HEAD
        head = msgspec.msgpack.decode(store.get(key) or b"", type=Head)
        store.commit(WriteSet(((key, msgspec.msgpack.encode(msgspec.structs.replace(head, **changes))),)))

    return change


ETERNAL, WAITS = entity_keys.actor("eternal"), entity_keys.actor("waits")
DAMAGE: dict[str, tuple[Callable[[LmdbStore], None], str]] = {
    "history row lost": (lose(ETERNAL + b"h", 1), "row 1 of the history should be here"),
    "last history row lost": (lose(ETERNAL + b"h", -1), "rows, "),
    "head lost": (lose(ETERNAL + b"0"), "none that says what it is"),
    "origin lost": (lose(WAITS + b"1"), "what it was started with is missing"),
    "end lost": (lose(ETERNAL + b"2"), "how it ended is missing"),
    "unknown status": (change_head("waits", status="Asleep"), "no status 'Asleep'"),
    "wrong generation": (change_head("eternal", generation=1), "no execution that goes on"),
    "head is another record": (overwrite(WAITS + b"0", b"\x93\x01\x02\x03"), "not what its key says"),
    "state is no state": (overwrite(entity_keys.ACTOR + b"@", b"\xc0"), "not what its key says"),
    "mail is no message": (overwrite(entity_keys.MAIL, b"\xff"), "not what its key says"),
    "mail of another kind": (move(entity_keys.MAIL + b"@", b"msuspended\0\x02" + u64(9)), "not what its key says"),
    "timer without a time": (move(entity_keys.TIMER, b"tomorrow"), "not that of a timer"),
    "job of another": (move(entity_keys.JOB, entity_keys.job("eternal", "x", 1)), "another one than its key says"),
    "job of nobody": (lose(WAITS + b"0"), "there is no such instance"),
    "lock of nobody": (overwrite(entity_keys.LOCK, b"\x90"), "not what its key says"),
    "index row lost": (lose(entity_keys.INDEX + BY_STATUS), "queries miss it"),
    "index row of a name lost": (lose(entity_keys.INDEX + BY_NAME, -1), "queries miss it"),
    "index row of a tag lost": (lose(entity_keys.INDEX + BY_TAG, 1), "'waits for the lock': its rows in the index"),
    "index row under another tag": (
        move(entity_keys.INDEX + BY_TAG, entity_keys.INDEX + by_tag("a", "b") + b"\x01" + u64(1) + b"waits\0"),
        "instance 'waits': its rows in the index are not those",
    ),
    "index row left over": (lose_all(entity_keys.actor("suspended")), "there is no such instance"),
    "index row of nobody": (
        move(entity_keys.INDEX + BY_UPDATE, entity_keys.INDEX + BY_UPDATE + b"\x01" + u64(1) + b"nobody\0"),
        "it leads to instance 'nobody', and there is no such instance",
    ),
    "index not changed with its instance": (change_head("waits", suspended=True), "instance 'waits': its rows"),
    "index row that is none": (move(entity_keys.INDEX, entity_keys.INDEX + b"zoo"), "no such row of the index"),
    "index row without a status": (
        move(entity_keys.INDEX, entity_keys.INDEX + BY_STATUS + b"\x09" + u64(1) + b"waits\0"),
        "no such row of the index",
    ),
    "text that is none": (overwrite(entity_keys.REQUEST, b"\x93\xa2\xff\xfe\x01\xc0"), "not what its key says"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_does_not_fit_is_named(template: Path, tmp_path: Path, damage: str) -> None:
    """Each record has a right checksum, and the hub is wrong all the same: the check says where and what."""
    hub = Path(shutil.copytree(template, tmp_path / "hub"))
    change, why = DAMAGE[damage]
    with LmdbStore.open(hub) as store:
        change(store)
    found = check(str(hub / "0"), HubChecks(), in_use=False, progress=lambda _: None)  # no damage that kills a reader
    assert why in "\n".join(f"{where}: {what}" for where, what in found)
