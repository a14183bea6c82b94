"""The app of the crash scenarios: every kind of thing that an actor may do, with its effects counted outside."""

from __future__ import annotations

from datetime import timedelta

import attrs
import trio

from durio.entities import EntityContext, EntityId
from durio.orchestration import ActivityContext, App, OrchestrationContext, RetryOptions, TaskFailedError
from tests.crash.world import World

STARTS = EntityId("Total", "starts")
ITEMS = EntityId("Items", "log")


@attrs.define
class Total:
    """A sum. `slowly` does I/O, `relay` sends on, `launch` starts an orchestration."""

    value: int = 0

    def add(self, amount: int) -> int:
        self.value += amount
        return self.value

    def fail(self, amount: int) -> int:
        """Raises after it changed and sent something: neither may be seen."""
        self.value += amount
        EntityContext.current().signal_entity(STARTS, "add", 1000)
        raise ValueError("no")

    def relay(self, amount: int) -> None:
        context = EntityContext.current()
        self.value += amount
        context.signal_entity(EntityId("Total", "relayed"), "add", amount)

    def launch(self, instance_id: str) -> None:
        self.value += 1
        EntityContext.current().start_new("single", instance_id)


@attrs.define
class Items:
    """A list in the order in which its items came."""

    items: list[int] = attrs.Factory(list)

    def append(self, item: int) -> None:
        self.items.append(item)


def build(world: World) -> App:
    """The app, with its effects in `world`."""
    app = App()
    app.entity(Total)
    app.entity(Items)

    @app.entity
    @attrs.define
    class Slow:
        value: int = 0

        async def add(self, amount: int) -> int:
            world.effect_of(str(EntityContext.current().entity_id))
            await trio.sleep(0.5)
            self.value += amount
            return self.value

    @app.activity
    async def double(value: int) -> int:
        world.effect()
        await trio.sleep(0.1)
        return 2 * value

    @app.activity
    def square(value: int) -> int:
        world.effect()
        return value * value

    @app.activity
    async def second_time(value: int) -> int:
        """Fails in its first attempt."""
        world.effect()
        if ActivityContext.current().attempt == 1:
            raise ValueError("not yet")
        return value

    @app.orchestration
    async def chain(ctx: OrchestrationContext, value: int) -> list[int]:
        for _ in range(2):
            value = await ctx.call_activity(double, value)
        squares = await ctx.task_all([ctx.call_activity(square, n) for n in range(3)])
        await ctx.create_timer(timedelta(seconds=5))
        retry = RetryOptions(first_retry_interval_in_milliseconds=1000, max_number_of_attempts=3)
        last = await ctx.call_activity_with_retry(second_time, retry, 7)
        ctx.signal_entity(EntityId("Total", "chains"), "add", value)
        total = await ctx.call_entity(EntityId("Total", "called"), Total.add, 1)
        return [value, *squares, last, total]

    @app.orchestration
    async def single(ctx: OrchestrationContext) -> str:
        """Counts its lives, and lives until it is told to stop."""
        ctx.signal_entity(STARTS, "add", 1)
        return await ctx.wait_for_external_event("stop", str)

    @app.orchestration
    async def family(ctx: OrchestrationContext) -> None:
        """Two children, one of them with a child: only terminate ends them."""
        _ = ctx.call_sub_orchestrator(single, instance_id="kid")
        _ = ctx.call_sub_orchestrator(branch, instance_id="branch")
        await ctx.wait_for_external_event("never")

    @app.orchestration
    async def branch(ctx: OrchestrationContext) -> None:
        await ctx.call_sub_orchestrator(single, instance_id="grandkid")

    @app.activity
    def fragile(value: int) -> int:
        """Fails until the world is repaired."""
        world.effect()
        if not world.repaired:
            raise ConnectionError("broken")
        return value

    @app.orchestration
    async def weak(ctx: OrchestrationContext, depth: int) -> list[int]:
        """Has a fired timer, a retry, a failed child, a failed member of several, and an event when it fails."""
        await ctx.create_timer(timedelta(seconds=5))
        told = await ctx.wait_for_external_event("told", int)
        retry = RetryOptions(first_retry_interval_in_milliseconds=1000, max_number_of_attempts=2)
        tasks = [ctx.call_activity(square, 3), ctx.call_activity_with_retry(fragile, retry, 1)]
        if depth:
            tasks.append(ctx.call_sub_orchestrator(brittle, depth))
        values = await ctx.task_all(tasks)
        ctx.signal_entity(EntityId("Total", "weak"), "add", told)
        return [told, *values]

    @app.orchestration
    async def brittle(ctx: OrchestrationContext, value: int) -> int:
        return await ctx.call_activity(square, value) + await ctx.call_activity(fragile, value)

    @app.orchestration
    async def careful(ctx: OrchestrationContext, depth: int) -> None:
        """Lives, with a child and its child, until it is cancelled, and then works once more."""
        try:
            if depth:
                await ctx.call_sub_orchestrator(careful, depth - 1, f"careful-{depth - 1}")
            await ctx.wait_for_external_event("never")
        finally:
            await ctx.call_activity(square, depth)
            ctx.signal_entity(EntityId("Total", "cancelled"), "add", 1)

    @app.orchestration
    async def eternal(ctx: OrchestrationContext, done: int) -> int:
        """Logs events in order, two an execution; those that come meanwhile are kept. A negative one ends it."""
        for _ in range(2):
            item = await ctx.wait_for_external_event("Item", int)
            if item < 0:
                break
            ctx.signal_entity(ITEMS, "append", item)
            await ctx.create_timer(timedelta(milliseconds=100))
            done += 1
        else:
            ctx.continue_as_new(done)
        return done

    @app.orchestration
    async def periodic(ctx: OrchestrationContext, left: int) -> str:
        """Works at its hours, one execution each."""
        await ctx.call_activity(square, left)
        await ctx.create_timer(timedelta(hours=1))
        ctx.signal_entity(EntityId("Total", "hours"), "add", 1)
        ctx.set_custom_status(left)
        if left > 1:
            ctx.continue_as_new(left - 1)
        return "over"

    @app.orchestration
    async def parent(ctx: OrchestrationContext, count: int) -> list[int]:
        chains = [ctx.call_sub_orchestrator(leaf, n) for n in range(count)]
        values = await ctx.task_all(chains)
        try:
            await ctx.call_sub_orchestrator(broken)
        except TaskFailedError:
            values.append(-1)
        retry = RetryOptions(first_retry_interval_in_milliseconds=1000, max_number_of_attempts=2)
        try:
            await ctx.call_sub_orchestrator_with_retry(broken, retry)
        except TaskFailedError:
            values.append(-2)
        first = await ctx.task_any([ctx.create_timer(timedelta(minutes=1)), ctx.wait_for_external_event("never")])
        assert first.result is None
        return values

    @app.orchestration
    async def leaf(ctx: OrchestrationContext, value: int) -> int:
        await ctx.create_timer(timedelta(seconds=value))
        ctx.send_event("listener", "Item", value)
        return await ctx.call_activity(double, value)

    @app.orchestration
    async def broken(ctx: OrchestrationContext) -> None:
        ctx.signal_entity(EntityId("Total", "broken"), "add", 1)
        raise ValueError("as always")

    return app
