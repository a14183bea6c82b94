"""HubDirectory: what turns may know of the hub they run in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from durio.entities import Env
from durio.orchestration.registry import Registry


class HubDirectory:
    """What contexts of entities may know of the hub."""

    def __init__(self, registry: Registry, env: Env) -> None:
        self._registry = registry
        self._env = env

    def entity_name(self, name: str) -> str:
        self._registry.entities.get(name)
        return name

    def orchestration_name(
        self, orchestration: str | Callable[..., Any], version: str | None
    ) -> tuple[str, str | None]:
        found = self._registry.orchestration(orchestration, version)
        return found.name, found.version

    def new_id(self) -> str:
        return self._env.new_id()
