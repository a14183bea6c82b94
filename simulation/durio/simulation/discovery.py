"""Which app the code under test belongs to, when the test does not say it."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from durio.orchestration import App
from durio.simulation.asking import Ask, knows, named
from durio.simulation.errors import NoApp


def app_for(asks: Sequence[Ask], namespace: Mapping[str, Any]) -> App:
    """The one app among the names of a module that has all the code that is asked for.

    A module without any app gets one made of the classes and orchestrators themselves. Raises `NoApp`.
    """
    apps = {id(value): value for value in namespace.values() if isinstance(value, App)}
    fitting = [app for app in apps.values() if all(knows(app, ask) for ask in asks)]
    if len(fitting) == 1:
        return fitting[0]
    made = None if apps else _made_of(asks)
    if made is None:
        raise NoApp(named(asks), len(fitting))
    return made


def _made_of(asks: Sequence[Ask]) -> App | None:
    app = App()
    for ask in asks:
        if ask.kind not in ("call", "signal", "start") or knows(app, ask):
            continue
        if ask.kind == "start" and not isinstance(ask.what, str):
            app.orchestration(ask.what)
            continue
        found = ask.entity if ask.entity is not None else _class_of(ask.what)
        if found is None or isinstance(found, str):
            return None
        app.entity(found)
    return app


def _class_of(operation: object) -> type | None:
    """The class whose method a function is, by its name."""
    name: str = getattr(operation, "__qualname__", "")
    namespace: Mapping[str, Any] = getattr(operation, "__globals__", {})
    found = namespace.get(name.rpartition(".")[0])
    return found if inspect.isclass(found) else None
