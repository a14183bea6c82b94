"""The pytest plugin: options, marker, fixture, and simulations beside other tests."""

from __future__ import annotations

import base64
from typing import Final

import msgspec
import pytest

pytest_plugins = ["pytester"]

APP: Final = """
from functools import partial
import attrs
import hypothesis
import msgspec
import pytest
from durio.orchestration import App
from durio.simulation import call, simulate, start

simulate = partial(simulate, settings=hypothesis.settings(database=None, derandomize=True, deadline=None))
app = App()

@app.entity
@attrs.define
class Counter:
    value: int = 0

    def add(self, amount: int) -> int:
        self.value += amount
        return self.value

    def get(self) -> int:
        return self.value

@app.orchestration
async def read_then_write(ctx, _):
    found = await ctx.call_entity("@counter@k", "get")
    ctx.signal_entity("@counter@k", "add", found + 1)
"""

SIMULATED: Final = """
@simulate(call(Counter.add, 1))
def test_counts(sim):
    with open("runs", "a") as file:
        file.write("x")
    assert sim.linearizable()
"""

WRONG: Final = """
@simulate(call(Counter.add, 1), call(Counter.get))
def test_wrong(sim):
    assert [asked.value for asked in sim.results] != [0, 1], "seen"
"""


@pytest.fixture
def made(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A folder of tests of its own, with the plugin."""
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    pytester.makeini("[pytest]\naddopts = -p durio.simulation.plugin -p no:cacheprovider --strict-markers\n")
    pytester.syspathinsert()
    return pytester


def ran(made: pytest.Pytester) -> int:
    """How many runs there were."""
    path = made.path / "runs"
    number = len(path.read_text("utf-8")) if path.exists() else 0
    path.unlink(missing_ok=True)
    return number


def replay_of(printed: str) -> str:
    """The text behind `--sim-replay=` in what was printed."""
    return printed.partition("--sim-replay=")[2].split()[0]


def test_the_number_of_runs_is_given(made: pytest.Pytester) -> None:
    """`--sim-runs=N` tries N examples instead of the test's own number: fewer by day, more by night."""
    made.makepyfile(test_it=APP + SIMULATED)
    made.runpytest_inprocess("--sim-runs=7").assert_outcomes(passed=1)
    assert ran(made) == 7
    made.runpytest_inprocess("--sim-runs=130").assert_outcomes(passed=1)
    assert ran(made) == 130
    made.runpytest_inprocess().assert_outcomes(passed=1)
    assert ran(made) == 100, "Hypothesis' own default"


@pytest.mark.parametrize("number", ["0", "-3", "many", "1.5", ""])
def test_a_wrong_number_of_runs_is_refused(made: pytest.Pytester, number: str) -> None:
    """G31: before anything runs, with a text that says what to give."""
    result = made.runpytest_inprocess(f"--sim-runs={number}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*--sim-runs: '{number}' is no number of runs: give one of at least 1"])


def test_what_was_found_is_replayed(made: pytest.Pytester) -> None:
    """The line that a failure prints runs that plan and no other, and fails in the same way."""
    made.makepyfile(test_it=APP + WRONG + SIMULATED)
    found = made.runpytest_inprocess("-k", "test_wrong")
    found.assert_outcomes(failed=1, deselected=1)
    found.stdout.fnmatch_lines(
        ["*what happened (*", "*client *", "*run exactly this again:", "*pytest *--sim-replay=*"]
    )
    text = replay_of(found.stdout.str())
    printed = next(line for line in found.outlines if f"--sim-replay={text}" in line)
    again = made.runpytest_inprocess(*printed.partition("pytest ")[2].split())
    assert again.parseoutcomes()["failed"] == 1
    assert replay_of(again.stdout.str()) == text
    made.runpytest_inprocess("-k", "test_counts", f"--sim-replay={text}").assert_outcomes(passed=1, deselected=1)
    assert ran(made) == 1, "one plan is one run"


def test_a_replay_is_run_where_it_was_found_only(made: pytest.Pytester) -> None:
    """A replay through the function and one on the command line are the same."""
    made.makepyfile(test_it=APP + WRONG)
    text = replay_of(made.runpytest_inprocess().stdout.str())
    made.makepyfile(
        test_it=APP + WRONG + f"\ndef test_again():\n    with pytest.raises(AssertionError):\n"
        f"        test_wrong.replay({text!r})\n"
    )
    made.runpytest_inprocess("-k", "test_again").assert_outcomes(passed=1, deselected=1)


def test_a_wrong_replay_is_refused(made: pytest.Pytester) -> None:
    """G31: garbage, and a plan of another version: the test fails and says why."""
    made.makepyfile(test_it=APP + SIMULATED)
    other = base64.urlsafe_b64encode(msgspec.json.encode([99])).decode()
    for text, why in [("garbage", "it cannot be read"), (other, "its format is 99, this version reads 1")]:
        result = made.runpytest_inprocess(f"--sim-replay={text}")
        result.assert_outcomes(failed=1)
        result.stdout.fnmatch_lines([f"*UnusableReplay: *replays nothing: {why}*"])
    assert ran(made) == 0


