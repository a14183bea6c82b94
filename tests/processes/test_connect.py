"""Clients in other processes: what they may rely on, with an owner and without one (G3, G13, G17)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from durio.entities import EntityId, NotRegistered, RequestIdReused, VirtualEnv, keys
from durio.orchestration import (
    App,
    InstanceAlreadyExists,
    InstanceNotFound,
    NoOwner,
    OwnerSilent,
    connect,
    open_hub,
)
from durio.storage import HubReader, Inbox, LmdbStore, NotAHub, UsedAfterFork
from tests.processes.town import Box, app, once, owner, waits

TALLY = EntityId("tally", "k")
BOX = EntityId("box", "k")


def rows(hub: Path, table: bytes) -> list[bytes]:
    """The keys of a table of the hub, as they lie on disk."""
    reader = HubReader.open(hub)
    try:
        return [key for key, _ in reader.scan(table, keys.stop_of(table))]
    finally:
        reader.close()


async def test_without_an_owner_messages_wait(tmp_path: Path, autojump_clock: object) -> None:
    """G13: what is told is durable at once; an ask raises `NoOwner` with an id that gets its answer later, once."""
    LmdbStore.open(tmp_path).close()
    ids: list[str] = []
    async with connect(tmp_path, timeout_s=5, env=VirtualEnv()) as client:
        await client.signal_entity(TALLY, "add", 1)
        for ask in (
            lambda: client.call_entity(TALLY, "add", 10),
            lambda: client.start_new("once", None, 3),
        ):
            before = trio.current_time()
            with pytest.raises(NoOwner) as caught:
                await ask()
            assert 5 <= trio.current_time() - before < 8
            assert caught.value.hub == str(tmp_path)
            ids.append(caught.value.request_id)
    async with (
        open_hub(tmp_path, app, env=VirtualEnv()) as own,
        connect(tmp_path, env=VirtualEnv()) as client,
    ):
        assert await client.call_entity(TALLY, "add", 10, request_id=ids[0]) == 11
        started = await own.start_new("once", None, 3, request_id=ids[1])
        assert started.created
        assert (await client.wait_for_completion(started)).output == 3
        assert await client.call_entity(TALLY, "get") == 11


async def test_a_folder_that_is_no_hub_is_refused(tmp_path: Path) -> None:
    """G31: a client makes no hub; the error says what to do, and nothing is there afterwards."""
    for folder in (tmp_path / "none", tmp_path):
        with pytest.raises(NotAHub, match="no owner has opened it yet"):
            async with connect(folder):
                pass
    assert os.listdir(tmp_path) == []
    with pytest.raises(TypeError, match="app is an App"):
        connect(tmp_path, app="app")  # type: ignore[arg-type]
    LmdbStore.open(tmp_path).close()
    with pytest.raises(ValueError, match="timeout_s"):
        async with connect(tmp_path, timeout_s=0):
            pass


async def test_names_that_the_owner_does_not_know_are_refused(tmp_path: Path, autojump_clock: object) -> None:
    """G31: by the owner, with the same error; what the client's own app does not know is refused at the call."""
    other = App()
    async with open_hub(tmp_path, app, env=VirtualEnv()):
        async with connect(tmp_path, env=VirtualEnv()) as client:
            with pytest.raises(NotRegistered, match="once"):
                await client.start_new("nothing")
            with pytest.raises(NotRegistered):
                await client.start_new("once", version="2")
            with pytest.raises(NotRegistered):
                await client.call_entity(EntityId("nothing", "k"), "add")
            await client.signal_entity(EntityId("nothing", "k"), "add")
            with pytest.raises(InstanceNotFound):
                await client.raise_event("nobody", "go")
            await client.start_new("waits", "x")
            with pytest.raises(InstanceAlreadyExists):
                await client.start_new("waits", "x")
        async with connect(tmp_path, app=other, env=VirtualEnv()) as client:
            with pytest.raises(NotRegistered, match="registered: nothing"):
                await client.start_new("once")


