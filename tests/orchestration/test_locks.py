"""G12: locks over several entities. What a critical section keeps others from, its rules, and how it ends."""

from __future__ import annotations

from collections.abc import Generator
from datetime import timedelta
from pathlib import Path
from typing import Any

import attrs
import msgspec
import pytest

from durio.entities import CONTROL_LANE, EntityContext, EntityId, LockLost, LockRequest, Operation, Release
from durio.entities import keys as entity_keys
from durio.orchestration import (
    App,
    CriticalSection,
    LockingRulesViolation,
    OrchestrationContext,
    Task,
    TaskCancelledError,
    TaskFailedError,
)
from durio.orchestration.history import LockGranted, LockReleased, LockRequested
from durio.orchestration.messages import Resume, Suspend
from durio.orchestration.records import SECTION
from tests.orchestration.helpers import Stepper, hub, output, rows_of, unread

A, B, C = EntityId("Account", "a"), EntityId("Account", "b"), EntityId("Account", "c")

app = App()


@app.entity
@attrs.define
class Account:
    balance: int = 0

    def add(self, amount: int) -> int:
        self.balance += amount
        return self.balance

    def get(self) -> int:
        return self.balance

    def fail(self) -> None:
        raise ValueError("no")

    def close(self) -> None:
        EntityContext.current().destruct_on_exit()


@app.orchestration
async def transfer(ctx: OrchestrationContext, amount: int) -> int:
    """Moves money from a to b, in two steps that nobody may see half done."""
    async with await ctx.lock_entities([B, A]):
        if await ctx.call_entity(A, Account.get) < amount:
            raise ValueError("too poor")
        await ctx.call_entity(A, Account.add, -amount)
        return await ctx.call_entity(B, Account.add, amount)


@app.orchestration
def with_generator(ctx: OrchestrationContext) -> Generator[Task[Any], Any, int]:
    """The same rules in generator style."""
    with (yield ctx.lock_entities([A])) as section:
        assert isinstance(section, CriticalSection)
        yield ctx.call_entity(A, Account.add, 1)
        balance: int = yield ctx.call_entity(A, Account.get)
        return balance


@app.orchestration
async def keeps(ctx: OrchestrationContext, end: str) -> object:
    """Holds a and b until an event comes, and ends as it is told."""
    async with await ctx.lock_entities([A, B]):
        await ctx.call_entity(A, Account.add, 1)
        await ctx.wait_for_external_event("go on")
        if end == "fail":
            raise ValueError("on purpose")
        if end == "again":
            ctx.continue_as_new("return")
        return end


@app.orchestration
async def leaks(ctx: OrchestrationContext, end: str) -> object:
    """Locks a and b and never leaves the section."""
    await ctx.lock_entities([A, B])
    await ctx.wait_for_external_event("go on")
    if end == "fail":
        raise ValueError("on purpose")
    if end == "again":
        ctx.continue_as_new("return")
    return end


@app.orchestration
async def calls(ctx: OrchestrationContext, entity: str) -> int:
    return await ctx.call_entity(EntityId.parse(entity), Account.add, 10)


def state(hub: Stepper, entity: EntityId) -> bytes | None:
    return hub.entities.load(hub.kernel.view, str(entity)).state


def nothing_left(hub: Stepper) -> None:
    """No lock, no half of one, no section, no unread mail."""
    assert rows_of(hub.disk, entity_keys.LOCK) == []
    assert rows_of(hub.disk, entity_keys.MAIL) == []
    left = [key for key in rows_of(hub.disk, entity_keys.ACTOR) if key.split(b"\0", 1)[1][:1] in (b"h", SECTION)]
    assert [key for key in left if key.startswith(b"a@") or key.endswith(SECTION)] == []


async def test_a_section_runs_on_a_real_hub(tmp_path: Path) -> None:
    """G12: lock, call, leave; and the lock is free for the next one."""
    async with hub(tmp_path, app) as client:
        await client.call_entity(A, Account.add, 100)
        for n in range(3):
            await client.start_new(transfer, f"t{n}", 10)
        assert sorted([await output(client, f"t{n}") for n in range(3)]) == [10, 20, 30]
        assert await client.call_entity(A, Account.get) == 70
        await client.start_new(with_generator, "g")
        assert await output(client, "g") == 71


