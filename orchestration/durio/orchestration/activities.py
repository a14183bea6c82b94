"""Runs activities: coroutines on the loop, plain functions in threads, each kind with its own limit (G24)."""

from __future__ import annotations

import contextvars
import logging
import math
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any, Final, Protocol

import attrs
import trio

from durio.entities import Caller, Env, Failure, Job, Message, Payloads, without_cancelled
from durio.orchestration.errors import ActivityTimeout, NoActivity
from durio.orchestration.limits import JOBS_WAITING_MAX
from durio.orchestration.messages import ActivityDone
from durio.orchestration.records import execution_of
from durio.orchestration.registry import Activity, Registry
from durio.storage import Notes

logger = logging.getLogger("durio.orchestration")


@attrs.define(eq=False)
class ActivityContext:
    """What an activity knows about itself. `idempotency_key` is the same for every attempt of one call."""

    instance_id: str
    name: str
    task_id: int
    attempt: int
    idempotency_key: str
    tags: dict[str, str]
    cancelled: bool = False
    """Whether the result is not wanted any more; a function in a thread should look at it and return."""
    execution_id: str = ""
    asked_by: Caller | None = attrs.field(default=None, repr=False)
    """The action that waits for it: what it asks for is asked on behalf of that one."""

    @staticmethod
    def current() -> ActivityContext:
        """The context of the activity that is running here. Raises `NoActivity` elsewhere."""
        context = CURRENT_ACTIVITY.get()
        if context is None:
            raise NoActivity
        return context


CURRENT_ACTIVITY: Final[contextvars.ContextVar[ActivityContext | None]] = contextvars.ContextVar(
    "durio_activity", default=None
)
"""The activity that is running, for `ActivityContext.current()`."""


def current_activity() -> Caller | None:
    """The activity that is running here, as the one for whom something is asked; None outside of activities."""
    context = CURRENT_ACTIVITY.get()
    return None if context is None else context.asked_by


class Report(Protocol):
    """Where results go."""

    async def job_done(self, key: bytes, address: str, message: Message) -> None:
        """A job ended. Waits until there is room for its result."""
        ...

    def job(self, key: bytes) -> Job | None:
        """A job as it lies in the hub; None if it is not wanted any more."""
        ...


@attrs.define(eq=False)
class _Slots:
    """How many of one activity run, and what waits."""

    free: int
    waiting: deque[tuple[bytes, Job | None]] = attrs.Factory(deque)
    """Only the first have their job beside them: inputs of a hundred thousand others stay on disk until their turn."""


