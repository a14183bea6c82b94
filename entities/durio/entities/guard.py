"""Runs user code of a turn so that nothing of it can touch the hub's Trio task.

Looking at what user code yields is too late: by then a nursery has spawned, a cancel scope sits on the hub's own
task. So during every start, send, throw and close the guard stands where Trio keeps its current task and runner.
"""

from __future__ import annotations

import contextvars
import sys
from collections.abc import AsyncGenerator, Callable
from types import CoroutineType, FrameType, GeneratorType
from typing import Any, Final, NoReturn, TypeVar

import trio

# Private to Trio, and the only way: it is used in this file alone, and a test pins it.
from trio._core._run import GLOBAL_RUN_CONTEXT

from durio.entities.errors import NotDurable

T = TypeVar("T")

INSTEAD: Final = (
    "Trio cannot be used inside an orchestrator or a synchronous entity operation; "
    "use ctx.create_timer, an activity or an async def operation"
)

_NOT_THE_USERS: Final = frozenset({"trio", "outcome", "durio", "attr", "attrs"}) | (
    sys.stdlib_module_names - {"__main__"}
)


class _NoCoroutine:
    """What Trio's SIGINT handler finds for the coroutine of the barrier: no frame."""

    cr_frame = None


class _Barrier:
    """Stands in for Trio's task and runner: every use of it is the offence of the code that made it.

    Except by Trio's SIGINT handler, which looks at two attributes to learn whether Ctrl-C may be raised here.
    """

    __slots__ = ("_guard",)

    _ki_protected = False
    coro = _NoCoroutine()

    def __init__(self, guard: Guard) -> None:
        object.__setattr__(self, "_guard", guard)

    def _refuse(self, *_: object) -> NoReturn:
        guard: Guard = object.__getattribute__(self, "_guard")
        raise guard.refuse(NotDurable("Trio was used in a turn", INSTEAD, caller_line()))

    __getattr__ = __setattr__ = __hash__ = __eq__ = _refuse


class Guard:
    """Guarantees (G21): user code sees no Trio task and no runner; it runs in this guard's own `contextvars` context;
    the first offence is remembered, so swallowing the error does not hide it.

    While nothing runs behind it, nothing that it holds refers back to it: it leaves memory with its last reference,
    not when Python's garbage collector comes by. There is one for each instance, so that collector would be busy.
    """

    __slots__ = ("_context", "_generators", "offence")

    def __init__(self) -> None:
        self.offence: NotDurable | None = None
        self._context = contextvars.Context()
        self._generators: list[AsyncGenerator[Any, Any]] | None = None

    def refuse(self, error: NotDurable) -> NotDurable:
        """Remember `error` as the offence (the first one counts) and give it back to be raised."""
        if self.offence is None:
            self.offence = error
        return error

    @trio.lowlevel.enable_ki_protection
    def run(self, call: Callable[..., T], *args: Any) -> T:
        """Call user code behind the barrier. Ctrl-C is raised in that code, not while the barrier moves."""
        run = GLOBAL_RUN_CONTEXT.__dict__
        hidden = run.copy()
        hooks = sys.get_asyncgen_hooks()
        run["task"] = run["runner"] = _Barrier(self)
        # Trio would clean up asynchronous generators of this code later, outside of any turn.
        sys.set_asyncgen_hooks(self._keep, None)
        try:
            return self._context.run(_users, self, call, *args)
        finally:
            sys.set_asyncgen_hooks(*hooks)
            run.clear()
            run.update(hidden)

    def forget_generators(self) -> None:
        """Let go of asynchronous generators that were left early: Python closes them, behind the barrier."""
        if self._generators:
            self.run(self._generators.clear)

    def _keep(self, generator: AsyncGenerator[Any, Any]) -> None:
        if self._generators is None:
            self._generators = []
        self._generators.append(generator)


@trio.lowlevel.disable_ki_protection
def _users(guard: Guard, call: Callable[..., T], *args: Any) -> T:
    token = CURRENT_GUARD.set(guard)
    try:
        return call(*args)
    finally:
        CURRENT_GUARD.reset(token)


CURRENT_GUARD: Final[contextvars.ContextVar[Guard | None]] = contextvars.ContextVar("durio_guard", default=None)
"""The guard whose user code is running, if any: how durio's own clients know that they are inside a turn."""


def caller_line() -> str:
    """`file:line in function` of the innermost frame of user code; empty when no user code is running."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code is not Guard.run.__code__:
        if _is_users(frame):
            return f"{frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_name}"
        frame = frame.f_back
    return ""


def suspended_line(code: CoroutineType[Any, Any, Any] | GeneratorType[Any, Any, Any]) -> str:
    """`file:line in function` where a suspended coroutine or generator waits, in the user's innermost frame."""
    here = ""
    inner: Any = code
    for _ in range(1000):
        frame = getattr(inner, "cr_frame", None) or getattr(inner, "gi_frame", None)
        if frame is None or not _is_users(frame):
            break
        here = f"{frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_name}"
        inner = getattr(inner, "cr_await", None) or getattr(inner, "gi_yieldfrom", None)
        if inner is None:
            break
    return here


def _is_users(frame: FrameType) -> bool:
    name: str = frame.f_globals.get("__name__", "")
    return name.partition(".")[0] not in _NOT_THE_USERS
