"""G12: a wait that would close a cycle over locks is refused, with the chain; one that would not is never refused."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import attrs
import pytest

from durio.entities import EntityId
from durio.entities import keys as entity_keys
from durio.orchestration import App, Client, LockCycle, OrchestrationContext
from tests.orchestration.helpers import Stepper, hub, output, rows_of

A, B, C = EntityId("Account", "a"), EntityId("Account", "b"), EntityId("Account", "c")

app = App()

each_way = pytest.mark.parametrize("evict", [False, True])


@app.entity
@attrs.define
class Account:
    balance: int = 0

    def add(self, amount: int) -> int:
        self.balance += amount
        return self.balance


@app.orchestration
async def locks(ctx: OrchestrationContext, entity: str) -> str:
    """A child that locks an entity."""
    async with await ctx.lock_entities([EntityId.parse(entity)]):
        return "locked"


@app.orchestration
async def calls(ctx: OrchestrationContext, entity: str) -> int:
    """A child that calls an entity."""
    return await ctx.call_entity(EntityId.parse(entity), Account.add, 1)


@app.orchestration
async def grandparent(ctx: OrchestrationContext, entity: str) -> object:
    """A child that waits for a child."""
    return await ctx.call_sub_orchestrator("locks", entity)


@app.orchestration
async def awaits_child(ctx: OrchestrationContext, child: str) -> str:
    """Starts a child, locks an entity, waits for the child: which wants the same entity."""
    task = ctx.call_sub_orchestrator(child, str(A), f"{ctx.instance_id}-child")
    await ctx.wait_for_external_event("lock")
    async with await ctx.lock_entities([A]):
        await ctx.wait_for_external_event("await")
        try:
            return f"{await task}"
        except Exception as error:
            return str(error)


@app.orchestration
async def holds(ctx: OrchestrationContext, entity: str) -> str:
    async with await ctx.lock_entities([EntityId.parse(entity)]):
        await ctx.wait_for_external_event("go on")
    return "left"


def nothing_left(hub: Stepper) -> None:
    assert rows_of(hub.disk, entity_keys.LOCK) == []
    assert rows_of(hub.disk, entity_keys.MAIL) == []
    halves = [key for key in rows_of(hub.disk, entity_keys.ACTOR) if key.startswith(b"a@") and b"\0h" in key]
    assert halves == []


@each_way
@pytest.mark.parametrize("child", ["locks", "calls", "grandparent"])
def test_a_child_that_came_first_is_served_first(child: str, evict: bool) -> None:
    """G12: a child that asked before its parent has the entity before it; nothing is refused, in whatever order."""
    hub = Stepper(app, evict=evict)
    hub.start("holds", "first", str(A))  # so that the child waits and does not have the entity first
    hub.settle()
    hub.start("awaits_child", "x", child)
    hub.settle()
    hub.raise_event("x", "lock")
    hub.settle()
    hub.raise_event("first", "go on")
    hub.settle()
    hub.raise_event("x", "await")
    hub.settle()
    assert hub.output("x") in ("locked", "1")
    nothing_left(hub)


@app.orchestration
async def waits_then(ctx: OrchestrationContext, child: str) -> object:
    """A child that begins when it is told, in one way or another."""
    await ctx.wait_for_external_event("begin")
    if child == "locks":
        async with await ctx.lock_entities([A]):
            return "locked"
    if child == "calls":
        return await ctx.call_entity(A, Account.add, 1)
    return await ctx.call_sub_orchestrator("locks", str(A), f"{ctx.instance_id}-child")


@app.orchestration
async def owner(ctx: OrchestrationContext, child: str) -> str:
    """Waits inside its section for a child that it started before."""
    task = ctx.call_sub_orchestrator(waits_then, child, f"{ctx.instance_id}-child")
    async with await ctx.lock_entities([A, B]):
        await ctx.wait_for_external_event("await")
        try:
            return f"{await task}"
        except Exception as error:
            return str(error)


CHAINS = {
    "locks": "x-child waits for @account@a, which is locked by x, which waits for x-child",
    "calls": "x-child waits for @account@a, which is locked by x, which waits for x-child",
    "grandchild": "x-child-child waits for @account@a, which is locked by x, which waits for x-child, "
    "which waits for x-child-child",
}


@each_way
@pytest.mark.parametrize("order", [("await", "begin"), ("begin", "await")])
@pytest.mark.parametrize("child", CHAINS)
def test_a_cycle_over_a_child_is_refused(child: str, order: tuple[str, str], evict: bool) -> None:
    """G12: whichever comes last, the owner's wait for its child or the child's for the entity, the child is refused."""
    hub = Stepper(app, evict=evict)
    hub.start("owner", "x", child)
    hub.settle()
    for event in order:
        hub.raise_event("x" if event == "await" else "x-child", event)
        hub.settle()
    assert CHAINS[child] in hub.output("x")
    nothing_left(hub)


@each_way
@pytest.mark.parametrize("child", CHAINS)
def test_a_child_that_nobody_waits_for_may_wait(child: str, evict: bool) -> None:
    """G12: as long as the owner does not wait for it, the child's wait is no cycle: it goes on after the section."""
    hub = Stepper(app, evict=evict)

    @app.orchestration(name=f"leaves {child} {evict}")
    async def leaves(ctx: OrchestrationContext) -> str:
        task = ctx.call_sub_orchestrator(waits_then, child, f"{ctx.instance_id}-child")
        async with await ctx.lock_entities([A]):
            await ctx.wait_for_external_event("leave")
            late = ctx.create_timer(timedelta(hours=1))
            await ctx.task_any([task, late])  # a choice: it can go on without the child
        return f"{await task}"

    hub.start(f"leaves {child} {evict}", "x")
    hub.settle()
    hub.raise_event("x-child", "begin")
    hub.settle()
    hub.raise_event("x", "leave")
    hub.settle()
    hub.pass_s(3601)
    hub.settle()
    assert hub.output("x") in ("locked", "1")
    nothing_left(hub)


