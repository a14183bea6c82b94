"""Calls of activities and sub-orchestrations: one call may have many attempts, which differ in little."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import attrs

from durio.entities import InvalidAddress, check_instance_id, checked_tags, storable
from durio.orchestration.engine import Engine, encode_input, generation_of, section_of
from durio.orchestration.history import ActivityScheduled, ChildStarted, TimerSet
from durio.orchestration.limits import DUE_US_MAX, TIMEOUT_S_MAX
from durio.orchestration.registry import Activity, Orchestration
from durio.orchestration.retries import RetryOptions, RetryTask
from durio.orchestration.tasks import ActionTask, Decode, Task

Which = str | Callable[..., Any]


@attrs.define(eq=False)
class ActivityCall:
    """A call of an activity. All its attempts share one idempotency key."""

    engine: Engine
    which: Which
    name: str
    input_: object
    decode: Decode
    timeout_ms: int | None
    tags: dict[str, str] | None
    key: str = ""

    @classmethod
    def of(
        cls,
        engine: Engine,
        which: Which,
        input_: object,
        expected_type: object,
        timeout_s: float | None,
        tags: dict[str, str] | None,
    ) -> ActivityCall:
        """Prepare a call; the name is looked up again, and may be refused, with each attempt."""
        name, type_ = _found(partial(engine.registry.activity, which), which, expected_type)
        decode = partial(engine.payloads.decode, type_=type_, what=f"result of activity {name!r}")
        return cls(engine, which, name, input_, decode, _timeout_ms(timeout_s), checked_tags(tags))

    @property
    def what(self) -> str:
        """The call in words."""
        return f"activity {self.name!r}"

    def attempt(self, task: ActionTask[Any], number: int) -> int:
        """Start attempt `number` (from 1); its result is for `task`. Returns the id of the action."""
        engine = self.engine
        action = engine.recorder.next_id()
        if not self.key and engine.started is not None:
            self.key = f"{engine.instance_id}:{generation_of(engine)}:{action}"

        def fill() -> ActivityScheduled:
            found = engine.registry.activity(self.which)
            if self.input_ is not None and not found.takes_input:
                raise TypeError(f"{self.what} takes no input")
            data = encode_input(engine, self.input_, f"input of {self.what}")
            return ActivityScheduled(action, self.name, data, self.key, number, self.timeout_ms, self.tags)

        engine.recorder.request(ActivityScheduled(action, self.name), fill)
        task.action = action
        engine.open[action] = task
        return action


@attrs.define(eq=False)
class ChildCall:
    """A call of a sub-orchestration. Without an id of its own each attempt is a new instance."""

    engine: Engine
    which: Which
    name: str
    input_: object
    instance_id: str | None
    version: str | None
    decode: Decode
    tags: dict[str, str] | None

    @classmethod
    def of(
        cls,
        engine: Engine,
        which: Which,
        input_: object,
        instance_id: str | None,
        version: str | None,
        expected_type: object,
        tags: dict[str, str] | None,
    ) -> ChildCall:
        """Prepare a call; the name is looked up again, and may be refused, with each attempt."""
        name, type_ = _found(partial(engine.registry.orchestration, which, version), which, expected_type)
        decode = partial(engine.payloads.decode, type_=type_, what=f"output of orchestration {name!r}")
        return cls(engine, which, name, input_, instance_id, version, decode, checked_tags(tags))

    @property
    def what(self) -> str:
        """The call in words."""
        return f"sub-orchestration {self.name!r}"

    def attempt(self, task: ActionTask[Any], number: int) -> int:
        """Start a child; its output is for `task`. Returns the id of the action."""
        engine = self.engine
        action = engine.recorder.next_id()
        child = self.instance_id
        if child is None and engine.started is not None:
            child = f"{engine.root()}:{generation_of(engine)}:{action}"
        child = storable(str(child))

        def fill() -> ChildStarted:
            section = section_of(engine)
            if section is not None and number == 1:  # what is tried again was called before
                section.check_child()
            found = engine.registry.orchestration(self.which, self.version)
            check_instance_id(child if self.instance_id is None else self.instance_id)
            if child == engine.instance_id or child in engine.ancestors:
                raise InvalidAddress(child, "it is the id of this instance or of an ancestor, which waits for it")
            data = encode_input(engine, self.input_, f"input of {self.what}")
            return ChildStarted(action, child, self.name, found.version, data, self.tags)

        engine.recorder.request(ChildStarted(action, child, self.name), fill)
        task.action = action
        engine.open[action] = task
        return action


def once(engine: Engine, call: ActivityCall | ChildCall) -> Task[Any]:
    """One attempt, whatever comes of it."""
    task: ActionTask[Any] = ActionTask(engine, call.what, 0, call.decode)
    call.attempt(task, 1)
    return task


def retried(engine: Engine, call: ActivityCall | ChildCall, options: RetryOptions) -> Task[Any]:
    """Attempts as `options` say, with durable timers between them."""
    if not isinstance(options, RetryOptions):
        raise TypeError(f"retry_options is a RetryOptions, not {options!r}")

    def pause(task: RetryTask[Any], delay_us: int) -> int:
        timer = engine.recorder.ask(TimerSet(engine.recorder.next_id(), min(engine.clock_us + delay_us, DUE_US_MAX)))
        engine.open[timer.id] = task
        return timer.id

    return RetryTask(engine, call.what, options, call.attempt, pause, lambda: engine.clock_us, call.decode)


def _found(find: Callable[[], Activity | Orchestration], which: Which, expected_type: object) -> tuple[str, object]:
    """The registered name and the type of the result; an unknown one is refused by the attempt."""
    try:
        found = find()
    except LookupError:
        return storable(which if isinstance(which, str) else getattr(which, "__name__", repr(which))), Any
    return found.name, found.result_type if expected_type is None else expected_type


def _timeout_ms(timeout_s: float | None) -> int | None:
    if timeout_s is None:
        return None
    if not 0 < timeout_s <= TIMEOUT_S_MAX:
        raise ValueError(f"timeout_s={timeout_s!r} must be greater than 0 and at most {TIMEOUT_S_MAX:.0f}")
    return max(round(timeout_s * 1000), 1)
