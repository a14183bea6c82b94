"""A second process with another hash seed runs the same plans: what depends on the order of sets shows."""

from __future__ import annotations

import gc
import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from durio.orchestration import OrchestrationContext
from durio.simulation import NotDeterministic, Plan, TwinFailed
from durio.simulation.twin import BETWEEN_SEEDS, Twin, compare, looks_unordered

PREAMBLE = """
import os, sys
import hypothesis
from durio.orchestration import App
from durio.simulation import simulate, start

app = App()

@app.activity
async def do(what):
    print("doing", what)
    return what

few = hypothesis.settings(max_examples=5, database=None, deadline=None)
"""

UNORDERED = """
@app.orchestration
async def over_a_set(ctx, _):
    await ctx.call_activity(do, [name for name in {f"name {number}" for number in range(30)}])

@simulate(start(over_a_set), settings=few)
def test(sim):
    pass
"""

ORDERED = """
@app.orchestration
async def over_a_list(ctx, _):
    await ctx.call_activity(do, sorted({f"name {number}" for number in range(30)}))

print("imported")

@simulate(start(over_a_list), settings=few, hash_seeds=True)
def test(sim):
    assert sim.results
"""

SETS_IN_ACTIVITIES = """
@app.activity
def shuffled(names):
    return list({*names})

@app.orchestration
async def asks(ctx, _):
    return await ctx.call_activity(shuffled, [f"name {number}" for number in range(30)])

@simulate(start(asks), settings=few, hash_seeds=True)
def test(sim):
    pass
"""

NOT_IMPORTABLE = """
if "DURIO_SIMULATION_TWIN" in os.environ:
    raise ImportError("this module is shy")

@app.orchestration
async def greet(ctx, _):
    pass

@simulate(start(greet), settings=few, hash_seeds=True)
def test(sim):
    pass
"""


@pytest.fixture
def load(tmp_path: Path) -> Iterator[Callable[[str], ModuleType]]:
    """Imports a test module from a file that no import path knows."""
    names: list[str] = []

    def load(source: str) -> ModuleType:
        path = tmp_path / "test_by_somebody.py"
        path.write_text(PREAMBLE + source)
        names.append("test_by_somebody")
        spec = importlib.util.spec_from_file_location(names[-1], path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[names[-1]] = module
        spec.loader.exec_module(module)
        return module

    yield load
    for name in names:
        sys.modules.pop(name, None)


def test_the_order_of_a_set_is_found_by_itself(load: Callable[[str], ModuleType]) -> None:
    """G20: an orchestrator that iterates over a set is not deterministic: both lines are shown, and what to do."""
    module = load(UNORDERED)
    with pytest.raises(NotDeterministic) as caught:
        module.test()
    error = caught.value
    assert error.between == BETWEEN_SEEDS
    assert "activity do(" in error.first
    assert "activity do(" in error.second
    assert error.first != error.second
    assert "sort what is iterated" in str(error)


def test_what_is_sorted_passes(load: Callable[[str], ModuleType], capfd: pytest.CaptureFixture[str]) -> None:
    """The same sorted: nothing is found, though the module and its activities print in both processes."""
    load(ORDERED).test()
    printed = capfd.readouterr()
    assert (printed.out + printed.err).count("imported") == 2


def test_what_activities_return_counts(load: Callable[[str], ModuleType]) -> None:
    """With `hash_seeds=True` the whole trace is compared, not only what orchestrators ask for."""
    with pytest.raises(NotDeterministic) as caught:
        load(SETS_IN_ACTIVITIES).test()
    assert "result" in caught.value.first


def test_the_error_of_the_other_process_is_shown(load: Callable[[str], ModuleType]) -> None:
    """A module that cannot be imported over there is no finding: one error, with its cause and a way out."""
    with pytest.raises(TwinFailed, match=r"hash_seeds=False does without it(.|\n)*this module is shy"):
        load(NOT_IMPORTABLE).test()
    gc.collect()


def test_a_test_that_is_not_there_is_named() -> None:
    """The twin of a test that its module does not have says so, and ends with its `with` block."""
    with pytest.raises(TwinFailed, match="no_such_test"), Twin(__name__, __file__, "no_such_test") as twin:
        twin.trace(Plan())
    gc.collect()


def test_traces_are_compared_to_their_ends() -> None:
    """The first line that differs is shown, also where one of them has ended."""
    compare(["a", "b"], ["a", "b"], "two runs")
    with pytest.raises(NotDeterministic) as caught:
        compare(["a", " b "], ["a", "c"], "two runs")
    assert (caught.value.step, caught.value.first, caught.value.second) == (2, "b", "c")
    for one, other, first, second in [(["a"], ["a", "b"], "(its end)", "b"), (["a", "b"], ["a"], "b", "(its end)")]:
        with pytest.raises(NotDeterministic) as caught:
            compare(one, other, "two runs")
        assert (caught.value.step, caught.value.first, caught.value.second) == (2, first, second)


class Basket:
    """Has a method of a well-known name."""

    def set(self, value: int) -> int:
        return value


async def displays(ctx: OrchestrationContext, name: str) -> None:
    for each in {name, "x"}:
        ctx.set_custom_status(each)


async def comprehends(ctx: OrchestrationContext, names: list[str]) -> None:
    ctx.set_custom_status([name for name in {name.lower() for name in names}])  # noqa: C416


async def calls(ctx: OrchestrationContext, names: list[str]) -> None:
    ctx.set_custom_status(list(set(names)))


async def freezes(ctx: OrchestrationContext, names: list[str]) -> None:
    ctx.set_custom_status(list(frozenset(names)))


async def constant(ctx: OrchestrationContext, names: list[str]) -> None:
    for name in {"a", "b"}:
        ctx.set_custom_status(name)


async def hashes(ctx: OrchestrationContext, name: str) -> None:
    ctx.set_custom_status(hash(name))


async def hidden(ctx: OrchestrationContext, names: list[str]) -> None:
    def inner() -> list[str]:
        return list(set(names))

    ctx.set_custom_status(inner())


async def lists(ctx: OrchestrationContext, names: list[str]) -> None:
    ctx.set_custom_status(dict.fromkeys(names))


async def has_a_method(ctx: OrchestrationContext, names: list[str]) -> None:
    ctx.set_custom_status(Basket().set(len(names)))


@pytest.mark.parametrize("function", [displays, comprehends, calls, freezes, constant, hashes, hidden])
def test_sets_are_seen(function: Callable[..., object]) -> None:
    """Displays, comprehensions, calls, constants and `hash`, also in inner functions: worth a second process."""
    assert looks_unordered([lists, function])


@pytest.mark.parametrize("function", [lists, has_a_method, print])
def test_without_sets_there_is_no_second_process(function: Callable[..., object]) -> None:
    """Dicts have an order, and a method called `set` is no set: no price is paid for them."""
    assert not looks_unordered([function])
