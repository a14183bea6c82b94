"""What an app consists of: orchestrations by name and version, activities by name, entities by name."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping
from typing import Any

import attrs

from durio.entities import AlreadyRegistered, EntityRegistry, NotRegistered, check_text
from durio.orchestration.limits import ACTIVITY_LIMIT, THREAD_LIMIT


@attrs.define(eq=False)
class _Function:
    """A registered function. Its annotations are read at the first use, when all names exist."""

    name: str
    function: Callable[..., Any]
    parameter: inspect.Parameter | None
    hints: dict[str, Any] | None = attrs.field(default=None, init=False)

    def _hint(self, name: str) -> object:
        if self.hints is None:
            self.hints = typing.get_type_hints(self.function)
        return self.hints.get(name, Any)

    @property
    def input_type(self) -> object:
        """What the input is decoded as."""
        return Any if self.parameter is None else self._hint(self.parameter.name)

    @property
    def result_type(self) -> object:
        """What the result is decoded as."""
        return self._hint("return")

    @property
    def line(self) -> str:
        """Where the function begins."""
        code = getattr(self.function, "__code__", None)
        return "" if code is None else f"{code.co_filename}:{code.co_firstlineno} in {self.name}"

    @property
    def takes_input(self) -> bool:
        """Whether the function has a parameter for the input."""
        return self.parameter is not None

    @property
    def has_default(self) -> bool:
        """Whether it may be called without an input."""
        return self.parameter is not None and self.parameter.default is not inspect.Parameter.empty


@attrs.define(eq=False)
class Orchestration(_Function):
    """An orchestrator: an `async def` or a generator function of the context, and of the input if it wants it."""

    version: str | None = None

    @property
    def result_type(self) -> object:
        """What the output is decoded as: a generator's `Generator[..., ..., T]` means T."""
        hint = self._hint("return")
        if inspect.isgeneratorfunction(self.function):
            arguments = typing.get_args(hint)
            return arguments[2] if len(arguments) == 3 else Any
        return hint


@attrs.define(eq=False)
class Activity(_Function):
    """An activity: a function or an `async def` of its input."""

    limit: int = ACTIVITY_LIMIT
    is_async: bool = True
    stands_for: Activity | None = None
    """Of a fake: the activity whose annotations say what it takes and gives."""

    @property
    def input_type(self) -> object:
        """What the input is decoded as."""
        return super().input_type if self.stands_for is None else self.stands_for.input_type

    @property
    def result_type(self) -> object:
        """What the result is decoded as."""
        return super().result_type if self.stands_for is None else self.stands_for.result_type


