"""Drives the user's code: coroutines and generators alike, always behind the guard (G21, G25)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from types import CoroutineType, GeneratorType
from typing import Any, Final

import attrs

from durio.entities import Guard, NotDurable, suspended_line
from durio.orchestration.tasks import Task

logger = logging.getLogger("durio.orchestration")

CLOSES_MAX: Final = 100
INSTEAD: Final = (
    "an orchestrator awaits durable tasks only: use ctx.create_timer, an activity, or ctx.wait_for_external_event"
)


class ContinueAsNewSignal(BaseException):
    """Unwinds the user's code after `continue_as_new`; `except Exception` does not see it."""


@attrs.frozen
class Waits:
    """The code waits for a task."""

    task: Task[Any]


@attrs.frozen
class Returned:
    """The code returned."""

    value: Any


@attrs.frozen
class Raised:
    """The code raised, or did what it must not do."""

    error: BaseException


Step = Waits | Returned | Raised


class Driver:
    """One run of an orchestrator's code.

    Guarantees: every start, send, throw and close runs behind the guard, in the activation's own context; an offence
    is an error even when the code swallows it; anything awaited that is no task of this execution is an offence.
    """

    def __init__(self, guard: Guard, name: str) -> None:
        self._guard = guard
        self._name = name
        self._code: CoroutineType[Any, Any, Any] | GeneratorType[Any, Any, Any] | None = None

    def start(self, make: Callable[[], Any]) -> Step:
        """Call the orchestrator and run it to its first await."""
        try:
            code = self._guard.run(make)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            return Raised(self._guard.offence or error)
        if not isinstance(code, CoroutineType | GeneratorType):
            return Returned(code)
        self._code = code
        return self._step(code.send, None)

    def send(self, value: object) -> Step:
        """Go on with the result of the awaited task."""
        assert self._code is not None, "started"
        return self._step(self._code.send, value)

    def throw(self, error: BaseException) -> Step:
        """Go on with the error of the awaited task."""
        assert self._code is not None, "started"
        return self._step(self._code.throw, error)

    def where(self) -> str:
        """The user's line that waits."""
        return "" if self._code is None else suspended_line(self._code)

    def close(self) -> None:
        """Let the code clean up: Python runs its `finally` blocks; what they ask for is ignored by then (G25)."""
        code, self._code = self._code, None
        if code is not None:
            self._close(code)
        self._guard.forget_generators()

    def _close(self, code: CoroutineType[Any, Any, Any] | GeneratorType[Any, Any, Any]) -> None:
        for _ in range(CLOSES_MAX):
            try:
                self._guard.run(code.close)
            except KeyboardInterrupt:
                raise
            except RuntimeError as error:
                if "ignored GeneratorExit" not in str(error):
                    logger.warning("cleanup code of %r raised", self._name, exc_info=error)
                    return
            except BaseException as error:
                logger.warning("cleanup code of %r raised", self._name, exc_info=error)
                return
            else:
                return
        logger.error("orchestrator %r cannot be closed: it swallows GeneratorExit in a loop", self._name)

    def _step(self, resume: Callable[..., Any], argument: object) -> Step:
        guard = self._guard
        try:
            awaited = guard.run(resume, argument)
        except StopIteration as stop:
            step: Step = Returned(stop.value)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            step = Raised(error)
        else:
            if isinstance(awaited, Task) and awaited.owner.guard is guard:
                step = Waits(awaited)
            else:
                shown = "a task of another execution" if isinstance(awaited, Task) else repr(awaited)
                step = Raised(guard.refuse(NotDurable(f"{shown} was awaited", INSTEAD, self.where())))
        if guard.offence is not None:
            return Raised(guard.offence)
        return step
