"""Counts what activities did: the effects that remain in the world whatever becomes of the process."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import attrs

from durio.orchestration import ActivityContext, App
from durio.orchestration.registry import Activity


class ProcessDied(BaseException):
    """The process that wanted to run an activity is dead. Nothing of the activity happens."""


@attrs.frozen
class ActivityRun:
    """One run of an activity. Runs of one call, also over crashes and retries, share their `idempotency_key`."""

    name: str
    input: Any
    instance_id: str
    idempotency_key: str
    attempt: int


class Effects:
    """Every run of an activity, with its input, in order."""

    def __init__(self, world: Callable[[], object] | None = None) -> None:
        self.happened: list[ActivityRun] = []
        self.world: object = None
        self._make_world = world
        self._alive: Callable[[], bool] = lambda: True
        self._note: Callable[[str], None] = lambda text: None

    def begin_run(self, note: Callable[[str], None], alive: Callable[[], bool]) -> None:
        """Another run begins: nothing has happened yet. `alive` says whether there is a process."""
        self.happened = []
        self.world = None if self._make_world is None else self._make_world()
        self._note, self._alive = note, alive

    def begin(self, name: str, inputs: tuple[Any, ...]) -> None:
        """An activity runs. Raises `ProcessDied` in a process that is being killed."""
        if not self._alive():
            raise ProcessDied
        context = ActivityContext.current()
        value = copy.deepcopy(inputs[0]) if inputs else None  # the activity may change it
        again = any(run.idempotency_key == context.idempotency_key for run in self.happened)
        self.happened.append(ActivityRun(name, value, context.instance_id, context.idempotency_key, context.attempt))
        self._note(f"{name}({', '.join(map(repr, inputs))}) runs{' again' if again else ''}")

    def _is_method(self, fake: Callable[..., Any], name: str) -> bool:
        """Whether a fake is a function of the world's class, or of one that it is derived from."""
        assert self._make_world is not None, "there is a world"
        kind = self._make_world if isinstance(self._make_world, type) else type(self._make_world())
        return any(vars(base).get(name) is fake for base in kind.__mro__)

    def bound(self, fake: Callable[..., Any]) -> Callable[..., Any]:
        """A fake that is a method of the world's class, bound to the world of the run that goes on."""
        name = getattr(fake, "__name__", "")
        if self._make_world is None or not self._is_method(fake, name):
            return fake

        async def call_async(*inputs: Any) -> Any:
            return await getattr(self.world, name)(*inputs)

        def call_sync(*inputs: Any) -> Any:
            return getattr(self.world, name)(*inputs)

        call = call_async if inspect.iscoroutinefunction(fake) else call_sync
        parameters = list(inspect.signature(fake).parameters.values())
        vars(call)["__signature__"] = inspect.Signature(parameters[1:])
        return call


def recorded(app: App, fakes: Mapping[str | Callable[..., Any], Callable[..., Any]], effects: Effects) -> App:
    """The app with activities that say when they run; with fakes instead of some."""
    faked = app.with_activities({which: effects.bound(fake) for which, fake in fakes.items()})
    return faked.with_activities({found.name: _recording(found, effects) for found in faked.registry.activities})


def _recording(activity: Activity, effects: Effects) -> Callable[..., Any]:
    name, function, wanted = activity.name, activity.function, int(activity.takes_input)
    if inspect.iscoroutinefunction(function):

        async def run_async(*inputs: Any) -> Any:
            effects.begin(name, inputs)
            return await function(*inputs[:wanted])

        return run_async

    def run(*inputs: Any) -> Any:
        effects.begin(name, inputs)
        return function(*inputs[:wanted])

    return run
