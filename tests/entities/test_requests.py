"""Request ids: a retried request is done once and gets the first answer (G3)."""

from __future__ import annotations

import uuid
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from durio.entities import EntityId, InvalidAddress, RequestExpired, RequestIdReused, VirtualEnv, digest_of, from_us
from durio.entities.changes import View
from durio.entities.messages import Answer
from durio.entities.requests import Requests
from durio.orchestration import open_hub
from durio.storage import MemoryDisk, MemoryStore
from tests.entities.helpers import Counter, app_of
from tests.opened import runtime_of

DAY_US = 24 * 3600 * 1_000_000
NOW_US = 1_767_225_600_000_000
CLICKS = EntityId("counter", "clicks")


def uuid7(at_us: int) -> str:
    """An id that carries its time."""
    number = (at_us // 1000) << 80 | 0x7 << 76 | 0x8 << 60 | 12345
    return str(uuid.UUID(int=number))


def table() -> tuple[Requests, View]:
    """An empty table of requests."""
    view = View(MemoryStore(MemoryDisk()))
    return Requests(view), view


def test_the_first_answer_stays() -> None:
    """G3: whatever is said later, a retry gets what was said first."""
    requests, _ = table()
    assert requests.check("a", b"1", NOW_US) is None
    requests.take("a", b"1", NOW_US)
    requests.answer("a", Answer(value=b"1"), NOW_US)
    requests.answer("a", Answer(value=b"2"), NOW_US)
    known = requests.check("a", b"1", NOW_US)
    assert known is not None
    assert known.answer == Answer(value=b"1")


def test_the_same_id_with_other_content_is_refused() -> None:
    """G3: `RequestIdReused`, at any time before the id is forgotten."""
    requests, _ = table()
    requests.take("a", b"1", NOW_US)
    with pytest.raises(RequestIdReused):
        requests.check("a", b"2", NOW_US + DAY_US)


def test_an_id_older_than_answers_are_kept_is_refused_and_not_done_twice() -> None:
    """G3: an unknown UUIDv7 whose time is more than a day past is `RequestExpired`; a known one gets its answer."""
    requests, _ = table()
    old = uuid7(NOW_US)
    assert requests.check(old, b"", NOW_US + DAY_US) is None
    with pytest.raises(RequestExpired) as caught:
        requests.check(old, b"", NOW_US + DAY_US + 2_000)
    assert caught.value.request_id == old
    requests.take(old, b"", NOW_US)
    assert requests.check(old, b"", NOW_US + DAY_US + 2_000) is not None


@pytest.mark.parametrize(
    "request_id", [str(uuid.UUID(int=0x4 << 76 | 0x8 << 60)), "x" * 14 + "7" + "x" * 21, "order-17"]
)
def test_ids_without_a_time_never_expire(request_id: str) -> None:
    """G3: other ids are new once they are forgotten."""
    requests, _ = table()
    assert requests.check(request_id, b"", NOW_US * 2) is None


def test_forgetting_takes_the_old_ids_only_in_both_tables() -> None:
    """G3: ids are kept for a day, not less, and then both of their rows go."""
    requests, view = table()
    for number in range(10):
        requests.take(f"q{number}", b"", NOW_US + number)
    assert requests.forget(NOW_US + DAY_US) == 0
    assert requests.forget(NOW_US + DAY_US + 5) == 5
    assert [requests.find(f"q{n}") is None for n in range(10)] == [True] * 5 + [False] * 5
    assert requests.forget(NOW_US + 2 * DAY_US) == 5
    assert all(row is None for rows in view.filling.changes.values() for row in rows.values())


@pytest.mark.parametrize("request_id", ["", "a\0b", "x" * 201, "ü" * 101, "\ud800", 5, b"a"])
async def test_ids_that_cannot_be_ids_are_refused(request_id: Any, autojump_clock: MockClock) -> None:
    """G31: a request id that no key can hold is refused at the call, and nothing is done."""
    async with open_hub(MemoryStore(MemoryDisk()), app_of(Counter), env=VirtualEnv()) as client:
        with pytest.raises(InvalidAddress):
            await client.signal_entity(CLICKS, "add", 1, request_id=request_id)
        assert await client.call_entity(CLICKS, "get") == 0


def test_a_digest_tells_requests_apart() -> None:
    """G3: parts that run into each other, or differ in type, are other content."""
    asked = [("ab", "c"), ("a", "bc"), ("abc",), (b"ab", "c"), ("ab", None), ("ab",), (1,), ("1",), (None,)]
    assert len({digest_of(*parts) for parts in asked}) == len(asked)
    assert digest_of("a", 1) == digest_of("a", 1)


async def test_a_retried_call_is_done_once_and_answered_alike(autojump_clock: MockClock) -> None:
    """G3: retries at the same time, later, and after the hub was opened again get the first answer."""
    disk = MemoryDisk()
    answers: list[int] = []
    async with open_hub(MemoryStore(disk), app_of(Counter), env=VirtualEnv()) as client:

        async def call() -> None:
            answers.append(await client.call_entity(CLICKS, Counter.add, 5, request_id="one"))

        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(call)
        await client.call_entity(CLICKS, Counter.add, 1)
        await call()
    async with open_hub(MemoryStore(disk), app_of(Counter), env=VirtualEnv()) as client:
        await call()
        with pytest.raises(RequestIdReused):
            await client.call_entity(CLICKS, Counter.add, 6, request_id="one")
        assert await client.call_entity(CLICKS, "get") == 6
    assert answers == [5] * 5


async def test_a_retry_while_the_first_is_at_work_waits_for_it(autojump_clock: MockClock) -> None:
    """G3: cancelling a call does not retract it; its retry joins the operation that runs."""

    async def slow(context: Any) -> str:
        await trio.sleep(10)
        context.set_state(context.get_state(lambda: 0) + 1)
        return f"run {context.get_state()}"

    entity = EntityId("slow", "a")
    async with open_hub(MemoryStore(MemoryDisk()), app_of(slow), env=VirtualEnv()) as client:
        with trio.move_on_after(3):
            await client.call_entity(entity, "go", request_id="one")
        assert await client.call_entity(entity, "go", request_id="one") == "run 1"
        assert (await client.read_entity_state(entity)).entity_state == 1


async def test_a_call_under_the_id_of_a_signal_is_refused(autojump_clock: MockClock) -> None:
    """G3: a call has an answer and a signal has none, so one is no retry of the other."""
    async with open_hub(MemoryStore(MemoryDisk()), app_of(Counter), env=VirtualEnv()) as client:
        await client.signal_entity(CLICKS, "add", 1, request_id="one")
        await client.signal_entity(CLICKS, "add", 1, request_id="one")
        with pytest.raises(RequestIdReused):
            await client.call_entity(CLICKS, "add", 1, request_id="one")
        assert await client.call_entity(CLICKS, "get") == 1


async def test_an_expired_id_is_refused_by_the_client(autojump_clock: MockClock) -> None:
    """G3: a UUIDv7 of two days ago is refused, one of an hour ago is taken."""
    env = VirtualEnv()
    async with open_hub(MemoryStore(MemoryDisk()), app_of(Counter), env=env) as client:
        with pytest.raises(RequestExpired):
            await client.call_entity(CLICKS, "add", 1, request_id=uuid7(env.now_us() - 2 * DAY_US))
        assert await client.call_entity(CLICKS, "add", 1, request_id=uuid7(env.now_us() - DAY_US // 24)) == 1


async def test_forgetting_keeps_up_with_any_number_of_ids(autojump_clock: MockClock) -> None:
    """G3, G7: ids past their day are gone soon after it, however many came in one minute."""
    env = VirtualEnv()
    async with open_hub(MemoryStore(MemoryDisk()), app_of(Counter), env=env) as client:
        async with trio.open_nursery() as nursery:
            for number in range(2500):
                nursery.start_soon(partial(client.signal_entity, CLICKS, "add", request_id=f"q{number}"))
        later = from_us(env.now_us()) + timedelta(days=1, seconds=70)
        await client.signal_entity(CLICKS, "add", signal_time=later)  # something that keeps the hub's clock going
        await trio.sleep(24 * 3600 + 75)
        assert runtime_of(client).store.scan(b"d", b"f") == []
        assert await client.call_entity(CLICKS, "get") == 2501
