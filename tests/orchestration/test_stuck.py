"""Instances that stand still, and instances whose code is not there."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from durio.entities import EntityId, View, VirtualEnv, from_us
from durio.entities import keys as entity_keys
from durio.orchestration import App, Client, OrchestrationContext, RetryOptions, open_hub
from durio.orchestration.diagnosing import LOOKED_AT
from durio.orchestration.instance import Decoders, load
from durio.orchestration.records import HEAD
from durio.orchestration.waiting import Diagnosis, Examination
from durio.storage import MemoryDisk, MemoryStore, WriteSet
from tests.entities.helpers import Counter
from tests.orchestration.helpers import Stepper, in_memory
from tests.orchestration.links import Opened

COUNTER = EntityId("Counter", "c")
LATER = timedelta(days=1)

app = App()
app.entity(Counter)


@app.activity
async def endless() -> None:
    await trio.sleep_forever()


@app.activity
async def fails() -> None:
    raise ValueError("not yet")


@app.orchestration
async def approval(ctx: OrchestrationContext) -> Any:
    return await ctx.wait_for_external_event("Approval")


@app.orchestration
async def timer(ctx: OrchestrationContext) -> None:
    await ctx.create_timer(LATER)


@app.orchestration
async def works(ctx: OrchestrationContext) -> None:
    await ctx.call_activity(endless)


@app.orchestration
async def tries(ctx: OrchestrationContext) -> None:
    await ctx.call_activity_with_retry(fails, RetryOptions(86_400_000, 3))


@app.orchestration
async def parent(ctx: OrchestrationContext) -> None:
    await ctx.call_sub_orchestrator(approval, instance_id="below")


@app.orchestration
async def event_or_timer(ctx: OrchestrationContext) -> None:
    await ctx.task_any([ctx.wait_for_external_event("Approval"), ctx.create_timer(LATER)])


@app.orchestration
async def event_and_timer(ctx: OrchestrationContext) -> None:
    await ctx.task_all([ctx.wait_for_external_event("Approval"), ctx.create_timer(LATER)])


@app.orchestration
async def loser(ctx: OrchestrationContext) -> None:
    """Leaves a timer behind that nobody awaits any more."""
    late = ctx.create_timer(LATER)
    await ctx.task_any([ctx.wait_for_external_event("first"), late])
    await ctx.wait_for_external_event("Second")


@app.orchestration
async def two_events(ctx: OrchestrationContext) -> None:
    await ctx.task_all([ctx.wait_for_external_event("first"), ctx.wait_for_external_event("Second")])


@app.orchestration
async def locks(ctx: OrchestrationContext) -> None:
    async with await ctx.lock_entities([COUNTER]):
        await ctx.wait_for_external_event("Unlock")


@app.orchestration
async def calls(ctx: OrchestrationContext) -> None:
    await ctx.call_entity(COUNTER, "add", 1)


async def stuck(client: Client, idle_s: float = 0) -> dict[str, tuple[tuple[str, ...], bool]]:
    """What is found: the id, what it waits for, and whether nothing can bring it on."""
    return {found.instance_id: (found.waits_for, found.certain) for found in await client.find_stuck(idle_s=idle_s)}


async def test_waits_for_an_event(opened: Opened, tmp_path: Path) -> None:
    """What only somebody outside can bring on is found, over every kind of client, with what it waits for."""
    async with opened(tmp_path, app) as client:
        started = await client.start_new("approval", "a")
        await client.start_new("timer", "t")
        [found] = await client.find_stuck(idle_s=0)
        assert (found.instance_id, found.name, found.version, found.certain) == (str(started), "approval", None, False)
        assert found.since == (await client.get_status("a")).last_updated_time
        assert "event" in found.why or "code" in found.why
        assert await client.find_stuck(idle_s=3600) == []
        await client.raise_event("a", "Approval")
        await client.wait_for_completion("a")
        assert await client.find_stuck(idle_s=0) == []


@pytest.mark.parametrize("orchestration", [timer, works, tries, event_or_timer, event_and_timer])
async def test_what_is_under_way_is_not_stuck(
    orchestration: Callable[[OrchestrationContext], Any], autojump_clock: MockClock
) -> None:
    """A timer, an activity, a pause before the next attempt: they bring the instance on."""
    async with in_memory(app) as client:
        await client.start_new(orchestration, "i")
        await trio.sleep(1)
        assert await stuck(client) == {}


async def test_what_was_given_up_does_not_count(autojump_clock: MockClock) -> None:
    """A timer that lost a choice brings nobody on; of two events the one that is there is not missing."""
    async with in_memory(app) as client:
        for orchestration in (loser, two_events):
            name = orchestration.__name__
            await client.start_new(orchestration, name)
            await client.raise_event(name, "first")
        assert await stuck(client) == dict.fromkeys(("loser", "two_events"), (("event 'Second'",), False))


async def test_a_parent_waits_for_its_child(autojump_clock: MockClock) -> None:
    """The child stands still, not its parent; also not while the child is suspended, as it was told."""
    async with in_memory(app) as client:
        await client.start_new(parent, "p")
        await trio.sleep(1)
        assert await stuck(client) == {"below": (("event 'Approval'",), False)}
        await client.suspend("below")
        assert await stuck(client) == {}


async def test_locks_and_calls_are_waited_for(autojump_clock: MockClock) -> None:
    """Whoever waits for a lock, or for an entity that is locked, is brought on by the one who has it."""
    async with in_memory(app) as client:
        for number, orchestration in enumerate((locks, locks, calls)):
            await client.start_new(orchestration, f"i{number}")
            await trio.sleep(1)
        assert await stuck(client) == {"i0": (("event 'Unlock'",), False)}
        await client.raise_event("i0", "Unlock")
        await trio.sleep(1)
        assert await stuck(client) == {"i1": (("event 'Unlock'",), False)}


async def test_pending_and_suspended(autojump_clock: MockClock) -> None:
    """One that begins later, and one that is suspended, do what they were told."""
    async with in_memory(app) as client:
        at = from_us(VirtualEnv().now_us()).replace(tzinfo=UTC) + LATER
        await client.start_new(approval, "later", start_at=at)
        await client.start_new(approval, "suspended")
        await client.suspend("suspended")
        assert await stuck(client) == {}


async def test_since_when(autojump_clock: MockClock) -> None:
    """Only what has not changed for so long is looked at, the oldest first; wrong times are refused."""
    async with in_memory(app) as client:
        for name in "ba":
            await client.start_new(approval, name)
            await trio.sleep(100)
        assert list(await stuck(client, 150)) == ["b"]
        assert list(await stuck(client, 60)) == ["b", "a"]
        for wrong in (-1, float("nan"), float("inf"), True, "1"):
            with pytest.raises(ValueError, match="idle_s"):
                await client.find_stuck(idle_s=wrong)  # type: ignore[arg-type]  # wrong on purpose


def _lose(disk: MemoryDisk, table: bytes, address: str = "") -> None:
    """The rows of a table are gone, as no bug and no crash may make them."""
    stem = table + (address.encode() + b"\0" if address else b"")
    gone = tuple((key, None) for key in disk.snapshot() if key.startswith(stem))
    assert gone, "there was something"
    MemoryStore(disk).commit(WriteSet(gone))


@pytest.mark.parametrize(
    ("orchestration", "table", "words"),
    [
        (works, entity_keys.JOB, "activity 'endless'"),
        (timer, entity_keys.TIMER, "timer"),
        (event_and_timer, entity_keys.TIMER, "event 'Approval'"),
        (tries, entity_keys.TIMER, "activity 'fails'"),
    ],
)
async def test_stuck_for_certain(
    orchestration: Callable[[OrchestrationContext], Any], table: bytes, words: str, autojump_clock: MockClock
) -> None:
    """What waits for a job or a timer that is not there never goes on: no event could help."""
    disk = MemoryDisk()
    async with open_hub(MemoryStore(disk), app, env=VirtualEnv()) as client:
        await client.start_new(orchestration, "i")
        await trio.sleep(1)
    _lose(disk, table)
    async with open_hub(MemoryStore(disk), app, env=VirtualEnv()) as client:
        [found] = await client.find_stuck(idle_s=0)
        assert found.certain
        assert words in str(found.waits_for)
        assert found.why == "nothing that is under way can end its wait"


async def test_an_event_makes_up_for_what_is_lost(autojump_clock: MockClock) -> None:
    """Of a choice one member is enough: while an event can come, an instance is not stuck for certain."""
    disk = MemoryDisk()
    async with open_hub(MemoryStore(disk), app, env=VirtualEnv()) as client:
        await client.start_new(event_or_timer, "i")
    _lose(disk, entity_keys.TIMER)
    async with open_hub(MemoryStore(disk), app, env=VirtualEnv()) as client:
        [found] = await client.find_stuck(idle_s=0)
        assert not found.certain
        assert found.waits_for[0] == "event 'Approval'"
        await client.raise_event("i", "Approval")
        assert (await client.wait_for_completion("i")).runtime_status == "Completed"


async def test_a_lost_child_and_a_lost_start(autojump_clock: MockClock) -> None:
    """A parent whose child is gone, and an instance that nothing would begin, are stuck for certain."""
    disk = MemoryDisk()
    async with open_hub(MemoryStore(disk), app, env=VirtualEnv()) as client:
        await client.start_new(parent, "p")
        await client.start_new(approval, "later", start_at=datetime(2100, 1, 1, tzinfo=UTC))
        await trio.sleep(1)
    _lose(disk, entity_keys.TIMER)
    MemoryStore(disk).commit(WriteSet(((entity_keys.actor("below") + HEAD, None),)))
    async with open_hub(MemoryStore(disk), app, env=VirtualEnv()) as client:
        found = await stuck(client)
        assert found == {"p": (("sub-orchestration 'approval'",), True), "later": ((), True)}


async def test_code_that_does_not_fit(autojump_clock: MockClock) -> None:
    """G20: an instance that is held because its code has changed is stuck until other code comes, mail or not."""
    disk, changed = MemoryDisk(), App()

    @changed.orchestration(name="timer")
    async def other(ctx: OrchestrationContext) -> None:
        await ctx.wait_for_external_event("go")

    async with open_hub(MemoryStore(disk), app, env=VirtualEnv()) as client:
        await client.start_new(timer, "i")
    async with open_hub(MemoryStore(disk), changed, env=VirtualEnv(), on_nondeterminism="hold") as client:
        for _ in range(2):
            [found] = await client.find_stuck(idle_s=0)
            assert (found.waits_for, found.certain) == (("code that does what its history says",), True)
            assert "TimerSet" in found.why
            await client.raise_event("i", "go")
            await trio.sleep(1)


async def test_without_its_code(autojump_clock: MockClock) -> None:
    """Without the code its history still says whether anything is under way; what it waits for is not known."""
    disk, empty = MemoryDisk(), App()
    async with open_hub(MemoryStore(disk), app, env=VirtualEnv()) as client:
        for orchestration in (approval, timer):
            await client.start_new(orchestration, orchestration.__name__)
    async with open_hub(MemoryStore(disk), empty, env=VirtualEnv()) as client:
        [found] = await client.find_stuck(idle_s=0)
        assert (found.instance_id, found.waits_for, found.certain) == ("approval", (), False)
        assert "without its code" in found.why


async def test_looking_changes_nothing(autojump_clock: MockClock) -> None:
    """A replay by who looks on runs nothing: no activity, no cleanup with an effect, no write."""
    disk = MemoryDisk()
    async with open_hub(MemoryStore(disk), app, env=VirtualEnv()) as client:
        for orchestration in (locks, two_events, approval):
            await client.start_new(orchestration, orchestration.__name__)
        await trio.sleep(1)
        before = disk.snapshot()
        assert len(await stuck(client)) == 3
        await trio.sleep(1)
        assert disk.snapshot() == before


async def test_unregistered_code(autojump_clock: MockClock) -> None:
    """G20: of what goes on and has no code here the names and versions are listed, the most frequent first."""
    disk, old, new = MemoryDisk(), App(), App()
    for version in ("1", "2"):
        old.orchestration(name="order", version=version)(approval)
    old.orchestration(name="gone")(approval)
    new.orchestration(name="order", version="2")(approval)
    async with open_hub(MemoryStore(disk), old, env=VirtualEnv()) as client:
        for number in range(7):
            await client.start_new("order", f"one-{number}", version="1")
        await client.start_new("order", "two", version="2")
        for name in ("suspended", "ended"):
            await client.start_new("gone", name)
        await client.suspend("suspended")
        await client.terminate("ended")
    async with open_hub(MemoryStore(disk), new, env=VirtualEnv()) as client:
        order, gone = await client.find_unregistered()
        assert (order.name, order.version, order.count) == ("order", "1", 7)
        assert order.examples == tuple(f"one-{number}" for number in range(5))
        assert (gone.name, gone.version, gone.count, gone.examples) == ("gone", None, 1, ("suspended",))
        assert {order.kind, gone.kind} == {"orchestration"}
        assert "gone" in gone.why
    async with open_hub(MemoryStore(disk), old, env=VirtualEnv()) as client:
        assert await client.find_unregistered() == []


async def test_unregistered_activities_and_entities(autojump_clock: MockClock) -> None:
    """G20: calls that wait for an activity, and entities that wait for their class, are listed with their instances."""
    disk, less = MemoryDisk(), App()
    less.orchestration(works)
    less.orchestration(locks)
    less.orchestration(calls)
    async with open_hub(MemoryStore(disk), app, env=VirtualEnv()) as client:
        for number in range(3):
            await client.start_new(works, f"i{number}")
        await client.start_new(locks, "locks")
        await trio.sleep(1)
        await client.start_new(calls, "calls")
        await client.signal_entity(COUNTER, "add", 1)
    async with open_hub(MemoryStore(disk), less, env=VirtualEnv()) as client:
        activity, entity = await client.find_unregistered()
        assert (activity.kind, activity.name, activity.count) == ("activity", "endless", 3)
        assert activity.examples == ("i0", "i1", "i2")
        assert (entity.kind, entity.name, entity.count, entity.examples) == ("entity", "counter", 1, ("@counter@c",))
        assert "counter" in entity.why


async def test_unregistered_needs_an_app(link: str, opened: Opened, tmp_path: Path) -> None:
    """A client without an app cannot compare, and says so; all others can."""
    async with opened(tmp_path, app) as client:
        if link in ("owner", "connect with app"):
            assert await client.find_unregistered() == []
        else:
            with pytest.raises(ValueError, match="no app"):
                await client.find_unregistered()


def _tree(ctx: OrchestrationContext, spec: Any) -> Any:
    kind, *rest = spec
    if kind == "event":
        return ctx.wait_for_external_event(rest[0])
    if kind == "timer":
        return ctx.create_timer(timedelta(seconds=rest[0]))
    if kind == "work":
        return ctx.call_activity(quick)
    members = [_tree(ctx, member) for member in rest[0]]
    return ctx.task_all(members) if kind == "all" else ctx.task_any(members)


@app.activity
def quick() -> None:
    return None


@app.orchestration
async def trees(ctx: OrchestrationContext, specs: list[Any]) -> None:
    """Awaits any tasks in any combination, one after the other, and shows how far it is."""
    for number, spec in enumerate(specs):
        ctx.set_custom_status(number)
        await _tree(ctx, spec)


_leaves = st.one_of(
    st.tuples(st.just("event"), st.sampled_from(["a", "b"])),
    st.tuples(st.just("timer"), st.integers(1, 100)),
    st.just(("work",)),
)
_specs = st.recursive(
    _leaves,
    lambda inner: st.tuples(st.sampled_from(["all", "any"]), st.lists(inner, min_size=1, max_size=3)),
    max_leaves=5,
)


class Looked:
    """An instance that a test drives by hand, and what an examination says of it."""

    def __init__(self, evict: bool) -> None:
        self.stepper = Stepper(app, evict=evict)

    @property
    def alive(self) -> bool:
        return self.stepper.status("i") == "Running"

    @property
    def step(self) -> bytes | None:
        head = self.stepper.instance("i").head
        return None if head is None else head.custom_status

    def found(self) -> Diagnosis | None:
        stepper = self.stepper
        instance = load(View(stepper.store), "i", Decoders())
        looking = Examination(instance, app.registry, app.payloads, Decoders(), stepper.store)
        for _ in looking.run(app.registry.exact_orchestration("trees", None)):
            pass
        return looking.found

    def let_pass(self) -> None:
        """All that is under way comes to its end."""
        self.stepper.hold_jobs = False
        self.stepper.run_jobs()
        self.stepper.settle()
        self.stepper.pass_s(10_000)


@settings(max_examples=300)
@given(st.lists(_specs, min_size=1, max_size=3), st.lists(st.sampled_from(["a", "b"]), max_size=4), st.booleans())
def test_stuck_is_what_does_not_go_on(specs: list[Any], events: list[str], evict: bool) -> None:
    """What is found does not go on by itself; what does not go on is found; and the events that it waits for help."""
    looked = Looked(evict)
    looked.stepper.hold_jobs = True
    looked.stepper.start("trees", "i", specs)
    for event in events:
        looked.stepper.raise_event("i", event)
    looked.stepper.settle()
    rounds = 0
    while looked.alive:
        found, step = looked.found(), looked.step
        looked.let_pass()
        if found is not None:
            assert (looked.alive, looked.step) == (True, step), f"it went on: {found}"
        elif looked.alive and looked.step == step:
            found = looked.found()
            assert found is not None, "it does not go on"
        if found is None:
            continue
        assert not found.certain, found
        assert found.waits_for, found
        for words in found.waits_for:
            looked.stepper.raise_event("i", words.removeprefix("event ").strip("'"))
        looked.stepper.settle()
        rounds += 1
        assert rounds < 50, "the events that it waits for do not help"


async def test_a_look_for_the_stuck_tells_how_far_it_is(autojump_clock: MockClock) -> None:
    """How many were looked at, of those that go on."""
    told: list[tuple[str, int, int]] = []
    async with in_memory(app) as client:
        for number in range(3):
            await client.start_new(approval, f"i{number}")
        await trio.sleep(1)
        assert len(await client.find_stuck(idle_s=0, progress=lambda *far: told.append(far))) == 3
    assert told == [(LOOKED_AT, 3, 3)]
