"""Counts what activities did: the effects that remain in the world whatever becomes of the process."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from durio.orchestration import App


class ProcessDied(BaseException):
    """The process that wanted to run an activity is dead. Nothing of the activity happens."""


class Effects:
    """Every run of an activity, with its input, in order."""

    def __init__(self) -> None:
        self.happened: list[tuple[str, Any]] = []
        self._alive: Callable[[], bool] = lambda: True
        self._note: Callable[[str], None] = lambda text: None

    def begin_run(self, note: Callable[[str], None], alive: Callable[[], bool]) -> None:
        """Another run begins: nothing has happened yet. `alive` says whether there is a process."""
        self.happened = []
        self._note, self._alive = note, alive

    def begin(self, name: str, inputs: tuple[Any, ...]) -> None:
        """An activity runs. Raises `ProcessDied` in a process that is being killed."""
        if not self._alive():
            raise ProcessDied
        self.happened.append((name, copy.deepcopy(inputs[0]) if inputs else None))  # the activity may change it
        self._note(f"{name}({', '.join(map(repr, inputs))}) runs")


def recorded(app: App, fakes: Mapping[str | Callable[..., Any], Callable[..., Any]], effects: Effects) -> App:
    """The app with activities that say when they run; with fakes instead of some."""
    faked = app.with_activities(fakes)
    return faked.with_activities(
        {found.name: _recording(found.name, found.function, effects) for found in faked.registry.activities}
    )


def _recording(name: str, function: Callable[..., Any], effects: Effects) -> Callable[..., Any]:
    if inspect.iscoroutinefunction(function):

        async def run_async(*inputs: Any) -> Any:
            effects.begin(name, inputs)
            return await function(*inputs)

        return run_async

    def run(*inputs: Any) -> Any:
        effects.begin(name, inputs)
        return function(*inputs)

    return run
