"""Bugs that users make are found in time, in few steps, and correct programs pass the same properties.

`python -m tests.simulation.planted.report` shows how fast each is found.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.simulation.planted import user_activities, user_chance, user_money, user_rewinding, user_waiting
from tests.simulation.planted.harness import (
    EXAMPLES_HEAVY,
    EXAMPLES_MAX,
    EXAMPLES_QUICK,
    Planted,
    assert_found,
    passes,
)

BUGS = (
    *user_money.PLANTED,
    *user_activities.PLANTED,
    *user_chance.PLANTED,
    *user_waiting.PLANTED,
    *user_rewinding.PLANTED,
)

each_bug = pytest.mark.parametrize("planted", BUGS, ids=str)


def test_there_are_enough_bugs() -> None:
    """There are at least twelve bugs in user code, each with a name of its own."""
    assert len({planted.name for planted in BUGS}) == len(BUGS) >= 12


@each_bug
def test_a_bug_is_found(planted: Planted, record_property: Callable[[str, object], None]) -> None:
    """The wrong program fails within 2,000 examples; the failure shrinks to few steps and can be replayed."""
    finding = assert_found(planted)
    assert finding.examples <= EXAMPLES_MAX
    record_property("examples", finding.examples)
    record_property("seconds", finding.found_s)
    record_property("steps", finding.steps)


@each_bug
def test_the_correct_twin_passes(planted: Planted) -> None:
    """The correct program has the property that the wrong one lacks."""
    assert passes(planted, EXAMPLES_QUICK) >= EXAMPLES_QUICK


@pytest.mark.heavy
@each_bug
def test_the_correct_twin_passes_3_000_examples(planted: Planted) -> None:
    """The same with 3,000 examples."""
    assert passes(planted, EXAMPLES_HEAVY) >= EXAMPLES_HEAVY
