"""G24: retries are attempts and durable timers, in replayed time."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import trio

from durio.entities import Failure
from durio.orchestration import (
    ActivityContext,
    App,
    NonRetriableError,
    OrchestrationContext,
    RetryOptions,
    TaskFailedError,
)
from tests.orchestration.helpers import finished, hub, output

app = App()
attempts: list[tuple[float, int, str]] = []


@pytest.fixture(autouse=True)
def _fresh() -> None:
    attempts.clear()


@app.activity
async def flaky(good_at: int) -> int:
    """Fails until attempt number `good_at`; never again for 0."""
    context = ActivityContext.current()
    attempts.append((trio.current_time(), context.attempt, context.idempotency_key))
    if len(attempts) != good_at:
        raise ValueError(f"attempt {context.attempt}")
    return context.attempt


@app.activity
async def hopeless() -> None:
    attempts.append((trio.current_time(), 1, ""))
    raise NonRetriableError("give it up")


@app.activity
async def hangs() -> None:
    attempts.append((trio.current_time(), 1, ""))
    await trio.sleep_forever()


def options_of(facts: dict[str, Any]) -> RetryOptions:
    handle = only_early if facts.pop("handle", False) else None
    return RetryOptions(facts.pop("first_ms", 1000), facts.pop("most", 5), handle=handle, **facts)


def only_early(failure: Failure) -> bool:
    return failure.message != "attempt 3"


@app.orchestration
async def retries(ctx: OrchestrationContext, facts: dict[str, Any]) -> object:
    name = facts.pop("name", "flaky")
    value = facts.pop("good_at", 0) if name == "flaky" else None
    timeout_s = facts.pop("timeout_s", None)
    try:
        return await ctx.call_activity_with_retry(name, options_of(facts), value, timeout_s=timeout_s)
    except TaskFailedError as error:
        return error.failure.message


def waits() -> list[float]:
    """The seconds between the attempts."""
    times = [at for at, _, _ in attempts]
    return [round(after - before, 3) for before, after in pairwise(times)]


@pytest.mark.parametrize("evict", [False, True])
@pytest.mark.parametrize(
    ("facts", "said", "pauses"),
    [
        ({"good_at": 1}, 1, []),
        ({"good_at": 3}, 3, [1, 1]),
        ({"most": 4}, "attempt 4", [1, 1, 1]),
        ({"most": 1}, "attempt 1", []),
        ({"backoff_coefficient": 2.0}, "attempt 5", [1, 2, 4, 8]),
        ({"backoff_coefficient": 3.0, "max_retry_interval_in_milliseconds": 5000}, "attempt 5", [1, 3, 5, 5]),
        ({"backoff_coefficient": 0.5}, "attempt 5", [1, 0.5, 0.25, 0.125]),
        ({"retry_timeout_in_milliseconds": 2500}, "attempt 3", [1, 1]),
        ({"handle": True}, "attempt 3", [1, 1]),
        ({"name": "hopeless"}, "give it up", []),
    ],
)
async def test_when_it_is_tried_again(
    tmp_path: Path, autojump_clock: object, facts: dict[str, Any], said: object, pauses: list[float], evict: bool
) -> None:
    """G24: number of attempts, back-off, its bound, the deadline, `handle` and non-retriable errors all count."""
    async with hub(tmp_path, app, activations_max=0 if evict else 100) as client:
        await client.start_new(retries, "x", facts)
        assert await output(client, "x") == said
    assert waits() == pytest.approx(pauses, abs=0.01)
    assert [number for _, number, _ in attempts] == [*range(1, len(attempts) + 1)] or facts.get("name")
    assert len({key for _, _, key in attempts}) == 1


async def test_every_attempt_has_its_time_out(tmp_path: Path, autojump_clock: object) -> None:
    """G24: `timeout_s` counts for each attempt; a time-out is tried again."""
    async with hub(tmp_path, app) as client:
        await client.start_new(retries, "x", {"name": "hangs", "most": 3, "timeout_s": 2})
        assert "took longer than 2.0 s" in await output(client, "x")
    assert waits() == pytest.approx([3, 3], abs=0.01)


async def test_retries_go_on_over_a_restart(tmp_path: Path, autojump_clock: object) -> None:
    """G24: the number of the attempt and its pause are durable."""
    async with hub(tmp_path, app) as client:
        await client.start_new(retries, "x", {"first_ms": 10_000, "good_at": 3})
        await trio.sleep(5)
    await trio.sleep(20)
    async with hub(tmp_path, app) as client:
        assert await output(client, "x") == 3
    assert len({key for _, _, key in attempts}) == 1
    assert waits()[0] == pytest.approx(25, abs=1)


@app.orchestration
async def gives_up(ctx: OrchestrationContext) -> str:
    """Cancels a retried call, first during an attempt, then during a pause."""
    options = RetryOptions(10_000, 5)
    during_pause = ctx.call_activity_with_retry("flaky", options, 0)
    during_attempt = ctx.call_activity_with_retry("hangs", options)
    await ctx.wait_for_external_event("go")
    during_pause.cancel()
    during_attempt.cancel()
    await ctx.wait_for_external_event("end")
    return "done"


async def test_cancelling_a_retried_call(tmp_path: Path, autojump_clock: object) -> None:
    """G24: a cancelled call is not tried again, whether an attempt or a pause was under way."""
    async with hub(tmp_path, app, activations_max=0) as client:
        await client.start_new(gives_up, "x")
        await trio.sleep(1)
        await client.raise_event("x", "go")
        await trio.sleep(100)
        await client.raise_event("x", "end")
        assert await output(client, "x") == "done"
    assert len(attempts) == 2


@app.orchestration
async def child(ctx: OrchestrationContext) -> str:
    attempts.append((0.0, 0, ctx.instance_id))
    if len(attempts) < 3:
        raise ValueError("not yet")
    return "at last"


@app.orchestration
async def retries_child(ctx: OrchestrationContext, child_id: str | None) -> str:
    return await ctx.call_sub_orchestrator_with_retry(child, RetryOptions(1000, 5), instance_id=child_id)


@pytest.mark.parametrize("child_id", [None, "kid"])
async def test_a_child_is_started_again(tmp_path: Path, autojump_clock: object, child_id: str | None) -> None:
    """G24, G29: each attempt of a sub-orchestration is a new child, under a given id the next life of it."""
    async with hub(tmp_path, app, activations_max=0) as client:
        await client.start_new(retries_child, "x", child_id)
        assert await output(client, "x") == "at last"
    ids = {key for _, _, key in attempts}
    assert ids == {"kid"} if child_id else len(ids) == 3


@app.orchestration
async def breaks_in_handle(ctx: OrchestrationContext) -> None:
    def handle(failure: Failure) -> bool:
        raise KeyError("in handle")

    await ctx.call_activity_with_retry("flaky", RetryOptions(1, 5, handle=handle), 0)


async def test_a_handle_that_raises_fails_the_instance(tmp_path: Path, autojump_clock: object) -> None:
    """G24: `handle` is orchestrator code: what it raises ends the execution, the hub stays whole."""
    async with hub(tmp_path, app) as client:
        await client.start_new(breaks_in_handle, "x")
        status = await finished(client, "x")
        assert status.runtime_status == "Failed"
        assert "KeyError: 'in handle'" in status.output


@app.orchestration
async def catches_all(ctx: OrchestrationContext) -> str:
    try:
        return str(await ctx.call_activity_with_retry("flaky", RetryOptions(10_000, 5), 0))
    except Exception as error:
        return f"caught {type(error).__name__}"


async def test_code_that_is_gone_at_a_retry_fails_the_call_only(tmp_path: Path, autojump_clock: object) -> None:
    """G19, G24: a retry whose activity is not registered any more fails its task, which the code may catch."""
    async with hub(tmp_path, app) as client:
        await client.start_new(catches_all, "x")
        await trio.sleep(1)
    lacking = App()
    lacking.orchestration(catches_all)
    async with hub(tmp_path, lacking, activations_max=0) as client:
        assert (await output(client, "x")).startswith("caught")


@pytest.mark.parametrize(
    "facts",
    [
        {"first_ms": 0},
        {"first_ms": -1},
        {"most": 0},
        {"backoff_coefficient": 0},
        {"backoff_coefficient": float("nan")},
        {"max_retry_interval_in_milliseconds": 0},
        {"retry_timeout_in_milliseconds": -5},
    ],
)
def test_options_that_make_no_sense_are_refused(facts: dict[str, Any]) -> None:
    """G31: every number of `RetryOptions` is greater than 0."""
    with pytest.raises(ValueError, match="must be"):
        options_of(dict(facts))


def test_delays_never_overflow() -> None:
    """G24: a back-off that grows beyond all bounds is bounded."""
    assert RetryOptions(1000, 10_000, backoff_coefficient=10.0).delay_us(9000) > 0