@pytest.mark.parametrize("evict", [False, True])
def test_others_wait_until_the_section_is_left(evict: bool) -> None:
    """G12: calls and signals of others keep their place while an entity is locked, and come when it is free (G9)."""
    hub = Stepper(app, evict=evict)
    hub.start("keeps", "x", "return")
    hub.settle()
    hub.start("calls", "y", str(A))
    hub.start("calls", "z", str(C))
    hub.settle()
    assert (hub.status("y"), hub.status("z")) == ("Running", "Completed")
    assert unread(hub.disk, str(A)) == 1
    hub.raise_event("x", "go on")
    hub.settle()
    assert hub.output("y") == 11
    nothing_left(hub)


def test_entities_are_locked_in_one_order_and_once() -> None:
    """G12: the request is sorted by address and has no entity twice; the code hears of it when all are locked."""

    @app.orchestration(name="sorted")
    async def sorts(ctx: OrchestrationContext) -> list[str]:
        async with await ctx.lock_entities([C, A, C, B, A]) as section:
            return [str(entity) for entity in section.entities]

    hub = Stepper(app)
    hub.start("sorted", "x")
    hub.settle()
    assert hub.output("x") == ["@account@a", "@account@b", "@account@c"]
    events = [event for event in hub.history("x") if isinstance(event, LockRequested | LockGranted | LockReleased)]
    assert events == [LockRequested(1, ("@account@a", "@account@b", "@account@c")), LockGranted(1), LockReleased(2, 1)]
    nothing_left(hub)


ENDS = ("return", "fail", "again", "terminate", "replace")


@pytest.mark.parametrize("evict", [False, True])
@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("name", ["keeps", "leaks"])
def test_every_end_releases(name: str, end: str, evict: bool) -> None:
    """G12: return, failure, continue-as-new, terminate and replace release all locks, also of a section never left."""
    hub = Stepper(app, evict=evict)
    hub.start(name, "x", end)
    hub.settle()
    hub.start("calls", "y", str(B))
    hub.settle()
    assert hub.status("y") == "Running"
    if end == "terminate":
        hub.terminate("x")
    elif end == "replace":
        hub.start("calls", "x", str(B), if_running="replace")
    else:
        hub.raise_event("x", "go on")
    hub.settle()
    assert hub.status("y") == "Completed"
    if end == "again":
        hub.raise_event("x", "go on")
        hub.settle()
    nothing_left(hub)


@pytest.mark.parametrize("evict", [False, True])
@pytest.mark.parametrize("end", ["terminate", "replace"])
def test_every_end_withdraws_what_it_waits_for(end: str, evict: bool) -> None:
    """G12: who ends while it waits for a lock gives back what it has and is not granted the rest; the next one is."""
    hub = Stepper(app, evict=evict)
    hub.start("calls", "c", str(B))
    hub.start("keeps", "x", "return")  # has a and b

    @app.orchestration(name=f"holds c {end} {evict}")
    async def holds(ctx: OrchestrationContext) -> None:
        async with await ctx.lock_entities([B, C]):
            await ctx.wait_for_external_event("go on")

    hub.settle()
    hub.start(f"holds c {end} {evict}", "y")  # waits for b
    hub.settle()
    hub.start("keeps", "z", "return")  # waits for a
    hub.start("calls", "w", str(C))
    hub.settle()
    assert hub.status("w") == "Completed"  # c is not even asked for
    if end == "terminate":
        hub.terminate("y")
    else:
        hub.start("calls", "y", str(C), if_running="replace")
    hub.settle()
    hub.raise_event("x", "go on")
    hub.settle()
    hub.raise_event("z", "go on")
    hub.settle()
    assert hub.status("z") == "Completed"
    nothing_left(hub)


@pytest.mark.parametrize("evict", [False, True])
def test_a_request_can_be_cancelled(evict: bool) -> None:
    """G12: `cancel()` withdraws a lock request, and the rules end with it; a lock that was had is no longer had."""
    ran: list[str] = []

    @app.orchestration(name=f"impatient {evict}")
    async def impatient(ctx: OrchestrationContext) -> str:
        lock = ctx.lock_entities([C, B])
        late = ctx.create_timer(timedelta(seconds=5))
        await ctx.task_any([lock, late])
        if not lock.is_completed:
            assert lock.cancel()
            with pytest.raises(TaskCancelledError):
                await lock
            ran.append("gave up")
            return f"{await ctx.call_entity(C, Account.add, 5)}"
        return "got it"

    hub = Stepper(app, evict=evict)
    hub.start("keeps", "x", "return")
    hub.settle()
    hub.start(f"impatient {evict}", "y")
    hub.settle()
    hub.pass_s(6)
    hub.settle()
    assert hub.output("y") == "5"
    hub.raise_event("x", "go on")
    hub.settle()
    nothing_left(hub)


