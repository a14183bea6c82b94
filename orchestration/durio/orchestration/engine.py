"""Engine: what the context, its calls and its tasks ask of the execution behind them."""

from __future__ import annotations

from typing import Any, Protocol

from durio.entities import Payloads
from durio.orchestration.history import Started
from durio.orchestration.recorder import Recorder
from durio.orchestration.registry import Registry
from durio.orchestration.sections import CriticalSection
from durio.orchestration.tasks import ActionTask, TaskOwner


class Engine(TaskOwner, Protocol):
    """One execution, seen from the code that runs in it."""

    instance_id: str
    ancestors: tuple[str, ...]
    registry: Registry
    payloads: Payloads
    started: Started | None
    clock_us: int
    rewinds: int
    is_replaying: bool
    open: dict[int, ActionTask[Any]]
    waiters: int
    status_set: bool
    custom_status: bytes | None
    recorder: Recorder
    section: CriticalSection | None
    """The latest critical section, whether it is over or not."""

    def root(self) -> str:
        """What the ids of children start with (G29)."""
        ...

    def continue_as_new(self, input_: bytes | None) -> BaseException:
        """Note that the code begins anew; returns what unwinds it."""
        ...


def encode_input(engine: Engine, value: object, what: str) -> bytes | None:
    """An input as bytes; None is no input. Raises `PayloadError`."""
    return None if value is None else engine.payloads.encode(value, what)


def generation_of(engine: Engine) -> str:
    """What tells apart what is named in this execution: its id, and how often it was rewound (G29)."""
    execution = "" if engine.started is None else engine.started.execution
    return f"{execution}.{engine.rewinds}" if engine.rewinds else execution


def section_of(engine: Engine) -> CriticalSection | None:
    """The critical section whose rules hold now, if any."""
    section = engine.section
    return None if section is None or section.over else section
