"""Entities that many tests use, and worlds in which a test decides when a commit ends."""

from __future__ import annotations

import copy
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import attrs
import trio
from trio.testing import MockClock

from durio.entities import VirtualEnv
from durio.orchestration import App, Client
from durio.storage import MemoryDisk, MemoryStore, WriteSet
from tests.opened import runtime_of

T = TypeVar("T")


@attrs.define
class Counter:
    """Adds up what it is given."""

    value: int = 0

    def add(self, amount: int = 1) -> int:
        self.value += amount
        return self.value

    def get(self) -> int:
        return self.value

    def add_and_fail(self, amount: int) -> None:
        self.value += amount
        raise ValueError(f"after adding {amount}")


@attrs.define
class Log:
    """Remembers what it was told, in order."""

    lines: list[Any] = attrs.Factory(list)

    def append(self, line: Any) -> None:
        self.lines.append(line)

    def get(self) -> list[Any]:
        return self.lines


def app_of(*entities: Callable[..., Any], **options: Any) -> App:
    """An app with these entities."""
    app = App(**options)
    for entity in entities:
        app.entity(entity)
    return app


class HeldEnv(VirtualEnv):
    """Commits end when the test lets them: those that begin inside of `with env.held()` end behind it."""

    def __init__(self) -> None:
        super().__init__()
        self.commits = 0
        self._gate = trio.Event()
        self._gate.set()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let no commit end meanwhile."""
        self._gate = trio.Event()
        try:
            yield
        finally:
            self._gate.set()

    async def run_commit(self, commit: Callable[[], T]) -> T:
        with trio.CancelScope(shield=True):
            await self._gate.wait()
        self.commits += 1
        return commit()


class FailingStore(MemoryStore):
    """Raises an error like `error` at every commit and every read once it is set, as a broken store does."""

    def __init__(self, disk: MemoryDisk) -> None:
        super().__init__(disk)
        self.error: Exception | None = None

    def commit(self, writes: WriteSet) -> int:
        if self.error is not None:
            raise self.error
        return super().commit(writes)

    def scan(self, start: bytes, stop: bytes | None = None, *, limit: int | None = None) -> list[tuple[bytes, bytes]]:
        if self.error is not None:
            raise copy.copy(self.error)
        return super().scan(start, stop, limit=limit)


def run_virtual(main: Callable[[], Awaitable[T]]) -> T:
    """Run `main` under a clock that jumps: for tests that Hypothesis runs many times."""
    return trio.run(main, clock=MockClock(autojump_threshold=0))


def activations(client: Client) -> list[str]:
    """The addresses of the actors that are in memory."""
    return [activation.address for activation in runtime_of(client).kernel.catalog]
