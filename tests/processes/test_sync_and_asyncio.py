"""Clients of programs that do not run Trio: plain synchronous ones, with threads too, and asyncio (G13)."""

from __future__ import annotations

import asyncio
import inspect
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from durio.entities import EntityId, NotRegistered
from durio.orchestration import Client, NoOwner, SyncClient, connect_asyncio, connect_sync
from durio.storage import HubClosed, LmdbStore
from tests.processes.town import Box, owner

TALLY = EntityId("tally", "k")
BOX = EntityId("box", "k")

WITHOUT_TRIO = """
import sys
from durio.orchestration import connect_sync
from durio.entities import EntityId
with connect_sync(sys.argv[1]) as client:
    print(client.call_entity(EntityId("tally", "k"), "add", 5))
"""


def test_a_plain_program_is_a_client(tmp_path: Path) -> None:
    """G13: every call blocks until it is done; time-outs and errors come as exceptions."""
    with owner(tmp_path), connect_sync(tmp_path) as client:
        started = client.start_new("waits", "x", 1)
        assert (started.created, client.get_status("x").custom_status) == (True, "began")
        with pytest.raises(TimeoutError):
            client.wait_for_completion("x", timeout_s=0.05)
        client.raise_event("x", "go", 7)
        assert client.wait_for_completion("x", timeout_s=60).output == 7
        assert client.call_entity(BOX, Box.put, 1) == (1,)
        assert client.read_entity_state(BOX, Box).entity_state == Box([1])
        client.signal_entity(TALLY, "add", 2)
        assert client.call_entity(TALLY, "add", 3, request_id="r") == client.call_entity(
            TALLY, "add", 3, request_id="r"
        )
        with pytest.raises(NotRegistered):
            client.start_new("nothing")
        assert client.list_locks() == []
        assert client.list_dead_letters() == []
        assert client.purge_instance_history("x").instances_deleted == 1
        done = subprocess.run([sys.executable, "-c", WITHOUT_TRIO, str(tmp_path)], capture_output=True, text=True)
        assert done.stdout == "10\n", done.stderr
    with pytest.raises(HubClosed):
        client.get_status("x")


def test_threads_may_share_a_client(tmp_path: Path) -> None:
    """G3: each of many threads gets its own answers."""
    with owner(tmp_path), connect_sync(tmp_path) as client:
        totals: list[int] = []

        def count() -> None:
            for _ in range(10):
                totals.append(client.call_entity(TALLY, "add", 1))  # noqa: PERF401  # each as soon as it is there

        threads = [threading.Thread(target=count) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(totals) == list(range(1, 81))


def test_an_asyncio_program_is_a_client(tmp_path: Path) -> None:
    """G13: many tasks at once, cancelled ones among them; Trio does not run."""

    async def main() -> None:
        async with connect_asyncio(tmp_path) as client:
            totals = await asyncio.gather(*(client.call_entity(TALLY, "add", 1) for _ in range(50)))
            assert sorted(totals) == list(range(1, 51))
            await client.start_new("waits", "x")
            waiting = asyncio.create_task(client.wait_for_completion("x"))
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(client.wait_for_completion("x"), 0.05)
            await client.raise_event("x", "go", [1])
            assert (await waiting).output == [1]

    with owner(tmp_path):
        asyncio.run(main())


def test_without_an_owner_both_are_told(tmp_path: Path) -> None:
    """G13: `NoOwner` comes in these clients, too, and its id gets the answer from the next owner."""
    LmdbStore.open(tmp_path).close()
    with connect_sync(tmp_path, timeout_s=0.2) as client, pytest.raises(NoOwner) as sync:
        client.call_entity(TALLY, "add", 1)

    async def ask(request_id: str | None, timeout_s: float) -> Any:
        async with connect_asyncio(tmp_path, timeout_s=timeout_s) as client:
            return await client.call_entity(TALLY, "add", 1, request_id=request_id)

    with pytest.raises(NoOwner) as aio:
        asyncio.run(ask(None, 0.2))
    with owner(tmp_path):
        assert asyncio.run(ask(sync.value.request_id, 30)) == 1
        with connect_sync(tmp_path) as client:
            assert client.call_entity(TALLY, "add", 1, request_id=aio.value.request_id) == 2


def test_the_synchronous_client_has_all_that_the_other_has() -> None:
    """The same methods with the same parameters; only waiting has a time-out of its own."""
    for name, method in inspect.getmembers(Client, inspect.isfunction):
        if name.startswith("_"):
            continue
        mine = getattr(SyncClient, name, None)
        assert mine is not None, name
        if name not in ("start_new", "call_entity", "wait_for_completion"):
            assert list(inspect.signature(mine).parameters) == list(inspect.signature(method).parameters), name
