"""One execution of an orchestrator: live run and replay are the same function (G19, G20)."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, Final

from durio.entities import Failure, Guard, Payloads
from durio.orchestration.causes import failure_of, forget_frames
from durio.orchestration.choices import First, wait_for
from durio.orchestration.context import OrchestrationContext, begin
from durio.orchestration.decision import End, Needs
from durio.orchestration.driver import ContinueAsNewSignal, Driver, Raised, Returned, Step, Waits
from durio.orchestration.errors import Cancelled
from durio.orchestration.history import (
    ActivityCompleted,
    ActivityFailed,
    CancelRequested,
    CancelTask,
    ChildCompleted,
    ChildFailed,
    EntityAnswered,
    Entry,
    Event,
    EventRaised,
    HistoryEvent,
    LockGranted,
    LockRefused,
    Rewound,
    Started,
    TimerFired,
    describe,
)
from durio.orchestration.limits import ROOT_BYTES_MAX
from durio.orchestration.past_step import PastStep, PastSteps
from durio.orchestration.recorder import Recorder, Segment
from durio.orchestration.registry import Orchestration, Registry
from durio.orchestration.retries import RetryTask
from durio.orchestration.sections import CriticalSection, LockTask
from durio.orchestration.tasks import ActionTask, CallTask, Task, needed_by
from durio.orchestration.waits import Events, Wait

logger = logging.getLogger("durio.orchestration")


class Execution:
    """Runs the code of one execution, one entry of its history at a time.

    Guarantees: the code is stepped after every single entry, in order; what it asks for is collected by `recorder`
    behind the entry that caused it, and in replay compared with what history holds.
    """

    def __init__(
        self,
        instance_id: str,
        behaviour: Orchestration,
        registry: Registry,
        payloads: Payloads,
        ancestors: tuple[str, ...],
    ) -> None:
        self.instance_id = instance_id
        self.behaviour = behaviour
        self.registry = registry
        self.payloads = payloads
        self.ancestors = ancestors
        self.started: Started | None = None
        self.clock_us = 0
        self.position = 0
        self.is_replaying = False
        self.end: End | None = None
        self.waits_anew = False
        """Whether it awaits something else than when it was asked last."""
        self.status_set = False
        self.custom_status: bytes | None = None
        self.rewinds = 0
        """How often the history up to here was rewound: a part of later ids (G29)."""
        self.again: tuple[bytes | None] | None = None
        self.open: dict[int, ActionTask[Any]] = {}
        self.events = Events()
        self.waiters = 0
        self.section: CriticalSection | None = None
        self.guard = Guard()
        self.recorder = Recorder(instance_id, self.guard)
        self._driver = Driver(self.guard, behaviour.name)
        self._wait: Wait | First | None = None
        self._cut_short: PastStep | None = None

    @property
    def wait(self) -> Wait | First | None:
        """What the code awaits now."""
        return self._wait

    # Entries

    def feed(self, entry: Entry) -> None:
        """Take one entry in, and step the code as long as what it awaits is ready."""
        self.position += 1
        self.recorder.new_input()
        handle: Callable[[Execution, Any], None] = _HANDLERS[type(entry)]
        handle(self, entry)
        self._go_on()
        if isinstance(entry, Rewound):
            self._end_cut_short()

    def _go_on(self) -> None:
        while self.end is None and self._wait is not None and self._wait.ready:
            wait, self._wait = self._wait, None
            self.recorder.count()
            if self.recorder.broken is not None:
                self._take(Raised(self.recorder.broken))
                return
            self._take(self._resume(wait))

    def replay(self, events: Iterable[HistoryEvent | None], rewinds: int = 0) -> Iterator[None]:
        """Take a recorded history in; gives way after every entry, and at None.

        A difference ends the execution as Failed. `rewinds`: how often it was rewound; a rewind that history does not
        tell of yet cut its last step short: that one is kept until the code goes on (G27).
        """
        self.is_replaying = True
        history = PastSteps(events)
        for step in history:
            if step is not None:
                self._replay_step(step)
            yield
        if rewinds > history.rewinds:
            self._cut_short = history.last
        elif history.last is not None:
            self._replay_step(history.last)
        self.clock_us = history.clock_us
        self.is_replaying = False
        self.recorder.expected = None

    def drop(self) -> None:
        """Leave memory: cleanup code runs, without any durable effect."""
        self.recorder.dead = True
        self._wait = None
        self._driver.close()
        # What refers back to this execution goes: it leaves memory with its last reference.
        self.open.clear()
        self.section = None
        if self.recorder.causes is not None:
            self.recorder.causes.forget_frames()

    def line(self) -> str:
        """The user's line that waits; where the orchestrator begins, if none does."""
        return self._driver.where() or self.behaviour.line

    def _replay_step(self, step: PastStep) -> None:
        if self.end is not None:
            return
        self.clock_us = step.clock_us
        self.recorder.expected, self.recorder.later = step.first, step.segments(self._begin_rewound)
        self.feed(step.entry)
        self._check_rest()
        if self.recorder.broken is None:
            self._replay_end(None if step.ended == "Terminated" else step.ended)
        if self.recorder.broken is not None:
            self.end = End("Failed", failure=Failure.of(self.recorder.broken))

    def _begin_rewound(self, number: int, clock_us: int, live: bool = False) -> None:
        self.rewinds, self.clock_us = number, clock_us
        self.is_replaying = self.is_replaying and not live

    def _check_rest(self) -> None:
        left = self.recorder.rest()
        if self.recorder.broken is None and left is not None:
            wanted = "nothing more" if self.end is None else f"to end here{self._why()}"
            self.recorder.differs(describe(left), wanted, self.line())

    def _on_rewound(self, entry: Rewound) -> None:
        """The step that was cut short goes on: as it went, and from there as the code wants now."""
        step, self._cut_short = self._cut_short, None
        now_us = self.clock_us
        if step is None:
            self.rewinds = entry.number
            return
        self.is_replaying, self.clock_us = True, step.clock_us
        self.recorder.expected, self.recorder.later = step.first, step.segments(self._begin_rewound)
        self.recorder.later += (Segment(None, partial(self._begin_rewound, entry.number, now_us, live=True)),)
        _HANDLERS[type(step.entry)](self, step.entry)

    def _end_cut_short(self) -> None:
        self._check_rest()
        self.is_replaying, self.recorder.expected = False, None
        if self.recorder.broken is not None:
            self.end = End("Failed", failure=Failure.of(self.recorder.broken))

    def _replay_end(self, ended: str | None) -> None:
        status = None if self.end is None else self.end.status
        if status != ended:
            expected = "no end yet" if ended is None else f"its end as {ended}"
            actual = "to go on" if status is None else f"to end as {status}{self._why()}"
            self.recorder.differs(expected, actual, self.line())

    def _why(self) -> str:
        failure = None if self.end is None else self.end.failure
        return "" if failure is None else f" ({failure.type}: {failure.message})"

    def needs(self) -> Needs | None:
        """What the code cannot go on without; None if that is as it was when it was asked last."""
        if not self.waits_anew or (self.section is None and not self.ancestors):
            return None  # nobody waits for one that has no parent and locks nothing: no circle leads through it
        self.waits_anew = False
        needed = [] if self._wait is None else needed_by(self._wait.task)
        calls = [(task.action, task.entity) for task in needed if isinstance(task, CallTask) and not task.inside]
        return Needs(tuple(task.action for task in needed), tuple(calls))

    # What the context asks for

    def root(self) -> str:
        """What the ids of children start with: the top-most ancestor's id, cut, with a hash if cut (G29)."""
        top = self.ancestors[0] if self.ancestors else self.instance_id
        data = top.encode()
        if len(data) <= ROOT_BYTES_MAX:
            return top
        digest = hashlib.blake2b(data, digest_size=6).hexdigest()
        return data[: ROOT_BYTES_MAX - len(digest) - 1].decode(errors="ignore") + "~" + digest

    def continue_as_new(self, input_: bytes | None) -> ContinueAsNewSignal:
        """Note that the code wants to begin anew; it wins over whatever the code does then (G23)."""
        self.recorder.check_inside()
        if not self.recorder.dead and self.again is None:
            self.again = (input_,)
        return ContinueAsNewSignal()

    # What tasks ask for

    def observe(self, task: Task[Any]) -> bool:
        wait = wait_for(task, self.events)
        if wait.ready:
            wait.observe()
        return wait.ready

    def is_ready(self, task: Task[Any]) -> bool:
        return wait_for(task, self.events).ready

    def cancel_action(self, action: int) -> None:
        self.open.pop(action, None)
        self.recorder.ask(CancelTask(action))

    # Inside

    def _resume(self, wait: Wait | First) -> Step:
        try:
            value = self.guard.run(_observe, wait)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            return self._driver.throw(error.with_traceback(None))  # without these frames: they refer to its task
        return self._driver.send(value)

    def _take(self, step: Step) -> None:
        if self.recorder.broken is not None:
            step = Raised(self.recorder.broken)
        if isinstance(step, Waits):
            self._wait = wait_for(step.task, self.events)
            self.waits_anew = True
            return
        self.end = self._end_of(step)
        if isinstance(step, Raised):
            self.recorder.dead = True
            self._driver.close()
            forget_frames(step.error)

    def _end_of(self, step: Returned | Raised) -> End:
        offence = self.recorder.broken or self.guard.offence
        if offence is not None:
            return End("Failed", failure=Failure.of(offence))
        if self.again is not None:
            return End("ContinuedAsNew", output=self.again[0], keep=tuple(self.events.unobserved()))
        if isinstance(step, Raised):
            if isinstance(step.error, Cancelled):
                return End("Canceled", reason=step.error.reason)
            return End(
                "Failed",
                failure=failure_of(step.error),
                causes=() if self.recorder.causes is None else self.recorder.causes.of(step.error),
            )
        if step.value is None:
            return End("Completed")
        try:
            return End(
                "Completed", self.payloads.encode(step.value, f"result of orchestration {self.behaviour.name!r}")
            )
        except Exception as error:
            return End("Failed", failure=Failure.of(error))

    def _on_started(self, entry: Started) -> None:
        self.started = entry
        context = OrchestrationContext(self)
        self._take(self._driver.start(partial(begin, self.behaviour, context, entry.input)))

    def _on_result(self, entry: ActivityCompleted | ChildCompleted) -> None:
        task = self.open.pop(entry.id, None)
        if task is not None:
            task.arrive(self.position, entry.result)
            self.finished(task)

    def _on_failure(self, entry: ActivityFailed | ChildFailed) -> None:
        task = self.open.pop(entry.id, None)
        if task is not None:
            self._go_wrong(task, entry.failure)

    def _on_answer(self, entry: EntityAnswered) -> None:
        task = self.open.pop(entry.id, None)
        if task is not None and entry.failure is not None:
            self._go_wrong(task, entry.failure)
        elif task is not None:
            task.arrive(self.position, entry.result)
            self.finished(task)

    def _on_lock(self, entry: LockGranted | LockRefused) -> None:
        task = self.open.pop(entry.id, None)
        if isinstance(entry, LockRefused) and task is not None:
            self._go_wrong(task, entry.failure)
        elif isinstance(task, LockTask):
            task.grant(self.position)
            self.finished(task)

    def _on_timer(self, entry: TimerFired) -> None:
        task = self.open.pop(entry.id, None)
        if isinstance(task, RetryTask):
            self._guarded(task.resume, self.position)
            self.waits_anew = self.waits_anew or (self._wait is not None and self._wait.task is task)
            self.finished(task)
        elif task is not None:
            task.arrive(self.position, None)
            self.finished(task)

    def _on_cancel(self, entry: CancelRequested) -> None:
        wait, self._wait = self._wait, None
        if wait is None:
            return  # it has just ended
        if isinstance(wait.task, LockTask):
            self._guarded(wait.task.cancel)  # nobody would ever leave the section
        if self.end is None:
            self._take(self._driver.throw(Cancelled(self.instance_id, entry.reason)))

    def _on_event(self, entry: EventRaised) -> None:
        self.events.add(self.position, entry)
        if self._wait is not None:
            self._wait.arrived(self.position, entry)

    def _go_wrong(self, task: ActionTask[Any], failure: Failure) -> None:
        self._guarded(task.go_wrong, self.position, failure)
        self.finished(task)

    def _guarded(self, call: Callable[..., Any], *args: Any) -> None:
        """What runs behind the guard, such as the user's retry decisions; what it raises ends the execution."""
        try:
            self.guard.run(call, *args)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            if self.recorder.broken is None:
                self._take(Raised(error))
        offence = self.recorder.broken or self.guard.offence
        if offence is not None and self.end is None:
            self._take(Raised(offence))

    def failed(self, error: BaseException, actions: Iterable[int] = (), others: Iterable[BaseException] = ()) -> None:
        self.recorder.blame(error, actions, others)

    def finished(self, task: Task[Any]) -> None:
        if task.position is not None and self._wait is not None:
            self._wait.finished(task)


def _observe(wait: Wait | First) -> Any:
    wait.observe()
    return wait.task.outcome()


_HANDLERS: Final[Mapping[type[Event], Callable[[Execution, Any], None]]] = MappingProxyType(
    {
        Started: Execution._on_started,
        ActivityCompleted: Execution._on_result,
        ActivityFailed: Execution._on_failure,
        ChildCompleted: Execution._on_result,
        ChildFailed: Execution._on_failure,
        TimerFired: Execution._on_timer,
        EventRaised: Execution._on_event,
        CancelRequested: Execution._on_cancel,
        EntityAnswered: Execution._on_answer,
        LockGranted: Execution._on_lock,
        LockRefused: Execution._on_lock,
        Rewound: Execution._on_rewound,
    }
)
