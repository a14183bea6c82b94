"""Retention: the hub purges by itself what ended long enough ago, and nothing else (G18)."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from durio.entities import CONTROL_LANE, Answer, Message, Runtime, VirtualEnv
from durio.entities import keys as entity_keys
from durio.orchestration import App, Client, OrchestrationContext, Retention, open_hub
from durio.orchestration.messages import Purge
from durio.orchestration.query_client import PURGES_AT_ONCE
from durio.orchestration.records import HEAD
from durio.storage import MemoryDisk, MemoryStore, SimulatedCrash, WriteSet
from durio.storage.memory import When
from tests.orchestration.helpers import Stepper, rows_of

HOUR = timedelta(hours=1)
SLACK_S = 60 + 68
"""So much later than its time something may go: the pause between two looks, and how exactly ends are in the index."""

app = App()


@app.orchestration
async def ends(ctx: OrchestrationContext, how: str = "") -> None:
    if how == "Failed":
        raise ValueError(how)
    if how:
        await ctx.wait_for_external_event("never")


def opened(disk: MemoryDisk, **options: Any) -> AbstractAsyncContextManager[Client]:
    return open_hub(MemoryStore(disk), app, env=VirtualEnv(), **options)


async def one_of_each(client: Client) -> None:
    """An instance in every status, with the name of the status."""
    for status in ("", "Failed", "Terminated", "Canceled", "Running", "Suspended"):
        await client.start_new(ends, status or "Completed", status)
    await client.terminate("Terminated")
    await client.cancel("Canceled")
    await client.suspend("Suspended")
    for status in ("Completed", "Failed", "Terminated", "Canceled"):
        assert (await client.wait_for_completion(status)).runtime_status == status


async def ids(client: Client) -> set[str]:
    return {status.instance_id for status in await client.get_status_all()}


async def test_each_status_has_its_time(autojump_clock: MockClock) -> None:
    """G18: what ended goes when its time is over, by how it ended; not earlier, and what goes on never does."""
    retention = Retention(completed=HOUR, failed=3 * HOUR, canceled=timedelta(0))
    async with opened(MemoryDisk(), retention=retention) as client:
        await one_of_each(client)
        ever = {"Terminated", "Running", "Suspended"}
        assert await ids(client) == ever | {"Completed", "Failed", "Canceled"}
        await trio.sleep(SLACK_S)
        assert await ids(client) == ever | {"Completed", "Failed"}
        await trio.sleep(3600 - SLACK_S - 1)
        assert await ids(client) == ever | {"Completed", "Failed"}
        await trio.sleep(SLACK_S + 1)
        assert await ids(client) == ever | {"Failed"}
        await trio.sleep(7200)
        assert await ids(client) == ever


async def test_at_the_start_of_a_hub(autojump_clock: MockClock) -> None:
    """G18: what got over its time while the hub was closed goes when it is opened, however much it is."""
    disk, many = MemoryDisk(), 2 * PURGES_AT_ONCE + 1
    async with opened(disk) as client:
        for number in range(many):
            await client.start_new(ends, f"i{number}")
        await client.wait_for_completion(f"i{many - 1}")
        await trio.sleep(7200)
    async with opened(disk) as client:
        assert len(await ids(client)) == many
    async with opened(disk, retention=Retention(completed=HOUR)) as client:
        await trio.sleep(1)
        assert await ids(client) == set()
        assert rows_of(disk, entity_keys.INDEX) == rows_of(disk, entity_keys.ACTOR) == []


@pytest.mark.parametrize("after_s", [0, 0.001])
async def test_closing_in_the_middle(after_s: float, autojump_clock: MockClock) -> None:
    """A hub that is closed while it purges closes as ever, and the next owner goes on."""
    disk = MemoryDisk()
    async with opened(disk) as client:
        for number in range(300):
            await client.start_new(ends, f"i{number}")
        await trio.sleep(7200)
    for _ in range(2):
        async with opened(disk, retention=Retention(completed=HOUR)):
            await trio.sleep(after_s)
    async with opened(disk, retention=Retention(completed=HOUR)) as client:
        await trio.sleep(60)
        assert await ids(client) == set()


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_crash_at_any_commit(when: When, autojump_clock: MockClock) -> None:
    """G2, G18: each life goes whole, with its rows in the index, whenever the owner dies."""
    for commit in (1, 2):
        disk = MemoryDisk()
        async with opened(disk) as client:
            for number in range(150):
                await client.start_new(ends, f"i{number}")
            await trio.sleep(7200)
        disk.crash_at(commit, when)
        with pytest.raises(SimulatedCrash):
            async with opened(disk, retention=Retention(completed=HOUR)):
                await trio.sleep(60)
        async with opened(disk) as client:
            left = await ids(client)
            assert {entity_keys.address_of(key) for key in rows_of(disk, entity_keys.ACTOR)} == left
            assert len(rows_of(disk, entity_keys.INDEX)) == 3 * len(left)


async def test_trouble_does_not_reach_the_hub(autojump_clock: MockClock, caplog: pytest.LogCaptureFixture) -> None:
    """A row that cannot be read ends the round, is told, and the hub goes on without it."""
    disk = MemoryDisk()
    async with opened(disk) as client:
        await client.start_new(ends, "damaged")
        await trio.sleep(7200)
    MemoryStore(disk).commit(WriteSet(((entity_keys.actor("damaged") + HEAD, b"\xc1"),)))
    async with opened(disk, retention=Retention(completed=HOUR)) as client:
        await trio.sleep(100)
        assert caplog.text.count("this round is given up") == 2
        assert (await client.start_new(ends, "other")).created


def test_a_later_life_stays() -> None:
    """G18: a purge that was meant for one life does not take the next one of the same id, running or ended."""
    stepper = Stepper(app)
    stepper.start("ends", "i")
    stepper.settle()
    first = stepper.instance("i").head
    assert first is not None
    for how, status in (("Running", "Running"), ("", "Completed")):
        if how:
            stepper.start("ends", "i", how)
        else:
            stepper.terminate("i")
            stepper.settle()
            stepper.start("ends", "i", how)
        stepper.settle()
        token = stepper.submit("i", Purge, CONTROL_LANE, life=first.life)
        stepper.settle()
        assert stepper.answers[token].value == b"0"
        assert stepper.status("i") == status
    head = stepper.instance("i").head
    assert head is not None
    token = stepper.submit("i", Purge, CONTROL_LANE, life=head.life)
    stepper.settle()
    assert stepper.answers[token].value == b"1"


async def test_what_was_rewound_since_it_was_found_stays(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """G18, G27: a life that is rewound, and fails again, between the look and the purge is as young as its last end."""
    disk, found = MemoryDisk(), trio.Event()
    async with opened(disk) as client:
        await client.start_new(ends, "i", "Failed")
        await client.wait_for_completion("i")
        await trio.sleep(7200)
    submit = Runtime.submit

    async def late(link: Runtime, address: str, message: Message, *rest: Any, **facts: Any) -> Answer:
        if isinstance(message, Purge) and not found.is_set():
            found.set()
            await client.rewind("i")
            assert (await client.wait_for_completion("i")).runtime_status == "Failed"
        return await submit(link, address, message, *rest, **facts)

    monkeypatch.setattr(Runtime, "submit", late)
    async with opened(disk, retention=Retention(failed=HOUR)) as client:
        await trio.sleep(1)
        assert found.is_set()
        assert await ids(client) == {"i"}
        await trio.sleep(3600 - 2)
        assert await ids(client) == {"i"}
        await trio.sleep(SLACK_S + 2)
        assert await ids(client) == set()


@pytest.mark.parametrize(
    "wrong",
    [{"completed": 3}, {"failed": timedelta(-1)}, {"every_s": 0}, {"every_s": True}, {"every_s": float("inf")}],
)
def test_wrong_retention_is_refused(wrong: dict[str, Any]) -> None:
    """A time that is none, or a pause that is none, is refused when it is said."""
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Retention(**wrong)


def test_retention_is_a_retention() -> None:
    """`open_hub` says what it takes."""
    with pytest.raises(TypeError, match="Retention"):
        open_hub(MemoryStore(MemoryDisk()), app, retention=HOUR)  # type: ignore[arg-type]  # wrong on purpose
