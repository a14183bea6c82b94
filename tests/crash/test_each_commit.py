"""A crash before and after every commit of every scenario, in memory."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from durio.storage.memory import When
from tests.crash.scenarios import SCENARIOS, Scenario
from tests.crash.town import build
from tests.crash.world import Crash, World

NAMES = [scenario.name for scenario in SCENARIOS]
BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}

COMMITS_MAX = 400
"""More than any scenario makes: a scenario that never gets beyond its crash is a failure, not an endless loop."""


def check(scenario: Scenario, crashes: list[Crash], *, idle: bool = False, activations_max: int = 10_000) -> int:
    world = World(build, activations_max=activations_max)
    come = world.live(scenario.script, crashes, idle=idle)
    assert world.violations == [], f"{scenario.name} with {crashes}"
    return come


@pytest.mark.parametrize("activations_max", [1, 10_000])
@pytest.mark.parametrize("name", NAMES)
def test_undisturbed(name: str, activations_max: int) -> None:
    """G7, G24: without a crash a scenario ends as its model says and every activity runs exactly once, however few
    actors stay in memory.
    """
    world = World(build, activations_max=activations_max)
    assert world.live(BY_NAME[name].script) == 0
    assert world.violations == []
    assert set(world.effects.values()) <= {1} or name in ("entities", "rewinds")


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("name", NAMES)
def test_a_crash_at_every_commit(name: str, when: When) -> None:
    """G2, G3, G5, G9, G15, G16, G23, G24: wherever the process dies, nothing acknowledged is lost or done twice."""
    for commit in range(1, COMMITS_MAX):
        crashes: list[Crash] = [(commit, when)]
        check(BY_NAME[name], crashes, idle=True)
        if check(BY_NAME[name], crashes) == 0:
            break
    else:
        pytest.fail(f"{name} makes more than {COMMITS_MAX} commits")
    assert commit > 5, "a scenario of a few commits shows nothing"


@settings(max_examples=250)
@given(
    st.sampled_from(NAMES),
    st.lists(st.tuples(st.integers(1, 30), st.sampled_from(["before", "after"])), min_size=2, max_size=4),
    st.booleans(),
    st.sampled_from([1, 10_000]),
)
def test_several_crashes(name: str, crashes: list[Crash], idle: bool, activations_max: int) -> None:
    """G2, G3, G9, G23, G24: a process that dies while it repairs what the one before left is repaired, too."""
    check(BY_NAME[name], crashes, idle=idle, activations_max=activations_max)
