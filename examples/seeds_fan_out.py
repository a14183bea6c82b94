"""Azure's Python sample "fan-out/fan-in" as it is, run by durio.

Changed are the imports, the registration and the annotations; the body of the orchestrator is Azure's.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Generator
from typing import Any

import trio

import durio.orchestration as df

app = df.App()
totals: list[int] = []


@app.orchestration
def orchestrator_function(context: df.OrchestrationContext) -> Generator[Any, Any, None]:
    # Get a list of N work items to process in parallel.
    work_batch = yield context.call_activity("F1", None)

    parallel_tasks = [context.call_activity("F2", b) for b in work_batch]

    outputs = yield context.task_all(parallel_tasks)

    # Aggregate all N outputs and send the result to F3.
    total = sum(outputs)
    yield context.call_activity("F3", total)


@app.activity(name="F1")
def list_work(_: None) -> list[int]:
    return list(range(100))


@app.activity(name="F2")
def square(number: int) -> int:
    return number**2


@app.activity(name="F3")
def keep(total: int) -> None:
    totals.append(total)


async def main(hub: str) -> None:
    async with df.open_hub(hub, app) as client:
        started = await client.start_new("orchestrator_function", "squares")
        await client.wait_for_completion(started)
    print(f"A generator orchestrator squared 100 numbers in parallel and sent their sum to F3: {totals}")
    assert totals == [328_350]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        trio.run(main, sys.argv[1] if len(sys.argv) > 1 else temporary)