@each_way
def test_a_cycle_of_two_owners_is_refused(evict: bool) -> None:
    """G12: an owner waits for its child, the child for another owner, that one for the first: the last is refused."""

    @app.orchestration(name=f"second {evict}")
    async def second(ctx: OrchestrationContext) -> str:
        try:
            async with await ctx.lock_entities([A, B]):
                return "locked"
        except LockCycle as cycle:
            return " ".join(cycle.chain)

    @app.orchestration(name=f"first {evict}")
    async def first(ctx: OrchestrationContext) -> str:
        child = ctx.call_sub_orchestrator("locks after", instance_id="child")
        async with await ctx.lock_entities([B]):
            return f"{await child}"

    hub = Stepper(app, evict=evict)
    hub.start(f"first {evict}", "x")  # has b, waits for the child
    hub.settle()
    hub.start("holds", "h", str(A))
    hub.settle()
    hub.start(f"second {evict}", "y")  # waits for a
    hub.settle()
    hub.raise_event("h", "go on")  # y has a and asks for b
    hub.settle()
    hub.raise_event("child", "begin")  # the child asks for a: x -> child -> y -> x
    hub.settle()
    assert "child waits for @account@a, which is locked by y" in str(hub.instance("child").outcome)
    assert "y waits for @account@b" not in str(hub.instance("y").outcome)
    assert hub.status("x") == "Failed"
    assert hub.output("y") == "locked"
    nothing_left(hub)


@app.orchestration
async def gets_both(ctx: OrchestrationContext) -> str:
    try:
        async with await ctx.lock_entities([A, B]):
            return "locked"
    except LockCycle as cycle:
        return " ".join(cycle.chain)