async def test_a_start_gets_the_version_that_the_owner_has(tmp_path: Path, autojump_clock: object) -> None:
    """G20: without a version it is the owner's default; with an app of its own the client names the version."""
    several = App()
    for version in ("1", "2"):

        @several.orchestration(name="job", version=version)
        async def job(ctx: Any) -> None:
            return None

    async with open_hub(tmp_path, several, env=VirtualEnv()):
        async with connect(tmp_path, env=VirtualEnv()) as client:
            for asked, given in ((None, "2"), ("1", "1")):
                started = await client.start_new("job", version=asked)
                assert (await client.get_status(started)).version == given
        async with connect(tmp_path, app=several, env=VirtualEnv()) as client:
            assert (await client.get_status(await client.start_new("job", version="1"))).version == "1"


async def test_functions_say_how_results_look(tmp_path: Path, autojump_clock: object) -> None:
    """G33: plain JSON by default; typed by the method or function that the client names, or by `expected_type`."""
    async with open_hub(tmp_path, app, env=VirtualEnv()), connect(tmp_path, env=VirtualEnv()) as client:
        assert await client.call_entity(BOX, "put", 1) == [1]
        assert await client.call_entity(BOX, Box.put, 2) == (1, 2)
        assert await client.call_entity(BOX, "put", 3, expected_type=tuple[int, ...]) == (1, 2, 3)
        state = await client.read_entity_state(BOX, Box)
        assert state.entity_state == Box([1, 2, 3])
        started = await client.start_new(once, "x", {"a": [1, None]})
        assert (await client.wait_for_completion(started)).output == {"a": [1, None]}


async def test_a_request_id_is_done_once_over_all_clients(tmp_path: Path, autojump_clock: object) -> None:
    """G3: whoever repeats it gets the first answer; the same id for something else is refused."""
    request_id = str(uuid.UUID(int=(1_767_225_600_000 << 80) | (7 << 76) | (2 << 62) | 5))
    async with open_hub(tmp_path, app, env=VirtualEnv()) as own:
        for _ in range(2):
            async with connect(tmp_path, env=VirtualEnv()) as client:
                assert await client.call_entity(TALLY, "add", 5, request_id=request_id) == 5
                assert await client.call_entity(TALLY, "add", 1, request_id="other") == 6
                with pytest.raises(RequestIdReused):
                    await client.call_entity(TALLY, "add", 6, request_id=request_id)
        assert await own.call_entity(TALLY, "add", 5, request_id=request_id) == 5
        assert await own.call_entity(TALLY, "get") == 6


async def test_answers_that_were_read_leave_nothing_behind(tmp_path: Path, autojump_clock: object) -> None:
    """G3: a client says which answers it has read, at the latest when it leaves; their rows go, and so do watches."""
    async with open_hub(tmp_path, app, env=VirtualEnv()) as own:
        async with connect(tmp_path, env=VirtualEnv()) as client:
            for number in range(5):
                started = await client.start_new(waits, f"x{number}", events=[("go", number)])
                await client.wait_for_completion(started)
            await client.start_new(waits, "long")
            async with trio.open_nursery() as nursery:
                nursery.start_soon(client.wait_for_completion, "long")
                await wait_all_tasks_blocked()
                assert rows(tmp_path, keys.WATCH)
                await client.raise_event("long", "go")
        await own.call_entity(TALLY, "get")
        await wait_all_tasks_blocked()
        await own.call_entity(TALLY, "get")
        for table in (keys.REQUEST, keys.REQUEST_TIME, keys.WATCH):
            assert rows(tmp_path, table) == []
        assert os.listdir(tmp_path / "sessions") == []


async def test_a_watch_outlives_the_owner(tmp_path: Path) -> None:
    """G17: who waits for the end of a life in another process gets it from the next owner."""
    with owner(tmp_path) as first:
        async with connect(tmp_path) as client:
            await client.start_new("waits", "x")
            ends: list[Any] = []

            async def watch() -> None:
                ends.append((await client.wait_for_completion("x")).output)

            async with trio.open_nursery() as nursery:
                nursery.start_soon(watch)
                while not rows(tmp_path, keys.WATCH):
                    await trio.sleep(0.01)
                first.kill()
                first.wait()
                with owner(tmp_path):
                    await client.raise_event("x", "go", 7)
                    await client.wait_for_completion("x")
            assert ends == [7]


