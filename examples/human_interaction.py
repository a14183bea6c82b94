"""Human interaction: wait for somebody's approval for three days, then escalate.

The days are not waited for: Trio's `MockClock` jumps to the next timer, and `VirtualEnv` makes the hub's clock follow
it. This is also how to test such a thing; drop both and the same code waits for three real days.
"""

from __future__ import annotations

import sys
import tempfile
from datetime import timedelta

import trio
from trio.testing import MockClock

from durio.entities import VirtualEnv
from durio.orchestration import App, Client, OrchestrationContext, open_hub

app = App()
HOUR_S = 3600


@app.activity
async def request_approval(expense: str) -> None:
    print(f"  mail to the manager: please approve {expense!r}")


@app.activity
async def escalate(expense: str) -> None:
    print(f"  mail to the manager's manager: nobody answered about {expense!r}")


@app.orchestration
async def approval(ctx: OrchestrationContext, expense: str) -> str:
    await ctx.call_activity(request_approval, expense)
    answer = ctx.wait_for_external_event("approval", bool)
    deadline = ctx.create_timer(timedelta(hours=72))
    if await ctx.task_any([answer, deadline]) is answer:
        deadline.cancel()
        return "approved" if answer.result else "rejected"
    await ctx.call_activity(escalate, expense)
    return "escalated"


async def ask(client: Client, expense: str, answer: bool | None) -> str:
    """Start an approval, answer it (or not) after five hours, and give how it ended."""
    began = trio.current_time()
    instance = await client.start_new(approval, f"approve-{expense}", expense)
    if answer is not None:
        await trio.sleep(5 * HOUR_S)
        await client.raise_event(instance, "approval", answer)
    output: str = (await client.wait_for_completion(instance)).output
    print(f"  {expense}: {output} after {(trio.current_time() - began) / HOUR_S:.0f} hours")
    return output


async def main(hub: str) -> None:
    async with open_hub(hub, app, env=VirtualEnv()) as client:
        print("Three expenses: the manager approves one, rejects one, and forgets one.")
        outputs = [
            await ask(client, "train", True),
            await ask(client, "yacht", False),
            await ask(client, "hotel", None),
        ]
    assert outputs == ["approved", "rejected", "escalated"]
    assert trio.current_time() >= (5 + 5 + 72) * HOUR_S
    print(f"All three ended as they should, in {trio.current_time() / HOUR_S:.0f} hours of virtual time.")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        clock = MockClock(autojump_threshold=0)
        trio.run(main, sys.argv[1] if len(sys.argv) > 1 else temporary, clock=clock)
