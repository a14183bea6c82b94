"""One large piece of work in a process of its own: `python -m benchmarks.growth_child MODE FOLDER COUNT`.

Says one line of JSON: what it took, and how large the process and the file are.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

import trio

from benchmarks.apps import Counter, app, counter, eternal, fan, listener
from benchmarks.crowd import crowd
from benchmarks.resident import measured
from benchmarks.speech import say
from durio.entities import SystemEnv, keys
from durio.orchestration import Client, open_hub
from durio.storage import LmdbStore

T = TypeVar("T")

CLIENTS: Final = 200
PICKED: Final = 1_000

SENDERS: Final = 2_000
PAYLOAD: Final = "x" * 10_000
INTAKE_BYTES: Final = 2 * 1024 * 1024
FASTER: Final = 10
"""How many times faster than the disk the senders would be."""


def _file_kb(folder: Path) -> float:
    return max(path.stat().st_blocks for path in (folder / "hub").rglob("data.mdb")) / 2


async def activities(folder: Path, count: int) -> None:
    """One orchestration, `count` activities out and in."""
    async with open_hub(folder / "hub", app) as client, measured() as figures:
        status = await client.wait_for_completion(await client.start_new(fan, "fan", count))
        assert status.output == count * (count + 1) // 2, status
    say(**figures, file=_file_kb(folder))


async def instances(folder: Path, count: int) -> None:
    """Start `count` instances that wait for an event."""
    async with open_hub(folder / "hub", app) as client, measured() as figures:
        await crowd(CLIENTS, count, lambda number: client.start_new(listener, f"waiting-{number}"))
    say(**figures, file=_file_kb(folder))


async def reopened(folder: Path, count: int) -> None:
    """Open the hub again; raise the event to some of them, and see them finish."""
    began = time.perf_counter()
    async with open_hub(folder / "hub", app) as client:
        opened_s = time.perf_counter() - began
        picked = random.Random(count).sample(range(count), min(PICKED, count))
        async with measured() as figures:
            await crowd(CLIENTS, len(picked), lambda number: _resume(client, picked[number]))
    say(open=opened_s, **{f"{name}, reopened": figure for name, figure in figures.items()})


async def _resume(client: Client, number: int) -> None:
    await client.raise_event(f"waiting-{number}", "go", number)
    status = await client.wait_for_completion(f"waiting-{number}")
    assert status.output == number, status


async def generations(folder: Path, count: int) -> None:
    """An eternal orchestration goes through `count` generations."""
    async with open_hub(folder / "hub", app) as client, measured() as figures:
        status = await client.wait_for_completion(await client.start_new(eternal, "eternal", count))
        assert status.output == 0, status
    with LmdbStore.open(folder / "hub") as store:
        group = keys.actor("eternal")
        rows = len(store.scan(group, keys.stop_of(group)))
    say(**figures, file=_file_kb(folder), rows=rows)


async def signals(folder: Path, count: int) -> None:
    """One entity gets `count` signals from 200 clients."""
    async with open_hub(folder / "hub", app) as client, measured() as figures:
        await crowd(CLIENTS, count, lambda _: client.signal_entity(counter(0), "add", 1))
        value = await client.call_entity(counter(0), Counter.add, 0)
        assert value == count, value
    say(**figures, file=_file_kb(folder))


class SlowDisk(SystemEnv):
    """A disk that needs `commit_s` more for every commit."""

    def __init__(self) -> None:
        super().__init__()
        self.commit_s = 0.0

    async def run_commit(self, commit: Callable[[], T]) -> T:
        with trio.CancelScope(shield=True):
            await trio.sleep(self.commit_s)
        return await super().run_commit(commit)


async def overload(folder: Path, count: int) -> None:
    """Two thousand senders, each as fast as it is let: first on this disk, then on one that takes a tenth of that."""
    disk = SlowDisk()
    async with open_hub(folder / "hub", app, env=disk, intake_bytes_max=INTAKE_BYTES) as client:
        room = INTAKE_BYTES // (len(PAYLOAD) + 1024)  # as the gate counts: 1 KiB for a message beside its payload
        eager = await crowd(SENDERS, SENDERS, lambda number: client.signal_entity(counter(number), "keep", PAYLOAD))
        disk.commit_s = room * FASTER / eager
        async with measured() as figures:
            sent = await crowd(SENDERS, count, lambda number: client.signal_entity(counter(number), "keep", PAYLOAD))
    say(**figures, disk=room / disk.commit_s, sent=sent, eager=eager)


if __name__ == "__main__":
    modes = (activities, instances, reopened, generations, signals, overload)
    trio.run({mode.__name__: mode for mode in modes}[sys.argv[1]], Path(sys.argv[2]), int(sys.argv[3]))
