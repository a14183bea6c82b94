"""The test kit finds bugs that are planted in durio itself: in commits, turns, lives, and what the code is given."""

from __future__ import annotations

from typing import Final

import pytest

from tests.simulation.planted import kernel_code, kernel_commits, kernel_lives, kernel_rewinds, kernel_turns
from tests.simulation.planted.harness import (
    EXAMPLES_HEAVY,
    EXAMPLES_MAX,
    EXAMPLES_QUICK,
    Planted,
    assert_found,
    passes,
)

PLANTED: Final[tuple[Planted, ...]] = (
    *kernel_commits.PLANTED,
    *kernel_turns.PLANTED,
    *kernel_lives.PLANTED,
    *kernel_code.PLANTED,
    *kernel_rewinds.PLANTED,
)

each_bug: Final = pytest.mark.parametrize("planted", PLANTED, ids=str)


@each_bug
def test_a_wrong_part_of_durio_is_found(planted: Planted) -> None:
    """A wrong part is found within 2,000 examples, by what a user sees, and the finding is small and comes again."""
    finding = assert_found(planted)
    assert finding.examples <= EXAMPLES_MAX
    assert finding.steps <= planted.steps_max


@each_bug
def test_durio_has_the_property(planted: Planted) -> None:
    """The property that finds a wrong part holds for durio as it is."""
    assert passes(planted, EXAMPLES_QUICK) >= EXAMPLES_QUICK


@pytest.mark.heavy
@each_bug
def test_durio_has_the_property_in_many_runs(planted: Planted) -> None:
    """The property that finds a wrong part holds for durio as it is, in 3,000 runs."""
    assert passes(planted, EXAMPLES_HEAVY) >= EXAMPLES_HEAVY


def test_there_are_enough_bugs() -> None:
    """At least twelve wrong parts of durio are planted, each under a name of its own."""
    assert len({planted.name for planted in PLANTED}) == len(PLANTED) >= 12