@each_way
def test_a_lock_that_is_waited_for_already_is_refused(evict: bool) -> None:
    """G12: the owner's wait closes a cycle over another owner: it is that one's request that is refused."""

    @app.orchestration(name=f"queues {evict}")
    async def queues(ctx: OrchestrationContext) -> str:
        child = ctx.call_sub_orchestrator("locks after", instance_id="child")
        async with await ctx.lock_entities([B]):
            return f"{await child}"

    hub = Stepper(app, evict=evict)
    hub.start("holds", "h", str(B))
    hub.settle()
    hub.start(f"queues {evict}", "x")  # waits for b
    hub.settle()
    hub.start("gets_both", "y")  # has a, waits for b behind x
    hub.settle()
    hub.raise_event("child", "begin")  # waits for a
    hub.settle()
    hub.raise_event("h", "go on")  # x has b, and waits for its child, which waits for y, which waits for x
    hub.settle()
    assert hub.output("y") == "y @account@b x child @account@a y"
    assert hub.output("x") == "locked"
    nothing_left(hub)


@each_way
def test_a_lock_and_a_child_can_be_awaited_together(evict: bool) -> None:
    """G12: the cycle that a grant closes, while its owner awaits a child, is refused to the child."""

    @app.orchestration(name=f"together {evict}")
    async def together(ctx: OrchestrationContext) -> object:
        child = ctx.call_sub_orchestrator("locks after", instance_id="child")
        await ctx.wait_for_external_event("begin")
        lock = ctx.lock_entities([A])
        try:
            return await ctx.task_all([lock, child])
        except Exception as error:
            return str(error)

    hub = Stepper(app, evict=evict)
    hub.start("holds", "h", str(A))
    hub.start(f"together {evict}", "x")
    hub.settle()
    hub.raise_event("x", "begin")
    hub.settle()
    hub.raise_event("child", "begin")
    hub.settle()
    assert hub.status("x") == "Running"
    hub.raise_event("h", "go on")
    hub.settle()
    assert "child waits for @account@a, which is locked by x" in hub.output("x")
    nothing_left(hub)


@app.orchestration
async def calls_then_awaits(ctx: OrchestrationContext) -> str:
    """Calls a, locks b, and awaits its call of a inside the section."""
    call = ctx.call_entity(A, Account.add, 1)
    async with await ctx.lock_entities([B]):
        await ctx.wait_for_external_event("await")
        try:
            return f"{await call}"
        except LockCycle as cycle:
            return " ".join(cycle.chain)


@each_way
def test_a_call_that_waits_for_who_waits_for_the_caller_is_refused(evict: bool) -> None:
    """G12: a plain call is an edge too: its caller has what the holder of the called entity waits for."""
    hub = Stepper(app, evict=evict)
    hub.start("holds", "h", str(B))
    hub.settle()
    hub.start("gets_both", "y")  # has a, waits for b
    hub.settle()
    hub.start("calls_then_awaits", "x")  # its call waits for y; it waits for b behind y
    hub.settle()
    hub.raise_event("h", "go on")
    hub.settle()
    assert hub.output("y") == "locked"  # no cycle: y came first
    hub.raise_event("x", "await")
    hub.settle()
    assert hub.output("x") == "1"

    hub.start("holds", "g", str(A))
    hub.settle()
    hub.start("gets_both", "y")  # waits for a
    hub.settle()
    hub.start("calls_then_awaits", "x")  # its call waits behind y; it has b
    hub.settle()
    hub.raise_event("x", "await")
    hub.settle()
    hub.raise_event("g", "go on")  # y has a and asks for b: y -> x -> a -> y
    hub.settle()
    assert hub.output("y") == "y @account@b x @account@a y"
    assert hub.output("x") == "2"

    hub.start("holds", "g", str(A))
    hub.settle()
    hub.start("gets_both", "y")
    hub.settle()
    hub.start("calls_then_awaits", "x")
    hub.settle()
    hub.raise_event("g", "go on")  # y has a and waits for b; x has b and does not wait yet
    hub.settle()
    hub.raise_event("x", "await")
    hub.settle()
    assert hub.output("x") == "x @account@a y @account@b x"
    assert hub.output("y") == "locked"
    nothing_left(hub)


