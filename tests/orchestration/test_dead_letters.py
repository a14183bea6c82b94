"""Dead letters as users meet them: what becomes of instances, and the client's list, retry and drop."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, TypeVar

import attrs
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from durio.entities import (
    MAIL_LANE,
    DeadLetterNotFound,
    EntityId,
    Message,
    Operation,
    Parent,
    StartInstance,
    VirtualEnv,
    keys,
)
from durio.entities.messages import encode_record
from durio.entities.poison import Count
from durio.orchestration import App, Client, InstanceFinished, OrchestrationContext, open_hub
from durio.orchestration.messages import RaiseEvent
from durio.storage import MemoryDisk, MemoryStore, WriteSet

T = TypeVar("T")
POISONED = "durio.entities.errors.Poisoned"
TALLY = EntityId("Tally", "k")

app = App()


@app.entity
@attrs.define
class Tally:
    value: int = 0

    def add(self, amount: int) -> int:
        self.value += amount
        return self.value


@app.orchestration
async def waits(ctx: OrchestrationContext) -> list[Any]:
    timer = ctx.create_timer(timedelta(days=1))
    got = await ctx.wait_for_external_event("go")
    timer.cancel()
    return [ctx.instance_id, got]


@app.orchestration
async def parent(ctx: OrchestrationContext) -> str:
    try:
        await ctx.call_sub_orchestrator(waits, instance_id="child")
    except Exception as error:
        return type(error).__name__
    return "done"


class Hub:
    """A hub on a disk in memory that is opened again and again."""

    def __init__(self) -> None:
        self.disk = MemoryDisk()
        self._number = 0

    def live(self, script: Callable[[Client], Awaitable[T]]) -> T:
        """Open it, do something, close it."""

        async def main() -> T:
            async with open_hub(MemoryStore(self.disk), app, env=VirtualEnv()) as client:
                await wait_all_tasks_blocked()
                return await script(client)

        return trio.run(main, clock=MockClock(autojump_threshold=0))

    def poison(self, address: str, message: Message | bytes) -> None:
        """Unread mail that was running at three unclean ends."""
        self._number += 1
        key = keys.mail(keys.mailbox(address), MAIL_LANE, self._number)
        data = message if isinstance(message, bytes) else encode_record(message)
        count = encode_record(Count(3, 1, 1))
        MemoryStore(self.disk).commit(WriteSet(((key, data), (keys.poison(key), count))))

    def poison_code(self, address: str) -> None:
        """The code of an instance was running at three unclean ends."""
        row = (keys.poison(keys.actor(address)), encode_record(Count(3, 1, 1)))
        MemoryStore(self.disk).commit(WriteSet((row,)))


async def start(client: Client) -> None:
    await client.start_new(waits, "it")


async def what_is_it(client: Client) -> tuple[str, str | None]:
    status = await client.get_status("it")
    return str(status.runtime_status), None if status.failure is None else status.failure.type


async def ended(client: Client) -> tuple[str, str | None]:
    await client.wait_for_completion("it")
    return await what_is_it(client)


async def letters(client: Client) -> list[tuple[str, str]]:
    return [(letter.address, letter.what) for letter in await client.list_dead_letters()]


@pytest.mark.parametrize("message", [RaiseEvent(at_us=1, name="go", input=b"1"), b"\xc1"])
def test_an_instance_whose_message_is_parked_becomes_failed(message: Message | bytes) -> None:
    """G6: it fails with `Poisoned`; its timers go, and nothing of it is left waiting."""
    hub = Hub()
    hub.live(start)
    hub.poison("it", message)
    assert hub.live(ended) == ("Failed", POISONED)
    assert len(hub.live(letters)) == 1
    assert not [key for key in hub.disk.snapshot() if key[:1] in (keys.TIMER, keys.POISON, keys.MAIL)]


def test_an_instance_whose_code_is_poison_becomes_failed_without_mail() -> None:
    """G6, G9: it needs no message to be woken; there is nothing to be parked."""
    hub = Hub()
    hub.live(start)
    hub.poison_code("it")
    assert hub.live(ended) == ("Failed", POISONED)
    assert hub.live(letters) == []


def test_a_suspended_instance_fails_too() -> None:
    """G6: its held mail is answered as after any end."""
    hub = Hub()

    async def suspend(client: Client) -> None:
        await start(client)
        await client.suspend("it")
        await client.raise_event("it", "go")

    hub.live(suspend)
    hub.poison("it", RaiseEvent(at_us=1, name="other"))
    assert hub.live(ended) == ("Failed", POISONED)
    assert not [key for key in hub.disk.snapshot() if key.startswith(keys.MAIL)]


def test_a_start_that_is_parked_leaves_a_life_that_has_failed() -> None:
    """G6, G15: it shows under its id, and the id may be started anew."""
    hub = Hub()
    hub.poison("it", StartInstance(at_us=1, name="waits", input=None))
    assert hub.live(ended) == ("Failed", POISONED)
    hub.live(start)
    assert hub.live(what_is_it) == ("Running", None)


@pytest.mark.parametrize("if_running", ["replace", "raise", "return"])
def test_a_start_that_is_parked_leaves_the_life_that_goes_on(if_running: str) -> None:
    """G6, G15: what would have replaced it does not; nothing of its code was running."""
    hub = Hub()
    hub.live(start)
    hub.poison("it", StartInstance(at_us=1, name="waits", if_running=if_running))
    assert hub.live(what_is_it) == ("Running", None)

    async def go(client: Client) -> Any:
        await client.raise_event("it", "go", 1)
        return (await client.wait_for_completion("it")).output

    assert hub.live(go) == ["it", 1]


def test_a_start_whose_event_is_poison_fails_the_life_that_took_it() -> None:
    """G6, G15: the code that runs was given the event."""
    hub = Hub()
    hub.live(start)
    hub.poison("it", StartInstance(at_us=1, name="waits", if_running="return", events=(("go", b"1"),)))
    assert hub.live(ended) == ("Failed", POISONED)


def test_the_parent_of_a_start_that_is_parked_is_told() -> None:
    """G6: also when the child's id is taken."""
    for taken in (False, True):
        hub = Hub()

        async def begin(client: Client) -> str:
            await client.start_new(parent, "it")
            status = await client.get_status("it", show_history=True)
            return status.instance_id

        if taken:

            async def take(client: Client) -> None:
                await client.start_new(waits, "child")

            hub.live(take)
        hub.live(begin)
        status = hub.live(what_is_it)
        assert status == (("Completed", None) if taken else ("Running", None))


