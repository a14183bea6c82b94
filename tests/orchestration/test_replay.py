"""G19: a live run and a replay are the same function."""

from __future__ import annotations

import logging
from collections.abc import Generator
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import attrs
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from durio.entities import EntityContext, EntityId, NotRegistered
from durio.orchestration import App, OrchestrationContext, Task, TaskFailedError
from tests.orchestration.helpers import Stepper, hub, output

app = App()
COUNTER = EntityId("adder", "k")
Mode = Literal["live", "evicted", "reopened"]


@app.entity
def adder(ctx: EntityContext) -> None:
    total = ctx.get_state(lambda: 0) + ctx.get_input()
    if total > 50:
        raise OverflowError("full")
    ctx.set_state(total)
    ctx.set_result(total)


@app.activity
def double(number: int) -> int:
    if number % 5 == 0:
        raise ValueError(f"no {number}")
    return 2 * number


@app.orchestration
async def child(ctx: OrchestrationContext, number: int) -> list[Any]:
    if number % 3 == 0:
        raise LookupError(f"no child {number}")
    return [number, await ctx.call_activity(double, number)]


@attrs.frozen
class Step:
    """One thing that a random orchestrator does."""

    do: str
    number: int
    name: str


@attrs.frozen
class Plan:
    steps: list[Step]
    trace: list[Any]


def one_step(ctx: OrchestrationContext, step: Step) -> Task[Any] | None:
    """What there is to await for a step, if anything."""
    number, event = step.number, ctx.wait_for_external_event
    nap = timedelta(seconds=number)
    match step.do:
        case "work":
            return ctx.call_activity(double, number)
        case "unknown":
            return ctx.call_activity(f"unknown {number}", number)
        case "nap":
            return ctx.create_timer(nap)
        case "wait":
            return event(step.name)
        case "race":
            return ctx.task_any([event(step.name), ctx.create_timer(nap), ctx.call_activity(double, 5)])
        case "both":
            return ctx.task_all([event(step.name), ctx.call_activity(double, number), ctx.create_timer(nap)])
        case "child":
            return ctx.call_sub_orchestrator(child, number)
        case "call":
            return ctx.call_entity(COUNTER, "add", number)
        case "signal":
            ctx.signal_entity(COUNTER, "add", 1)
        case "status":
            ctx.set_custom_status([step.name, ctx.new_uuid()])
        case "cancel":
            ctx.create_timer(nap).cancel()
    return None


@app.orchestration
def acts_out(ctx: OrchestrationContext, plan: Plan) -> Generator[Task[Any], Any, list[Any]]:
    """Does what the plan says and notes everything that it sees."""
    trace = plan.trace
    for done, step in enumerate(plan.steps, 1):
        try:
            task = one_step(ctx, step)
            seen = (yield task) if task is not None else None
            if isinstance(seen, Task):
                seen = ["won", seen.result]
        except (TaskFailedError, NotRegistered) as error:
            seen = f"{type(error).__name__}: {error}"
        trace.append([step.do, seen, ctx.current_utc_datetime.isoformat(), ctx.new_uuid(), ctx.custom_status])
        if step.do == "again":
            ctx.continue_as_new(attrs.asdict(Plan(plan.steps[done:], trace)))
    return trace


DOINGS = ["work", "unknown", "nap", "wait", "race", "both", "child", "call", "signal", "status", "cancel", "again"]
steps = st.builds(Step, st.sampled_from(DOINGS), st.integers(1, 20), st.sampled_from("ab"))
happenings = st.lists(st.sampled_from(["a", "b", "A", 1, 7, 30]), max_size=12)


def outcome(mode: Mode, plan: list[Step], story: list[str | int]) -> tuple[str, list[Any]]:
    """How a plan went, and its history without what depends on the number of openings."""
    hub = Stepper(app, evict=mode == "evicted")
    hub.start("acts_out", "x", attrs.asdict(Plan(plan, [])))
    hub.settle()
    for number, happening in enumerate(story):
        if isinstance(happening, int):
            hub.pass_s(happening)
        elif hub.instance("x").alive:
            hub.raise_event("x", happening, number)
        hub.settle()
        if mode == "reopened":
            hub.reopen()
    history: list[Any] = []
    for event in hub.history("x"):
        facts = msgspec.structs.asdict(event)
        for name in ("key", "arrival"):
            facts.pop(name, None)
        history.append((type(event).__name__, facts))
    return hub.status("x"), history


@given(plan=st.lists(steps, min_size=1, max_size=8), story=happenings)
@settings(max_examples=80)
def test_random_orchestrators_do_the_same_live_and_replayed(plan: list[Step], story: list[str | int]) -> None:
    """G19: dropped after every commit, or reopened after every happening, an instance has the same history."""
    live = outcome("live", plan, story)
    assert outcome("evicted", plan, story) == live
    assert outcome("reopened", plan, story) == live


