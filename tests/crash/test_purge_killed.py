"""A real `kill -9` in the middle of a purge of many instances."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from durio.entities import VirtualEnv
from durio.entities import keys as entity_keys
from durio.orchestration import open_hub, verify
from durio.storage import LmdbStore
from tests.crash.purge_worker import app, takes

WORKER = Path(__file__).with_name("purge_worker.py")
MANY = 450
EVENTS = 3


async def fill(hub: Path) -> None:
    """Many instances that have ended, and two that have not."""
    async with open_hub(hub, app, env=VirtualEnv()) as client:
        for number in range(MANY):
            name = f"i-{number}"
            await client.start_new(takes, name, EVENTS)
            for _ in range(EVENTS):
                await client.raise_event(name, "go")
        for name in ("waits", "suspended"):
            await client.start_new(takes, name, EVENTS)
        await client.suspend("suspended")


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Such a hub, made once."""
    hub = tmp_path_factory.mktemp("template") / "hub"
    trio.run(fill, hub, clock=MockClock(autojump_threshold=0))
    return hub


def killed_after(hub: Path, commits: int) -> None:
    """Purge in a process of its own, and kill it when so many commits are durable."""
    command = [sys.executable, str(WORKER), str(hub), str(commits)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline()
        worker.send_signal(signal.SIGKILL)
    assert worker.returncode == -signal.SIGKILL


@pytest.mark.parametrize("commits", [1, 2, 4])
def test_a_kill_in_the_middle(template: Path, tmp_path: Path, commits: int) -> None:
    """G2, G18: each instance is there whole or gone whole, the index says the same, and the next purge goes on."""
    hub = Path(shutil.copytree(template, tmp_path / "hub"))
    killed_after(hub, commits)
    assert verify(hub).ok

    async def look() -> int:
        async with open_hub(hub, app, env=VirtualEnv()) as client:
            await trio.sleep(1)  # what was asked for before the kill, and is durable, is done now (G9)
            left = [status.instance_id for status in await client.get_status_by(runtime_status="Completed")]
            for name in (left[:1] + left[-1:]) if left else []:
                status = await client.get_status(name, show_history=True)
                assert [event["event_type"] for event in status.history or ()].count("EventRaised") == EVENTS
            assert (await client.purge_instance_history_by()).instances_deleted == len(left)
            assert {status.instance_id for status in await client.get_status_all()} == {"waits", "suspended"}
            return len(left)

    assert 0 < trio.run(look, clock=MockClock(autojump_threshold=0)) < MANY
    with LmdbStore.open(hub) as store:
        there = {
            entity_keys.address_of(key)
            for key, _ in store.scan(entity_keys.ACTOR, entity_keys.stop_of(entity_keys.ACTOR))
        }
        rows = store.scan(entity_keys.INDEX, entity_keys.stop_of(entity_keys.INDEX))
    assert there == {"waits", "suspended"}
    assert len(rows) == 3 * len(there)
    assert verify(hub).ok
