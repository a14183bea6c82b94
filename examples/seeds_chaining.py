"""Azure's Python sample "function chaining" as it is, run by durio.

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


@app.orchestration
def orchestrator_function(context: df.OrchestrationContext) -> Generator[Any, Any, Any]:
    x = yield context.call_activity("F1", None)
    y = yield context.call_activity("F2", x)
    z = yield context.call_activity("F3", y)
    result = yield context.call_activity("F4", z)
    return result


@app.activity(name="F1")
def begin(_: None) -> list[str]:
    return ["F1"]


@app.activity(name="F2")
def second(done: list[str]) -> list[str]:
    return [*done, "F2"]


@app.activity(name="F3")
def third(done: list[str]) -> list[str]:
    return [*done, "F3"]


@app.activity(name="F4")
def fourth(done: list[str]) -> str:
    return " -> ".join([*done, "F4"])


async def main(hub: str) -> None:
    async with df.open_hub(hub, app) as client:
        started = await client.start_new("orchestrator_function", "chain")
        status = await client.wait_for_completion(started)
    print("A generator orchestrator chains four activities by name:", status.output)
    assert status.output == "F1 -> F2 -> F3 -> F4"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        trio.run(main, sys.argv[1] if len(sys.argv) > 1 else temporary)
