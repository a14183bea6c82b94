"""The files of a new project."""

from __future__ import annotations

from typing import Final

APP: Final = '''\
"""The program: an entity, an activity, and three orchestrations."""

from datetime import timedelta

import attrs
from durio.entities import EntityId
from durio.orchestration import App, OrchestrationContext

app = App()


@app.entity
@attrs.define
class Counter:
    """Counts. What is in it survives every crash."""

    value: int = 0

    def add(self, amount: int = 1) -> int:
        self.value += amount
        return self.value

    def get(self) -> int:
        return self.value


@app.activity
async def say_hello(city: str) -> str:
    """Real work belongs into activities. They run at least once."""
    return f"Hello {city}!"


@app.orchestration
async def hello(ctx: OrchestrationContext, cities: list[str]) -> list[str]:
    """Greets all cities at once, and counts them."""
    greetings = await ctx.task_all([ctx.call_activity(say_hello, city) for city in cities])
    ctx.signal_entity(EntityId("Counter", "greeted"), Counter.add, len(greetings))
    return greetings


@app.orchestration(name="DoWork")
async def do_work(ctx: OrchestrationContext) -> str:
    """Takes three seconds: long enough to see it Running."""
    await ctx.create_timer(timedelta(seconds=3))
    return await ctx.call_activity(say_hello, "World")


@app.orchestration
async def approval(ctx: OrchestrationContext, what: str) -> str:
    """Waits for a decision of people, for days if it must be."""
    ctx.set_custom_status("waiting for ApprovalEvent")
    approved = await ctx.wait_for_external_event("ApprovalEvent")
    return f"{what}: {'approved' if approved else 'refused'}"
'''

TEST: Final = '''\
"""Tests of the program: on a hub of their own, in virtual time."""

from pathlib import Path

import trio
from trio.testing import MockClock

from app import Counter, app, approval, hello
from durio.entities import EntityId, VirtualEnv
from durio.orchestration import Client, open_hub


def play(hub: Path, scene) -> None:
    async def main() -> None:
        async with open_hub(hub, app, env=VirtualEnv()) as client:
            await scene(client)

    trio.run(main, clock=MockClock(autojump_threshold=0))


def test_hello_greets_and_counts(tmp_path: Path) -> None:
    async def scene(client: Client) -> None:
        started = await client.start_new(hello, client_input=["Tokyo", "Seattle"])
        status = await client.wait_for_completion(started)
        assert status.output == ["Hello Tokyo!", "Hello Seattle!"]
        assert await client.call_entity(EntityId("Counter", "greeted"), Counter.get) == 2

    play(tmp_path / "hub", scene)


def test_approval_waits_for_a_decision(tmp_path: Path) -> None:
    async def scene(client: Client) -> None:
        started = await client.start_new(approval, client_input="a trip")
        await client.raise_event(started, "ApprovalEvent", True)
        assert (await client.wait_for_completion(started)).output == "a trip: approved"

    play(tmp_path / "hub", scene)
'''

PYPROJECT: Final = """\
[project]
name = {name}
version = "0.1.0"
requires-python = ">=3.11"
dependencies = ["durio[cli]"]

[project.optional-dependencies]
dev = ["pytest>=8"]

[tool.durio]
hub = "hub"
app = "app:app"

[tool.pytest.ini_options]
pythonpath = ["."]
"""

IGNORE: Final = """\
/hub/
__pycache__/
"""

README: Final = """\
# {title}

A program on durio: `app.py`. Its state lies in the folder `hub`.

```sh
durio run                                              # owns the hub and runs the program; Ctrl-C ends it
```

In another terminal, in this folder:

```sh
durio start hello --input '["Tokyo", "Seattle"]' --wait
durio start approval --input '"a trip"' --id trip-1
durio raise-event trip-1 ApprovalEvent --input true
durio history trip-1 --output
durio call Counter@greeted get
durio list
durio top
```

`durio serve` instead of `durio run` serves the HTTP API of Azure Durable Functions, too:

```sh
curl -X POST http://localhost:7071/api/orchestrators/DoWork -H "Content-Length: 0" -i
```

`python -m pytest` runs the tests. `durio --help` shows what else there is.
"""