class ActivityRunner:
    """Runs jobs as activities.

    Guarantees: at most `limit` of an activity at a time; a cancelled one reports nothing; a thread that ignores its
    cancellation is abandoned and its slot is free; an activity whose code is missing waits for the next open.
    """

    def __init__(self, registry: Registry, payloads: Payloads, env: Env, notes: Notes | None = None) -> None:
        self._registry = registry
        self._payloads = payloads
        self._env = env
        self._notes = notes or Notes()
        self._report: Report | None = None
        self._context = contextvars.Context()
        self._slots: dict[str, _Slots] = {}
        self._running: dict[bytes, tuple[trio.CancelScope, ActivityContext]] = {}
        self._cancelled: set[bytes] = set()
        self._started: set[bytes] = set()
        """What runs or waits for its slot: a hub that goes on after a full disk offers its jobs anew (G32)."""

    def report_to(self, report: Report) -> None:
        """Say where results go, before the first job starts."""
        self._report = report
        self._context = contextvars.copy_context()

    def start(self, key: bytes, job: Job, nursery: trio.Nursery) -> None:
        if key in self._started:
            return
        try:
            activity = self._registry.activity(job.name)
        except LookupError:
            activity = None
        if activity is None:
            logger.error("activity %r of %s is held: no such activity is registered", job.name, job.address)
            return
        self._started.add(key)
        slots = self._slots.get(job.name)
        if slots is None:
            slots = self._slots[job.name] = _Slots(activity.limit)
        if slots.free == 0:
            slots.waiting.append((key, job if len(slots.waiting) < JOBS_WAITING_MAX else None))
            return
        slots.free -= 1
        self._spawn(key, job, activity, slots, nursery)

    def cancel(self, key: bytes) -> None:
        running = self._running.get(key)
        if running is not None:
            scope, context = running
            context.cancelled = True
            scope.cancel()
        elif key in self._started:
            self._cancelled.add(key)

    async def _run(self, key: bytes, job: Job, activity: Activity, slots: _Slots, nursery: trio.Nursery) -> None:
        try:
            if key not in self._cancelled:
                await self._attempt(key, job, activity)
            self._cancelled.discard(key)
        finally:
            self._started.discard(key)
            slots.free += 1
            while slots.waiting and slots.free:
                waiting_key, waiting = slots.waiting.popleft()
                if waiting is None and waiting_key not in self._cancelled:
                    waiting = self._read(waiting_key)
                if waiting is None or waiting_key in self._cancelled:
                    self._started.discard(waiting_key)
                    self._cancelled.discard(waiting_key)
                else:
                    slots.free -= 1
                    self._spawn(waiting_key, waiting, activity, slots, nursery)

    def _read(self, key: bytes) -> Job | None:
        assert self._report is not None, "report_to was called"
        return self._report.job(key)

    def _spawn(self, key: bytes, job: Job, activity: Activity, slots: _Slots, nursery: trio.Nursery) -> None:
        """Start a task in the hub's context: what one activity sets there must not reach the next."""
        name = f"activity {job.name}#{job.action} of {job.address}"
        start = partial(nursery.start_soon, name=name)
        self._context.copy().run(start, self._run, key, job, activity, slots, nursery)

    async def _attempt(self, key: bytes, job: Job, activity: Activity) -> None:
        context = ActivityContext(
            job.address,
            job.name,
            job.action,
            job.attempt,
            job.idempotency_key,
            dict(job.tags or {}),
            execution_id=execution_of(job.execution),
            asked_by=Caller(job.address, job.execution, job.action),
        )
        CURRENT_ACTIVITY.set(context)
        scope = trio.CancelScope()
        self._running[key] = (scope, context)
        try:
            with scope:
                done = await self._contained(key, job, activity, context)
                if done is not None and not scope.cancel_called:
                    assert self._report is not None, "report_to was called"
                    await self._report.job_done(key, job.address, done)
        finally:
            del self._running[key]

    async def _contained(
        self, key: bytes, job: Job, activity: Activity, context: ActivityContext
    ) -> ActivityDone | None:
        """The result; None if the activity was cancelled, by us or because the hub closes."""
        done: ActivityDone | None = None
        try:
            done = await self._timed(key, job, activity, context)
        except BaseException as error:
            if not without_cancelled(error):
                raise
            logger.warning("activity %r of %s was cancelled, and raised", job.name, job.address, exc_info=error)
        finally:
            context.cancelled = context.cancelled or done is None
        if done is not None and done.failure is not None and trio.current_effective_deadline() == -math.inf:
            return None  # it made an error of being cancelled, since the hub closes: it runs again at the next open
        return done

    async def _timed(self, key: bytes, job: Job, activity: Activity, context: ActivityContext) -> ActivityDone:
        timeout_ms = job.timeout_ms
        if timeout_ms is None:
            return await self._call(key, job, activity)
        with suppress(Exception), trio.move_on_after(timeout_ms / 1000):  # cleanup may raise when time is up
            return await self._call(key, job, activity)
        context.cancelled = True
        failure = Failure.of(ActivityTimeout(job.name, timeout_ms / 1000))
        return self._done(job, None, failure)

    async def _call(self, key: bytes, job: Job, activity: Activity) -> ActivityDone:
        try:
            for _ in self._payloads.loading(job.input):
                await trio.lowlevel.checkpoint()
            call = self._bind(job, activity)
            if activity.is_async:
                value = await self._noted(key, call)
            else:
                value = await self._env.run_blocking(partial(self._noted_in_thread, key, call), trio.CapacityLimiter(1))
            result = None
            if value is not None:
                result = self._payloads.encode(value, f"result of activity {job.name!r}")
        except (KeyboardInterrupt, trio.Cancelled):
            raise
        except BaseException as error:  # e.g. SystemExit: it would stop the hub at every open
            if isinstance(error, BaseExceptionGroup) and error.subgroup((KeyboardInterrupt, trio.Cancelled)):
                raise
            return self._done(job, None, Failure.of(error))
        return self._done(job, result, None)

    async def _noted(self, key: bytes, call: Callable[[], Awaitable[Any]]) -> Any:
        note = self._notes.begin(key)
        try:
            return await call()
        finally:
            self._notes.end(note)

    def _noted_in_thread(self, key: bytes, call: Callable[[], Any]) -> Any:
        """Runs in the thread: one that is abandoned is noted until it has ended."""
        note = self._notes.begin(key)
        try:
            return call()
        finally:
            self._notes.end(note)

    def _bind(self, job: Job, activity: Activity) -> Any:
        if not activity.takes_input:
            return activity.function
        if job.input is None and activity.has_default:
            if activity.stands_for is None or activity.parameter is None:
                return activity.function
            return partial(activity.function, activity.parameter.default)  # what stands in may have no default
        data = b"null" if job.input is None else job.input
        value = self._payloads.decode(data, activity.input_type, f"input of activity {job.name!r}")
        return partial(activity.function, value)

    def _done(self, job: Job, result: bytes | None, failure: Failure | None) -> ActivityDone:
        return ActivityDone(
            at_us=self._env.now_us(), execution=job.execution, action=job.action, result=result, failure=failure
        )