@app.orchestration
async def mutates(ctx: OrchestrationContext, given_: dict[str, Any]) -> list[Any]:
    """Changes everything that it gets and gives, right after."""
    sent = {"list": [1]}
    first = ctx.call_activity(echo, sent)
    sent["list"].append(2)
    got = await first
    got["list"].append(3)
    given_["seen"] = True
    ctx.set_custom_status(sent)
    sent["list"].append(4)
    second = await ctx.call_activity(echo, got)
    return [got, second, second is got, ctx.get_input(), ctx.get_input() is ctx.get_input(), (1, 2)]


@app.activity
def echo(value: dict[str, Any]) -> dict[str, Any]:
    return value


@pytest.mark.parametrize("evict", [False, True])
async def test_values_are_encoded_at_the_call_and_freshly_decoded(
    tmp_path: Path, autojump_clock: object, evict: bool
) -> None:
    """G19: changing a value after the call, or after it came, changes nothing but that object."""
    async with hub(tmp_path, app, activations_max=0 if evict else 100) as client:
        await client.start_new(mutates, "x", {"a": 1})
        got, second = {"list": [1, 3]}, {"list": [1, 3]}
        assert await output(client, "x") == [got, second, False, {"a": 1}, False, [1, 2]]
        assert (await client.get_status("x")).custom_status == {"list": [1, 2]}


@app.orchestration
async def tries_unknown(ctx: OrchestrationContext) -> str:
    try:
        _ = ctx.call_activity("comes_later", 1)
    except NotRegistered as error:
        await ctx.wait_for_external_event("go")
        return f"{type(error).__name__} {error.kind} {error.name}"
    return "it is there"


async def test_a_refusal_is_read_from_the_record(tmp_path: Path, autojump_clock: object) -> None:
    """G19: what was refused once stays refused in replay, also when the registry would have it by now."""
    async with hub(tmp_path, app) as client:
        await client.start_new(tries_unknown, "x")
    grown = App()
    grown.orchestration(tries_unknown)
    grown.activity(name="comes_later")(echo)
    async with hub(tmp_path, grown) as client:
        await client.raise_event("x", "go")
        assert await output(client, "x") == "NotRegistered activity comes_later"
        await client.start_new(tries_unknown, "y")
        assert await output(client, "y") == "it is there"


@app.orchestration
async def keeps_status(ctx: OrchestrationContext, round_: int) -> list[Any]:
    before = ctx.custom_status
    ctx.set_custom_status(f"round {round_}")
    if round_ == 0:
        ctx.continue_as_new(1)
    await ctx.wait_for_external_event("go")
    return [before, ctx.custom_status]


def test_the_custom_status_of_an_earlier_execution_reads_the_same_in_replay() -> None:
    """G19: `ctx.custom_status` is the same live and replayed, also behind a continue-as-new."""
    outputs = []
    for evict in (False, True):
        hub = Stepper(app, evict=evict)
        hub.start("keeps_status", "x", 0)
        hub.settle()
        hub.raise_event("x", "go")
        hub.settle()
        outputs.append(hub.output("x"))
    assert outputs[0] == outputs[1]
    assert outputs[0][1] == "round 1"


@app.orchestration
async def logs(ctx: OrchestrationContext) -> list[bool]:
    log = ctx.create_replay_safe_logger(logging.getLogger("tests.replay"))
    seen = []
    for number in range(3):
        log.warning("step %d", number)
        seen.append(ctx.is_replaying)
        await ctx.wait_for_external_event("go")
    return seen


@pytest.mark.parametrize("evict", [False, True])
def test_the_safe_logger_says_everything_once(evict: bool, caplog: pytest.LogCaptureFixture) -> None:
    """G19: the replay-safe logger is silent over what was said before."""
    hub = Stepper(app, evict=evict)
    hub.start("logs", "x")
    hub.settle()
    for _ in range(3):
        hub.raise_event("x", "go")
        hub.settle()
    assert [record.message for record in caplog.records if record.name == "tests.replay"] == [
        f"step {number}" for number in range(3)
    ]
    assert hub.output("x") == [evict] * 3


@app.orchestration
async def swallows_refusals(ctx: OrchestrationContext) -> list[str]:
    said = []
    for value in (object(), "\udcff", float("nan"), {1: object()}):
        for call in (
            lambda value=value: ctx.call_activity("echo", value),
            lambda value=value: ctx.call_sub_orchestrator("child", value),
            lambda value=value: ctx.call_entity(COUNTER, "add", value),
            lambda value=value: ctx.signal_entity(COUNTER, "add", value),
            lambda value=value: ctx.send_event("nobody", "e", value),
        ):
            try:
                call()
            except Exception as error:
                said.append(f"{type(error).__name__}: {error}")
    await ctx.wait_for_external_event("go")
    return said


@pytest.mark.parametrize("evict", [False, True])
def test_refused_payloads_read_the_same_in_replay(evict: bool) -> None:
    """G19, G31: a payload that cannot be stored is refused at the call, with the same words in replay."""
    hub = Stepper(app, evict=evict)
    hub.start("swallows_refusals", "x")
    hub.settle()
    hub.raise_event("x", "go")
    hub.settle()
    said = hub.output("x")
    assert len(said) == 20
    assert {text.partition(":")[0] for text in said} == {"PayloadError"}
