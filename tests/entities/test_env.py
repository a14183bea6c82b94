"""The Env seam: the real world, and the one for tests."""

from __future__ import annotations

import threading
import time

import pytest
import trio
from trio.testing import MockClock

from durio.entities import EntityId, SystemEnv, VirtualEnv
from durio.orchestration import open_hub
from durio.storage import MemoryDisk, MemoryStore
from tests.entities.helpers import Counter, app_of


def test_the_system_clock_is_utc_in_microseconds() -> None:
    """G28: `now_us` is the wall clock, and it is read again at least every 30 s."""
    env = SystemEnv()
    before = time.time()
    assert before - 1 <= env.now_us() / 1e6 <= time.time() + 1
    assert env.clock_read_s <= 30


def test_ids_are_fresh() -> None:
    """G29: no id comes twice; those of a test come from its seed."""
    assert len({SystemEnv().new_id() for _ in range(100)}) == 100
    one, same, other = VirtualEnv(seed=1), VirtualEnv(seed=1), VirtualEnv(seed=2)
    ids = [one.new_id() for _ in range(100)]
    assert ids == [same.new_id() for _ in range(100)]
    assert len({*ids, other.new_id()}) == 101
    assert {len(found) for found in ids} == {32}


async def test_the_virtual_clock_follows_trios(autojump_clock: MockClock) -> None:
    """G28: in a test time passes as Trio's clock says, and only then."""
    env = VirtualEnv(start_us=1_000)
    before = env.now_us()
    await trio.sleep(3600)
    assert env.now_us() - before == 3_600_000_000


async def test_a_commit_runs_to_its_end_whatever_is_cancelled() -> None:
    """A commit is shielded from cancellation, and it runs outside of the loop's thread."""
    done: list[int] = []

    def commit() -> int:
        done.append(threading.get_ident())
        return 7

    with trio.CancelScope() as scope:
        scope.cancel()
        assert await SystemEnv().run_commit(commit) == 7
    assert done != [threading.get_ident()]
    with trio.CancelScope() as scope:
        scope.cancel()
        assert await VirtualEnv().run_commit(commit) == 7
    assert done[1:] == [threading.get_ident()]  # inline: an auto-jumping clock would jump while a thread works


@pytest.mark.parametrize("env", [SystemEnv(), VirtualEnv()])
async def test_the_error_of_a_commit_comes_out_unchanged(env: SystemEnv | VirtualEnv) -> None:
    """The committer sees what the store raised."""
    error = OSError("disk")

    def fail() -> None:
        raise error

    with pytest.raises(OSError, match="disk") as caught:
        await env.run_commit(fail)
    assert caught.value is error


@pytest.mark.parametrize("env", [SystemEnv(), VirtualEnv()])
async def test_blocking_work_keeps_to_its_limiter(env: SystemEnv | VirtualEnv) -> None:
    """G24: user threads run under the limit that they were given, and give its slot back."""
    limiter = trio.CapacityLimiter(1)
    assert await env.run_blocking(lambda: limiter.borrowed_tokens, limiter) == 1
    assert limiter.borrowed_tokens == 0


async def test_commits_need_no_thread_of_the_users() -> None:
    """G9: user threads that all wait on the hub (`trio.from_thread`) do not keep the commit from its own thread."""
    limiter = trio.to_thread.current_default_thread_limiter()
    total, limiter.total_tokens = limiter.total_tokens, 1
    entity = EntityId("counter", "a")
    try:
        async with open_hub(MemoryStore(MemoryDisk()), app_of(Counter)) as client:

            def from_a_thread() -> None:
                trio.from_thread.run(client.signal_entity, entity, "add", 3)

            with trio.move_on_after(5) as scope:
                await trio.to_thread.run_sync(from_a_thread, abandon_on_cancel=True)
            limiter.total_tokens = total
            assert not scope.cancelled_caught
            assert await client.call_entity(entity, "get") == 3
    finally:
        limiter.total_tokens = total
