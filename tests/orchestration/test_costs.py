"""Costs found too high by a review: what grows with the square of its input freezes the whole hub."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import timedelta
from types import FrameType
from typing import Any

from durio.orchestration import App, OrchestrationContext
from durio.orchestration.execution import Execution
from durio.orchestration.history import EventRaised, Started, TimerFired
from tests.orchestration.helpers import Stepper


def lines_of(call: Callable[[], object]) -> int:
    """How many lines of Python a call runs: a measure of work that does not depend on the machine."""
    count = 0

    def trace(_frame: FrameType, event: str, _arg: object) -> Any:
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(before)
    return count


def test_a_backlog_of_events_is_drained_in_linear_time() -> None:
    """G8: taking one event of a long backlog costs the same as taking one of a short one."""

    def lines(backlog: int) -> int:
        app = App()

        @app.orchestration
        async def drain(ctx: OrchestrationContext) -> None:
            await ctx.create_timer(timedelta(1))
            for _ in range(100):
                await ctx.wait_for_external_event("x")

        execution = Execution("i", app.registry.orchestration(drain), app.registry, app.payloads, ())
        execution.feed(Started("e", "drain", None, None, None))
        for number in range(backlog):
            execution.feed(EventRaised("x", b"1", number))
        count = lines_of(lambda: execution.feed(TimerFired(1)))
        assert execution.end is not None
        return count

    assert lines(2000) < 2 * lines(200)


def test_a_failure_after_a_fan_out_costs_linear_time() -> None:
    """G8: code that raises after it scheduled n activities takes them back at a cost of O(n)."""

    def lines(activities: int) -> int:
        app = App()

        @app.activity
        def nothing() -> None:
            return None

        @app.orchestration
        async def raises(ctx: OrchestrationContext) -> None:
            for _ in range(activities):
                ctx.call_activity(nothing)
            raise ValueError("too early")

        stepper = Stepper(app)
        stepper.start("raises", "i")
        return lines_of(stepper.kernel.run_turn)

    assert lines(1000) < 15 * lines(100)
