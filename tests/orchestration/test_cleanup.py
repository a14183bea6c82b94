"""G25: cleanup code has its durable effect once, at the code's own end."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import trio

from durio.entities import EntityContext, EntityId
from durio.orchestration import App, OrchestrationContext, TaskFailedError
from tests.orchestration.helpers import Stepper

app = App()
BOOK = EntityId("book", "k")
runs: list[str] = []


@pytest.fixture(autouse=True)
def _fresh() -> None:
    runs.clear()


@app.entity
def book(ctx: EntityContext) -> None:
    ctx.set_state([*ctx.get_state(list), ctx.operation_name])


@app.activity
def fails() -> None:
    raise ValueError("on purpose")


@app.orchestration
async def cleans(ctx: OrchestrationContext, how: str) -> str:
    """Ends in the way it is told, and notes its cleanup durably and not durably."""
    try:
        await ctx.wait_for_external_event("go")
        if how == "raise":
            raise ValueError("on purpose")
        if how == "fail":
            await ctx.call_activity(fails)
        if how == "offend":
            await trio.sleep(1)
        if how == "again":
            ctx.continue_as_new("return")
        return how
    except TaskFailedError:
        ctx.signal_entity(BOOK, "excepted")
        raise
    finally:
        runs.append(how)
        ctx.signal_entity(BOOK, "signalled")
        ctx.set_custom_status("cleaned")
        if how != "offend":
            await ctx.call_entity(BOOK, "called")


def book_of(hub: Stepper) -> list[str]:
    """What the entity has noted."""
    entity: Any = hub.entities.load(hub.kernel.view, "@book@k")
    found: list[str] = [] if entity.state is None else hub.app.payloads.decode(entity.state)
    return found


@pytest.mark.parametrize("evict", [False, True])
@pytest.mark.parametrize(
    ("how", "status", "noted"),
    [
        ("return", "Completed", ["signalled", "called"]),
        ("raise", "Failed", ["signalled", "called"]),
        ("fail", "Failed", ["excepted", "signalled", "called"]),
        ("again", "Completed", ["signalled", "called", "signalled", "called"]),
    ],
)
def test_cleanup_at_the_codes_own_end_is_durable(how: str, status: str, noted: list[str], evict: bool) -> None:
    """G25: on return, raise and continue-as-new cleanup has its effect once, however often it is replayed."""
    hub = Stepper(app, evict=evict)
    hub.start("cleans", "x", how)
    hub.settle()
    hub.raise_event("x", "go")
    if how == "again":
        hub.raise_event("x", "go")
    hub.settle()
    assert hub.status("x") == status
    assert book_of(hub) == noted


def test_cleanup_after_an_offence_has_no_effect() -> None:
    """G21, G25: after an offence the code is closed; what its cleanup asks for is ignored."""
    hub = Stepper(app)
    hub.start("cleans", "x", "offend")
    hub.raise_event("x", "go")
    hub.settle()
    assert hub.status("x") == "Failed"
    assert runs == ["offend"]
    assert book_of(hub) == []
    assert hub.instance("x").head.custom_status is None  # type: ignore[union-attr]  # it was started


@pytest.mark.parametrize("how", ["terminate", "replace"])
def test_cleanup_from_outside_has_no_effect(how: str) -> None:
    """G25: on terminate and replace Python runs the cleanup, and nothing of it is durable."""
    hub = Stepper(app)
    hub.start("cleans", "x", "return")
    hub.settle()
    if how == "terminate":
        hub.terminate("x")
    else:
        hub.start("waits", "x", if_running="replace")
    hub.settle()
    assert runs == ["return"]
    assert book_of(hub) == []


@app.orchestration
async def waits(ctx: OrchestrationContext) -> None:
    await ctx.wait_for_external_event("go")


def test_dropping_an_activation_runs_cleanup_without_effect() -> None:
    """G25: leaving memory closes the coroutine; the instance goes on as if nothing had been."""
    hub = Stepper(app, evict=True)
    hub.start("cleans", "x", "return")
    hub.settle()
    assert runs == ["return"]
    assert book_of(hub) == []
    hub.raise_event("x", "go")
    hub.settle()
    assert hub.output("x") == "return"
    assert book_of(hub) == ["signalled", "called"]


@app.orchestration
async def stubborn(ctx: OrchestrationContext, how: str) -> str:
    """Does in its cleanup what it must not."""
    try:
        await ctx.wait_for_external_event("go")
    except GeneratorExit:
        runs.append("closed")
        if how == "raises":
            raise RuntimeError("in cleanup") from None
        if how == "exits":
            raise SystemExit(3) from None
        for _ in range({"awaits": 3, "awaits for ever": 1_000_000}.get(how, 0)):
            try:
                await ctx.create_timer(timedelta(seconds=1))
            except GeneratorExit:
                continue
        if how == "continues as new":
            ctx.continue_as_new("returns")
        if how == "uses trio":
            await trio.sleep(1)
    return how


# Python complains about a coroutine that refuses to be closed; so it should.
FOR_EVER = pytest.param(
    "awaits for ever", marks=pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
)


@pytest.mark.parametrize("how", ["returns", "raises", "exits", "awaits", FOR_EVER, "continues as new", "uses trio"])
def test_cleanup_that_misbehaves_hurts_nobody(how: str) -> None:
    """G25: whatever cleanup does while it is closed, the instance goes on from its history and the hub stays whole."""
    hub = Stepper(app, evict=True)
    hub.start("stubborn", "x", how)
    hub.settle()
    hub.raise_event("x", "go")
    hub.settle()
    assert runs[0] == "closed"
    assert hub.output("x") == how


@app.orchestration
async def cleans_slowly(ctx: OrchestrationContext) -> None:
    try:
        await ctx.wait_for_external_event("go")
    finally:
        await ctx.create_timer(timedelta(seconds=10))
        ctx.signal_entity(BOOK, "late")


def test_an_instance_is_running_until_its_cleanup_is_done() -> None:
    """G25: durable cleanup may take its time, over restarts too; the instance ends after it."""
    hub = Stepper(app)
    hub.start("cleans_slowly", "x")
    hub.raise_event("x", "go")
    hub.settle()
    assert hub.status("x") == "Running"
    hub.reopen()
    hub.pass_s(10)
    assert hub.status("x") == "Completed"
    assert book_of(hub) == ["late"]