def test_a_suspended_owner_keeps_its_locks() -> None:
    """G12: suspension keeps what is locked, and what is waited for stays at its place."""
    hub = Stepper(app)
    hub.start("keeps", "x", "return")
    hub.settle()
    hub.submit("x", Suspend, 0)
    hub.start("calls", "y", str(A))
    hub.settle()
    hub.raise_event("x", "go on")
    hub.settle()
    assert hub.status("y") == "Running"
    hub.submit("x", Resume, 0)
    hub.settle()
    assert (hub.status("x"), hub.status("y")) == ("Completed", "Completed")
    nothing_left(hub)


def test_a_lock_belongs_to_the_id() -> None:
    """G12: deleting the state inside a section keeps the lock, and those who wait for it."""

    @app.orchestration(name="closes")
    async def closes(ctx: OrchestrationContext) -> None:
        async with await ctx.lock_entities([A]):
            await ctx.call_entity(A, Account.add, 3)
            await ctx.call_entity(A, Account.close)
            await ctx.wait_for_external_event("go on")

    hub = Stepper(app, evict=True)
    hub.start("closes", "x")
    hub.settle()
    hub.start("calls", "y", str(A))
    hub.settle()
    assert (state(hub, A), hub.status("y")) == (None, "Running")
    hub.reopen()
    assert hub.status("y") == "Running"
    hub.raise_event("x", "go on")
    hub.settle()
    assert hub.output("y") == 10
    nothing_left(hub)


def test_state_is_not_rolled_back_when_a_section_fails() -> None:
    """G12: what was done in a section that fails stays done; whoever wants it undone undoes it."""
    hub = Stepper(app)
    hub.start("keeps", "x", "fail")
    hub.settle()
    hub.raise_event("x", "go on")
    hub.settle()
    assert hub.status("x") == "Failed"
    hub.start("calls", "y", str(A))
    hub.settle()
    assert hub.output("y") == 11
    nothing_left(hub)


def test_the_release_follows_every_call_sent_before_it() -> None:
    """G12: a call that the section did not wait for still runs under its lock, before anybody else's."""

    @app.orchestration(name="hasty")
    async def hasty(ctx: OrchestrationContext) -> None:
        async with await ctx.lock_entities([A]):
            ctx.call_entity(A, Account.add, 1)

    hub = Stepper(app)
    hub.start("keeps", "x", "return")
    hub.settle()
    hub.start("hasty", "y")
    hub.settle()
    hub.start("calls", "z", str(A))
    hub.raise_event("x", "go on")
    hub.settle()
    assert hub.output("z") == 12
    nothing_left(hub)


@pytest.mark.parametrize("locked", [False, True])
def test_a_call_without_its_lock_is_not_done(locked: bool) -> None:
    """G12: a call under a grant that is over, as of a retried dead letter, fails with LockLost and changes nothing."""

    @app.orchestration(name=f"late {locked}")
    async def late(ctx: OrchestrationContext) -> str:
        try:
            return f"{await ctx.call_entity(B, Account.add, 1)}"
        except LockLost as lost:
            return str(lost)

    hub = Stepper(app)
    if locked:
        hub.start("keeps", "y", "return")
        hub.settle()
    hub.start(f"late {locked}", "x")
    hub.kernel.run_turn("x")
    box = entity_keys.mailbox(str(B))
    [(_, sent)] = hub.kernel.view.scan(box, box, entity_keys.stop_of(box))
    assert isinstance(sent, Operation)
    hub.kernel.deliver(str(C), msgspec.structs.replace(sent, grant="another:1"), CONTROL_LANE)
    hub.kernel.run_turn(str(C))
    hub.settle()
    assert "has no lock on @account@c any more" in hub.output("x")
    assert state(hub, C) is None
    if locked:
        hub.raise_event("y", "go on")
        hub.settle()
    assert hub.status("y") in ("", "Completed")


RULES = {
    "no second lock": "entities were locked inside a critical section",
    "no sub-orchestration": "a sub-orchestration was started inside a critical section",
    "calls of locked ones only": "@account@c was called inside a critical section that has not locked it",
    "one call at a time": "@account@a was called inside a critical section while another call of it goes on",
    "no signal to a locked one": "@account@a was signaled inside a critical section that locks it",
    "no call before it is entered": "@account@a was called inside a critical section that is not entered yet",
    "entered once": "a critical section was entered after it was left",
}


