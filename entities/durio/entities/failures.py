"""What went wrong in user code, as data: it is stored in histories and rebuilt in other processes."""

from __future__ import annotations

import builtins
import traceback

import msgspec

from durio.entities.groups import single


class Failure(msgspec.Struct, array_like=True, frozen=True):
    """An exception as data. `type` is the qualified class name; `inner` is its `__cause__`."""

    type: str
    message: str
    stack: str = ""
    non_retriable: bool = False
    inner: Failure | None = None
    properties: dict[str, str | int | float | bool | list[str] | None] = {}

    def __repr__(self) -> str:
        return f"Failure({self.type}: {self.message})"  # a stack inside a line helps nobody

    @staticmethod
    def of(error: BaseException, *, depth: int = 8) -> Failure:
        """Describe `error`, its stack and its causes (at most `depth` of them)."""
        error = single(error)  # Trio's nurseries put even one error into a group
        cause = error.__cause__
        return Failure(
            type=type_name(error.__class__),
            message=_text(error),
            stack=_stack(error),
            non_retriable=_non_retriable(error),
            inner=Failure.of(cause, depth=depth - 1) if cause is not None and depth > 0 else None,
        )

    def is_caused_by(self, error: builtins.type[BaseException] | str) -> bool:
        """Whether this failure or one of its causes is of that class (by exact class name, or its last part)."""
        name = error if isinstance(error, str) else type_name(error)
        failure: Failure | None = self
        while failure is not None:
            if name in (failure.type, failure.type.rpartition(".")[2]):
                return True
            failure = failure.inner
        return False


def type_name(error: type[BaseException]) -> str:
    """The name of an exception class: plain for builtins, `module.Class` for all others."""
    return error.__qualname__ if error.__module__ == "builtins" else f"{error.__module__}.{error.__qualname__}"


def _text(error: BaseException) -> str:
    """`str(error)`, made storable: user code may raise from `__str__` or use lone surrogates."""
    try:
        if isinstance(error, BaseExceptionGroup):
            inside = "; ".join(f"{type_name(inner.__class__)}: {_text(inner)}" for inner in error.exceptions)
            return storable(f"{error} - {inside}")
        return storable(str(error))
    except Exception as broken:
        return f"<{type(error).__name__} whose text raised {type(broken).__name__}>"


def _stack(error: BaseException) -> str:
    try:
        lines = traceback.format_exception(error.__class__, error, error.__traceback__, chain=False)
    except Exception:  # the error itself is asked for its text
        lines = traceback.format_tb(error.__traceback__)
    return storable("".join(lines))


def _non_retriable(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return any(_non_retriable(inner) for inner in error.exceptions)
    try:
        return bool(getattr(error, "non_retriable", False))
    except Exception:
        return False


def storable(text: str) -> str:
    """`text` with lone surrogates written out, so that UTF-8 can store it."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def refusal_of(error: Exception) -> Failure:
    """`error` as data, with its facts (the arguments it was made of)."""
    facts: dict[str, str | int | float | bool | list[str] | None] = {}
    for number, fact in enumerate(error.args):
        if isinstance(fact, tuple):
            facts[str(number)] = [storable(str(part)) for part in fact]
        else:
            facts[str(number)] = fact if isinstance(fact, int | float | bool | None) else storable(str(fact))
    return Failure(type=type_name(type(error)), message=storable(str(error)), non_retriable=True, properties=facts)
