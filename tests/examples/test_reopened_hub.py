"""What the examples showed about hubs that are opened again."""

from __future__ import annotations

from pathlib import Path

from trio.testing import MockClock

from durio.entities import VirtualEnv
from durio.orchestration import App, OrchestrationContext, open_hub


async def test_lives_of_two_openings_differ(tmp_path: Path, autojump_clock: MockClock) -> None:
    """G29: a life begun after a hub was opened again has an execution id that no life before it had."""
    app = App()

    @app.orchestration
    async def nothing(ctx: OrchestrationContext) -> str:
        return ctx.execution_id

    executions: list[str] = []
    for _ in range(2):
        async with open_hub(tmp_path / "hub", app, env=VirtualEnv()) as client:
            await client.start_new(nothing, "again")
            executions.append((await client.wait_for_completion("again")).output)
    assert executions[0] != executions[1]
