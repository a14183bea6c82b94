"""The test kit finds bugs that are planted in durio's locks (G12), and durio as it is has none of them."""

from __future__ import annotations

from typing import Final

import pytest

from tests.simulation.planted.harness import EXAMPLES_HEAVY, EXAMPLES_MAX, Planted, assert_found, passes
from tests.simulation.planted.kernel_locks import PLANTED

EXAMPLES_SHORT: Final = 25
"""So many runs in every run of the tests: each has two owners and their locks."""

each_bug: Final = pytest.mark.parametrize("planted", PLANTED, ids=str)


@each_bug
def test_a_wrong_lock_is_found(planted: Planted) -> None:
    """G12: a lock that leaks, is lost, ignored or taken in another order is found within 2,000 examples, and shrunk."""
    assert assert_found(planted).examples <= EXAMPLES_MAX


@each_bug
def test_durio_has_the_property(planted: Planted) -> None:
    """G12: the property that finds a wrong lock holds for durio as it is."""
    assert passes(planted, EXAMPLES_SHORT) >= EXAMPLES_SHORT


@pytest.mark.heavy
@each_bug
def test_durio_has_the_property_in_many_runs(planted: Planted) -> None:
    """G12: the same in 3,000 runs."""
    assert passes(planted, EXAMPLES_HEAVY) >= EXAMPLES_HEAVY


def test_there_are_enough_bugs() -> None:
    """At least ten wrong locks are planted, each under a name of its own."""
    assert len({planted.name for planted in PLANTED}) == len(PLANTED) >= 10
