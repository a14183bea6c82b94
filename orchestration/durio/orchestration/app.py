"""App: what a program consists of. An explicit object, so that two hubs in one process can run different code."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar, overload

import cattrs

from durio.entities import Payloads
from durio.orchestration.registry import Registry

F = TypeVar("F", bound=Callable[..., Any])


class App:
    """Collects orchestrations, activities and entities. Every decorator gives back what it got.

    `converter`: a cattrs converter for payloads instead of durio's own.
    """

    def __init__(self, *, converter: cattrs.Converter | None = None) -> None:
        self.registry = Registry()
        self.payloads = Payloads(converter)

    def with_activities(self, instead: Mapping[str | Callable[..., Any], Callable[..., Any]]) -> App:
        """The same program with other functions behind some activities: fakes for tests.

        The activities keep their names and types. Raises `NotRegistered` for an activity that is not there.
        """
        twin = App()
        twin.registry = self.registry.with_activities(instead)
        twin.payloads = self.payloads
        return twin

    @overload
    def orchestration(self, function: F, /) -> F: ...
    @overload
    def orchestration(self, /, *, name: str | None = None, version: str | None = None) -> Callable[[F], F]: ...
    def orchestration(
        self, function: F | None = None, /, *, name: str | None = None, version: str | None = None
    ) -> F | Callable[[F], F]:
        """Register an orchestrator: an `async def` or a generator function of the context (and of the input).

        Several versions of one name may be registered; an instance keeps the version it was started with, and the
        one registered last is the default. Raises `AlreadyRegistered`, `TypeError`.
        """

        _check_decorated(function, "orchestration")

        def register(function: F) -> F:
            self.registry.add_orchestration(function, name, version)
            return function

        return register if function is None else register(function)

    @overload
    def activity(self, function: F, /) -> F: ...
    @overload
    def activity(self, /, *, name: str | None = None, limit: int | None = None) -> Callable[[F], F]: ...
    def activity(
        self, function: F | None = None, /, *, name: str | None = None, limit: int | None = None
    ) -> F | Callable[[F], F]:
        """Register an activity: a function (run in a thread) or an `async def`, of at most one input.

        At most `limit` of it run at a time. Raises `AlreadyRegistered`, `TypeError`, `ValueError`.
        """

        _check_decorated(function, "activity")

        def register(function: F) -> F:
            self.registry.add_activity(function, name, limit)
            return function

        return register if function is None else register(function)

    @overload
    def entity(self, entity: F, /) -> F: ...
    @overload
    def entity(self, /, *, name: str | None = None, timeout_s: float | None = None) -> Callable[[F], F]: ...
    def entity(
        self, entity: F | None = None, /, *, name: str | None = None, timeout_s: float | None = None
    ) -> F | Callable[[F], F]:
        """Register an entity: an attrs class or dataclass, or a function of its `EntityContext`.

        `timeout_s` ends `async def` operations that take longer. Raises `AlreadyRegistered`, `TypeError`.
        """

        _check_decorated(entity, "entity")

        def register(entity: F) -> F:
            self.registry.entities.add(entity, name, timeout_s)
            return entity

        return register if entity is None else register(entity)


def _check_decorated(function: object, kind: str) -> None:
    if function is not None and not callable(function):
        raise TypeError(f"@app.{kind} decorates a function; to name it write @app.{kind}(name={function!r})")
