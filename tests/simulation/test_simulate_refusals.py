"""`simulate` says at once what it cannot run (G31)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from durio.orchestration import App, OrchestrationContext
from durio.simulation import Ask, Faults, Sim, simulate, simulation, start

app = App()


@app.orchestration
async def greet(ctx: OrchestrationContext, name: str) -> str:
    return f"Hello {name}!"


async def coroutine(sim: Sim) -> None:
    raise AssertionError("it must not run")


def generator(sim: Sim) -> Iterator[None]:
    raise AssertionError("it must not run")
    yield


async def asynchronous_generator(sim: Sim) -> Any:
    raise AssertionError("it must not run")
    yield


class Methods:
    """Tests in a class."""

    def check(self, sim: Sim) -> None:
        raise AssertionError("it must not run")


@pytest.mark.parametrize("test", [coroutine, generator, asynchronous_generator])
def test_only_plain_functions_are_simulated(test: Any) -> None:
    """An `async def` would never be awaited, and so pass: it is refused."""
    with pytest.raises(TypeError, match=f"{test.__name__} must be a plain function"):
        simulate(start(greet, "you"))(test)


def test_methods_are_refused() -> None:
    """The simulation is the first argument; `self` is none."""
    with pytest.raises(TypeError, match="check must be a function that takes the simulation as its first argument"):
        simulate(start(greet, "you"))(Methods.check)


def test_a_test_takes_the_simulation() -> None:
    """A function without parameters looks at nothing."""

    def nothing() -> None:
        raise AssertionError("it must not run")

    with pytest.raises(TypeError, match="nothing must be a function that takes the simulation"):
        simulate(start(greet, "you"))(nothing)


def test_something_has_to_be_asked() -> None:
    """Without a request nothing would happen."""
    with pytest.raises(TypeError, match=r"simulate needs something to ask: call\(\.\.\.\)"):
        simulate()


def test_crashes_are_said_once() -> None:
    """`max_crashes` is short for `Faults(crashes=...)`; both together are a contradiction."""
    with pytest.raises(TypeError, match=r"say max_crashes or faults, not both"):
        simulate(start(greet, "you"), max_crashes=1, faults=Faults())


def test_a_local_test_has_no_twin() -> None:
    """Another process cannot import what is inside of a function."""

    @simulate(start(greet, "you"), hash_seeds=True)
    def local(sim: Sim) -> None:
        raise AssertionError("it must not run")

    with pytest.raises(ValueError, match=r"hash_seeds=True needs a test at the top level of its module, not '.*local'"):
        local()


def test_asks_have_one_input() -> None:
    """Two inputs are a mistake that Python finds."""
    make: Any = start
    with pytest.raises(TypeError):
        make(greet, "you", "me")
    assert isinstance(make(greet, "you"), Ask)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"clients": 0}, "clients=0 must be at least 1"),
        ({"max_calls": 0}, "max_calls=0 must be at least 1"),
        ({"max_crashes": -1}, "max_crashes=-1 must be at least 0"),
        ({"within": 0}, "within=0 must be at least 1"),
        ({"exhaustive": -1}, "exhaustive=-1 must be at least 0"),
        ({"runs_max": 0}, "runs_max=0 must be at least 1"),
        ({"steps_max": 0}, "steps_max=0 must be at least 1"),
        ({"store": "tape"}, "store='tape' must be 'memory' or 'lmdb'"),
    ],
)
def test_wrong_numbers_are_named_at_once(given: dict[str, Any], text: str) -> None:
    """A simulation without steps, clients or requests would pass every test: it is refused before anything runs."""
    with pytest.raises(ValueError, match=text):
        simulate(start(greet, "you"), **given)


def test_a_plan_says_itself_whether_actors_leave_memory() -> None:
    """`replay` and `evict` together are a contradiction."""
    with pytest.raises(TypeError, match="say replay or evict, not both"), simulation(app, replay="x", evict=True):
        pass
