"""Trio tasks of the code under test, run one step at a time (layer two: what user code does between two awaits)."""

from __future__ import annotations

import signal
import sys
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final, TypeVar

import attrs
import trio
from outcome import Error, Outcome

# Private to Trio, and the only way to run one task and not its neighbours; a test pins it.
from trio._core._run import GLOBAL_RUN_CONTEXT
from trio.testing import MockClock

from durio.simulation.clocks import SimClock

T = TypeVar("T")

_ALONE_TICKS_MAX: Final = 10_000
_TICKS_MAX: Final = 1_000


@attrs.define(eq=False)
class SimTask:
    """A task of the code under test that could go on."""

    number: int
    task: trio.lowlevel.Task

    @property
    def name(self) -> str:
        """What runs in it."""
        return self.task.name


@contextmanager
def _python_hears_interrupts() -> Iterator[None]:
    """A loop that stands still must not keep Ctrl-C to itself: the handler stays Python's."""
    handler = signal.getsignal(signal.SIGINT)
    yield
    if signal.getsignal(signal.SIGINT) is not handler:  # Trio takes it over in the main thread only
        signal.signal(signal.SIGINT, handler)


class Apart:
    """Keeps a Trio loop that stands still apart from all others in this thread: `with apart:` it is the current one.

    Guarantee: outside of the block nothing of it is to be seen, so a simulation may run in a Trio program, and two of
    them side by side. A block inside the block changes nothing.
    """

    def __init__(self) -> None:
        self._mine: dict[str, Any] = {}
        self._my_hooks: Any = (None, None)
        self._outer: dict[str, Any] = {}
        self._outer_hooks: Any = (None, None)
        self._depth = 0
        self.entered = 0
        """How often it was entered: in between nothing of the loop changes."""

    def __enter__(self) -> None:
        self.entered += 1
        self._depth += 1
        if self._depth > 1:
            return
        run = GLOBAL_RUN_CONTEXT.__dict__
        self._outer, self._outer_hooks = run.copy(), sys.get_asyncgen_hooks()
        run.clear()
        run.update(self._mine)
        sys.set_asyncgen_hooks(*self._my_hooks)

    def __exit__(self, *error: object) -> None:
        self._depth -= 1
        if self._depth:
            return
        run = GLOBAL_RUN_CONTEXT.__dict__
        self._mine, self._my_hooks = run.copy(), sys.get_asyncgen_hooks()
        run.clear()
        run.update(self._outer)
        sys.set_asyncgen_hooks(*self._outer_hooks)


class _Holding(trio.abc.Instrument):
    """Numbers tasks in the order in which they were spawned, and takes those that could go on out of Trio's queue."""

    def __init__(self) -> None:
        self.numbers: dict[trio.lowlevel.Task, int] = {}
        self.ready: dict[trio.lowlevel.Task, SimTask] = {}
        self.holding = False
        self.own: frozenset[trio.lowlevel.Task] = frozenset()
        """The tasks of the loop itself."""
        self.ending = False
        """Whether one of them has ended: something was raised that ends the loop."""
        self._spawned = 0

    def task_spawned(self, task: trio.lowlevel.Task) -> None:
        self._spawned += 1
        self.numbers[task] = self._spawned

    def task_scheduled(self, task: trio.lowlevel.Task) -> None:
        if self.holding:
            GLOBAL_RUN_CONTEXT.runner.runq.pop()  # Trio has just put it there
            self.ready[task] = SimTask(self.numbers[task], task)

    def task_exited(self, task: trio.lowlevel.Task) -> None:
        self.numbers.pop(task, None)
        self.ending = self.ending or task in self.own


class NeverEnds(Exception):
    """A coroutine function that was run alone waits for ever."""


def run_alone(call: Callable[..., Awaitable[T]], *args: Any) -> T:
    """Run a coroutine function to its end in a loop of its own, whose time passes by itself.

    Raises what it raises, and `NeverEnds`.
    """
    ticks: deque[Callable[[], object]] = deque()
    ended: list[Outcome[T]] = []
    nursery: list[trio.Nursery] = []

    async def main() -> T:
        async with trio.open_nursery() as opened:
            nursery.append(opened)
            return await call(*args)
        raise NeverEnds  # it was cancelled

    with Apart():
        with _python_hears_interrupts():
            trio.lowlevel.start_guest_run(
                main,
                run_sync_soon_threadsafe=ticks.append,
                done_callback=ended.append,
                clock=MockClock(autojump_threshold=0),
                host_uses_signal_set_wakeup_fd=True,
            )
        for _ in range(_ALONE_TICKS_MAX):
            if ended:
                return ended[0].unwrap()
            ticks.popleft()()
        assert nursery, "it was started in the first tick"
        nursery[0].cancel_scope.cancel()
        while not ended:
            ticks.popleft()()
    raise NeverEnds


class _LoopClock(trio.abc.Clock):
    """Follows the clock of the simulation. While a loop dies its time runs ahead, and nobody else's."""

    def __init__(self, clock: SimClock) -> None:
        self._clock = clock
        self.ahead_s = 0.0

    def start_clock(self) -> None:
        return None

    def current_time(self) -> float:
        return self._clock.current_time() + self.ahead_s

    def deadline_to_sleep_time(self, deadline: float) -> float:
        return 0.0  # the simulation decides when time passes; Trio must never wait for it