async def test_posts_that_cannot_be_read_hide_no_others(
    tmp_path: Path, autojump_clock: object, caplog: pytest.LogCaptureFixture
) -> None:
    """G32: scribbled rows of the inbox are logged and passed over; the owner goes on."""
    LmdbStore.open(tmp_path).close()
    inbox = Inbox.open(tmp_path)
    inbox.append([b"nonsense", b"\x93\xa1a", b""], 0, 1.0)
    inbox.close()
    async with open_hub(tmp_path, app, env=VirtualEnv()), connect(tmp_path, env=VirtualEnv()) as client:
        assert await client.call_entity(TALLY, "add", 1) == 1
    assert "post 1 of another process is dropped" in caplog.text


async def test_a_stopped_owner_is_named_and_goes_on_later(tmp_path: Path) -> None:
    """G1: `OwnerSilent` names the pid; what was asked is done when the owner goes on, and its answer can be had."""
    with owner(tmp_path) as process:
        async with connect(tmp_path, timeout_s=0.3) as client:
            assert await client.call_entity(TALLY, "add", 1) == 1
            process.send_signal(signal.SIGSTOP)
            with pytest.raises(OwnerSilent) as caught:
                await client.call_entity(TALLY, "add", 1)
            assert caught.value.pid == process.pid
            process.send_signal(signal.SIGCONT)
            request_id = caught.value.request_id
            with trio.fail_after(20):
                assert await client.call_entity(TALLY, "add", 1, request_id=request_id) == 2


async def test_clients_in_the_owners_process_may_come_and_go(tmp_path: Path, autojump_clock: object) -> None:
    """G1: the process has each environment once, whoever opens first and closes last."""
    LmdbStore.open(tmp_path).close()
    async with connect(tmp_path, env=VirtualEnv()) as early:
        for number in range(3):
            async with open_hub(tmp_path, app, env=VirtualEnv()) as own, connect(tmp_path, env=VirtualEnv()) as late:
                assert await early.call_entity(TALLY, "add", 1) == 3 * number + 1
                assert await late.call_entity(TALLY, "add", 1) == 3 * number + 2
                assert await own.call_entity(TALLY, "add", 1) == 3 * number + 3
            assert (await early.read_entity_state(TALLY)).entity_state == 3 * number + 3


async def test_a_connection_does_not_work_after_a_fork(tmp_path: Path) -> None:
    """G1: a forked child is refused, and leaving harms nobody."""
    with owner(tmp_path):
        async with connect(tmp_path) as client:
            await client.call_entity(TALLY, "add", 1)
            pid = os.fork()
            if pid == 0:
                code = 1
                try:
                    await client.read_entity_state(TALLY)
                except UsedAfterFork:
                    code = 7
                os._exit(code)
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7  # noqa: ASYNC222  # it ends at once
            assert await client.call_entity(TALLY, "add", 1) == 2


FIRST = """
import sys, trio
from durio.orchestration import connect

async def main():
    async with connect(sys.argv[1]) as client:
        print(await client.start_new("waits", "x", 1), flush=True)
        print((await client.wait_for_completion("x")).output)

trio.run(main)
"""


async def test_programs_that_know_nothing_of_the_app(tmp_path: Path) -> None:
    """G13: a program of its own starts, and waits; another sends what it waits for."""
    with owner(tmp_path):
        command = [sys.executable, "-c", FIRST, str(tmp_path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:  # noqa: ASYNC220  # nothing else runs here
            assert process.stdout is not None
            assert process.stdout.readline() == b"x\n"
            async with connect(tmp_path) as client:
                await client.raise_event("x", "go", "went")
            assert process.stdout.read() == b"went\n"
        assert process.returncode == 0
