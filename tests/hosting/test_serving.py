"""serve: its end, and what is answered when the hub cannot."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
import trio

from durio.entities import VirtualEnv
from durio.hosting import http_api, serve
from durio.orchestration import open_hub
from durio.storage import HubBroken, MemoryDisk, MemoryStore, WriteSet
from tests.crash.test_full_disk import FullStore
from tests.hosting.helpers import Web
from tests.hosting.served import served
from tests.hosting.server import server
from tests.hosting.sockets import ask
from tests.hosting.town import app

BASE = "/runtime/webhooks/durabletask"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_who_is_being_answered_gets_the_answer(tmp_path: Path, number: signal.Signals) -> None:
    """At SIGTERM a request in flight is answered, new connections are refused, and the process ends with 0."""
    async with server(tmp_path / "hub") as (process, port):
        assert (await ask(port, "POST", f"{BASE}/orchestrators/Approval/held")).status == 202
        async with trio.open_nursery() as nursery:

            async def wait() -> None:
                late = await ask(port, "POST", "/api/orchestrators/Approval/x/wait?timeout=1.5&retryInterval=1")
                assert (late.status, late.json["id"]) == (202, "x")

            nursery.start_soon(wait)
            while (await ask(port, "GET", f"{BASE}/instances/x")).status == 404:
                await trio.sleep(0.01)
            process.send_signal(number)
            with pytest.raises(OSError):
                while True:
                    await ask(port, "GET", "/health/live")
                    await trio.sleep(0.01)
        assert await process.wait() == 0
    async with server(tmp_path / "hub") as (process, port):
        for name in ("held", "x"):
            assert (await ask(port, "GET", f"{BASE}/instances/{name}")).json["runtimeStatus"] == "Running"


async def test_a_closing_hub_says_so(autojump_clock: object) -> None:
    """503, and when to try again; not ready, but alive."""
    async with open_hub(MemoryStore(MemoryDisk()), app, env=VirtualEnv()) as client:
        api = Web(http_api(client, app), client)
        assert (await api.get("/health/ready")).status == 200
    for method, target in (
        ("POST", f"{BASE}/orchestrators/Echo/x"),
        ("POST", "/api/orchestrators/Echo/wait"),
        ("GET", f"{BASE}/instances/x"),
        ("GET", "/health/ready"),
    ):
        found = await api.ask(method, target)
        assert (found.status, found.headers["retry-after"]) == (503, "5"), target
        assert found.json["ExceptionMessage"]
    assert (await api.get("/health/live")).status == 200


class BreakingStore(MemoryStore):
    """Breaks at the next commit when told to."""

    breaks = False

    def commit(self, writes: WriteSet) -> int:
        if self.breaks:
            raise HubBroken("the disk is gone")
        return super().commit(writes)


async def test_a_broken_hub_says_so(autojump_clock: object) -> None:
    """Who waits when the hub breaks gets 503, and so does everybody after."""
    store = BreakingStore(MemoryDisk())
    with pytest.RaisesGroup(HubBroken, allow_unwrapped=True, flatten_subgroups=True):
        async with open_hub(store, app, env=VirtualEnv()) as client:
            api = Web(http_api(client, app), client)
            statuses: list[int] = []

            async def wait() -> None:
                statuses.append((await api.post("/api/orchestrators/Approval/a/wait")).status)

            async with trio.open_nursery() as nursery:
                nursery.start_soon(wait)
                await trio.testing.wait_all_tasks_blocked()
                store.breaks = True
                found = await api.post(f"{BASE}/orchestrators/Echo/x")
                assert found.status == 503
                assert "the disk is gone" in found.json["ExceptionMessage"]
            assert statuses == [503]
            assert (await api.get("/health/ready")).status == 503


async def test_a_full_disk_says_so(autojump_clock: object) -> None:
    """G32: 507 for new work; ending and purging go on; after that everything does."""
    store = FullStore(MemoryDisk(), set())
    async with open_hub(store, app, env=VirtualEnv()) as client:
        api = Web(http_api(client, app), client)
        for name in ("a", "b"):
            assert (await api.post(f"{BASE}/orchestrators/Approval/{name}")).status == 202
        store.is_full = True
        for target in (
            f"{BASE}/orchestrators/Echo/x",
            f"{BASE}/instances/a/raiseEvent/e",
            f"{BASE}/entities/Counter/k",
        ):
            found = await api.post(target)
            assert (found.status, found.headers["retry-after"]) == (507, "5"), target
            assert found.json["ExceptionMessage"]
        assert (await api.get(f"{BASE}/instances/a")).status == 202
        assert "durio_hub_disk_full 1" in (await api.get("/metrics")).text
        store.room_for = 10
        assert (await api.post(f"{BASE}/instances/a/terminate")).status == 202
        await client.wait_for_completion("a")
        assert (await api.delete(f"{BASE}/instances/a")).json == {"instancesDeleted": 1}
        store.is_full = False
        await trio.sleep(60)
        assert (await api.post(f"{BASE}/orchestrators/Echo/x", 1)).status == 202
        await client.wait_for_completion("x")


async def test_who_left_is_not_waited_for(tmp_path: Path) -> None:
    """A caller of `wait` who hangs up frees what waits for it."""
    async with served(app, tmp_path / "hub") as api:
        stream = await trio.open_tcp_stream("127.0.0.1", api.port)
        target = "/api/orchestrators/Approval/x/wait?timeout=3000"
        await stream.send_all(f"POST {target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n".encode())

        async def waits() -> bool:
            return "durio_hub_ends_awaited 1" in (await ask(api.port, "GET", "/metrics")).text

        while not await waits():
            await trio.sleep(0.01)
        await stream.aclose()
        with trio.fail_after(10):
            while await waits():
                await trio.sleep(0.01)


async def test_keys_for_others(tmp_path: Path) -> None:
    """What others can reach is not served without a key."""
    with pytest.raises(ValueError, match="give keys="):
        await serve(app, tmp_path / "hub", host="0.0.0.0", port=0)
    with pytest.raises(ValueError, match="not empty"):
        await serve(app, tmp_path / "hub", keys=[""])
    assert not (tmp_path / "hub").exists()
