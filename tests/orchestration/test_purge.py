"""Purge: what has ended is forgotten, whole and at once (G18)."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from durio.entities import EntityId, VirtualEnv
from durio.entities import keys as entity_keys
from durio.entities.limits import TRASH_BATCH_MAX
from durio.orchestration import App, Client, InstanceNotFinished, OrchestrationContext, open_hub
from durio.orchestration.query_client import PURGED, PURGES_AT_ONCE
from durio.storage import LmdbStore, MemoryDisk, MemoryStore, NoSpace, WriteSet
from tests.entities.helpers import Counter

app = App()
app.entity(Counter)


@app.activity
async def endless() -> None:
    await trio.sleep_forever()


@app.orchestration
async def waits(ctx: OrchestrationContext, count: int) -> int:
    """Takes events; leaves an activity behind, which goes on after it has returned."""
    _ = ctx.call_activity(endless)
    for number in range(count):
        await ctx.wait_for_external_event("go")
        if number % 2:
            ctx.signal_entity(EntityId("Counter", "taken"), "add", 1)
    return count


def rows(disk: MemoryDisk, address: str) -> int:
    """How many rows of an instance there are, its mailbox and its activities included."""
    tables = (entity_keys.ACTOR, entity_keys.MAIL, entity_keys.JOB)
    prefixes = [table + address.encode() + b"\0" for table in tables]
    return sum(key.startswith(tuple(prefixes)) for key in disk.snapshot())


async def finished(client: Client, instance_id: str, count: int) -> None:
    await client.start_new(waits, instance_id, count)
    for _ in range(count):
        await client.raise_event(instance_id, "go")
    await client.wait_for_completion(instance_id)


async def test_what_has_ended_is_gone_at_once(autojump_clock: MockClock) -> None:
    """G18: a purged life leaves no row behind, no activity, and no status."""
    disk = MemoryDisk()
    async with open_hub(MemoryStore(disk), app, env=VirtualEnv()) as client:
        await finished(client, "i", 3)
        assert rows(disk, "i") > 3
        assert (await client.purge_instance_history("i")).instances_deleted == 1
        assert rows(disk, "i") == 0
        assert not await client.get_status("i")
        assert (await client.purge_instance_history("i")).instances_deleted == 0


@pytest.mark.parametrize("suspended", [False, True])
async def test_what_goes_on_is_not_purged(suspended: bool, autojump_clock: MockClock) -> None:
    """G18: a running instance is left alone, and whoever asked is told what it does."""
    async with open_hub(MemoryStore(MemoryDisk()), app, env=VirtualEnv()) as client:
        await client.start_new(waits, "i", 1)
        if suspended:
            await client.suspend("i")
        with pytest.raises(InstanceNotFinished) as caught:
            await client.purge_instance_history("i")
        assert caught.value.runtime_status == ("Suspended" if suspended else "Running")
        await client.terminate("i")
        assert (await client.purge_instance_history("i")).instances_deleted == 1


async def test_answers_stay_after_a_purge(autojump_clock: MockClock) -> None:
    """G3, G18: a start that is repeated after its instance was purged gets the first answer, and starts nothing."""
    async with open_hub(MemoryStore(MemoryDisk()), app, env=VirtualEnv()) as client:
        assert (await client.start_new(waits, "i", 0, request_id="once")).created
        await client.wait_for_completion("i")
        await client.purge_instance_history("i", request_id="purge")
        assert (await client.start_new(waits, "i", 0, request_id="once")).created
        assert not await client.get_status("i")
        assert (await client.purge_instance_history("i", request_id="purge")).instances_deleted == 1


async def test_a_large_history_goes_behind_its_life(autojump_clock: MockClock) -> None:
    """G18: a history of more rows than one commit deletes disappears at once for everybody who looks; a new life under
    the same id is not touched by what is still being deleted.
    """
    disk, events = MemoryDisk(), 3 * TRASH_BATCH_MAX
    async with open_hub(MemoryStore(disk), app, env=VirtualEnv()) as client:
        await finished(client, "i", events)
        await client.purge_instance_history("i")
        assert rows(disk, "i") > TRASH_BATCH_MAX
        assert not await client.get_status("i")
        await client.start_new(waits, "i", 2)
        await client.raise_event("i", "go")
        await trio.sleep(1)
        status = await client.get_status("i", show_history=True)
        assert [event["event_type"] for event in status.history or ()] == [
            "Started",
            "ActivityScheduled",
            "EventRaised",
        ]
        assert rows(disk, "i") < 10, "the old history is gone"
    async with open_hub(MemoryStore(disk), app, env=VirtualEnv()) as client:
        await client.raise_event("i", "go")
        assert (await client.wait_for_completion("i")).output == 2


async def test_purge_gives_room_back(tmp_path: object) -> None:
    """G18: on LMDB, too: what was purged is gone after the next open."""
    folder = f"{tmp_path}/hub"
    async with open_hub(folder, app) as client:
        await client.start_new(waits, "i", 1)
        await client.raise_event("i", "go")
        await client.wait_for_completion("i")
        await client.purge_instance_history("i")
    with LmdbStore.open(folder) as store:
        assert store.scan(entity_keys.actor("i"), entity_keys.stop_of(entity_keys.actor("i"))) == []


async def test_a_purge_of_many_tells_how_many_went(autojump_clock: MockClock) -> None:
    """As it goes on, and at its end; the others of a page that were not there any more do not count."""
    told: list[tuple[str, int, int]] = []
    async with open_hub(MemoryStore(MemoryDisk()), app, env=VirtualEnv()) as client:
        for number in range(PURGES_AT_ONCE + 5):
            await client.start_new(waits, f"i{number}", 0)
        await client.wait_for_completion(f"i{PURGES_AT_ONCE + 4}")
        purged = await client.purge_instance_history_by(progress=lambda *far: told.append(far))
    assert purged.instances_deleted == PURGES_AT_ONCE + 5
    assert told == [(PURGED, PURGES_AT_ONCE, 0), (PURGED, PURGES_AT_ONCE + 5, 0)]


class Tight(MemoryStore):
    """A disk with room for small commits only, from some moment on."""

    changes_max = 1_000_000

    def commit(self, writes: WriteSet) -> int:
        if len(writes.changes) > self.changes_max:
            raise NoSpace(self.path)
        return super().commit(writes)

    def has_room(self) -> bool:
        return self.changes_max == 1_000_000


@pytest.mark.parametrize(("changes_max", "enough"), [(40, True), (0, False)])
async def test_many_are_purged_with_room_for_one(changes_max: int, enough: bool, autojump_clock: MockClock) -> None:
    """G18, G32: those whose pages do not fit all at once go one by one; with no room at all one error says so."""
    store = Tight(MemoryDisk())
    async with open_hub(store, app, env=VirtualEnv()) as client:
        for number in range(PURGES_AT_ONCE):
            await finished(client, f"i{number}", 0)
        store.changes_max = changes_max
        if enough:
            assert (await client.purge_instance_history_by()).instances_deleted == PURGES_AT_ONCE
            assert await client.get_status_all() == []
        else:
            with pytest.raises(NoSpace):
                await client.purge_instance_history_by()
            assert len(await client.get_status_all()) == PURGES_AT_ONCE
        store.changes_max = 1_000_000
