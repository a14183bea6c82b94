"""Orchestrators as generators: Azure's Python samples, unchanged but for their imports and registration."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import trio

import durio.entities as df_entities
import durio.orchestration as df
from tests.orchestration.helpers import finished, hub, output

app = df.App()
notes: list[Any] = []


@pytest.fixture(autouse=True)
def _fresh() -> None:
    notes.clear()


# The bodies below are the samples' own. So are their missing annotations, hence one comment each for the checkers.


@app.orchestration(name="Chaining")
def chaining(context: df.OrchestrationContext):  # type: ignore[no-untyped-def]  # untyped, as samples are
    x = yield context.call_activity("F1", None)
    y = yield context.call_activity("F2", x)
    z = yield context.call_activity("F3", y)
    result = yield context.call_activity("F4", z)
    return result  # the sample's own


@app.orchestration(name="FanOut")
def fan_out(context: df.OrchestrationContext):  # type: ignore[no-untyped-def]  # untyped, as samples are
    # Get a list of N work items to process in parallel.
    work_batch = yield context.call_activity("Batch", None)

    parallel_tasks = [ context.call_activity("F2", b) for b in work_batch ]  # fmt: skip

    outputs = yield context.task_all(parallel_tasks)

    # Aggregate all N outputs and send the result to F3.
    total = sum(outputs)
    yield context.call_activity("F3", total)


@app.orchestration(name="Monitor")
def monitor(context: df.OrchestrationContext):  # type: ignore[no-untyped-def]  # untyped, as samples are
    job = json.loads(context.get_input())
    job_id = job["jobId"]
    polling_interval = job["pollingInterval"]
    expiry_time = context.current_utc_datetime + timedelta(seconds=job["expiryTime"])  # sample: a number

    while context.current_utc_datetime < expiry_time:
        job_status = yield context.call_activity("GetJobStatus", job_id)
        if job_status == "Completed":
            # Perform an action when a condition is met.
            yield context.call_activity("SendAlert", job_id)
            break

        # Orchestration sleeps until this time.
        next_check = context.current_utc_datetime + timedelta(seconds=polling_interval)
        yield context.create_timer(next_check)

    # Perform more work here, or let the orchestration end.


@app.orchestration(name="Approval")
def approval(context: df.OrchestrationContext):  # type: ignore[no-untyped-def]  # untyped, as samples are
    yield context.call_activity("RequestApproval", None)

    due_time = context.current_utc_datetime + timedelta(hours=72)
    durable_timeout_task = context.create_timer(due_time)
    approval_event_task = context.wait_for_external_event("ApprovalEvent")

    winning_task = yield context.task_any([approval_event_task, durable_timeout_task])

    if approval_event_task == winning_task:
        durable_timeout_task.cancel()
        yield context.call_activity("ProcessApproval", approval_event_task.result)
    else:
        yield context.call_activity("Escalate", None)


@app.orchestration(name="Periodic_Cleanup_Loop")
def cleanup_loop(context: df.OrchestrationContext):  # type: ignore[no-untyped-def]  # untyped, as samples are
    yield context.call_activity("DoCleanup")

    # sleep for one hour between cleanups
    next_cleanup = context.current_utc_datetime + timedelta(hours = 1)  # fmt: skip
    yield context.create_timer(next_cleanup)

    context.continue_as_new(None)


@app.entity(name="Counter")
def entity_function(context: df_entities.EntityContext):  # type: ignore[no-untyped-def]  # untyped, as samples are

    current_value = context.get_state(lambda: 0)
    operation = context.operation_name
    if operation == "add":
        amount = context.get_input()
        current_value += amount
        context.set_result(current_value)
    elif operation == "reset":
        current_value = 0
    elif operation == "get":
        context.set_result(current_value)

    context.set_state(current_value)


@app.activity(name="F1")
def f1(_: object) -> int:
    return 1


@app.activity(name="F2")
def f2(x: int) -> int:
    return x * 10


@app.activity(name="F3")
def f3(x: int) -> int:
    notes.append(x)
    return x + 5


@app.activity(name="F4")
def f4(x: int) -> str:
    return f"F4({x})"


@app.activity(name="Batch")
def batch(_: object) -> list[int]:
    return [1, 2, 3]


@app.activity(name="GetJobStatus")
def job_status_of(job_id: str) -> str:
    notes.append(job_id)
    return "Completed" if len(notes) == 4 else "Running"


for name in ("SendAlert", "RequestApproval", "ProcessApproval", "Escalate", "DoCleanup"):

    def note(value: object = None, name: str = name) -> None:
        notes.append([name, value])

    app.activity(name=name)(lambda value=None, *, note=note: note(value))


async def test_chaining_and_fan_out(tmp_path: Path, autojump_clock: object) -> None:
    """Azure's chaining and fan-out: the samples run as they are."""
    async with hub(tmp_path, app, activations_max=0) as client:
        await client.start_new("Chaining", None, None)
        await client.start_new("Chaining", "chain")
        assert await output(client, "chain") == "F4(15)"
        notes.clear()
        await client.start_new("FanOut", "fan")
        await output(client, "fan")
        assert notes == [60]


