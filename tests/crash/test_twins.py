"""The same scenario on LMDB and in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from durio.entities import EntityId, VirtualEnv
from durio.orchestration import open_hub
from durio.storage import LmdbStore, MemoryDisk, MemoryStore, Store
from tests.crash.scenarios import SCENARIOS, Scenario
from tests.crash.town import build
from tests.crash.world import World

INSTANCES = ("w", "launched", "x", "e", "f", "kid", "branch", "grandkid", "h", "p", "listener")
ENTITIES = ("@total@a", "@total@starts", "@total@chains", "@total@relayed", "@total@hours", "@items@log", "@slow@s")


def seen(store: Store, world: World) -> dict[str, Any]:
    """What clients see of a hub at the end, without times and without ids that are random."""
    found: dict[str, Any] = {}

    async def main() -> None:
        async with open_hub(store, build(world), env=VirtualEnv(start_us=world.now_us)) as client:
            for name in INSTANCES:
                status = await client.get_status(name)
                found[name] = (status.name, status.runtime_status, status.input_, status.output, status.custom_status)
            for name in ENTITIES:
                found[name] = (await client.read_entity_state(EntityId.parse(name))).entity_state
            if found["@items@log"] is not None:
                found["@items@log"]["items"].sort()  # some of them race; the scenario checks the order of the others

    trio.run(main, clock=MockClock(autojump_threshold=0))
    return found


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_a_scenario_ends_alike_on_both_stores(scenario: Scenario, tmp_path: Path) -> None:
    """G14: what clients see at the end does not depend on the store."""
    path = tmp_path / "hub"
    disk = MemoryDisk()
    in_memory = World(build, disk)
    in_memory.live(scenario.script)
    on_lmdb = World(build, open_store=lambda: LmdbStore.open(path))
    on_lmdb.live(scenario.script)
    assert in_memory.violations == on_lmdb.violations == []
    assert seen(MemoryStore(disk), in_memory) == seen(LmdbStore.open(path), on_lmdb)
    assert on_lmdb.answers.keys() == in_memory.answers.keys()
