"""G1: who waits for a hub gets it when its owner is gone, and not before."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
import trio

from durio.entities import EntityId, VirtualEnv
from durio.orchestration import open_hub
from durio.storage import HubInUse
from tests.processes.town import app, owner, until

TALLY = EntityId("tally", "k")

TAKE_OVER_S = 1.0 if os.environ.get("DURIO_QUIET_MACHINE") else 10.0
"""A second, where nothing else keeps the machine busy; a busy one may take its time to start the program's turns."""


async def test_of_several_who_wait_one_gets_the_hub_at_a_time(tmp_path: Path, autojump_clock: object) -> None:
    """G1: an owner that leaves is followed within a second, by one; who waits may give up."""
    owners: list[int] = []

    async def wait(number: int) -> None:
        async with open_hub(tmp_path, app, env=VirtualEnv(), standby=True) as client:
            owners.append(number)
            assert owners == owners[: len(owners)]
            assert await client.call_entity(TALLY, "add", 1) == len(owners) + 1
            await trio.sleep(10)
            assert owners[-1] == number, "nobody came meanwhile"

    async with open_hub(tmp_path, app, env=VirtualEnv()) as first:
        assert await first.call_entity(TALLY, "add", 1) == 1
        with pytest.raises(HubInUse):
            async with open_hub(tmp_path, app):
                pass
        with trio.move_on_after(5):
            await wait(0)
        assert owners == []
    async with trio.open_nursery() as nursery:
        for number in range(3):
            nursery.start_soon(wait, number)
        started = trio.current_time()
    assert sorted(owners) == [0, 1, 2]
    assert trio.current_time() - started < 3 * 11


async def test_a_standby_takes_over_within_a_second_of_a_kill(tmp_path: Path) -> None:
    """G1: `kill -9` of the owner; the standby, another process, owns the hub and goes on with what is on disk."""
    with owner(tmp_path) as first, owner(tmp_path, standby=True) as second:
        with pytest.raises(HubInUse) as caught:
            async with open_hub(tmp_path, app):
                pass
        assert caught.value.pid == first.pid
        await trio.to_thread.run_sync(until, second, b"coming")
        first.kill()
        killed_s = time.monotonic()
        await trio.to_thread.run_sync(until, second, b"open")
        took_s = time.monotonic() - killed_s
        print(f"took over after {took_s:.3f} s")
        assert took_s < TAKE_OVER_S
        with pytest.raises(HubInUse) as caught:
            async with open_hub(tmp_path, app):
                pass
        assert caught.value.pid == second.pid


async def test_a_paused_owner_is_not_replaced(tmp_path: Path) -> None:
    """G1: as long as it lives the hub is its own, whatever it does; then the one who waits gets it."""
    with owner(tmp_path) as first:
        first.send_signal(signal.SIGSTOP)
        async with trio.open_nursery() as nursery:
            opened = trio.Event()

            async def wait() -> None:
                async with open_hub(tmp_path, app, standby=True) as client:
                    opened.set()
                    await client.call_entity(TALLY, "add", 1)

            nursery.start_soon(wait)
            with trio.move_on_after(0.5):
                await opened.wait()
            assert not opened.is_set()
            os.kill(first.pid, signal.SIGKILL)
            with trio.fail_after(20):
                await opened.wait()
