"""Azure's Python sample "monitor" as it is, run by durio.

Changed are the imports, the registration and the annotations, and two lines: `get_input` gives the decoded value, so
there is nothing for `json.loads` to do; and the expiry time, which is text in JSON, is made a datetime before it is
compared with one (the sample forgot that).
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from typing import Any

import trio

import durio.orchestration as df

app = df.App()
looks: list[str] = []
alerts: list[str] = []


@app.orchestration
def orchestrator_function(context: df.OrchestrationContext) -> Generator[Any, Any, None]:
    job = context.get_input()
    job_id = job["jobId"]
    polling_interval = job["pollingInterval"]
    expiry_time = datetime.fromisoformat(job["expiryTime"])

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


@app.activity(name="GetJobStatus")
def get_job_status(job_id: str) -> str:
    looks.append(job_id)
    return "Completed" if job_id == "good" and looks.count("good") == 5 else "Running"


@app.activity(name="SendAlert")
def send_alert(job_id: str) -> None:
    alerts.append(job_id)


async def main(hub: str) -> None:
    async with df.open_hub(hub, app) as client:
        for job_id, patience_s in (("good", 60), ("endless", 0.2)):
            expiry_time = datetime.now(UTC) + timedelta(seconds=patience_s)
            job = {"jobId": job_id, "pollingInterval": 0.02, "expiryTime": expiry_time.isoformat()}
            await client.start_new("orchestrator_function", f"monitor-{job_id}", job)
        for job_id in ("good", "endless"):
            await client.wait_for_completion(f"monitor-{job_id}")
            print(f"The monitor of {job_id!r} looked {looks.count(job_id)} times.")
    print("Alerts:", alerts)
    assert looks.count("good") == 5
    assert alerts == ["good"]  # the other one expired


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        trio.run(main, sys.argv[1] if len(sys.argv) > 1 else temporary)
