"""Azure's Python sample "human interaction" as it is, run by durio.

Its 72 hours pass in a moment on Trio's `MockClock`. Changed are the imports, the registration and the annotations; the
body of the orchestrator is Azure's. The client of the sample lacks an instance id; here it gets one.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Generator
from datetime import timedelta
from typing import Any

import trio
from trio.testing import MockClock

import durio.orchestration as df
from durio.entities import VirtualEnv

app = df.App()
log: list[str] = []


@app.orchestration
def orchestrator_function(context: df.OrchestrationContext) -> Generator[Any, Any, None]:
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


@app.activity(name="RequestApproval")
def request_approval(_: None) -> None:
    log.append("approval requested")


@app.activity(name="ProcessApproval")
def process_approval(is_approved: bool) -> None:
    log.append(f"approved: {is_approved}")


@app.activity(name="Escalate")
def escalate(_: None) -> None:
    log.append("escalated")


async def approve(durable_client: df.Client, instance_id: str) -> None:
    is_approved = True
    await durable_client.raise_event(instance_id, "ApprovalEvent", is_approved)


async def main(hub: str) -> None:
    endings: list[str] = []
    async with df.open_hub(hub, app, env=VirtualEnv()) as client:
        for instance_id in ("answered", "forgotten"):
            log.clear()
            began = trio.current_time()
            await client.start_new("orchestrator_function", instance_id)
            if instance_id == "answered":
                await approve(client, instance_id)
            await client.wait_for_completion(instance_id)
            print(f"{instance_id} after {(trio.current_time() - began) / 3600:.0f} hours: {', '.join(log)}")
            endings.append(log[-1])
    assert endings == ["approved: True", "escalated"]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        clock = MockClock(autojump_threshold=0)
        trio.run(main, sys.argv[1] if len(sys.argv) > 1 else temporary, clock=clock)
