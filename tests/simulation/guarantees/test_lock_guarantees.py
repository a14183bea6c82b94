"""What durio guarantees of locks, as properties over interleavings, crashes and faults: a bank, and its ends (G12)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import attrs
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from durio.entities import EntityId
from durio.orchestration import App, LockCycle, OrchestrationContext, TaskFailedError
from durio.simulation import Sim, call, raise_event, resume, simulate, start, suspend, terminate

OPENING: Final = 10
KEYS: Final = ("a", "b", "c")

app = App()


@app.entity
@attrs.define
class Account:
    balance: int = OPENING

    def get(self) -> int:
        return self.balance

    def put(self, balance: int) -> None:
        self.balance = balance


def account(key: str) -> EntityId:
    return EntityId("account", key)


@attrs.frozen
class Transfer:
    source: str
    target: str
    amount: int


@app.orchestration
async def transfer(ctx: OrchestrationContext, order: Transfer) -> None:
    """In four calls: whatever came between them would change the sum."""
    source, target = account(order.source), account(order.target)
    async with await ctx.lock_entities([source, target]):
        before = await ctx.call_entity(source, Account.get)
        await ctx.call_entity(source, Account.put, before - order.amount)
        before = await ctx.call_entity(target, Account.get)
        await ctx.call_entity(target, Account.put, before + order.amount)
        if order.amount == 3:
            raise ValueError("after all was done")


@app.orchestration
async def audit(ctx: OrchestrationContext) -> int:
    async with await ctx.lock_entities(map(account, KEYS)):
        return sum(await ctx.task_all([ctx.call_entity(account(key), Account.get) for key in KEYS]))


@app.orchestration
async def sleeper(ctx: OrchestrationContext, generation: int) -> None:
    """Locks in every generation, never leaves a section, and changes nothing."""
    await ctx.lock_entities([account("a"), account("b")])
    await ctx.wait_for_external_event("wake")
    if generation < 1:
        ctx.continue_as_new(generation + 1)


@app.orchestration
async def parent(ctx: OrchestrationContext, key: str) -> str:
    """Waits in its section for a child that may want what the section has locked."""
    child = ctx.call_sub_orchestrator(audit)
    async with await ctx.lock_entities([account(key)]):
        try:
            return f"{await child}"
        except TaskFailedError as error:
            return "refused" if error.failure.is_caused_by(LockCycle) else f"{error}"


orders = st.builds(
    lambda way, amount: Transfer(way[0], way[1], amount),
    st.sampled_from(("ab", "ba", "bc", "cb", "ca")),
    st.integers(1, 3),
)


def no_lock_is_left(sim: Sim) -> None:
    """A lock has an owner that goes on, whose request it is; waiters go on, too."""
    for lock in sim.locks:
        owner = sim.status(lock.instance_id)
        if sim.at_rest:
            assert owner.runtime_status in ("Running", "Suspended"), f"left behind: {lock}"


def the_sum_is_kept(sim: Sim) -> None:
    """What was audited is the sum, and what is in the accounts at rest, too."""
    audits = [status for status in sim.instances.values() if status.name == "audit"]
    assert all(status.output in (None, len(KEYS) * OPENING) or status.runtime_status == "Failed" for status in audits)
    if sim.settled:
        assert sum(sim.state(Account, key).balance for key in KEYS) == len(KEYS) * OPENING


def bank(*asks: Any, **options: Any) -> Callable[[Callable[[Sim], None]], Any]:
    """A property of the bank, which keeps its sum in all runs."""
    few = settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow])
    return simulate(*asks, app=app, keys=KEYS, invariant=the_sum_is_kept, settings=few, hash_seeds=False, **options)


@bank(start(transfer, orders), start(audit), max_crashes=2, max_calls=6)
def test_g12_no_transfer_is_seen_half_done(sim: Sim) -> None:
    """G12: transfers and audits in any order, over crashes: the sum stays, all end, no lock is left."""
    assert sim.settled, sim.deadlocked
    assert not sim.locks


@bank(
    start(transfer, orders),
    start(audit),
    start(sleeper, 0, instance_id="x", if_running="replace"),
    start(sleeper, 0, instance_id="y"),
    terminate(st.sampled_from("xy")),
    raise_event(st.sampled_from("xy"), "wake"),
    suspend("x"),
    resume("x"),
    call(Account.get),
    max_crashes=1,
    max_calls=7,
)
def test_g12_every_end_releases(sim: Sim) -> None:
    """G12: return, failure, continue-as-new, terminate, replace: no lock outlives its owner; only sleepers block."""
    no_lock_is_left(sim)
    if not any(status.name == "sleeper" and status.runtime_status != "Completed" for status in sim.instances.values()):
        assert not sim.deadlocked


@bank(start(parent, st.sampled_from(KEYS)), start(transfer, orders), max_crashes=1, max_calls=4)
def test_g12_no_circle_is_left(sim: Sim) -> None:
    """G12: an owner waits for a child that wants the same entities: one is refused, or none has to be, and all end."""
    assert sim.settled, sim.deadlocked
    assert all(status.output in ("30", "refused") for status in sim.instances.values() if status.name == "parent")
    assert not sim.locks
