"""The guard: user code of a turn sees no Trio task, and nothing of the hub's task changes (G21)."""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Callable
from typing import Any

import pytest
import trio
from trio._core._run import GLOBAL_RUN_CONTEXT

from durio.entities import CURRENT_GUARD, Guard, NotDurable

VARIABLE: contextvars.ContextVar[str] = contextvars.ContextVar("VARIABLE", default="unset")


def open_scope() -> None:
    """A cancel scope on whatever task is current."""
    with trio.CancelScope():  # noqa: ASYNC100  # entering it is the offence
        pass


def step(start: Callable[[], Any]) -> Callable[[], None]:
    """The first step of a coroutine, as the hub's driver would take it."""

    def call() -> None:
        coroutine = start()
        try:
            coroutine.send(None)
        finally:
            coroutine.close()

    return call


async def nursery() -> None:
    """A nursery, entered."""
    async with trio.open_nursery():
        pass


OFFENCES: list[Callable[[], Any]] = [
    open_scope,
    trio.current_time,
    lambda: trio.lowlevel.current_task().name,
    trio.lowlevel.current_trio_token,
    trio.current_effective_deadline,
    step(lambda: trio.sleep(1)),  # noqa: ASYNC105  # stepped by hand
    step(nursery),
    step(trio.Event().wait),
    step(lambda: trio.to_thread.run_sync(int)),
]


async def test_trio_still_keeps_its_task_and_runner_where_the_guard_hides_them() -> None:
    """G21: the guard rests on two private names of Trio; this is the test to look at after an upgrade of Trio."""
    missing = {"task", "runner"} - set(vars(GLOBAL_RUN_CONTEXT))
    assert not missing, f"Trio {trio.__version__} has no GLOBAL_RUN_CONTEXT.{missing}: durio.entities.guard is blind"
    assert GLOBAL_RUN_CONTEXT.task is trio.lowlevel.current_task()
    assert trio.lowlevel.current_root_task() is GLOBAL_RUN_CONTEXT.runner.init_task


@pytest.mark.parametrize("offence", OFFENCES)
async def test_trio_is_refused_before_any_effect(offence: Callable[[], Any]) -> None:
    """G21: nothing of Trio works inside, and the hub's own task is untouched and whole afterwards."""
    task = trio.lowlevel.current_task()
    before = (task._cancel_status, list(task.child_nurseries), vars(GLOBAL_RUN_CONTEXT).copy())
    guard = Guard()
    with pytest.raises(NotDurable, match=r"create_timer.*activity"):
        guard.run(offence)
    assert (task._cancel_status, list(task.child_nurseries), vars(GLOBAL_RUN_CONTEXT)) == before
    await trio.lowlevel.checkpoint()


async def test_an_offence_that_the_code_swallows_is_remembered() -> None:
    """G21: the first offence counts, and it names the line of the user."""
    guard = Guard()

    def swallow() -> str:
        for _ in range(2):
            with contextlib.suppress(NotDurable):
                trio.current_time()
        return "fine"

    assert guard.run(swallow) == "fine"
    assert guard.offence is not None
    assert "test_guard.py" in guard.offence.where
    assert "in swallow" in guard.offence.where


async def test_user_code_runs_in_a_context_of_its_own() -> None:
    """G21: context variables stay with the activation; the hub's are not seen and not changed."""
    VARIABLE.set("hub")
    guard, other = Guard(), Guard()
    assert guard.run(VARIABLE.get) == "unset"
    guard.run(VARIABLE.set, "mine")
    assert (guard.run(VARIABLE.get), other.run(VARIABLE.get), VARIABLE.get()) == ("mine", "unset", "hub")
    assert guard.run(CURRENT_GUARD.get) is guard
    assert CURRENT_GUARD.get() is None


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, GeneratorExit])
async def test_trio_is_back_whatever_the_code_raises(error: type[BaseException]) -> None:
    """G21: the hub goes on after every end of a step."""

    def fail() -> None:
        raise error

    task = trio.lowlevel.current_task()
    with pytest.raises(error):
        Guard().run(fail)
    assert trio.lowlevel.current_task() is task
    await trio.lowlevel.checkpoint()


def test_the_guard_works_where_no_trio_runs() -> None:
    """The kernel may be driven by something else than Trio; nothing is left behind there either."""
    before = vars(GLOBAL_RUN_CONTEXT).copy()
    with pytest.raises(NotDurable):
        Guard().run(trio.current_time)
    assert Guard().run(lambda: 5) == 5
    assert vars(GLOBAL_RUN_CONTEXT) == before
