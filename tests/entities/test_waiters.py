"""Bells and waiters: nobody sleeps through what he waits for, and nobody leaves anything behind."""

from __future__ import annotations

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from durio.entities.waiters import Bell, Waiters


async def test_a_bell_rung_while_nobody_waits_is_heard_at_the_next_wait() -> None:
    """G9: a wake-up between two looks is never lost; many rings are one."""
    bell = Bell()
    bell.ring()
    bell.ring()
    with trio.fail_after(1):
        await bell.wait()
    with trio.move_on_after(0.01) as scope:
        await bell.wait()
    assert scope.cancelled_caught


async def test_a_bell_wakes_its_waiter_each_time() -> None:
    """G9: ring and wait may come in any order, any number of times."""
    bell, heard = Bell(), 0

    async def listen() -> None:
        nonlocal heard
        while True:
            await bell.wait()
            heard += 1

    async with trio.open_nursery() as nursery:
        nursery.start_soon(listen)
        for number in range(1, 5):
            await wait_all_tasks_blocked()
            bell.ring()
            await wait_all_tasks_blocked()
            assert heard == number
        nursery.cancel_scope.cancel()


async def test_a_cancelled_waiter_takes_no_ring_away() -> None:
    """G9: a ring that comes after its waiter went is for the next one."""
    bell = Bell()
    with trio.move_on_after(0):
        await bell.wait()
    bell.ring()
    with trio.fail_after(1):
        await bell.wait()


async def test_all_who_wait_under_a_key_get_its_value() -> None:
    """G3, G13: one answer reaches every retry that waits for it, and nobody else."""
    waiters: Waiters[int] = Waiters()
    got: list[tuple[str, int]] = []

    async def wait(key: str) -> None:
        got.append((key, await waiters.wait(key)))

    async with trio.open_nursery() as nursery:
        for key in "aab":
            nursery.start_soon(wait, key)
        await wait_all_tasks_blocked()
        assert len(waiters) == 2
        waiters.resolve("a", 1)
        waiters.resolve("nobody", 7)
        await wait_all_tasks_blocked()
        assert got == [("a", 1), ("a", 1)]
        waiters.resolve("b", 2)
    assert len(waiters) == 0


async def test_a_cancelled_waiter_leaves_nothing_behind() -> None:
    """G7: a client that gave up is forgotten, the others under its key are not."""
    waiters: Waiters[int] = Waiters()
    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(waiters.wait, "a")
        await wait_all_tasks_blocked()
        with trio.move_on_after(0):
            await waiters.wait("a")
        assert len(waiters._waiting["a"]) == 3
        nursery.cancel_scope.cancel()
    assert len(waiters) == 0


async def test_an_answer_and_a_cancellation_in_the_same_instant_do_no_harm() -> None:
    """G13: whichever wins, nothing is left and nobody is answered twice."""
    waiters: Waiters[int] = Waiters()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(waiters.wait, "a")
        await wait_all_tasks_blocked()
        waiters.resolve("a", 1)
        nursery.cancel_scope.cancel()
    assert len(waiters) == 0


async def test_after_a_failure_nobody_waits_for_ever() -> None:
    """G9: those who wait and those who come later get the error itself."""
    waiters: Waiters[int] = Waiters()
    error = OSError("gone")
    caught: list[BaseException] = []

    async def wait() -> None:
        try:
            await waiters.wait("a")
        except OSError as found:
            caught.append(found)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        nursery.start_soon(wait)
        await wait_all_tasks_blocked()
        waiters.fail(error)
    with pytest.raises(OSError, match="gone"):
        await waiters.wait("b")
    assert caught == [error, error]
    assert len(waiters) == 0
