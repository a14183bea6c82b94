"""Scenarios: what clients do, and what must be true at the end however often the process died."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import trio

from durio.entities import EntityId
from durio.orchestration import Client, Started
from tests.crash.town import ITEMS, STARTS
from tests.crash.world import REST_S, Session


@attrs.frozen
class Scenario:
    """A script of clients, and the model: the same facts at every end."""

    name: str
    guarantees: str
    script: Callable[[Session], Any]


def _start(name: str, instance_id: str, value: object = None, **options: Any) -> Callable[[Client, str], Any]:
    def call(client: Client, request_id: str) -> Any:
        return client.start_new(name, instance_id, value, request_id=request_id, **options)

    return call


def _signal(entity: EntityId, operation: str, value: object = None, **options: Any) -> Callable[[Client, str], Any]:
    return lambda client, request_id: client.signal_entity(entity, operation, value, request_id=request_id, **options)


def _call(entity: EntityId, operation: str, value: object = None) -> Callable[[Client, str], Any]:
    return lambda client, request_id: client.call_entity(entity, operation, value, request_id=request_id)


def _raise(instance_id: str, name: str, value: object) -> Callable[[Client, str], Any]:
    return lambda client, request_id: client.raise_event(instance_id, name, value, request_id=request_id)


def _purge(instance_id: str) -> Callable[[Client, str], Any]:
    return lambda client, request_id: client.purge_instance_history(instance_id, request_id=request_id)


def _terminate(instance_id: str) -> Callable[[Client, str], Any]:
    return lambda client, request_id: client.terminate(instance_id, "enough", request_id=request_id)


def _cancel(instance_id: str) -> Callable[[Client, str], Any]:
    return lambda client, request_id: client.cancel(instance_id, "enough", request_id=request_id)


async def _state(session: Session, entity: EntityId) -> Any:
    return (await session.client.read_entity_state(entity)).entity_state


async def _total(session: Session, key: str) -> int:
    state = await _state(session, EntityId("Total", key))
    return 0 if state is None else int(state["value"])


async def _status(session: Session, instance_id: str) -> str:
    return str((await session.client.get_status(instance_id)).runtime_status)


async def _close(session: Session) -> None:
    """The end of every scenario: every request asked again, nothing left to do, no violation."""
    await session.ask_again()
    await trio.sleep(REST_S)
    if session.world.open_store is None:
        session.world.check_nothing_left()


async def work(session: Session) -> None:
    """Activities in a chain, side by side and retried; a timer; an entity signalled and called."""
    started = await session.do("start", _start("chain", "w", 5))
    assert started == Started("w", True)
    status = await session.wait("w 1", "w")
    assert status.output == [20, 0, 1, 4, 7, 1]
    assert await _total(session, "chains") == 20
    await _close(session)
    assert await _total(session, "called") == 1
    assert len(session.world.effects) == 7, "five activities, and one in two attempts"


async def entities(session: Session) -> None:
    """Signals, scheduled ones, calls, failures, relays, starts and slow operations; all totals are exact."""
    a, slow = EntityId("Total", "a"), EntityId("Slow", "s")
    at = session.later("at", 30)
    await session.do("scheduled", _signal(a, "add", 1000, signal_time=at))
    async with trio.open_nursery() as nursery:
        for n in range(4):
            nursery.start_soon(session.do, f"signal-{n}", _signal(a, "add", 1))
            nursery.start_soon(session.do, f"call-{n}", _call(a, "add", 10))
    assert "no" in await session.do("failing", _call(a, "fail", 7))
    await session.do("fails alone", _signal(a, "fail", 7))
    await session.do("relay", _signal(a, "relay", 100))
    await session.do("launch", _signal(a, "launch", "launched"))
    first = await session.do("slow-1", _call(slow, "add", 1))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(session.do, "slow-2", _signal(slow, "add", 1))
        nursery.start_soon(session.do, "slow-3", _call(slow, "add", 1))
    assert (first, session.world.answers["slow-3"]) in ((1, 3), (1, 2))
    await session.do("stop", _raise("launched", "stop", "bye"))
    assert (await session.wait("launched 2", "launched")).output == "bye"
    await _close(session)
    answers = [session.world.answers[f"call-{n}"] for n in range(4)]
    assert len(set(answers)) == 4
    assert await _total(session, "a") == 4 + 40 + 100 + 1 + 1000
    assert await _total(session, "relayed") == 100
    assert await _total(session, "starts") == 1
    assert await _state(session, slow) == {"value": 3}


async def starts(session: Session) -> None:
    """Every start policy, with and without a race; each life is counted once by itself."""
    async with trio.open_nursery() as nursery:
        for n in range(4):
            nursery.start_soon(session.do, f"race-{n}", _start("single", "x", if_running="return"))
    answers = session.world.answers
    assert sorted(answers[f"race-{n}"].created for n in range(4)) == [False, False, False, True]
    assert "InstanceAlreadyExists" in await session.do("refused", _start("single", "x"))
    assert "InstanceAlreadyExists" in await session.do("other", _start("branch", "x", if_running="return"))
    replaced = _start("single", "x", if_running="replace", events=[("stop", "at once")])
    assert await session.do("replaced", replaced) == Started("x", True)
    assert "InstanceAlreadyExists" in await session.do("no more", _start("single", "x", if_finished="raise"))
    assert await session.do("anew", _start("single", "x")) == Started("x", True)
    found = _start("single", "x", if_running="return", events=[("stop", "found")])
    assert await session.do("found", found) == Started("x", False)
    assert (await session.wait("x 3", "x")).output == "found"
    at = session.later("at", 100)
    assert await session.do("pending", _start("single", "x", start_at=at)) == Started("x", True)
    await session.do("early", _raise("x", "stop", "early"))
    status = await session.wait("x 4", "x")
    assert status.output == "early"
    assert status.last_updated_time is not None
    assert status.last_updated_time >= at
    without_id = await session.do("no id", lambda c, r: c.start_new("single", request_id=r))
    await session.do("end", _raise(without_id.instance_id, "stop", "end"))
    assert (await session.wait("without id", without_id.instance_id)).output == "end"
    await _close(session)
    assert await _total(session, STARTS.key) == 5


async def events(session: Session) -> None:
    """Events over continue-as-new, a suspension among them: each taken once, in order."""
    await session.do("start", _start("eternal", "e", 0))
    for n in range(4):
        await session.do(f"event-{n}", _raise("e", "item", n))
    await session.do("suspend", lambda c, r: c.suspend("e", request_id=r))
    for n in range(4, 7):
        await session.do(f"event-{n}", _raise("e", "ITEM", n))
    await session.do("resume", lambda c, r: c.resume("e", request_id=r))
    async with trio.open_nursery() as nursery:
        for n in range(7, 10):
            nursery.start_soon(session.do, f"event-{n}", _raise("e", "Item", n))
    await session.do("last", _raise("e", "item", -1))
    assert (await session.wait("e 5", "e")).output == 10
    assert "InstanceFinished" in await session.do("too late", _raise("e", "item", 99))
    await _close(session)
    items = (await _state(session, ITEMS))["items"]
    assert items[:7] == list(range(7))
    assert sorted(items) == list(range(10)), "the racing ones in any order, each once"


async def family(session: Session) -> None:
    """Terminate reaches children and grandchildren, replace does, and a suspended family."""
    await session.do("start", _start("family", "f"))
    await session.do("suspend", lambda c, r: c.suspend("f", request_id=r))
    await session.do("held", _raise("f", "never", 1))
    await session.do("again", _start("family", "f", if_running="replace"))
    await session.do("terminate", _terminate("f"))
    for member in ("f", "kid", "branch", "grandkid"):
        # The members of the family come one after the other, and their ends, too.
        while not await session.client.get_status(member):
            await trio.sleep(0.01)
        assert (await session.wait(member, member)).runtime_status == "Terminated"
    await session.do("last", _start("family", "f", if_running="raise"))
    await session.do("resumed", lambda c, r: c.resume("f", request_id=r))
    await session.do("end", _terminate("f"))
    assert "InstanceFinished" in await session.do("too late", _terminate("f"))
    await _close(session)
    for member in ("f", "kid", "branch", "grandkid"):
        assert await _status(session, member) == "Terminated"


async def cancels(session: Session) -> None:
    """A family is cancelled: each cleans up once, from the top down; then it is started again under its own id."""
    await session.do("start", _start("careful", "c", 2))
    await session.do("cancel", _cancel("c"))
    for life in range(2):
        for member in ("c", "careful-1", "careful-0"):
            status = await session.wait(f"{member} {life}", member)
            assert (status.runtime_status, status.output) == ("Canceled", "enough")
        assert "InstanceFinished" in await session.do(f"too late-{life}", _cancel("c"))
        if life == 0:
            restarted = await session.do("restart", lambda c, r: c.restart("c", False, request_id=r))
            assert restarted == Started("c", True)
            await session.do("cancel again", _cancel("c"))
            # The members of the family come one after the other, and their ends, too.
            while await _total(session, "cancelled") < 6:
                await trio.sleep(0.01)
    await _close(session)
    assert await _total(session, "cancelled") == 6


async def rewinds(session: Session) -> None:
    """A timer that fired, an event, a retry and a child that failed: rewound, and what was done is not done again."""
    await session.do("start", _start("weak", "r", 7))
    await session.do("event", _raise("r", "told", 5))
    assert (await session.wait("r failed", "r")).runtime_status == "Failed"
    session.world.repaired = True
    plan = await session.do("rewind", lambda c, r: c.rewind("r", "repaired", request_id=r))
    assert len(plan.rewound) == 1
    assert (await session.wait("r done", "r")).output == [5, 9, 1, 56]
    assert "InstanceFinished" in await session.do("too late", lambda c, r: c.rewind("r", request_id=r))
    await _close(session)
    assert await _total(session, "weak") == 5


async def hours(session: Session) -> None:
    """An eternal orchestration that works by the clock, and children, one of whom always fails."""
    await session.do("start", _start("periodic", "h", 3))
    await session.do("listen", _start("eternal", "listener", 0))
    await session.do("parent", _start("parent", "p", 3))
    assert (await session.wait("p 6", "p")).output == [0, 2, 4, -1, -2]
    await session.do("stop", _raise("listener", "item", -1))
    assert (await session.wait("listener 7", "listener")).output == 3
    assert (await session.wait("h 8", "h")).output == "over"
    await _close(session)
    assert (await session.client.get_status("h")).custom_status == 1
    assert (await _state(session, ITEMS))["items"] == [0, 1, 2]
    assert await _total(session, "hours") == 3
    assert await _total(session, "broken") == 3


async def purges(session: Session) -> None:
    """Lives that end, are purged and begin anew; a repeated request gets its first answer from before the purge."""
    for life in range(2):
        assert await session.do(f"start-{life}", _start("single", "x")) == Started("x", True)
        assert "InstanceNotFinished" in await session.do(f"too early-{life}", _purge("x"))
        await session.do(f"stop-{life}", _raise("x", "stop", str(life)))
        assert (await session.wait(f"x {life}", "x")).output == str(life)
        assert (await session.do(f"purge-{life}", _purge("x"))).instances_deleted == 1
        assert (await session.do(f"again-{life}", _purge("x"))).instances_deleted == 0
    await session.do("last", _start("single", "x"))
    await session.do("end", _terminate("x"))
    assert (await session.do("purge", _purge("x"))).instances_deleted == 1
    await _close(session)
    assert not await session.client.get_status("x")
    assert await _total(session, STARTS.key) == 3


SCENARIOS = [
    Scenario("work", "G2, G5, G9, G24", work),
    Scenario("entities", "G2, G3, G5, G9", entities),
    Scenario("starts", "G3, G5, G9, G15", starts),
    Scenario("events", "G3, G9, G16, G23", events),
    Scenario("family", "G2, G9, G15, G26", family),
    Scenario("purges", "G3, G9, G15, G18", purges),
    Scenario("cancels", "G3, G9, G25, G26", cancels),
    Scenario("rewinds", "G3, G9, G24, G27", rewinds),
    Scenario("hours", "G9, G16, G23, G24", hours),
]
