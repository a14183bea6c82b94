"""Entity behaviours: the user's functions and classes by name."""

from __future__ import annotations

import dataclasses
import inspect
import typing
from collections.abc import Callable
from types import FunctionType, MethodType
from typing import Any

import attrs

from durio.entities.address import check_text
from durio.entities.context import EntityContext
from durio.entities.errors import AlreadyRegistered, NotRegistered, UnknownOperation
from durio.entities.payloads import Payloads

IMPLICIT_DELETE = "delete"


class FunctionBehaviour:
    """An entity that is one function of its context."""

    def __init__(self, name: str, function: Callable[[EntityContext], Any], timeout_s: float | None) -> None:
        self.name = name
        self.timeout_s = timeout_s
        self._function = function
        self._is_async = inspect.iscoroutinefunction(function)

    def is_async(self, operation: str) -> bool:
        """Whether the operation may do I/O and so is a turn of its own (G10)."""
        return self._is_async

    def has(self, what: object) -> bool:
        """Whether `what` is the function."""
        return what is self._function

    def result_type(self, operation: str) -> object:
        """What a caller decodes the result as."""
        return Any

    def bind(self, context: EntityContext, payloads: Payloads) -> tuple[Any, Callable[[], Any]]:
        """The object whose fields are the state (none here) and the call to make."""
        return None, lambda: self._function(context)

    def finish(self, context: EntityContext, payloads: Payloads, state: Any, value: object) -> None:
        """Take what the call returned: the result, unless `set_result` gave one."""
        if context.result is None and value is not None:
            context.set_result(value)


@attrs.define(eq=False)
class _Operation:
    """A public method of an entity class; its annotations are read at the first use, when all names exist."""

    function: FunctionType
    is_async: bool
    parameter: inspect.Parameter | None
    hints: dict[str, Any] | None = None

    def hint(self, name: str) -> object:
        if self.hints is None:
            self.hints = typing.get_type_hints(self.function)
        return self.hints.get(name, Any)


class ClassBehaviour:
    """An entity that is an attrs class or dataclass: fields are the state, public methods are the operations.

    Guarantee: every operation gets a fresh object decoded from the stored state, so an entity behaves the same
    whether it was in memory or not.
    """

    def __init__(self, name: str, cls: type[Any], timeout_s: float | None) -> None:
        if not (attrs.has(cls) or dataclasses.is_dataclass(cls)):
            raise TypeError(f"entity class {cls.__qualname__} must be an attrs class or a dataclass")
        missing = _fields_without_default(cls)
        if missing:
            raise TypeError(
                f"entity class {cls.__qualname__} has fields without a default: {', '.join(missing)}; "
                "an entity begins with the defaults"
            )
        self.name = name
        self.timeout_s = timeout_s
        self._cls = cls
        self._operations = {n: _operation(cls, n, f) for n, f in _public_methods(cls)}

    def is_async(self, operation: str) -> bool:
        """Whether the operation may do I/O and so is a turn of its own (G10)."""
        found = self._operations.get(operation)
        return found is not None and found.is_async

    def has(self, what: object) -> bool:
        """Whether `what` is the class, or one of its operations."""
        return what is self._cls or any(what is found.function for found in self._operations.values())

    def result_type(self, operation: str) -> object:
        """What a caller decodes the result as."""
        found = self._operations.get(operation)
        return Any if found is None else found.hint("return")

    def bind(self, context: EntityContext, payloads: Payloads) -> tuple[Any, Callable[[], Any]]:
        """A fresh object with the state, and the call to make."""
        found = self._operations.get(context.operation_name)
        if found is None:
            if context.operation_name == IMPLICIT_DELETE:
                return None, context.destruct_on_exit
            known = (*self._operations, IMPLICIT_DELETE)
            raise UnknownOperation(self.name, context.operation_name, known)
        if context.state is None:
            state = self._cls()
        else:
            state = payloads.decode(context.state, self._cls, f"state of {context.entity_id}")
        method = MethodType(found.function, state)
        if found.parameter is None:
            if context.has_input:
                raise TypeError(f"operation {context.operation_name!r} of {self.name!r} takes no input")
            return state, method
        if not context.has_input and found.parameter.default is not inspect.Parameter.empty:
            return state, method
        value = context.decode_input(found.hint(found.parameter.name), b"null")
        return state, lambda: method(value)

    def finish(self, context: EntityContext, payloads: Payloads, state: Any, value: object) -> None:
        """Take what the method returned as the result, and the object as the new state."""
        if value is not None and context.result is None:
            context.set_result(value)
        if state is not None and not context.state_set:
            before = context.state
            context.set_state(state)
            if context.state is not None and context.state != before:  # what cannot be read back is no state
                payloads.decode(context.state, self._cls, f"new state of {context.entity_id}")


