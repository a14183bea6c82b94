"""Threads that have nothing to do with a simulation go on beside it, in real time, and are not seen by it."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import trio

from durio.orchestration import App, OrchestrationContext
from durio.simulation import NotSimulated, simulation

app = App()


@app.activity
async def starts_a_thread() -> None:
    await trio.to_thread.run_sync(int)


@app.orchestration
async def careless(ctx: OrchestrationContext) -> None:
    await ctx.call_activity(starts_a_thread)


@app.orchestration
async def careful(ctx: OrchestrationContext, times: int) -> int:
    for _ in range(times):
        await ctx.wait_for_external_event("go")
    return times


class Beside(threading.Thread):
    """Starts a thread of its own again and again, as a test server does, until it is told to stop."""

    def __init__(self) -> None:
        super().__init__()
        self.stop = threading.Event()
        self.started = threading.Semaphore(0)
        self.errors: list[Exception] = []

    def run(self) -> None:
        while not self.stop.is_set():
            try:
                worker = threading.Thread(target=self.started.release)
                worker.start()
                worker.join()
            except Exception as error:
                self.errors.append(error)
                self.started.release()


@pytest.fixture
def beside() -> Iterator[Beside]:
    thread = Beside()
    thread.start()
    yield thread
    thread.stop.set()
    thread.join()


def test_other_threads_may_start_threads(beside: Beside) -> None:
    """What a thread outside of the simulation does is neither refused nor taken for the work of the simulated code."""
    with simulation(app) as sim:
        name = sim.start(careful, 5)
        sim.invariant(lambda: beside.started.acquire(timeout=30))  # it goes on while this one is inside
        for _ in range(5):
            sim.raise_event(name, "go")
        sim.run()
        assert sim.status(name).output == 5
    assert beside.errors == []


def test_the_simulated_code_may_not(beside: Beside) -> None:
    """The code under test is refused all the same, in the thread that simulates."""
    with simulation(app) as sim:
        sim.start(careless)
        with pytest.raises(NotSimulated, match="thread"):
            sim.run()
    assert beside.errors == []