class Registry:
    """All behaviours of an app; an explicit object, so that two apps in one process do not meet."""

    def __init__(self) -> None:
        self.entities = EntityRegistry()
        self._orchestrations: dict[str, dict[str | None, Orchestration]] = {}
        self._activities: dict[str, Activity] = {}
        self._names: dict[Callable[..., Any], Orchestration | Activity] = {}

    def add_orchestration(self, function: Callable[..., Any], name: str | None, version: str | None) -> None:
        """Register an orchestrator. Raises `AlreadyRegistered`, and `TypeError` for what can be none."""
        name = check_text(name or function.__name__, "the name of an orchestration")
        if version is not None:
            check_text(version, "version")
        if not (inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function)):
            raise TypeError(f"orchestration {name!r} must be an async def or a generator function")
        parameters = _parameters(function)
        if not 1 <= len(parameters) <= 2:
            raise TypeError(
                f"orchestration {name!r} takes the context and at most one input, not {len(parameters)} arguments"
            )
        versions = self._orchestrations.setdefault(name, {})
        if version in versions:
            raise AlreadyRegistered("orchestration", name if version is None else f"{name} version {version}")
        found = Orchestration(name, function, parameters[1] if len(parameters) == 2 else None, version)
        versions[version] = found
        self._names[function] = found

    def add_activity(self, function: Callable[..., Any], name: str | None, limit: int | None) -> None:
        """Register an activity; at most `limit` of it run at a time. Raises `AlreadyRegistered`, `TypeError`."""
        name = check_text(name or function.__name__, "the name of an activity")
        _check_activity(function, name)
        parameters = _parameters(function)
        if len(parameters) > 1:
            raise TypeError(
                f"activity {name!r} takes at most one input, not {len(parameters)}; put several values into one"
            )
        if limit is not None and limit < 1:
            raise ValueError(f"limit={limit} of activity {name!r} must be at least 1")
        if name in self._activities:
            raise AlreadyRegistered("activity", name)
        is_async = inspect.iscoroutinefunction(function)
        usual = ACTIVITY_LIMIT if is_async else THREAD_LIMIT
        found = Activity(name, function, parameters[0] if parameters else None, limit or usual, is_async)
        self._activities[name] = found
        self._names[function] = found

    def orchestration(self, which: str | Callable[..., Any], version: str | None = None) -> Orchestration:
        """By function, or by name and version (the one registered last if none is given). Raises `NotRegistered`."""
        if not isinstance(which, str):
            found = self._by_function(which)
            if isinstance(found, Orchestration) and version in (None, found.version):
                return found
            which = found.name if isinstance(found, Orchestration) else _shown(which)
        versions = self._orchestrations.get(which, {})
        if version is None and versions:
            return list(versions.values())[-1]
        if version in versions:
            return versions[version]
        raise self.missing_orchestration(which, version)

    def missing_orchestration(self, name: str, version: str | None) -> NotRegistered:
        """The error that says what is there instead."""
        shown = name if version is None else f"{name} version {version}"
        known = [n if v is None else f"{n} version {v}" for n, vs in self._orchestrations.items() for v in vs]
        return NotRegistered("orchestration", shown, tuple(known))

    @property
    def orchestrations(self) -> tuple[Orchestration, ...]:
        """All of them, every version."""
        return tuple(found for versions in self._orchestrations.values() for found in versions.values())

    @property
    def activities(self) -> tuple[Activity, ...]:
        """All of them, in the order in which they were registered."""
        return tuple(self._activities.values())

    def with_activities(self, instead: Mapping[str | Callable[..., Any], Callable[..., Any]]) -> Registry:
        """The same behaviours, but with other functions behind some activities, which keep their names and types.

        Raises `NotRegistered` for an activity that is not there, `TypeError` for what can be none.
        """
        twin = Registry()
        twin.entities = self.entities.copy()
        twin._orchestrations = {name: dict(versions) for name, versions in self._orchestrations.items()}
        twin._activities, twin._names = dict(self._activities), dict(self._names)
        for which, function in instead.items():
            found = self.activity(which)
            origin = found.stands_for or found
            parameter = origin.parameter if _takes_input(function, origin) else None
            is_async = inspect.iscoroutinefunction(function)
            twin._activities[found.name] = Activity(
                found.name, function, parameter, found.limit, is_async, stands_for=origin
            )
        return twin

    def exact_orchestration(self, name: str, version: str | None) -> Orchestration | None:
        """The code of a stored instance; None if it is not there."""
        return self._orchestrations.get(name, {}).get(version)

    def activity(self, which: str | Callable[..., Any]) -> Activity:
        """By function or by name. Raises `NotRegistered`."""
        if not isinstance(which, str):
            by_function = self._by_function(which)
            if isinstance(by_function, Activity):
                return by_function
            which = _shown(which)
        found = self._activities.get(which)
        if found is None:
            raise NotRegistered("activity", which, tuple(self._activities))
        return found

    def _by_function(self, function: Callable[..., Any]) -> Orchestration | Activity | None:
        try:
            return self._names.get(function)
        except TypeError:  # not hashable
            return None


def _shown(function: object) -> str:
    return getattr(function, "__name__", None) or repr(function)


def _check_activity(function: Callable[..., Any], name: str) -> None:
    if not callable(function) or inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError(f"activity {name!r} must be a function or an async def, not a generator")


def _takes_input(function: Callable[..., Any], activity: Activity) -> bool:
    """Whether what stands in for an activity wants its input; one that takes it or none can stand in."""
    _check_activity(function, activity.name)
    try:
        signature = inspect.signature(function)
    except (ValueError, TypeError):  # TypeError: an AsyncMock, before Python 3.11.3
        return activity.takes_input  # Python cannot tell; the call will
    for given in ((object(),), ()) if activity.takes_input else ((),):
        try:
            signature.bind(*given)
        except TypeError:
            continue
        return bool(given)
    raise TypeError(f"{function!r} cannot stand in for activity {activity.name!r}: it takes at most one input")


def _parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    parameters = inspect.signature(function).parameters.values()
    return [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
