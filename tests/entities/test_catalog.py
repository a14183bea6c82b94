"""The catalog drops idle actors, never one that has something undurable or something to do."""

from __future__ import annotations

from typing import Any

import attrs
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from durio.entities import EntityId, VirtualEnv
from durio.entities.catalog import WALK_MAX, Activation, Catalog
from durio.entities.kinds import Taken
from durio.orchestration import open_hub
from durio.storage import MemoryDisk, MemoryStore
from tests.entities.helpers import Counter, activations, app_of


class Dropped:
    """A kind that only remembers what was dropped."""

    def __init__(self) -> None:
        self.actors: list[Any] = []

    def drop(self, actor: Any) -> None:
        self.actors.append(actor)


@attrs.frozen
class Plan:
    """What an activation is like."""

    runnable: bool
    pinned: bool
    batch: int
    used_us: int

    @property
    def free(self) -> bool:
        """Whether it may be dropped, with batch 5 the oldest that is not durable."""
        return not self.runnable and not self.pinned and self.batch < 5


PLANS = st.lists(st.builds(Plan, st.booleans(), st.booleans(), st.integers(3, 6), st.integers(0, 9)), max_size=12)


def filled(plans: list[Plan], bound: int) -> tuple[Catalog, Dropped]:
    """A catalog with these activations, the one that was used first in front."""
    catalog, kind = Catalog(bound), Dropped()
    for number, plan in enumerate(sorted(plans, key=lambda plan: plan.used_us)):
        activation = Activation(str(number), kind, number, None)  # type: ignore[arg-type]  # only `drop` is needed
        activation.runnable, activation.batch = plan.runnable, plan.batch
        activation.pinned = Taken([], None) if plan.pinned else None
        catalog.add(activation, undurable=0)
        catalog.touch(activation, plan.used_us)
    return catalog, kind


@given(plans=PLANS, idle_before_us=st.integers(0, 10), bound=st.integers(0, 12))
def test_collecting_drops_what_it_may_and_nothing_else(plans: list[Plan], idle_before_us: int, bound: int) -> None:
    """G1, G7: idle ones go, and beyond the bound the oldest; never an undurable, running or runnable one."""
    ordered = sorted(plans, key=lambda plan: plan.used_us)
    catalog, kind = filled(plans, bound)
    surplus = len(plans) - bound
    gone = [n for n, p in enumerate(ordered) if p.free and (p.used_us < idle_before_us or n < surplus)]
    assert catalog.collect(5, now_us=10, idle_us=10 - idle_before_us) == len(gone)
    assert kind.actors == gone
    assert sorted(activation.actor for activation in catalog) == [n for n in range(len(plans)) if n not in gone]


@given(plans=PLANS, bound=st.integers(0, 12))
def test_for_a_new_activation_the_oldest_goes_if_there_are_too_many(plans: list[Plan], bound: int) -> None:
    """G1, G7: one in, one out, at the bound; one that has something undurable or something to do stays all the same."""
    catalog, kind = filled(plans, bound)
    first = min(plans, key=lambda plan: plan.used_us, default=None)
    goes = first is not None and first.free and len(plans) >= bound
    catalog.add(Activation("new", kind, "new", None), undurable=5)  # type: ignore[arg-type]  # as above
    assert kind.actors == ([0] if goes else [])
    assert [activation.actor for activation in catalog] == [*range(int(goes), len(plans)), "new"]


def test_a_used_activation_is_the_last_to_go() -> None:
    """G7: what had a turn moves behind all others."""
    catalog, kind = filled([Plan(False, False, 0, n) for n in range(4)], bound=4)
    first = catalog.get("0")
    assert first is not None
    assert catalog.oldest_used_us == 0
    catalog.touch(first, 99)
    assert catalog.oldest_used_us == 1
    catalog.collect(5, now_us=100, idle_us=50)
    assert kind.actors == [1, 2, 3]
    catalog.drop("0")
    catalog.drop("0")
    assert kind.actors == [1, 2, 3, 0]
    assert len(catalog) == 0
    assert catalog.oldest_used_us is None


async def test_idle_actors_leave_memory_and_come_back_with_their_state(autojump_clock: MockClock) -> None:
    """G7: after a minute without work nothing of an actor is in memory; the next message brings it back."""
    async with open_hub(MemoryStore(MemoryDisk()), app_of(Counter), env=VirtualEnv(), idle_s=60) as client:
        for key in "abc":
            await client.call_entity(EntityId("counter", key), "add", 2)
        assert len(activations(client)) == 3
        await trio.sleep(30)
        await client.call_entity(EntityId("counter", "a"), "add", 2)
        await trio.sleep(32)
        assert activations(client) == ["@counter@a"]
        await trio.sleep(60)
        assert activations(client) == []
        assert [await client.call_entity(EntityId("counter", key), "get") for key in "abc"] == [4, 2, 2]


async def test_no_more_actors_than_the_bound_stay_in_memory(autojump_clock: MockClock) -> None:
    """G7: `activations_max` holds over any number of actors, and none of them loses anything."""
    async with open_hub(MemoryStore(MemoryDisk()), app_of(Counter), env=VirtualEnv(), activations_max=10) as client:
        for _ in range(2):
            for number in range(100):
                await client.call_entity(EntityId("counter", str(number)), "add", 1)
                assert len(activations(client)) <= 11
        for number in range(100):
            assert await client.call_entity(EntityId("counter", str(number)), "get") == 2


def test_a_collection_looks_at_a_bounded_number() -> None:
    """G8: thousands that cannot be dropped are not all looked at in each commit, and the next call sees others."""
    catalog, kind = filled([Plan(True, False, 0, 0) for _ in range(2 * WALK_MAX)], bound=0)
    first = [activation.address for activation in catalog]
    assert catalog.collect(5, now_us=100, idle_us=50) == 0
    assert kind.actors == []
    assert [activation.address for activation in catalog] == first[WALK_MAX:] + first[:WALK_MAX]
