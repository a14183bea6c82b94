"""G32: a backup under load, restored elsewhere, verifies and goes on; a hub of an older format does, too."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from durio.entities import AskInsideTurn, EntityId, VirtualEnv
from durio.orchestration import (
    Client,
    OrchestrationRuntimeStatus,
    backup,
    connect,
    connect_asyncio,
    connect_sync,
    open_hub,
    upgrade,
    verify,
)
from durio.storage import HubDamaged
from tests.fixtures.program import Purse, app, finished, waiting

FIXTURES = Path(__file__).parents[1] / "fixtures"
MADE_US = 1_795_816_800_000_000  # in the night in which the fixtures were made: a request id is remembered for a day
MINE = EntityId("Purse", "mine")


async def load(client: Client, lane: int, acknowledged: list[int]) -> None:
    """Instances one after the other, each to its end, and coins that are counted."""
    number = 0
    while True:
        await client.wait_for_completion(await client.start_new(finished, f"{lane}-{number}", number))
        await client.call_entity(EntityId("Purse", f"{lane}"), Purse.put, 1)
        number += 1
        acknowledged[lane] = number


async def goes_on(hub: Path, acknowledged: list[int], most: list[int]) -> None:
    """What was acknowledged before the backup is in it, nothing from behind it, and the hub works."""
    assert verify(hub).ok
    async with open_hub(hub, app) as client:
        for lane, (least, last) in enumerate(zip(acknowledged, most, strict=True)):
            status = await client.get_status(f"{lane}-{least - 1}")
            assert (status.runtime_status, status.output) == ("Completed", 2 * (least - 1))
            purse = await client.read_entity_state(EntityId("Purse", f"{lane}"))
            assert purse.entity_state is not None
            assert least <= purse.entity_state["coins"] <= last + 1
        await client.raise_event("waiting", "more", 1)
        ended = await client.wait_for_completion("waiting")
        assert (ended.runtime_status, ended.output) == (OrchestrationRuntimeStatus.Completed, 21)


async def test_a_backup_under_load_verifies_and_goes_on(tmp_path: Path) -> None:
    """G5, G32: made while clients work, restored elsewhere; the original works on, too."""
    acknowledged = [0, 0, 0]
    async with open_hub(tmp_path / "hub", app) as client, trio.open_nursery() as nursery:
        await client.start_new(waiting, "waiting", 10)
        for lane in range(3):
            nursery.start_soon(load, client, lane, acknowledged)
        while min(acknowledged) < 3:
            await trio.lowlevel.checkpoint()
        before = list(acknowledged)
        report = await client.backup(tmp_path / "backup")
        after = list(acknowledged)
        assert report.ok
        while min(acknowledged) < max(after) + 2:
            await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()
    assert backup(tmp_path / "backup", tmp_path / "restored").ok
    await goes_on(tmp_path / "restored", before, after)
    await goes_on(tmp_path / "backup", before, after)
    assert verify(tmp_path / "hub").ok


async def test_a_backup_is_not_asked_for_inside_a_turn(tmp_path: Path) -> None:
    """G13, G31: an orchestrator that asks for one fails with an error that says so; nothing is copied."""
    clients: list[Client] = []
    inner = type(app)()

    @inner.orchestration
    async def copies(ctx: object) -> None:
        await clients[0].backup(tmp_path / "backup")

    async with open_hub(tmp_path / "hub", inner) as client:
        clients.append(client)
        status = await client.wait_for_completion(await client.start_new(copies))
        assert status.failure is not None
        assert AskInsideTurn.__name__ in status.failure.type
        with pytest.raises(FileExistsError):
            await client.backup(tmp_path)
    assert not (tmp_path / "backup").exists()


@pytest.mark.parametrize("version", [1, 2])
async def test_a_hub_of_an_older_format_goes_on_after_its_upgrade(
    tmp_path: Path, version: int, autojump_clock: MockClock
) -> None:
    """G32: all that it held is there: what has ended, an entity's state, a request id, an instance in its middle."""
    hub = Path(shutil.copytree(FIXTURES / f"hub_format_{version}", tmp_path / "hub"))
    copy = upgrade(hub)
    assert copy is not None
    assert json.loads((Path(copy) / "durio.json").read_bytes())["format"] == version
    assert verify(hub).ok
    async with open_hub(hub, app, env=VirtualEnv(start_us=MADE_US)) as client:
        assert (await client.get_status("finished")).output == 42
        assert [status.instance_id for status in await client.get_status_all()] == ["finished", "waiting"]
        assert [status.instance_id for status in await client.get_status_by(name="waiting")] == ["waiting"]
        assert await client.call_entity(MINE, Purse.put, 5, request_id="five coins") == 5
        assert (await client.get_status("waiting")).custom_status == "waits"
        await client.raise_event("waiting", "more", 1)
        assert (await client.wait_for_completion("waiting")).output == 26
    assert verify(hub).ok


async def test_a_damaged_hub_is_not_opened(tmp_path: Path) -> None:
    """G32: `open_hub` refuses what was scribbled on, names it and where to look, and changes nothing."""
    async with open_hub(tmp_path / "hub", app) as client:
        for number in range(40):
            await client.call_entity(EntityId("Purse", f"{number}"), Purse.put, number)
    data = tmp_path / "hub" / "0" / "data.mdb"
    scribbled = bytearray(data.read_bytes())
    for page in range(2, len(scribbled) // 4096):
        scribbled[page * 4096 + 4000 : page * 4096 + 4096] = b"\xa5" * 96
    data.write_bytes(scribbled)
    with pytest.raises(HubDamaged, match="restore a backup"):
        async with open_hub(tmp_path / "hub", app):
            pytest.fail("it was opened")
    assert data.read_bytes() == scribbled


def test_every_kind_of_client_makes_backups(tmp_path: Path) -> None:
    """Clients of another process copy the hub, too, on Trio, on asyncio, and without either."""

    async def on_trio() -> None:
        async with open_hub(tmp_path / "hub", app), connect(tmp_path / "hub") as client:
            assert (await client.backup(tmp_path / "trio")).ok

    async def on_asyncio() -> None:
        async with connect_asyncio(tmp_path / "hub") as client:
            assert (await client.backup(tmp_path / "asyncio")).ok

    trio.run(on_trio)
    asyncio.run(on_asyncio())
    with connect_sync(tmp_path / "hub") as client:
        assert client.backup(tmp_path / "sync").ok
    for name in ("trio", "asyncio", "sync"):
        assert verify(tmp_path / name).ok