async def test_monitor(tmp_path: Path, autojump_clock: object) -> None:
    """Azure's monitor polls until the job is done."""
    async with hub(tmp_path, app, activations_max=0) as client:
        job = json.dumps({"jobId": "job", "pollingInterval": 30, "expiryTime": 600})
        await client.start_new("Monitor", "x", job)
        await output(client, "x")
        assert notes == ["job"] * 4 + [["SendAlert", "job"]]
        assert trio.current_time() >= 90


@pytest.mark.parametrize("is_approved", [True, False, None])
async def test_human_interaction(tmp_path: Path, autojump_clock: object, is_approved: bool | None) -> None:
    """Azure's human interaction: an approval wins over the timer, or the timer escalates."""
    async with hub(tmp_path, app, activations_max=0) as client:
        await client.start_new("Approval", "x")
        if is_approved is not None:
            await client.raise_event("x", "ApprovalEvent", is_approved)
        with trio.fail_after(73 * 3600):
            assert (await client.wait_for_completion("x")).runtime_status == "Completed"
    last = ["Escalate", None] if is_approved is None else ["ProcessApproval", is_approved]
    assert notes == [["RequestApproval", None], last]


async def test_the_eternal_loop(tmp_path: Path, autojump_clock: object) -> None:
    """Azure's eternal orchestration: the periodic clean-up goes on for ever, on one id, with a small history."""
    async with hub(tmp_path, app, activations_max=0) as client:
        instance_id = "StaticId"
        await client.start_new("Periodic_Cleanup_Loop", instance_id, None)
        await trio.sleep(24 * 3600 + 10)
        status = await client.get_status(instance_id, show_history=True)
        assert status.runtime_status == "Running"
        assert status.history is not None
        assert len(status.history) == 4
        await client.terminate(instance_id)
    assert len(notes) == 25


async def test_the_aggregator(tmp_path: Path, autojump_clock: object) -> None:
    """Azure's aggregator: the counter as a function, signalled and called."""
    async with hub(tmp_path, app) as client:
        entity_id = df_entities.EntityId("Counter", "myCounter")
        await client.signal_entity(entity_id, "add", 1)
        assert await client.call_entity(entity_id, "add", 4) == 5
        await client.signal_entity(entity_id, "reset")
        assert await client.call_entity(entity_id, "get") == 0


@app.orchestration
def yields_nonsense(context: df.OrchestrationContext):  # type: ignore[no-untyped-def]  # untyped, as samples are
    yield 5


@app.orchestration
def never_yields(context: df.OrchestrationContext):  # type: ignore[no-untyped-def]  # untyped, as samples are
    return context.get_input()
    yield


@app.orchestration
def delegates(context: df.OrchestrationContext):  # type: ignore[no-untyped-def]  # untyped, as samples are
    value = yield from chaining(context)
    try:
        yield context.call_activity("F2", "not a number")
    except df.TaskFailedError as error:
        return [value, error.failure.type.rpartition(".")[2]]


async def test_generators_in_general(tmp_path: Path, autojump_clock: object) -> None:
    """Generators may delegate, catch errors and never yield; what is no task is refused."""
    async with hub(tmp_path, app, activations_max=0) as client:
        await client.start_new(yields_nonsense, "nonsense")
        assert "5 was awaited" in (await finished(client, "nonsense")).output
        await client.start_new("never_yields", "never", [1])
        assert await output(client, "never") == [1]
        await client.start_new(delegates, "delegates")
        assert await output(client, "delegates") == ["F4(15)", "PayloadError"]
