"""One owner of a hub; two hubs in one process do not meet (G1)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from durio.entities import EntityId
from durio.entities.limits import SWITCH_INTERVAL_S
from durio.orchestration import open_hub
from durio.storage import HubInUse, MemoryDisk, MemoryStore
from tests.entities.helpers import Counter, Log, activations, app_of

CLICKS = EntityId("counter", "clicks")

OWNER = """
import sys, trio
from durio.orchestration import App, open_hub

async def main():
    async with open_hub(sys.argv[1], App()):
        print("open", flush=True)
        await trio.sleep_forever()

trio.run(main)
"""


async def test_a_second_owner_in_this_process_is_refused_with_the_pid(tmp_path: Path) -> None:
    """G1: `HubInUse` says who has it; the first owner goes on as if nothing had been."""
    async with open_hub(tmp_path / "hub", app_of(Counter)) as client:
        with pytest.raises(HubInUse) as caught:
            async with open_hub(tmp_path / "hub", app_of(Counter)):
                pass
        assert caught.value.pid == os.getpid()
        assert str(os.getpid()) in str(caught.value)
        assert await client.call_entity(CLICKS, "add", 1) == 1
    async with open_hub(tmp_path / "hub", app_of(Counter)) as client:
        assert await client.call_entity(CLICKS, "get") == 1


async def test_a_second_owner_of_another_process_is_refused_until_that_one_dies(tmp_path: Path) -> None:
    """G1: the pid is that of the other process; after its death, by kill -9, the hub can be opened at once."""
    with subprocess.Popen(  # noqa: ASYNC220  # nothing else runs here that it could block
        [sys.executable, "-c", OWNER, str(tmp_path / "hub")], stdout=subprocess.PIPE, text=True
    ) as owner:
        try:
            assert owner.stdout is not None
            assert owner.stdout.readline() == "open\n"
            with pytest.raises(HubInUse) as caught:
                async with open_hub(tmp_path / "hub", app_of(Counter)):
                    pass
            assert caught.value.pid == owner.pid
        finally:
            owner.kill()
            owner.wait()
    async with open_hub(tmp_path / "hub", app_of(Counter)) as client:
        assert await client.call_entity(CLICKS, "add", 1) == 1


async def test_two_hubs_in_one_process_do_not_meet(tmp_path: Path) -> None:
    """G1: two hubs run different code under the same names, and nothing of one is seen in the other."""
    other = app_of()
    other.entity(name="counter")(Log)
    async with (
        open_hub(tmp_path / "one", app_of(Counter)) as one,
        open_hub(tmp_path / "two", other) as two,
        trio.open_nursery() as nursery,
    ):
        for number in range(20):
            nursery.start_soon(one.call_entity, CLICKS, "add", 1)
            nursery.start_soon(two.signal_entity, CLICKS, "append", number)
            nursery.start_soon(two.signal_entity, EntityId("counter", "other"), "append", number)
    async with open_hub(tmp_path / "one", app_of(Counter)) as one, open_hub(tmp_path / "two", other) as two:
        assert await one.call_entity(CLICKS, "get") == 20
        assert sorted(await two.call_entity(CLICKS, "get")) == list(range(20))
        assert activations(one) == ["@counter@clicks"]
        assert not (await one.read_entity_state(EntityId("counter", "other"))).entity_exists


async def test_the_switch_interval_is_short_while_any_hub_is_open_and_restored_after_the_last() -> None:
    """`sys.setswitchinterval` belongs to the process: hubs that overlap in any order leave it as it was."""
    before = sys.getswitchinterval()
    opened, close = trio.Event(), trio.Event()

    async def first() -> None:
        async with open_hub(MemoryStore(MemoryDisk()), app_of(Counter)) as client:
            await client.signal_entity(CLICKS, "add")
            opened.set()
            await close.wait()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(first)
        await opened.wait()
        async with open_hub(MemoryStore(MemoryDisk()), app_of(Counter)) as client:
            await client.signal_entity(CLICKS, "add")
            close.set()
            await wait_all_tasks_blocked()
            assert sys.getswitchinterval() == pytest.approx(SWITCH_INTERVAL_S, rel=0.1)
    assert sys.getswitchinterval() == pytest.approx(before)
