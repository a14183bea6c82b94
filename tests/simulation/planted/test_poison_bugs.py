"""The test kit finds bugs that are planted in what becomes of code that ends its process (G6)."""

from __future__ import annotations

from typing import Final

import pytest

from tests.simulation.planted import kernel_poison
from tests.simulation.planted.harness import EXAMPLES_HEAVY, Planted, find, passes

EXAMPLES_QUICK: Final = 25
"""A run in which a process dies again and again is long."""

FOUND_WITHIN: Final = 200

each_bug: Final = pytest.mark.parametrize("planted", kernel_poison.PLANTED, ids=str)


@each_bug
def test_wrong_parking_is_found(planted: Planted) -> None:
    """G6: a wrong part is found within 200 examples, by what a user sees; one that never ends is cut off."""
    finding = find(planted, FOUND_WITHIN)
    assert finding.examples <= FOUND_WITHIN
    assert finding.steps <= kernel_poison.STEPS_MAX


@each_bug
def test_parking_has_the_property(planted: Planted) -> None:
    """G6: the property that finds a wrong part holds for durio as it is."""
    assert passes(planted, EXAMPLES_QUICK) >= EXAMPLES_QUICK


@pytest.mark.heavy
@each_bug
def test_parking_has_the_property_in_many_runs(planted: Planted) -> None:
    """G6: the property that finds a wrong part holds for durio as it is, in 3,000 runs."""
    assert passes(planted, EXAMPLES_HEAVY) >= EXAMPLES_HEAVY
