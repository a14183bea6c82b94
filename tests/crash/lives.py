"""Programs that end their own process, again and again: `python lives.py FOLDER` writes how each of them went.

Each life is a forked process that opens the same hub. A life that is killed by the code under test is followed by the
next one, until one comes to its end; what it says is the outcome.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Final

import attrs
import trio

from durio.entities import EntityId, Poisoned
from durio.orchestration import (
    App,
    Client,
    InstanceFinished,
    OrchestrationContext,
    RetryOptions,
    TaskFailedError,
    open_hub,
)
from durio.storage import LmdbStore, Store

LIVES_MAX: Final = 15
BOMB: Final = EntityId("Bomb", "k")

app = App()


def die() -> None:
    """What a bug in a C extension does."""
    signal.raise_signal(signal.SIGSEGV)


@app.entity
@attrs.define
class Bomb:
    """Ends the process when it is told to go off."""

    calls: int = 0

    def count(self) -> int:
        self.calls += 1
        return self.calls

    def go_off(self) -> None:
        os._exit(7)

    async def go_off_slowly(self) -> None:
        await trio.sleep(0.001)
        os._exit(7)

    async def go_off_in_a_thread(self) -> None:
        await trio.to_thread.run_sync(die)


@app.activity
def harmless(value: int) -> int:
    return value


@app.activity
def crash_in_a_thread() -> None:
    die()


@app.activity
async def crash() -> None:
    await trio.sleep(0.001)
    os._exit(7)


@app.orchestration
async def dies_at_once(ctx: OrchestrationContext) -> None:
    die()


@app.orchestration
async def dies_of_a_result(ctx: OrchestrationContext) -> None:
    await ctx.call_activity(harmless, 1)
    die()


@app.orchestration
async def dies_of_an_event(ctx: OrchestrationContext) -> None:
    await ctx.wait_for_external_event("go")
    die()


@app.orchestration
async def dies_in_replay(ctx: OrchestrationContext) -> None:
    if ctx.is_replaying:
        die()
    await ctx.wait_for_external_event("go")


@app.orchestration
async def dies_in_cleanup(ctx: OrchestrationContext) -> None:
    try:
        await ctx.wait_for_external_event("go")
    finally:
        if not ctx.is_replaying:
            die()


@app.orchestration
async def calls(ctx: OrchestrationContext, operation: str) -> str:
    """What a call from an orchestration gives."""
    try:
        await ctx.call_entity(BOMB, operation)
    except TaskFailedError as error:
        return error.failure.type
    return "done"


@app.orchestration
async def parent(ctx: OrchestrationContext) -> str:
    try:
        await ctx.call_sub_orchestrator(dies_at_once, instance_id="child")
    except TaskFailedError as error:
        return error.failure.type
    return "done"


@app.orchestration
async def calls_activity(ctx: OrchestrationContext, name: str) -> str:
    """It would be tried a hundred times."""
    try:
        await ctx.call_activity_with_retry(name, RetryOptions(1, 100))
    except TaskFailedError as error:
        return error.failure.type
    return "done"


Script = Callable[[Client, int], Awaitable[Any]]


async def poisoned(asked: Awaitable[Any]) -> str:
    """What a client is told."""
    try:
        return repr(await asked)
    except Poisoned as error:
        return f"{error.what}: {error.why}"


def call(operation: str) -> Script:
    """A client calls the bomb; the answer comes after the lives that it took."""

    async def script(client: Client, life: int) -> Any:
        told = await poisoned(client.call_entity(BOMB, operation, request_id="call"))
        return told, await client.call_entity(BOMB, Bomb.count)

    return script


def run(name: str, *rest: Any) -> Script:
    """An orchestration is started and comes to its end."""

    async def script(client: Client, life: int) -> Any:
        told = await poisoned(client.start_new(name, "it", *rest, if_running="return", request_id="start"))
        status = await client.wait_for_completion("it")
        return told, status.runtime_status, status.output

    return script


async def raises_event(client: Client, life: int) -> Any:
    """The first life ends in good order; the others are told to go on."""
    if life == 0:
        await client.start_new(dies_of_an_event, "it")
        return None
    told = await poisoned(client.raise_event("it", "go", request_id="event"))
    status = await client.wait_for_completion("it")
    return told, status.runtime_status, status.output


async def replays(client: Client, life: int) -> Any:
    """The event is for the code that dies when it is replayed."""
    if life == 0:
        await client.start_new(dies_in_replay, "it")
        return None
    with suppress(InstanceFinished):  # it fails when the hub opens
        await client.raise_event("it", "go", request_id="event")
    status = await client.wait_for_completion("it")
    return status.runtime_status, status.failure.type if status.failure else ""


async def terminates(client: Client, life: int) -> Any:
    """Termination runs the cleanup code."""
    if life == 0:
        await client.start_new(dies_in_cleanup, "it", request_id="start")
    told = await poisoned(client.terminate("it", request_id="end"))
    status = await client.wait_for_completion("it")
    return told, status.runtime_status


async def closes_cleanly(client: Client, life: int) -> Any:
    """While the code of an entity and an activity runs, the hub is closed, ten times."""
    await client.signal_entity(BOMB, Bomb.count)
    return (await client.read_entity_state(BOMB, Bomb)).entity_state.calls if life == 5 else None  # type: ignore[union-attr]


SCRIPTS: Final[dict[str, Script]] = {
    "operation": call("go_off"),
    "async operation": call("go_off_slowly"),
    "operation in a thread": call("go_off_in_a_thread"),
    "first step": run("dies_at_once"),
    "step after a result": run("dies_of_a_result"),
    "step after an event": raises_event,
    "replay": replays,
    "cleanup": terminates,
    "call from an orchestration": run("calls", "go_off"),
    "child": run("parent"),
    "activity": run("calls_activity", "crash"),
    "activity in a thread": run("calls_activity", "crash_in_a_thread"),
    "clean ends": closes_cleanly,
}


async def live(store: Store, script: Script, life: int, out: int) -> None:
    """One life."""
    with trio.fail_after(5):
        async with open_hub(store, app) as client:
            said = await script(client, life)
            letters = [(letter.address, letter.what, letter.times) for letter in await client.list_dead_letters()]
    if said is not None:
        os.write(out, json.dumps([said, letters]).encode())


def all_lives(folder: Path, script: Script) -> dict[str, Any]:
    """Live again until a life says how it went: that, how many lives were killed, and what is counted at the end."""
    killed = 0
    for life in range(LIVES_MAX):
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                trio.run(partial(live, LmdbStore.open(folder), script, life, write))
                code = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(code)
        os.close(write)
        with os.fdopen(read, "rb") as stream:
            said = stream.read()
        _, status = os.waitpid(pid, 0)
        if os.waitstatus_to_exitcode(status) in (7, -signal.SIGSEGV):
            killed += 1
        elif os.waitstatus_to_exitcode(status):
            raise RuntimeError("a life went wrong otherwise")
        if said:
            with LmdbStore.open(folder) as store:
                counts = len(store.scan(b"p", b"q"))
            return {"killed": killed, "said": json.loads(said), "counts": counts}
    raise RuntimeError("there is no end to it")


def main(folder: str) -> None:
    """Run them all."""
    found = {name: all_lives(Path(folder) / name, script) for name, script in SCRIPTS.items()}
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1])
