"""Ctrl-C ends a simulation wherever it is: nobody has to wait for a search, or for code that does not end."""

from __future__ import annotations

import signal

import hypothesis
import pytest
import trio

from durio.orchestration import App, OrchestrationContext
from durio.simulation import Sim, simulate, simulation, start

app = App()


@app.activity
async def nap(seconds: int) -> None:
    await trio.sleep(seconds)


@app.activity
async def interrupted() -> None:
    signal.raise_signal(signal.SIGINT)
    await trio.sleep(1)


@app.orchestration
async def sleeper(ctx: OrchestrationContext) -> None:
    await ctx.call_activity(nap, 5)


@app.orchestration
async def hit(ctx: OrchestrationContext) -> None:
    await ctx.call_activity(interrupted)


def test_ctrl_c_in_a_test_that_simulates() -> None:
    """Ctrl-C is raised in the test's own code while activities of a simulation are under way, and after it is over."""
    with simulation(app) as sim:
        sim.start(sleeper)
        sim.run(time=False)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        sim.run()
        assert sim.settled
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_ctrl_c_in_an_activity() -> None:
    """Ctrl-C in the code under test is no failure of that code: it ends the test."""
    with simulation(app) as sim:
        sim.start(hit)
        with pytest.raises(KeyboardInterrupt):
            sim.run()


def test_ctrl_c_ends_a_search() -> None:
    """Ctrl-C ends a simulated test at once; Hypothesis goes on with no other example, and shrinks nothing."""
    runs: list[Sim] = []

    @simulate(start(hit), start(sleeper), app=app, settings=hypothesis.settings(deadline=None, database=None))
    def is_interrupted(sim: Sim) -> None:
        runs.append(sim)
        assert not sim.effects(interrupted), "it went on"

    with pytest.raises(KeyboardInterrupt):
        is_interrupted()
    assert all(not sim.effects(interrupted) for sim in runs)