def test_a_start_for_a_taken_id_tells_its_parent() -> None:
    """G6: a child's start that is parked is a failed task of its parent, whatever runs under the id."""
    hub = Hub()
    hub.live(start)
    origin = Parent("nobody", "l", "e", 1, ())
    hub.poison("it", StartInstance(at_us=1, name="waits", parent=origin))
    assert hub.live(what_is_it) == ("Running", None)


def test_mail_for_nobody_is_parked_alone() -> None:
    """G6: an instance that has ended, or never was, stays what it is."""
    hub = Hub()
    hub.poison("it", RaiseEvent(at_us=1, name="go", input=b"1"))

    async def status(client: Client) -> bool:
        return bool(await client.get_status("it"))

    assert hub.live(status) is False
    assert hub.live(letters) == [("it", "event 'go'")]


def test_dead_letters_are_listed_in_pages() -> None:
    """G6: the oldest first, with what they are; those behind an id."""
    hub = Hub()
    for number in range(3):
        hub.poison(str(TALLY), Operation(at_us=1, name="add", input=str(number).encode()))
    hub.poison(str(TALLY), b"\xc1")

    async def pages(client: Client) -> None:
        await client.call_entity(TALLY, Tally.add, 0)
        all_ = await client.list_dead_letters()
        assert [letter.input_ for letter in all_] == [0, 1, 2, None]
        assert [letter.what for letter in all_] == ["operation 'add'"] * 3 + ["a message that cannot be decoded"]
        assert [letter.times for letter in all_] == [3, 3, 3, 3]
        assert all_[0].parked_at.tzinfo is not None
        first = await client.list_dead_letters(limit=2)
        rest = await client.list_dead_letters(after=first[-1].id)
        assert [*first, *rest] == all_
        assert await client.list_dead_letters(after=all_[-1].id) == []

    hub.live(pages)


def test_a_retried_letter_is_done_and_a_dropped_one_is_not() -> None:
    """G3, G6: a repeated request changes nothing more."""
    hub = Hub()
    for number in (1, 10, 100):
        hub.poison(str(TALLY), Operation(at_us=1, name="add", input=str(number).encode()))

    async def handle(client: Client) -> None:
        await client.call_entity(TALLY, Tally.add, 0)
        one, ten, _ = await client.list_dead_letters()
        for _ in range(2):
            await client.retry_dead_letter(one.id, request_id="retry")
        await client.drop_dead_letter(ten.id)
        assert await client.call_entity(TALLY, Tally.add, 0) == 1
        assert len(await client.list_dead_letters()) == 1

    hub.live(handle)


def test_bad_input_is_refused() -> None:
    """G31: an id that no letter has, a limit that is none."""
    hub = Hub()

    async def misuse(client: Client) -> None:
        for wrong in (client.list_dead_letters(after="x"), client.list_dead_letters(limit=0)):
            with pytest.raises(ValueError, match=r"x|limit"):
                await wrong
        for unknown in (client.retry_dead_letter("1.1"), client.drop_dead_letter("nonsense")):
            with pytest.raises(DeadLetterNotFound):
                await unknown
        with pytest.raises(TypeError):
            await client.drop_dead_letter(3)  # type: ignore[arg-type]

    hub.live(misuse)


def test_a_failed_instance_stays_failed_when_its_event_is_retried() -> None:
    """G6, G16: nobody is there for it any more; the letter is done with."""
    hub = Hub()
    hub.live(start)
    hub.poison("it", RaiseEvent(at_us=1, name="go", input=b"1"))

    async def retry(client: Client) -> None:
        await client.wait_for_completion("it")
        (letter,) = await client.list_dead_letters()
        await client.retry_dead_letter(letter.id)
        with pytest.raises(InstanceFinished):
            await client.raise_event("it", "go")

    hub.live(retry)
    assert hub.live(what_is_it) == ("Failed", POISONED)
    assert hub.live(letters) == []