@app.orchestration(name="locks after")
async def locks_after(ctx: OrchestrationContext) -> str:
    await ctx.wait_for_external_event("begin")
    async with await ctx.lock_entities([A]):
        return "locked"


@each_way
def test_a_call_from_before_the_section_is_refused(evict: bool) -> None:
    """G12: who awaits, inside its section, its own earlier call of the entity that it has locked meanwhile, is told."""

    @app.orchestration(name=f"own call {evict}")
    async def own_call(ctx: OrchestrationContext) -> str:
        lock = ctx.lock_entities([A])
        await lock
        lock.result.release()
        await ctx.wait_for_external_event("call")
        task = ctx.call_entity(A, Account.add, 1)  # it waits behind the one who has it now, and behind nobody else
        async with await ctx.lock_entities([A]):
            return f"{await task}"

    hub = Stepper(app, evict=evict)
    hub.start(f"own call {evict}", "x")
    hub.settle()
    hub.start("holds", "h", str(A))
    hub.settle()
    hub.raise_event("x", "call")
    hub.settle()
    hub.raise_event("h", "go on")
    hub.settle()
    assert hub.output("x") == "1"  # its call came before its own request: no cycle
    nothing_left(hub)


@each_way
def test_the_same_entities_can_be_locked_again_at_once(evict: bool) -> None:
    """G12: a release that is on its way is no lock: two sections, one behind the other, are no cycle."""

    @app.orchestration(name=f"twice {evict}")
    async def twice(ctx: OrchestrationContext) -> int:
        last = 0
        for n in range(5):
            async with await ctx.lock_entities([A, B]):
                last = await ctx.call_entity(A, Account.add, n)
        return last

    hub = Stepper(app, evict=evict)
    hub.start(f"twice {evict}", "x")
    hub.settle()
    assert hub.output("x") == 10
    nothing_left(hub)


async def test_an_activity_that_asks_for_what_its_owner_locked_is_refused(tmp_path: Path) -> None:
    """G12: an activity awaited inside a section asks the locked entity through a client: refused, with the chain."""
    app, clients = App(), list[Client]()
    app.entity(Account)

    @app.activity
    async def asks(_: int) -> str:
        try:
            return str(await clients[0].call_entity(A, Account.add, 1))
        except LockCycle as cycle:
            return str(cycle)

    @app.orchestration
    async def inside(ctx: OrchestrationContext) -> str:
        async with await ctx.lock_entities([A]):
            return await ctx.call_activity(asks, 0)

    @app.orchestration
    async def outside(ctx: OrchestrationContext) -> str:
        async with await ctx.lock_entities([A]):
            task = ctx.call_activity(asks, 0)
            await ctx.create_timer(timedelta(seconds=1))
        return await task

    @app.orchestration
    async def late(ctx: OrchestrationContext) -> str:
        async with await ctx.lock_entities([A]):
            task = ctx.call_activity(asks, 0)
            await ctx.create_timer(timedelta(seconds=1))
            return await task

    async with hub(tmp_path, app) as client:
        clients.append(client)
        await client.start_new(inside, "x")
        assert "x waits for @account@a, which is locked by x" in await output(client, "x")
        await client.start_new(outside, "y")
        assert await output(client, "y") == "1"
        await client.start_new(late, "z")
        assert "z waits for @account@a, which is locked by z" in await output(client, "z")
        assert await client.call_entity(A, Account.add, 1) == 2


def test_a_cycle_says_who_waits_for_whom() -> None:
    """G12: the chain is in the text, link by link."""
    cycle = LockCycle(("a", "@e@1", "b", "c", "@e@2", "a"))
    assert str(cycle).endswith(
        "a waits for @e@1, which is locked by b, which waits for c, which waits for @e@2, which is locked by a"
    )