class Tasks:
    """A Trio loop that stands still between steps.

    Guarantees: one call of `run` runs one task from one checkpoint to the next, and nobody else; time moves only with
    the clock; the order of tasks is that in which they were spawned, in every run.
    """

    def __init__(self, clock: SimClock) -> None:
        self.apart = Apart()
        """To be entered by whoever touches a task of this loop from outside."""
        self._clock = _LoopClock(clock)
        self._ticks: deque[Callable[[], object]] = deque()
        self._ended: list[Outcome[Any]] = []
        self._nursery: trio.Nursery | None = None
        self._held = _Holding()
        self._deadline_s: float | None = None
        self._deadline_known = 0

    @property
    def nursery(self) -> trio.Nursery:
        """Where tasks are started; the loop begins with the first one."""
        if self._nursery is None:
            with self.apart:
                self._begin()
        assert self._nursery is not None, "begun"
        return self._nursery

    def runnable(self) -> list[SimTask]:
        """The tasks that could go on, in the order in which they were spawned."""
        if self._nursery is None:
            return []
        if self._ended or self._held.ending or any(task in self._held.own for task in self._held.ready):
            with self.apart:
                self._run_own()
        return sorted(self._held.ready.values(), key=lambda found: found.number)

    @property
    def alive(self) -> bool:
        """Whether a task of the code under test has begun and not ended."""
        return self._nursery is not None and bool(self._nursery.child_tasks)

    def _run_own(self) -> None:
        while own := [found for found in self._held.ready.values() if found.task in self._held.own]:
            self._tick(own[:1])
        self._check()

    def run(self, chosen: SimTask) -> None:
        """Let one task go on to its next checkpoint."""
        with self.apart:
            self._tick([chosen])
            self._check()

    @property
    def next_deadline_s(self) -> float | None:
        """When the next sleeping task is due, in Trio's time; None if none is."""
        if self._nursery is not None and self._deadline_known != self.apart.entered:
            with self.apart:
                left_s = trio.lowlevel.current_statistics().seconds_to_next_deadline
                self._deadline_known = self.apart.entered
            self._deadline_s = None if left_s == float("inf") else self._clock.current_time() + left_s
        return self._deadline_s

    def wake_due(self) -> None:
        """Time has passed: tasks whose deadline has come can go on."""
        if self._nursery is not None:
            with self.apart:
                self._tick([])

    def close(self) -> None:
        """Cancel every task and let it clean up."""
        if self._nursery is None:
            return
        nursery, self._nursery = self._nursery, None
        with self.apart:
            stubborn = self._end(nursery)
        if stubborn:
            raise RuntimeError(f"{', '.join(sorted(stubborn))} swallows its cancellation in a loop")

    def _end(self, nursery: trio.Nursery) -> set[str]:
        """Let the loop run to its end; gives the names of tasks that had to be ended by force."""
        nursery.cancel_scope.cancel()
        self._held.holding = False
        self._tick(list(self._held.ready.values()))
        stubborn: set[str] = set()
        for number in range(2 * _TICKS_MAX):
            if self._ended:
                break
            if number >= _TICKS_MAX and number % 10 == 0:  # in between a nursery notices that its tasks have ended
                stubborn |= self._end_by_force()
            if not GLOBAL_RUN_CONTEXT.runner.runq:  # somebody cleans up and sleeps meanwhile
                left_s = trio.lowlevel.current_statistics().seconds_to_next_deadline
                self._clock.ahead_s += 0.0 if left_s == float("inf") else max(left_s, 1e-6)
            self._ticks.popleft()()
        return stubborn

    def _end_by_force(self) -> set[str]:
        """Close the coroutines of tasks that will not end: Trio takes them as finished with an error."""
        stubborn = {task for task in GLOBAL_RUN_CONTEXT.runner.runq if task not in self._held.own}
        for task in stubborn:
            with suppress(RuntimeError):  # it swallows even that
                task.coro.close()
        return {task.name for task in stubborn}

    def _begin(self) -> None:
        async def main() -> None:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                await trio.sleep_forever()

        with _python_hears_interrupts():
            trio.lowlevel.start_guest_run(
                main,
                run_sync_soon_threadsafe=self._ticks.append,
                done_callback=self._ended.append,
                clock=self._clock,
                instruments=[self._held],
                host_uses_signal_set_wakeup_fd=True,
            )
        for _ in range(_TICKS_MAX):
            if self._nursery is not None and not GLOBAL_RUN_CONTEXT.runner.runq:
                break
            self._ticks.popleft()()
        self._held.own = frozenset(self._held.numbers)
        self._held.holding = True

    def _tick(self, chosen: list[SimTask]) -> None:
        for found in chosen:
            del self._held.ready[found.task]
            GLOBAL_RUN_CONTEXT.runner.runq.append(found.task)
        self._ticks.popleft()()

    def _check(self) -> None:
        """Raise what has ended the loop: nothing but Ctrl-C and errors of Trio itself get there."""
        if not self._held.ending and not self._ended:
            return
        self.close()
        ended = self._ended[0] if self._ended else None
        if isinstance(ended, Error):
            if holds(ended.error, KeyboardInterrupt):
                raise KeyboardInterrupt from ended.error
            raise ended.error


def holds(error: BaseException | None, kind: type[BaseException]) -> bool:
    """Whether an error is of that kind, or holds one in its group, or was caused by one."""
    if error is None or isinstance(error, kind):
        return error is not None
    members = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    return any(holds(member, kind) for member in members) or holds(error.__cause__, kind)
