"""Nobody keeps the loop for himself: replays and large messages give way (G8)."""

from __future__ import annotations

from typing import Any

import pytest

import durio.orchestration.kind as kind_module
from durio.orchestration import App, OrchestrationContext
from durio.orchestration.limits import STEP_BYTES_MAX
from tests.opened import runtime_of
from tests.orchestration.helpers import Stepper, in_memory

EVENTS = 300

app = App()


@app.orchestration
async def collector(ctx: OrchestrationContext, count: int) -> int:
    size = 0
    for _ in range(count):
        size += len(await ctx.wait_for_external_event("item"))
    return size


def test_a_long_replay_gives_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """G8: replaying a long history takes several turns of the queue, in which others have theirs."""
    monkeypatch.setattr(kind_module, "REPLAY_SLICE_MS", 0.0)
    stepper = Stepper(app)
    stepper.start("collector", "long", EVENTS + 1)
    for _ in range(EVENTS):
        stepper.raise_event("long", "item", "x")
        stepper.settle()
    stepper.reopen()
    stepper.raise_event("long", "item", "x")
    stepper.start("collector", "short", 0)
    order: list[str] = []
    while stepper.kernel.runnable:
        order.append(stepper.kernel.run_turn())
    assert order.count("long") > EVENTS, "every entry gave way"
    assert order.index("short") == 1
    stepper.settle()
    assert stepper.output("long") == EVENTS + 1


async def test_large_messages_fill_a_turn(autojump_clock: Any) -> None:
    """G8: an actor with large messages goes to the back of the queue long before it took 256 of them."""
    data = "x" * (STEP_BYTES_MAX // 4)
    async with in_memory(app) as client:
        kernel = runtime_of(client).kernel
        await client.start_new(collector, "large", 12)
        await client.suspend("large")
        for _ in range(12):
            await client.raise_event("large", "item", data)
        order: list[str] = []
        run_turn = kernel.run_turn

        def watched(address: str | None = None) -> str:
            order.append(run_turn(address))
            return order[-1]

        kernel.run_turn = watched  # type: ignore[method-assign]  # to see the order of turns
        await client.resume("large")
        assert (await client.wait_for_completion("large")).output == 12 * len(data)
        assert order.count("large") >= 3
