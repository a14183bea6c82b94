"""Large things in their full size: 64 MiB payloads, 10 MB states, histories of a million events."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import attrs
import msgspec
import pytest
import trio

from benchmarks.large import Watch, on_disk_kb, watched
from durio.entities import EntityId, keys
from durio.entities.limits import PAYLOAD_BYTES_MAX
from durio.entities.messages import encode_record
from durio.orchestration import App, OrchestrationContext, open_hub
from durio.orchestration.history import Chunk, EventRaised, Woke
from durio.orchestration.records import HEAD, Head, history_suffix
from durio.storage import LmdbStore, WriteSet

pytestmark = pytest.mark.heavy

EVENTS = 1_000_000
A_TURN = 10
LARGEST = PAYLOAD_BYTES_MAX - 2
STOP_MS = 50
app = App()


@app.entity
@attrs.define
class Page:
    """A state of some size."""

    text: str = ""

    def write(self, text: str) -> None:
        self.text = text

    def size(self) -> int:
        return len(self.text)


@app.activity
async def pass_on(text: str) -> str:
    return text


@app.orchestration
async def hand_over(ctx: OrchestrationContext, text: str) -> str:
    passed = await ctx.call_activity(pass_on, text)
    await ctx.wait_for_external_event("go")
    return passed


@app.orchestration
async def hears(ctx: OrchestrationContext, count: int) -> int:
    for _ in range(count):
        await ctx.wait_for_external_event("e")
    return count


def memory_mb() -> float:
    """What this process holds in memory."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * 4096 / 1e6


async def test_64_mib_are_on_disk_once_and_never_stop_the_loop(tmp_path: Path) -> None:
    """G8, G19: a text of the largest size goes everywhere, over a restart, while others run; it is on disk once."""
    text = "x" * LARGEST
    async with open_hub(tmp_path, app) as client:
        before_kb = on_disk_kb(tmp_path)
        first = await watched(lambda: client.start_new(hand_over, "h", text))
    async with open_hub(tmp_path, app) as client:
        await client.raise_event("h", "go")
        second = await watched(lambda: client.wait_for_completion("h"))
        assert on_disk_kb(tmp_path) - before_kb < 1.05 * LARGEST / 1024
        assert (await client.get_status("h")).output == text
    assert first["stop (own CPU)"] < STOP_MS
    assert second["stop (own CPU)"] < STOP_MS


async def test_a_state_of_10_mb_is_replaced_in_place(tmp_path: Path) -> None:
    """G2: operations on a large state work, one that changes nothing writes nothing, and the file stays in bounds."""
    page, size = EntityId("page", "k"), 10_000_000
    async with open_hub(tmp_path, app) as client:
        for letter in "abcdefghij":
            await client.call_entity(page, Page.write, letter * size)
            assert await client.call_entity(page, Page.size) == size
        assert on_disk_kb(tmp_path) < 6 * size / 1024
    async with open_hub(tmp_path, app) as client:
        assert await client.call_entity(page, Page.size) == size


async def test_a_history_of_a_million_events_is_replayed(tmp_path: Path) -> None:
    """G7, G8: it is loaded and replayed in bounded memory, and others run meanwhile."""
    async with open_hub(tmp_path, app) as client:
        await client.start_new(hears, "h", EVENTS + 1)
    _lengthen(tmp_path)
    before_mb = memory_mb()
    async with open_hub(tmp_path, app) as client:

        async def work() -> None:
            await client.raise_event("h", "e", 1)
            assert (await client.wait_for_completion("h")).output == EVENTS + 1

        figures = await watched(work)
        assert memory_mb() - before_mb < 100
    assert figures["stop (own CPU)"] < 2 * STOP_MS


async def test_a_history_of_a_million_events_is_shown(tmp_path: Path) -> None:
    """G8, G14: it is read and told bit by bit; what is given back is all that takes memory."""
    async with open_hub(tmp_path, app) as client:
        await client.start_new(hears, "h", EVENTS + 1)
    _lengthen(tmp_path)
    before_mb, watch = memory_mb(), Watch()
    async with trio.open_nursery() as nursery, open_hub(tmp_path, app) as client:
        nursery.start_soon(watch.run)
        status = await client.get_status("h", show_history=True)
        nursery.cancel_scope.cancel()
    assert status.history is not None
    assert sum(row["event_type"] == "EventRaised" for row in status.history) == EVENTS
    assert memory_mb() - before_mb < 1000
    assert watch.cpu_ms < 10 * STOP_MS  # the garbage collector alone walks a million rows


def _lengthen(folder: Path) -> None:
    """Append events to the history of `h`, as if they had come in turns of ten."""
    with LmdbStore.open(folder) as store:
        group = keys.actor("h")
        data = store.get(group + HEAD)
        assert data is not None
        head = msgspec.msgpack.decode(data, type=Head)
        changes: list[tuple[bytes, bytes | None]] = []
        for turn in range(EVENTS // A_TURN):
            events: list[Any] = [Woke(head.clock_us + turn)]
            events += [EventRaised("e", b"1", turn * A_TURN + number) for number in range(A_TURN)]
            suffix = history_suffix(head.generation, head.chunks + turn)
            changes.append((group + suffix, encode_record(Chunk(events))))
        longer = msgspec.structs.replace(head, chunks=head.chunks + EVENTS // A_TURN)
        changes.append((group + HEAD, encode_record(longer)))
        store.commit(WriteSet(tuple(changes)))