@app.orchestration
async def breaks(ctx: OrchestrationContext, rule: str) -> str:
    """Breaks a rule, and says what came of it; whatever is allowed is done all the same."""
    lock = ctx.lock_entities([A, B])
    if rule == "no call before it is entered":
        return await _broken(lambda: ctx.call_entity(A, Account.get))
    async with await lock as section:
        ctx.signal_entity(C, Account.add, 7)
        first = ctx.call_entity(A, Account.add, 1)
        if rule == "no second lock":
            said = await _broken(lambda: ctx.lock_entities([C]))
        elif rule == "no sub-orchestration":
            said = await _broken(lambda: ctx.call_sub_orchestrator(calls, str(C)))
        elif rule == "calls of locked ones only":
            said = await _broken(lambda: ctx.call_entity(C, Account.get))
        elif rule == "one call at a time":
            said = await _broken(lambda: ctx.call_entity(A, Account.get))
        elif rule == "no signal to a locked one":
            said = await _broken(lambda: ctx.signal_entity(A, Account.add, 1))
        else:
            said = ""
        await first
        assert await ctx.call_entity(A, Account.get) == 1
    if rule == "entered once":
        with pytest.raises(LockingRulesViolation) as broken:
            async with section:
                pass
        said = str(broken.value)
    return said


async def _broken(call: Any) -> str:
    with pytest.raises(LockingRulesViolation) as broken:
        call()
    return str(broken.value)


@pytest.mark.parametrize("evict", [False, True])
@pytest.mark.parametrize("rule", RULES)
def test_a_broken_rule_raises_at_the_call(rule: str, evict: bool) -> None:
    """G12: what a section must not do raises where it is done, has no effect, and is the same in replay (G19)."""
    hub = Stepper(app, evict=evict)
    hub.start("breaks", "x", rule)
    hub.settle()
    assert RULES[rule] in hub.output("x")
    assert [e for e in hub.history("x") if getattr(e, "lock", 1) == 0] == []
    nothing_left(hub)


async def test_bad_requests_are_refused_at_the_call(tmp_path: Path) -> None:
    """G31: none, too many, or unknown entities."""

    @app.orchestration(name="bad requests")
    async def bad(ctx: OrchestrationContext) -> list[str]:
        said = []
        for entities in ([], [EntityId("Account", f"{n}") for n in range(1001)], [EntityId("Nobody", "x")]):
            try:
                ctx.lock_entities(entities)
            except (ValueError, LookupError) as error:
                said.append(str(error))
        async with await ctx.lock_entities([A]):  # a refused request is none
            return said

    async with hub(tmp_path, app) as client:
        await client.start_new(bad, "x")
        none, many, unknown = await output(client, "x")
    assert "takes 1 to 1000 entities, not 0" in none
    assert "not 1001" in many
    assert "no entity named 'nobody'" in unknown


def test_a_failed_operation_leaves_the_section_as_it_is() -> None:
    """G12: the failure of a call inside a section can be handled inside it."""

    @app.orchestration(name="handles")
    async def handles(ctx: OrchestrationContext) -> int:
        async with await ctx.lock_entities([A]):
            with pytest.raises(TaskFailedError, match="no"):
                await ctx.call_entity(A, Account.fail)
            return await ctx.call_entity(A, Account.add, 2)

    hub = Stepper(app, evict=True)
    hub.start("handles", "x")
    hub.settle()
    assert hub.output("x") == 2
    nothing_left(hub)


def test_locks_and_requests_survive_a_reopening() -> None:
    """G12, G9: after a new open the holder holds, those who wait wait in their order, and all come to their end."""
    hub = Stepper(app)
    hub.start("keeps", "x", "return")
    hub.settle()
    for name in ("y", "z"):
        hub.start("keeps", name, "return")
        hub.settle()
    hub.reopen()
    for name in ("x", "y", "z"):
        hub.raise_event(name, "go on")
    hub.settle()
    assert [hub.output(name) for name in ("x", "y", "z")] == ["return"] * 3
    nothing_left(hub)


def test_lock_messages_are_small_and_vanish_within_a_batch() -> None:
    """G2: a section that needs one batch leaves no lock row behind, on disk or in between."""
    hub = Stepper(app)
    hub.start("transfer", "x", 0)
    while hub.kernel.runnable:
        hub.kernel.run_turn()
    batch = hub.kernel.seal()
    assert [key for key, value in batch.seal().changes if key[:1] == entity_keys.LOCK and value is not None] == []
    messages = [LockRequest, Release]
    assert all(message.__struct_config__.frozen for message in messages)
