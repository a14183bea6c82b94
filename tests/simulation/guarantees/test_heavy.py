"""The guarantees once more, with as many runs as one likes: `scripts/heavy tests/simulation --sim-runs=N`."""

from __future__ import annotations

from types import ModuleType
from typing import Final

import attrs
import hypothesis
import pytest

from durio.simulation.simulate import Simulated, SimulatedTest
from tests.simulation.guarantees import test_actors as actors
from tests.simulation.guarantees import test_clients as clients
from tests.simulation.guarantees import test_lock_guarantees as locks
from tests.simulation.guarantees import test_orchestrations as orchestrations
from tests.simulation.guarantees import test_time_and_names as time_and_names

EXAMPLES: Final = 2_000
"""Of each property, unless `--sim-runs` says otherwise."""

MODULES: Final[tuple[ModuleType, ...]] = (actors, clients, locks, orchestrations, time_and_names)


def properties() -> list[SimulatedTest]:
    """All properties of this folder."""
    return [found for module in MODULES for found in vars(module).values() if hasattr(found, "simulated")]


@pytest.mark.heavy
@pytest.mark.parametrize("found", properties(), ids=lambda found: found.simulated.test.__name__)
def test_each_guarantee_for_long(found: SimulatedTest) -> None:
    """Every property of a guarantee holds in many more runs, and in other ones each time."""
    settings = hypothesis.settings(
        found.simulated.setup.settings, max_examples=EXAMPLES, derandomize=False, database=None
    )
    Simulated(attrs.evolve(found.simulated.setup, settings=settings), found.simulated.test).run({})
