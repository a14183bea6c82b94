"""An app for clients that have none: every name is taken, and the owner of the hub says whether it knows it."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable
from typing import Any

from durio.entities import EntityRegistry, check_text
from durio.orchestration.app import App
from durio.orchestration.registry import Orchestration, Registry


class _AnyEntity:
    """Stands for an entity that the client does not know."""

    def result_type(self, operation: str) -> object:
        return Any


class _AnyEntities(EntityRegistry):
    def get(self, name: str) -> Any:
        return _AnyEntity()


class _AnyRegistry(Registry):
    """Takes every name. A function says how its input and output look, and goes by the name that it has in Python."""

    def __init__(self) -> None:
        super().__init__()
        self.entities = _AnyEntities()
        self._seen: dict[str, Orchestration] = {}

    def orchestration(self, which: str | Callable[..., Any], version: str | None = None) -> Orchestration:
        if version is not None:
            check_text(version, "version")
        if isinstance(which, str):
            return Orchestration(check_text(which, "the name of an orchestration"), _unknown, None, version)
        name = check_text(getattr(which, "__name__", which), "the name of an orchestration")
        parameters = [*inspect.signature(which).parameters.values()]
        found = Orchestration(name, which, parameters[1] if len(parameters) > 1 else None, version)
        self._seen[name] = found
        return found

    def exact_orchestration(self, name: str, version: str | None) -> Orchestration | None:
        return self._seen.get(name)


class OpenApp(App):
    """The app of a client that has none of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.registry = _AnyRegistry()


def result_type_of(operation: object) -> object:
    """What a method says that it returns; `Any` if it says nothing."""
    try:
        return typing.get_type_hints(operation).get("return", Any)
    except (TypeError, NameError):
        return Any


def _unknown() -> None:
    """Stands for code that is not in this process."""
