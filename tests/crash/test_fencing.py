"""Two owners of one disk: the second wins, the first changes nothing any more."""

from __future__ import annotations

import pytest
import trio

from durio.entities import EntityId, VirtualEnv
from durio.orchestration import open_hub
from durio.storage import Fenced, MemoryDisk, MemoryStore
from tests.crash.town import build
from tests.crash.world import World

TOTAL = EntityId("Total", "t")


async def test_the_first_of_two_owners_is_fenced() -> None:
    """G1: once another owner opened the disk, the first one's clients get `Fenced` and nothing of theirs is written."""
    disk = MemoryDisk()
    refused: list[BaseException] = []
    before: dict[bytes, bytes] = {}
    with pytest.raises(Fenced):
        async with open_hub(MemoryStore(disk), build(World(build)), env=VirtualEnv()) as first:
            await first.call_entity(TOTAL, "add", 1)
            MemoryStore(disk)
            before.update(disk.snapshot())

            async def ask(request_id: str) -> None:
                try:
                    await first.call_entity(TOTAL, "add", 10, request_id=request_id)
                except BaseException as error:
                    refused.append(error)
                    raise

            async with trio.open_nursery() as nursery:
                for n in range(3):
                    nursery.start_soon(ask, f"r{n}")
    assert [type(error) for error in refused] == [Fenced] * 3
    assert disk.snapshot() == before


async def test_the_second_owner_goes_on_where_the_first_was_fenced() -> None:
    """G1, G3: what the fenced owner was asked is done once, by the new owner, when it is asked there again."""
    disk = MemoryDisk()
    app = build(World(build))
    with pytest.raises(Fenced):
        async with open_hub(MemoryStore(disk), app, env=VirtualEnv()) as first:
            await first.start_new("eternal", "e", 0, request_id="start")
            await first.raise_event("e", "item", 1, request_id="event")
            async with open_hub(MemoryStore(disk), app, env=VirtualEnv(seed=1)) as second:
                with pytest.raises(Fenced):
                    await first.raise_event("e", "item", 2, request_id="other")
                await second.raise_event("e", "item", 1, request_id="event")
                await second.raise_event("e", "item", 2, request_id="other")
                await second.raise_event("e", "item", -1)
                assert (await second.wait_for_completion("e")).output == 2