Behaviour = FunctionBehaviour | ClassBehaviour


class EntityRegistry:
    """The entities of an app by name."""

    def __init__(self) -> None:
        self._behaviours: dict[str, Behaviour] = {}

    def add(self, entity: Callable[..., Any] | type[Any], name: str | None, timeout_s: float | None) -> None:
        """Register a function or a class. Raises `AlreadyRegistered`, and `TypeError`, `ValueError` for no entity."""
        if timeout_s is not None and not timeout_s > 0:
            raise ValueError(f"timeout_s={timeout_s!r} must be greater than 0")
        shown = name or entity.__name__
        key = check_text(shown, "the name of an entity").lower()
        if not key or "@" in key:
            raise ValueError(f"an entity cannot be named {shown!r}")
        if key in self._behaviours:
            raise AlreadyRegistered("entity", shown)
        if inspect.isgeneratorfunction(entity) or inspect.isasyncgenfunction(entity):
            raise TypeError(f"entity {shown!r} must be a class, a function or an async def, not a generator")
        if inspect.isclass(entity):
            self._behaviours[key] = ClassBehaviour(key, entity, timeout_s)
        else:
            self._behaviours[key] = FunctionBehaviour(key, entity, timeout_s)

    def copy(self) -> EntityRegistry:
        """Another registry with the same entities."""
        twin = EntityRegistry()
        twin._behaviours = dict(self._behaviours)
        return twin

    def find(self, name: str) -> Behaviour | None:
        """The behaviour of a lower-cased name."""
        return self._behaviours.get(name)

    def name_of(self, what: object) -> str | None:
        """The name of the entity that is this class or function, or that has this operation; None if none is."""
        for name, behaviour in self._behaviours.items():
            if behaviour.has(what):
                return name
        return None

    def get(self, name: str) -> Behaviour:
        """The behaviour of a lower-cased name. Raises `NotRegistered`."""
        behaviour = self._behaviours.get(name)
        if behaviour is None:
            raise NotRegistered("entity", name, tuple(self._behaviours))
        return behaviour


def _fields_without_default(cls: type[Any]) -> list[str]:
    if attrs.has(cls):
        return [field.name for field in attrs.fields(cls) if field.init and field.default is attrs.NOTHING]
    none = dataclasses.MISSING
    fields = dataclasses.fields(cls)
    return [f.name for f in fields if f.init and f.default is none and f.default_factory is none]


def _public_methods(cls: type[Any]) -> list[tuple[str, FunctionType]]:
    found: list[tuple[str, FunctionType]] = []
    for name in dir(cls):
        method = inspect.getattr_static(cls, name)
        if not name.startswith("_") and isinstance(method, FunctionType):
            found.append((name, method))
    return found


def _operation(cls: type[Any], name: str, function: FunctionType) -> _Operation:
    parameters = list(inspect.signature(function).parameters.values())[1:]
    if len(parameters) > 1 or any(p.kind in (p.VAR_KEYWORD, p.KEYWORD_ONLY) for p in parameters):
        raise TypeError(
            f"operation {name!r} of entity class {cls.__qualname__} takes {len(parameters)} inputs; "
            "an operation takes none or one (put several values into an attrs class)"
        )
    return _Operation(function, inspect.iscoroutinefunction(function), parameters[0] if parameters else None)
