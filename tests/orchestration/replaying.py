"""What the tests of `replay_histories` share: programs, some a little different from others, and hubs they ran in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from datetime import timedelta
from pathlib import Path
from typing import Any

import trio
from trio.testing import MockClock

from durio.entities import EntityContext, EntityId, VirtualEnv
from durio.orchestration import App, Client, OrchestrationContext, ReplayResult, RetryOptions, Task, open_hub
from durio.storage import LmdbStore

K = EntityId("e", "k")
Code = Callable[..., Any]
Steps = Generator[Task[Any], Any, Any]


def app_of(
    main: Code | None = None, *, version: str | None = None, ran: list[str] | None = None, **others: Code
) -> App:
    """An app whose orchestration `main` is this code; `ran` will hold the activities that run."""
    app = App()
    if main is not None:
        app.orchestration(name="main", version=version)(main)
    for name, code in others.items():
        app.orchestration(name=name)(code)

    def one() -> None:
        None if ran is None else ran.append("one")

    def two(number: int = 0) -> int:
        None if ran is None else ran.append("two")
        if number == 13:
            raise ValueError("unlucky")
        return number

    def e(ctx: EntityContext) -> None:
        ctx.set_state(ctx.operation_name)

    app.activity(one)
    app.activity(two)
    app.entity(e)
    return app


def live(path: Path, app: App, *stories: Callable[[Client], Awaitable[object]]) -> None:
    """Open a hub, let clients do what the stories say, each followed by a second of rest, and close it."""

    async def main() -> None:
        async with open_hub(path, app, env=VirtualEnv()) as client:
            for story in stories:
                await story(client)
                await trio.sleep(1)

    trio.run(main, clock=MockClock(autojump_threshold=0))


def started(instance_id: str = "x", **options: Any) -> Callable[[Client], Awaitable[object]]:
    """A story: somebody starts `main`."""
    return lambda client: client.start_new("main", instance_id, **options)


def records(path: Path) -> list[tuple[bytes, bytes]]:
    """Every record of a hub but the store's own."""
    with LmdbStore.open(path) as store:
        return store.scan(b"")


def only(results: list[ReplayResult]) -> ReplayResult:
    """The one result."""
    (result,) = results
    return result


async def act(ctx: OrchestrationContext) -> Any:
    await ctx.call_activity("one")
    return await ctx.wait_for_external_event("go")  # where it waits


async def other_act(ctx: OrchestrationContext) -> Any:
    await ctx.call_activity("two")
    return await ctx.wait_for_external_event("go")


async def pair(ctx: OrchestrationContext) -> Any:
    await ctx.call_activity("one")
    await ctx.call_activity("two", 7)
    return await ctx.wait_for_external_event("go")


async def swapped(ctx: OrchestrationContext) -> Any:
    await ctx.call_activity("two", 7)
    await ctx.call_activity("one")
    return await ctx.wait_for_external_event("go")


async def nap(ctx: OrchestrationContext) -> Any:
    await ctx.create_timer(timedelta(seconds=0.5))
    await ctx.call_activity("one")
    return await ctx.wait_for_external_event("go")


async def more(ctx: OrchestrationContext) -> Any:
    await ctx.call_activity("one")
    ctx.signal_entity(K, "more")
    return await ctx.wait_for_external_event("go")


async def ends(ctx: OrchestrationContext) -> Any:
    await ctx.call_activity("one")
    return "ended"


async def again(ctx: OrchestrationContext) -> Any:
    await ctx.call_activity("one")
    ctx.continue_as_new()


def generator(ctx: OrchestrationContext) -> Steps:
    yield ctx.call_activity("one")
    return (yield ctx.wait_for_external_event("go"))


def other_generator(ctx: OrchestrationContext) -> Steps:
    yield ctx.task_all([ctx.call_activity("one"), ctx.call_activity("two")])
    return (yield ctx.wait_for_external_event("go"))


async def parent(ctx: OrchestrationContext) -> Any:
    return await ctx.call_sub_orchestrator("kid", None, "the kid")


async def other_parent(ctx: OrchestrationContext) -> Any:
    return await ctx.call_sub_orchestrator("kid", None, "another kid")


async def teller(ctx: OrchestrationContext) -> Any:
    ctx.send_event("y", "go", 1)
    return await ctx.wait_for_external_event("go")


async def other_teller(ctx: OrchestrationContext) -> Any:
    ctx.send_event("z", "go", 1)
    return await ctx.wait_for_external_event("go")


async def gives_up(ctx: OrchestrationContext) -> Any:
    late = ctx.create_timer(timedelta(days=1))
    await ctx.call_activity("one")
    late.cancel()
    return await ctx.wait_for_external_event("go")


async def goes_on(ctx: OrchestrationContext) -> Any:
    ctx.create_timer(timedelta(days=1))
    await ctx.call_activity("one")
    return await ctx.wait_for_external_event("go")


async def tries(ctx: OrchestrationContext) -> Any:
    return await ctx.call_activity_with_retry("two", RetryOptions(60_000, 3), 13)


async def tries_once(ctx: OrchestrationContext) -> Any:
    await ctx.call_activity("two", 13)
