"""A sample of Azure's page with nothing changed but the import line and the registration."""

from typing import Any

from trio.testing import MockClock

import durio.orchestration as df
from durio.entities import VirtualEnv
from durio.storage import MemoryDisk, MemoryStore


def orchestrator_function(context: df.DurableOrchestrationContext):  # type: ignore[no-untyped-def]  # as the page has it
    x = yield context.call_activity("F1", None)
    y = yield context.call_activity("F2", x)
    z = yield context.call_activity("F3", y)
    result = yield context.call_activity("F4", z)
    return result  # as the page has it


app = df.App()
main = app.orchestration(name="Chaining")(orchestrator_function)


async def step(value: Any) -> int:
    return (value or 0) + 1


for name in ("F1", "F2", "F3", "F4"):
    app.activity(name=name)(step)


async def test_the_chaining_sample_runs_with_its_annotation(autojump_clock: MockClock) -> None:
    """G19: body, signature and annotation of the sample stay as they are; its output shows in the status."""
    async with df.open_hub(MemoryStore(MemoryDisk()), app, env=VirtualEnv()) as client:
        await client.start_new("Chaining", "c", None)
        assert (await client.wait_for_completion("c")).output == 4
