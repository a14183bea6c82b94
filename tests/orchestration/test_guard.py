"""G21: an orchestrator awaits durable tasks only; whatever else it tries is refused before any effect."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Generator
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
from trio._core._run import GLOBAL_RUN_CONTEXT

from durio.entities import EntityId, EntityOperationFailed
from durio.orchestration import App, Client, OrchestrationContext, Task, open_hub
from tests.orchestration.helpers import finished, in_memory, output

HERE = Path(__file__).name
app = App()
clients: list[Client] = []
effects: list[str] = []


@pytest.fixture(autouse=True)
def _fresh() -> None:
    clients.clear()
    effects.clear()


async def noted() -> None:
    effects.append("ran")


async def nursery() -> None:
    async with trio.open_nursery() as inner:
        inner.start_soon(noted)


async def scope() -> None:
    with trio.CancelScope():  # noqa: ASYNC100  # entering it is the offence
        effects.append("in scope")


async def fail_after() -> None:
    with trio.fail_after(5):
        await trio.lowlevel.checkpoint()


async def event() -> None:
    await trio.Event().wait()


async def lock() -> None:
    async with trio.Lock():
        effects.append("locked")


async def thread() -> None:
    await trio.to_thread.run_sync(effects.append, "thread")


async def channel() -> None:
    send, _ = trio.open_memory_channel(1)
    await send.send(1)


async def process() -> None:
    await trio.run_process(["true"])


async def client_call() -> None:
    await clients[0].start_new("good", "from inside")


async def client_read() -> None:
    await clients[0].get_status("bad")


async def system_task() -> None:
    trio.lowlevel.spawn_system_task(noted)


async def now() -> None:
    effects.append(str(trio.current_time()))


async def asyncio_sleep() -> None:
    await asyncio.sleep(0)


class Foreign:
    def __await__(self) -> Generator[object, Any, None]:
        yield self


async def foreign() -> None:
    await Foreign()


async def checkpoint() -> None:
    await trio.lowlevel.checkpoint()


async def sleep() -> None:
    await trio.sleep(1)


async def sleep_for_ever() -> None:
    await trio.sleep_forever()


OFFENCES: dict[str, Callable[[], Awaitable[None]]] = {
    offence.__name__: offence
    for offence in (
        *(sleep, sleep_for_ever, checkpoint, nursery, scope, fail_after, event, lock, thread, channel, process),
        *(client_call, client_read, system_task, now, asyncio_sleep, foreign),
    )
}


@app.orchestration
async def bad(ctx: OrchestrationContext, offence: str) -> None:
    await OFFENCES[offence]()


@app.orchestration
async def bad_later(ctx: OrchestrationContext, offence: str) -> None:
    await ctx.wait_for_external_event("go")
    await OFFENCES[offence]()


@app.orchestration
async def bad_and_swallows(ctx: OrchestrationContext, offence: str) -> str:
    try:
        await OFFENCES[offence]()
    except BaseException:
        return "swallowed"
    return "nothing happened"


@app.orchestration
def bad_generator(ctx: OrchestrationContext, offence: str) -> Generator[Any, Any, None]:
    yield ctx.wait_for_external_event("go")
    yield from OFFENCES[offence]().__await__()


@app.orchestration
def bad_generator_yields(ctx: OrchestrationContext, offence: str) -> Generator[Any, Any, None]:
    yield OFFENCES[offence]()


@app.orchestration
async def good(ctx: OrchestrationContext) -> Any:
    return await ctx.wait_for_external_event("go")


async def assert_hub_is_whole(client: Client) -> None:
    """Trio's task of the hub is untouched: work, timers and cancel scopes go on."""
    await client.start_new(good, "good")
    await client.raise_event("good", "go", 5)
    assert await output(client, "good") == 5
    assert effects == []


@pytest.mark.parametrize("offence", OFFENCES)
@pytest.mark.parametrize("code", [bad, bad_later, bad_and_swallows, bad_generator, bad_generator_yields])
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")
async def test_offences_fail_the_instance_alone(autojump_clock: object, code: Callable[..., Any], offence: str) -> None:
    """G21: the offence fails the instance, swallowed or not, and says what to use and where; the hub is untouched."""
    async with in_memory(app) as client:
        clients.append(client)
        await client.start_new(code.__name__, "bad", offence)
        if code in (bad_later, bad_generator):
            await client.raise_event("bad", "go")
        status = await finished(client, "bad")
        assert status.runtime_status == "Failed"
        assert status.failure is not None
        assert status.failure.type.rpartition(".")[2] in ("NotDurable", "AskInsideTurn")
        assert "use " in status.output
        assert HERE in status.output
        await assert_hub_is_whole(client)
        assert not await client.get_status("from inside")


