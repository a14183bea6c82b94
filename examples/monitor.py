"""Monitor: look at something again and again until it is done or it is too late, waiting longer each time.

Other than a cron job, each monitor has its own interval, ends by itself, and any number of them run side by side.
"""

from __future__ import annotations

import sys
import tempfile
from datetime import timedelta

import attrs
import trio

from durio.orchestration import App, OrchestrationContext, open_hub

app = App()


@attrs.frozen
class Watch:
    job: str
    first_interval: timedelta
    give_up_after: timedelta


finished_jobs: set[str] = set()  # stands for the world outside: a build server, a bank, a robot
alerts: list[str] = []


@app.activity
async def get_job_status(job: str) -> str:
    return "Completed" if job in finished_jobs else "Running"


@app.activity
async def send_alert(text: str) -> None:
    alerts.append(text)


@app.orchestration
async def monitor(ctx: OrchestrationContext, watch: Watch) -> int:
    """Gives how often it looked."""
    expires = ctx.current_utc_datetime + watch.give_up_after
    interval = watch.first_interval
    looks = 0
    while ctx.current_utc_datetime < expires:
        looks += 1
        if await ctx.call_activity(get_job_status, watch.job) == "Completed":
            await ctx.call_activity(send_alert, f"{watch.job} is done")
            return looks
        ctx.set_custom_status(f"looked {looks} times, next in {interval}")
        await ctx.create_timer(interval)  # durable: it fires even if the process was restarted meanwhile
        interval *= 2
    await ctx.call_activity(send_alert, f"gave up on {watch.job}")
    return looks


async def main(hub: str) -> None:
    async with open_hub(hub, app) as client:
        for job, patience in (("backup", timedelta(days=1)), ("endless", timedelta(milliseconds=500))):
            await client.start_new(monitor, f"monitor-{job}", Watch(job, timedelta(milliseconds=20), patience))
        await trio.sleep(0.1)
        finished_jobs.add("backup")
        for job in ("backup", "endless"):
            status = await client.wait_for_completion(f"monitor-{job}")
            print(f"{job}: looked {status.output} times, with twice the pause each time")
    print("Alerts:", "; ".join(alerts))
    assert sorted(alerts) == ["backup is done", "gave up on endless"]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        trio.run(main, sys.argv[1] if len(sys.argv) > 1 else temporary)
