"""Entities over a crash before and after every commit: atomic, once, acknowledged means durable (G2, G3, G5, G9)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock

from durio.entities import EntityContext, EntityId, VirtualEnv, from_us
from durio.orchestration import App, Client, open_hub
from durio.storage import MemoryDisk, MemoryStore, SimulatedCrash, When
from tests.entities.helpers import Log, app_of

BANK = EntityId("bank", "a")
LOG = EntityId("log", "a")
START_US = 1_767_225_600_000_000


@attrs.define
class Bank:
    """Counts its money, and tells the log about each change."""

    balance: int = 0

    def pay(self, amount: int) -> int:
        self.balance += amount
        EntityContext.current().signal_entity(LOG, "append", amount)
        return self.balance

    async def pay_slowly(self, amount: int) -> int:
        await trio.sleep(1)
        return self.pay(amount)

    def pay_later(self, amount: int) -> None:
        context = EntityContext.current()
        context.signal_entity(BANK, "pay", amount, signal_time=from_us(START_US + 50_000_000))


Step = Callable[[Client], Awaitable[Any]]

STEPS: dict[str, Step] = {
    "signal": lambda client: client.signal_entity(BANK, "pay", 1, request_id="signal"),
    "call": lambda client: client.call_entity(BANK, "pay", 2, request_id="call"),
    "slow": lambda client: client.call_entity(BANK, "pay_slowly", 4, request_id="slow"),
    "slow signal": lambda client: client.signal_entity(BANK, "pay_slowly", 8, request_id="slow signal"),
    "later": lambda client: client.call_entity(BANK, "pay_later", 16, request_id="later"),
    "scheduled": lambda client: client.signal_entity(
        BANK, "pay", 32, signal_time=from_us(START_US + 40_000_000), request_id="scheduled"
    ),
}


async def live(disk: MemoryDisk, app: App, answers: dict[str, Any]) -> None:
    """One owner: do what has no answer yet, then wait until everything must have happened."""
    began = round(trio.current_time() * 1_000_000)
    async with open_hub(MemoryStore(disk), app, env=VirtualEnv(start_us=START_US - began)) as client:
        for name, step in STEPS.items():
            if name not in answers:
                answers[name] = await step(client)
        await trio.sleep(100)
        state = (await client.read_entity_state(BANK, Bank)).entity_state
        lines = await client.call_entity(LOG, Log.get)
        assert state == Bank(63)
        assert lines == [1, 2, 4, 8, 32, 16]


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_crash_at_any_commit_loses_nothing_and_does_nothing_twice(
    when: When, autojump_clock: MockClock
) -> None:
    """G2, G3, G5, G9: whatever was acknowledged stays, whatever was not is retried under its id; each is done once.

    The state of the bank and what it tells the log always fit together, the answers are those of a run without a
    crash, and what was going on at the crash goes on by itself.
    """
    app = app_of(Bank, Log)
    commit, crashed = 0, True
    while crashed:
        commit += 1
        disk, answers, crashed = MemoryDisk(), dict[str, Any](), False
        disk.crash_at(commit, when)
        try:
            await live(disk, app, answers)
        except SimulatedCrash:
            crashed = True
            await live(disk, app, answers)
        assert answers == {"signal": None, "call": 3, "slow": 7, "slow signal": None, "later": None, "scheduled": None}
    assert commit > 10


@pytest.mark.parametrize("when", ["before", "after"])
async def test_two_crashes_in_a_row_are_no_worse(when: When, autojump_clock: MockClock) -> None:
    """G9: a crash while the next owner picks up what the first one left changes nothing."""
    app = app_of(Bank, Log)
    for first in range(1, 12, 2):
        for second in range(1, 6):
            disk, answers = MemoryDisk(), dict[str, Any]()
            for commit in (first, second, 0):
                disk.crash_at(commit, when)
                try:
                    await live(disk, app, answers)
                except SimulatedCrash:
                    continue
            assert len(answers) == len(STEPS)