def test_simulations_are_marked(made: pytest.Pytester) -> None:
    """`-m simulation` picks what `simulate` made, and what uses the marker itself; `--strict-markers` knows it."""
    made.makepyfile(
        test_it=APP + SIMULATED + "\ndef test_plain():\n    pass\n\n"
        "@pytest.mark.simulation(app)\ndef test_by_hand(sim):\n    assert sim.call(Counter.add, 2) == 2\n"
    )
    made.runpytest_inprocess("-m", "simulation", "--sim-runs=2").assert_outcomes(passed=2, deselected=1)
    made.runpytest_inprocess("-m", "not simulation").assert_outcomes(passed=1, deselected=2)
    made.runpytest_inprocess("--markers").stdout.fnmatch_lines(["@pytest.mark.simulation(app): *"])


def test_the_fixture_runs_the_app_of_the_module_or_of_the_marker(made: pytest.Pytester) -> None:
    """A hub for each test, empty, closed behind it; the marker, on a test or a class, names another app."""
    made.makepyfile(
        test_it=APP
        + """
other = App()

@other.orchestration
async def greet(ctx, name):
    return f"Hello {name}!"

@pytest.mark.parametrize("_", range(2))
def test_of_the_module(sim, _):
    assert sim.call(Counter.add, 3) == 3

@pytest.mark.simulation(other)
def test_of_the_marker(sim):
    sim.start(greet, "you")
    sim.run()
    assert sim.status("greet-0").output == "Hello you!"

@pytest.mark.simulation(other)
class TestClass:
    def test_of_the_class(self, sim):
        assert sim.start(greet, "you") == "greet-0"

@pytest.mark.simulation
def test_without_an_argument(sim):
    assert sim.call(Counter.get) == 0
"""
    )
    made.runpytest_inprocess().assert_outcomes(passed=5)


def test_the_fixture_without_an_app_says_what_to_do(made: pytest.Pytester) -> None:
    """G31: neither a marker nor an `app` in the module: the error names the test and both ways out."""
    made.makepyfile(test_it="def test_lost(sim):\n    pass\n")
    result = made.runpytest_inprocess()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ["*the fixture `sim` of test_lost knows no app: name it, @pytest.mark.simulation(app), or call it `app` in*"]
    )


def test_simulations_use_other_fixtures_and_parameters(made: pytest.Pytester) -> None:
    """A simulated test is a pytest test: fixtures, `parametrize` above and below the decorator, `skipif`, ids."""
    made.makepyfile(
        test_it=APP
        + """
@pytest.fixture
def limit(tmp_path):
    assert tmp_path.exists()
    return 100

@pytest.mark.parametrize("above", [1, 2], ids=["one", "two"])
@simulate(call(Counter.add, 1))
@pytest.mark.parametrize("below", [3])
def test_all(sim, limit, above, below):
    assert sim.state(Counter).value < limit
    assert (above, below) != (2, 3)

@pytest.mark.skipif(True, reason="not now")
@simulate(call(Counter.add, 1))
def test_skipped(sim):
    assert False

@simulate(call(Counter.add, 1))
def test_of_nothing_else(any_name):
    assert any_name.linearizable()
"""
    )
    result = made.runpytest_inprocess("--sim-runs=3", "-v")
    result.assert_outcomes(passed=2, failed=1, skipped=1)
    result.stdout.fnmatch_lines(["*::test_all?3-one? PASSED*", "*::test_all?3-two? FAILED*"])


def test_without_the_plugin_simulations_run_as_well(made: pytest.Pytester) -> None:
    """The plugin gives options only: the decorated function is an ordinary test."""
    made.makeini("[pytest]\naddopts = -p no:cacheprovider\n")
    made.makepyfile(test_it=APP + SIMULATED)
    made.runpytest_inprocess().assert_outcomes(passed=1)
    assert ran(made) == 100


def test_a_failure_shows_the_test_and_not_the_kit(made: pytest.Pytester) -> None:
    """The traceback has the user's line; the trace and the way to replay it stand below."""
    made.makepyfile(test_it=APP + WRONG)
    printed = made.runpytest_inprocess().stdout.str()
    assert "AssertionError: seen" in printed
    assert "simulate.py" not in printed.partition("short test summary")[0].partition("what happened")[0]


def test_in_another_process(made: pytest.Pytester) -> None:
    """As a user runs it: a process of its own, the plugin named in `conftest.py`."""
    made.makeini("[pytest]\naddopts = -p no:cacheprovider\n")
    made.makeconftest('pytest_plugins = ["durio.simulation.plugin"]\n')
    made.makepyfile(test_it=APP + SIMULATED + "\ndef test_by_hand(sim):\n    assert sim.call(Counter.get) == 0\n")
    made.runpytest_subprocess("--sim-runs=5").assert_outcomes(passed=2)
    assert ran(made) == 5
