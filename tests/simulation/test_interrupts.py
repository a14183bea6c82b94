"""Ctrl-C stops a simulation wherever it is, and leaves nothing behind."""

from __future__ import annotations

import gc
import signal
from collections.abc import Iterator

import hypothesis
import pytest
import trio

from durio.orchestration import App, OrchestrationContext
from durio.simulation import Sim, simulate, simulation, start

app = App()


@app.activity
async def interrupted(number: int) -> int:
    signal.raise_signal(signal.SIGINT)
    await trio.sleep(1)
    return number


@app.activity
async def plain(number: int) -> int:
    await trio.sleep(1)
    return number


@app.orchestration
async def run(ctx: OrchestrationContext, activity: str) -> int:
    result: int = await ctx.call_activity(activity, 1)
    return result


@pytest.fixture(autouse=True)
def _python_has_the_signal() -> Iterator[None]:
    """As in a program; a test runner may ignore Ctrl-C in its workers."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_in_an_activity_ends_the_run() -> None:
    """It comes out of `sim.run()` as it is, and the thread can run Trio again."""
    with simulation(app) as sim:
        sim.start(run, "interrupted")
        with pytest.raises(KeyboardInterrupt):
            sim.run()
    gc.collect()
    trio.run(trio.lowlevel.checkpoint)


def test_ctrl_c_between_the_steps_is_python_s_own() -> None:
    """While the simulated loop stands still, Ctrl-C is what it is in any program."""
    with simulation(app) as sim:
        sim.start(run, "plain")
        sim.run()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        assert sim.status("run-0").output == 1


def test_ctrl_c_stops_the_search() -> None:
    """Hypothesis tries no further example, and takes it for no finding that it could shrink."""
    runs = list[int]()

    @simulate(start(run, "plain"), settings=hypothesis.settings(database=None, max_examples=20))
    def search(sim: Sim) -> None:
        runs.append(len(runs))
        if len(runs) == 3:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        search()
    assert len(runs) == 3
