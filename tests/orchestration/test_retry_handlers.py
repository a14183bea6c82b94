"""Findings of a review: `RetryOptions.handle` is user code that runs while the code waits."""

from __future__ import annotations

from contextlib import suppress

import trio

from durio.orchestration import App, OrchestrationContext, RetryOptions
from tests.orchestration.helpers import Stepper


def test_a_retry_handler_may_cancel_what_the_code_waits_for() -> None:
    """G9: a task that `handle` cancels wakes the code that awaits it."""
    app = App()

    @app.activity
    def fail() -> None:
        raise ValueError("no")

    @app.orchestration
    async def parent(ctx: OrchestrationContext) -> str:
        go = ctx.wait_for_external_event("go")
        options = RetryOptions(1000, 3, handle=lambda _: not go.cancel())
        ctx.call_activity_with_retry(fail, options)
        with suppress(Exception):
            await go
        return "went on"

    stepper = Stepper(app)
    stepper.start("parent", "i")
    stepper.settle()
    assert stepper.output("i") == "went on"


def test_a_retry_handler_that_swallows_its_offence_fails_the_instance() -> None:
    """G21: an offence in `handle` fails the instance though it is swallowed, and at once."""
    app = App()

    @app.activity
    def fail() -> None:
        raise ValueError("no")

    def handle(_: object) -> bool:
        with suppress(Exception):
            trio.current_time()
        return True

    @app.orchestration
    async def parent(ctx: OrchestrationContext) -> None:
        await ctx.call_activity_with_retry(fail, RetryOptions(1000, 3, handle=handle))

    stepper = Stepper(app)
    stepper.start("parent", "i")
    stepper.settle()
    stepper.pass_s(60)
    assert stepper.status("i") == "Failed"
