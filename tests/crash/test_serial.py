"""One turn of an actor at a time, over crashes too."""

from __future__ import annotations

import attrs
import pytest
import trio
from trio.testing import MockClock

from durio.entities import EntityContext, EntityId, VirtualEnv
from durio.orchestration import App, Client, OrchestrationContext, open_hub
from durio.storage import HubClosed, MemoryDisk, MemoryStore, SimulatedCrash
from durio.storage.memory import When

CALLS = 6
KEYS = ("a", "b")


@attrs.define(eq=False)
class Watch:
    """Who is in a turn now; a process that died is in none."""

    inside: set[str] = attrs.Factory(set)
    overlaps: list[str] = attrs.Factory(list)
    answered: dict[str, int] = attrs.Factory(dict)
    together: bool = False

    def enter(self, who: str) -> None:
        if who in self.inside:
            self.overlaps.append(who)
        self.inside.add(who)
        self.together = self.together or len(self.inside) > 1


def build(watch: Watch) -> App:
    app = App()

    @app.entity
    @attrs.define
    class Slow:
        value: int = 0

        async def add(self, amount: int) -> int:
            who = str(EntityContext.current().entity_id)
            watch.enter(who)
            await trio.sleep(0.1)
            self.value += amount
            watch.inside.discard(who)
            return self.value

        def peek(self) -> int:
            who = str(EntityContext.current().entity_id)
            watch.enter(who)
            watch.inside.discard(who)
            return self.value

    @app.orchestration
    async def caller(ctx: OrchestrationContext, key: str) -> list[object]:
        slow = EntityId("slow", key)
        return list(await ctx.task_all([ctx.call_entity(slow, "add", 1), ctx.call_entity(slow, "peek")]))

    return app


async def script(client: Client, watch: Watch) -> None:
    async def call(key: str, number: int) -> None:
        name = f"{key} {number}"
        if name not in watch.answered:
            watch.answered[name] = await client.call_entity(EntityId("slow", key), "add", 1, request_id=name)

    async with trio.open_nursery() as nursery:
        for key in KEYS:
            for number in range(CALLS):
                nursery.start_soon(call, key, number)
            await client.start_new("caller", f"from {key}", key, if_running="return", request_id=f"start {key}")
    for key in KEYS:
        assert len((await client.wait_for_completion(f"from {key}")).output) == 2


def process(disk: MemoryDisk, watch: Watch) -> bool:
    """One life of the hub's process; False: it died."""
    watch.inside.clear()

    async def main() -> None:
        async with open_hub(MemoryStore(disk), build(watch), env=VirtualEnv()) as client:
            await script(client, watch)

    try:
        trio.run(main, clock=MockClock(autojump_threshold=0))
    except SimulatedCrash:
        return False
    except BaseExceptionGroup as group:
        if group.split((SimulatedCrash, HubClosed, trio.Cancelled))[1] is not None:
            raise
        return False
    return True


@pytest.mark.parametrize("when", ["before", "after"])
def test_turns_of_an_actor_never_overlap(when: When) -> None:
    """G1, G3: with a crash at every commit no two operations of one entity run at once, and each counts once."""
    commit = 0
    for commit in range(1, 60):
        disk, watch = MemoryDisk(), Watch()
        disk.crash_at(commit, when)
        crashed = not process(disk, watch)
        if crashed:
            assert process(disk, watch)
        assert watch.overlaps == []
        assert watch.together, "entities that never work at the same time show nothing"
        for key in KEYS:
            mine = sorted(total for name, total in watch.answered.items() if name.startswith(key))
            assert len(set(mine)) == CALLS, f"crash {when} commit {commit}: {watch.answered}"
            assert mine[-1] in (CALLS, CALLS + 1)
        if not crashed:
            break
    assert commit > 5, "a run of a few commits shows nothing"
