"""A file system that is really full, under a hub at work (G32)."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from durio.entities import EntityId, VirtualEnv
from durio.orchestration import App, Client, OrchestrationContext, open_hub
from durio.storage import NoSpace
from tests.entities.helpers import Counter

app = App()
app.entity(Counter)


@app.orchestration
async def holds(ctx: OrchestrationContext, data: str) -> str:
    """Keeps some data until it is told to go on."""
    return await ctx.wait_for_external_event("go", str)


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MiB."""
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "durio-test", str(tmp_path)], capture_output=True)
    if mount.returncode:
        pytest.skip("needs the right to mount a tmpfs")
    yield tmp_path
    subprocess.run(["umount", str(tmp_path)], check=True)


def fill(folder: Path) -> Path:
    """Take all the room that is left."""
    filler = folder / "filler"
    with filler.open("wb") as file:
        try:
            while True:
                file.write(b"x" * 65536)
                file.flush()
        except OSError:
            pass
    return filler


async def fill_up(client: Client) -> int:
    """Start instances until there is no room for one more; how many there are."""
    number = 0
    while True:
        try:
            await client.start_new(holds, f"i-{number}", "x" * 50_000)
        except NoSpace:
            return number
        number += 1


async def test_a_full_file_system_and_back(small: Path, autojump_clock: MockClock) -> None:
    """G18, G32: with no room left new work is refused, terminate and purge work, nothing acknowledged is lost, and the
    hub goes on by itself when there is room.
    """
    async with open_hub(small / "hub", app, env=VirtualEnv()) as client:
        await client.start_new(holds, "kept", "x")
        filler = fill(small)
        started = await fill_up(client)
        with pytest.raises(NoSpace):
            await client.signal_entity(EntityId("Counter", "k"), "add", 1)
        for number in range(min(started, 5)):
            await client.terminate(f"i-{number}", "to make room")
            assert (await client.purge_instance_history(f"i-{number}")).instances_deleted == 1
        filler.unlink()
        await trio.sleep(3)
        await client.signal_entity(EntityId("Counter", "k"), "add", 1)
        await client.raise_event("kept", "go", "on")
        assert (await client.wait_for_completion("kept")).output == "on"
        for number in range(5, started):
            assert (await client.get_status(f"i-{number}")).runtime_status == "Running"
    async with open_hub(small / "hub", app, env=VirtualEnv()) as client:
        for number in range(started):
            status = await client.get_status(f"i-{number}")
            assert bool(status) == (number >= 5)
        assert await client.call_entity(EntityId("Counter", "k"), Counter.get) == 1


async def test_purging_is_enough_to_go_on(small: Path, autojump_clock: MockClock) -> None:
    """G18, G32: room inside the file is room, too: who purges what has ended need not free anything else."""
    async with open_hub(small / "hub", app, env=VirtualEnv()) as client:
        started = await fill_up(client)
        fill(small)  # what the ballast has given back
        for number in range(started):
            await client.terminate(f"i-{number}", "to make room")
            await client.purge_instance_history(f"i-{number}")
        await trio.sleep(60)
        await client.start_new(holds, "new", "x")
        await client.raise_event("new", "go", "on")
        assert (await client.wait_for_completion("new")).output == "on"


async def test_many_are_purged_without_room(small: Path, autojump_clock: MockClock) -> None:
    """G18, G32: `purge_instance_history_by` works on a full file system, however many it takes, and makes room."""
    async with open_hub(small / "hub", app, env=VirtualEnv()) as client:
        for number in range(1000):
            await client.start_new(holds, f"small-{number}", "x")
            await client.terminate(f"small-{number}")
        started = await fill_up(client)
        fill(small)  # what the ballast has given back
        purged = await client.purge_instance_history_by(runtime_status="Terminated")
        assert purged.instances_deleted == 1000
        for number in range(started):
            await client.terminate(f"i-{number}", "to make room")
        assert (await client.purge_instance_history_by()).instances_deleted == started
        await trio.sleep(60)
        assert (await client.start_new(holds, "new", "x")).created
        assert [status.instance_id for status in await client.get_status_all()] == ["new"]


async def test_a_hub_is_opened_on_a_full_file_system(small: Path, autojump_clock: MockClock) -> None:
    """G32: opening finds room in the ballast, and then terminate works."""
    async with open_hub(small / "hub", app, env=VirtualEnv()) as client:
        await client.start_new(holds, "kept", "x")
    fill(small)
    async with open_hub(small / "hub", app, env=VirtualEnv()) as client:
        await client.terminate("kept", "no room")
        assert (await client.get_status("kept")).runtime_status == "Terminated"
