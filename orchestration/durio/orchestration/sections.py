"""Critical sections, as the code sees them: what it may do inside, and how it leaves (G12)."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Any

from durio.entities import EntityId, Failure
from durio.orchestration.errors import LockingRulesViolation
from durio.orchestration.history import LockReleased
from durio.orchestration.recorder import Recorder
from durio.orchestration.refusals import rebuild
from durio.orchestration.tasks import ActionTask, Task, TaskOwner


class CriticalSection:
    """What `lock_entities` gives: leave it with `async with` (in generators `with`), or with `release()`.

    Guarantees: from the request to the release its rules hold: no second lock, no sub-orchestration, calls only of
    entities it has locked and one at a time to each, no signals to them. What breaks a rule raises and has no effect.
    """

    def __init__(self, recorder: Recorder, action: int, entities: Sequence[str]) -> None:
        self.action = action
        self.granted = False
        self.over = False
        """Whether it was left, given up or refused: the rules do not hold any more."""
        self._recorder = recorder
        self._calls: dict[str, Task[Any] | None] = dict.fromkeys(entities)

    @property
    def entities(self) -> tuple[EntityId, ...]:
        """The entities, in the order in which they are locked."""
        return tuple(map(EntityId.parse, self._calls))

    def __repr__(self) -> str:
        state = "left" if self.over else "entered" if self.granted else "waiting"
        return f"<{type(self).__name__} of {', '.join(self._calls)} {state}>"

    def release(self) -> None:
        """Leave the section; the second time nothing happens."""
        if not self.over:
            self.over = True
            self._calls = dict.fromkeys(self._calls)
            self._recorder.ask(LockReleased(self._recorder.next_id(), self.action))

    def __enter__(self) -> CriticalSection:
        if self.over:
            raise LockingRulesViolation("a critical section was entered after it was left", "lock the entities anew")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, Exception):
            self._recorder.blame(error, (self.action,))  # it began in here, and here it is done again (G27)
        self.release()

    async def __aenter__(self) -> CriticalSection:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)

    # What it may do

    def check_lock(self) -> None:
        """No second lock."""
        raise LockingRulesViolation(
            "entities were locked inside a critical section",
            "lock all in one request, or leave the section first",
        )

    def check_child(self) -> None:
        """No sub-orchestration."""
        raise LockingRulesViolation(
            "a sub-orchestration was started inside a critical section", "start it before, or after leaving the section"
        )

    def check_call(self, entity: str) -> None:
        """Calls of locked entities only, and one at a time to each."""
        what = f"{entity} was called inside a critical section"
        if entity not in self._calls:
            raise LockingRulesViolation(f"{what} that has not locked it", "name it in the request, or call it outside")
        if not self.granted:
            raise LockingRulesViolation(f"{what} that is not entered yet", "await its lock first, or cancel it")
        before = self._calls[entity]
        if before is not None and before.position is None:
            raise LockingRulesViolation(f"{what} while another call of it goes on", "await that one first")

    def check_signal(self, entity: str) -> None:
        """No signals to locked entities: nothing could tell whether they come before the release or behind it."""
        if entity in self._calls:
            raise LockingRulesViolation(
                f"{entity} was signaled inside a critical section that locks it", "call it, or signal it outside"
            )

    def called(self, entity: str, task: Task[Any]) -> None:
        """A call goes on."""
        self._calls[entity] = task


class LockTask(ActionTask[CriticalSection]):
    """A lock request. `cancel()` withdraws it."""

    def __init__(self, owner: TaskOwner, section: CriticalSection) -> None:
        shown = ", ".join(map(str, section.entities))
        super().__init__(owner, f"lock of {shown}", section.action, _no_data)
        self._section = section

    def grant(self, position: int) -> None:
        """All entities are locked."""
        self._section.granted = True
        self.complete(position, self._section)

    def go_wrong(self, position: int, failure: Failure) -> None:
        self._section.over = True
        self.fail(position, rebuild(failure))

    def withdraw(self) -> None:
        self._section.over = True
        super().withdraw()


def _no_data(_: bytes) -> None:
    return None
