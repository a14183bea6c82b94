"""The code under test, ready to be run many times."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from durio.orchestration import App
from durio.simulation.process import Parts
from durio.simulation.recording import Effects, recorded

STEPS_MAX: Final = 2_000
"""After so many steps a run is cut off: it may be one that never ends, like an eternal orchestration."""

NO_FAKES: Final[Mapping[str | Callable[..., Any], Callable[..., Any]]] = MappingProxyType({})


class Subject:
    """The code under test, ready to be run many times."""

    def __init__(
        self,
        app: App,
        *,
        activities: Mapping[str | Callable[..., Any], Callable[..., Any]] = NO_FAKES,
        world: Callable[[], object] | None = None,
        parts: Parts | None = None,
        steps_max: int = STEPS_MAX,
    ) -> None:
        self.effects = Effects(world)
        self.app = recorded(app, activities, self.effects)
        self.parts = Parts() if parts is None else parts
        self.steps_max = steps_max