@attrs.define
class Thing:
    """An entity with operations that must not."""

    value: int = 0

    def offend(self, offence: str) -> None:
        """Steps a coroutine by hand, as no sane code does."""
        self.value = 1
        OFFENCES[offence]().__await__().send(None)

    def swallow(self, offence: str) -> str:
        self.value = 2
        try:
            OFFENCES[offence]().__await__().send(None)
        except BaseException:
            return "swallowed"
        return "nothing happened"


app.entity(Thing)

# The first step of these does not come to Trio, only to whoever steps them: nothing happens in a synchronous operation.
IN_ENTITIES = [name for name in OFFENCES if name not in ("asyncio_sleep", "foreign", "checkpoint", "sleep_for_ever")]


@pytest.mark.parametrize("offence", IN_ENTITIES)
@pytest.mark.parametrize("operation", ["offend", "swallow"])
async def test_offences_fail_the_operation_alone(autojump_clock: object, offence: str, operation: str) -> None:
    """G10, G21: in a synchronous entity operation the same is refused, and what the operation did is undone."""
    async with in_memory(app) as client:
        clients.append(client)
        with pytest.raises(EntityOperationFailed) as failed:
            await client.call_entity(EntityId("Thing", "k"), operation, offence)
        assert failed.value.error_type.rpartition(".")[2] in ("NotDurable", "AskInsideTurn")
        assert not (await client.read_entity_state(EntityId("Thing", "k"))).entity_exists
        await assert_hub_is_whole(client)


@app.orchestration
async def awaits_another(ctx: OrchestrationContext) -> None:
    await stolen[0]


@app.orchestration
async def lends(ctx: OrchestrationContext) -> None:
    stolen.append(ctx.wait_for_external_event("never"))
    await stolen[0]


stolen: list[Task[Any]] = []


async def test_a_task_of_another_execution_is_foreign(autojump_clock: object) -> None:
    """G21: a task belongs to its execution; nobody else can await it."""
    async with in_memory(app) as client:
        await client.start_new(lends, "lender")
        await client.start_new(awaits_another, "thief")
        assert "a task of another execution was awaited" in (await finished(client, "thief")).output
        assert (await client.get_status("lender")).runtime_status == "Running"


@app.orchestration
async def exits(ctx: OrchestrationContext) -> None:
    raise SystemExit(3)


async def test_an_orchestrator_that_exits_fails_alone(autojump_clock: object) -> None:
    """G21: `sys.exit()` in an orchestrator ends the instance, not the hub."""
    async with in_memory(app) as client:
        await client.start_new(exits, "x")
        assert (await finished(client, "x")).runtime_status == "Failed"
        await assert_hub_is_whole(client)


def test_outside_of_a_run_trio_has_no_context() -> None:
    """G21: the guard stands on private names of Trio; this is where a new Trio shows that they moved."""
    assert isinstance(GLOBAL_RUN_CONTEXT, threading.local)
    assert GLOBAL_RUN_CONTEXT.__dict__ == {}
    with pytest.raises(RuntimeError, match="async context"):
        trio.lowlevel.current_task()


async def test_inside_a_run_trios_context_is_what_the_guard_hides() -> None:
    """G21: Trio looks for its task and its runner under exactly the two names that the guard hides."""
    assert set(GLOBAL_RUN_CONTEXT.__dict__) == {"task", "runner"}
    assert GLOBAL_RUN_CONTEXT.task is trio.lowlevel.current_task()


@app.orchestration
async def opens(ctx: OrchestrationContext, folder: str) -> None:
    async with open_hub(folder, App()):
        effects.append("opened")


async def test_a_hub_cannot_be_opened_inside_an_orchestrator(tmp_path: Path, autojump_clock: object) -> None:
    """G21: opening a hub is refused before any effect: no folder is made and nobody owns it."""
    async with in_memory(app) as client:
        await client.start_new(opens, "x", str(tmp_path / "inner"))
        assert HERE in (await finished(client, "x")).output
        await assert_hub_is_whole(client)
    assert not (tmp_path / "inner").exists()
