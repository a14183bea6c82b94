"""Trio tasks of the code under test run one at a time, from checkpoint to checkpoint, in virtual time."""

from __future__ import annotations

import gc
import inspect
import sys
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial

import attrs
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio._core._run import GLOBAL_RUN_CONTEXT

from durio.simulation.clocks import SimClock
from durio.simulation.tasks import Tasks


@attrs.define
class Loop:
    """A loop that stands still, and what its tasks did."""

    clock: SimClock
    tasks: Tasks
    log: list[str] = attrs.Factory(list)

    def spawn(self, name: str, function: Callable[..., Awaitable[object]], *arguments: object) -> None:
        nursery = self.tasks.nursery
        with self.tasks.apart:
            nursery.start_soon(function, *arguments, name=name)

    @property
    def ready(self) -> list[str]:
        return [task.name for task in self.tasks.runnable()]

    def step(self, name: str) -> None:
        """One step of the task of that name."""
        self.tasks.run(next(task for task in self.tasks.runnable() if task.name == name))

    def settle(self) -> None:
        """Step as long as somebody can go on, always the first one."""
        while ready := self.tasks.runnable():
            self.tasks.run(ready[0])

    def later(self, seconds: float) -> None:
        self.clock.passed_us += round(seconds * 1_000_000)
        self.tasks.wake_due()

    async def count(self, name: str, steps: int) -> None:
        """Say its name at every step."""
        for _ in range(steps):
            self.log.append(name)
            await trio.lowlevel.checkpoint()

    async def nap(self, name: str, seconds: float) -> None:
        await trio.sleep(seconds)
        self.log.append(f"{name} at {trio.current_time():g}")


@contextmanager
def loops() -> Iterator[Loop]:
    clock = SimClock()
    loop = Loop(clock, Tasks(clock))
    with loop.tasks.apart:
        try:
            yield loop
        finally:
            loop.tasks.close()


@pytest.fixture
def loop() -> Iterator[Loop]:
    with loops() as made:
        yield made


@given(choices=st.lists(st.sampled_from("abc"), max_size=30))
def test_a_step_runs_one_task_to_its_next_checkpoint_and_nobody_else(choices: list[str]) -> None:
    """Every interleaving can be had: what ran is what was chosen, one piece for each step, in that order."""
    with loops() as loop:
        for name, steps in sorted(Counter(choices).items()):
            loop.spawn(name, loop.count, name, steps)
        for number, name in enumerate(choices, 1):
            loop.step(name)
            assert loop.log == choices[:number]
        assert loop.ready == sorted(set(choices)), "each has its end still to go to"
        loop.settle()
        assert (loop.ready, loop.log) == ([], choices)


def test_two_schedules_give_two_orders() -> None:
    """The pin: Trio still has the private `GLOBAL_RUN_CONTEXT.runner.runq`, and who is put there decides who runs."""
    logs = []
    for schedule in ("aaaabbbb", "bbbbaaaa", "abbbbaaa"):
        with loops() as loop:
            loop.spawn("a", loop.count, "a", 4)
            loop.spawn("b", loop.count, "b", 4)
            assert isinstance(GLOBAL_RUN_CONTEXT.runner.runq, deque)
            assert len(GLOBAL_RUN_CONTEXT.runner.runq) == 0, "both could go on, and Trio knows of none"
            for name in schedule:
                loop.step(name)
            logs.append("".join(loop.log))
    assert logs == ["aaaabbbb", "bbbbaaaa", "abbbbaaa"]


def test_tasks_are_listed_in_the_order_in_which_they_were_spawned(loop: Loop) -> None:
    """Whoever woke first: the order comes from the code, and is the same in every run."""
    events = [trio.Event() for _ in range(5)]
    for number, event in enumerate(events):
        loop.spawn(f"t{number}", event.wait)
    assert loop.ready == ["t0", "t1", "t2", "t3", "t4"]
    loop.settle()
    for number in (3, 0, 4, 1):
        events[number].set()
    assert loop.ready == ["t0", "t1", "t3", "t4"]


def test_a_task_that_wakes_another_goes_on_alone(loop: Loop) -> None:
    """What becomes able to go on in a step waits to be chosen."""
    event = trio.Event()

    async def waits() -> None:
        await event.wait()
        loop.log.append("woken")

    async def wakes() -> None:
        event.set()
        loop.log.append("set")
        await trio.lowlevel.checkpoint()
        loop.log.append("went on")

    loop.spawn("waits", waits)
    loop.spawn("wakes", wakes)
    loop.step("waits")
    assert loop.ready == ["wakes"]
    loop.step("wakes")
    assert loop.ready == ["waits", "wakes"]
    loop.step("wakes")
    loop.step("waits")
    assert loop.log == ["set", "went on", "woken"]


def test_time_moves_with_the_clock_only(loop: Loop) -> None:
    """A sleeper can go on when its deadline has come, to the microsecond; steps of others cost no time."""
    loop.spawn("three", loop.nap, "three", 3)
    loop.spawn("one", loop.nap, "one", 1)
    loop.spawn("busy", loop.count, "busy", 50)
    loop.settle()
    assert loop.tasks.next_deadline_s == 1
    loop.later(0.999_999)
    assert loop.ready == []
    loop.later(0.000_001)
    assert loop.ready == ["one"]
    loop.step("one")
    assert loop.tasks.next_deadline_s == 3
    loop.later(60)
    loop.settle()
    assert [line for line in loop.log if line != "busy"] == ["one at 1", "three at 61"]
    assert loop.tasks.next_deadline_s is None


def test_many_deadlines_at_once_wake_all_and_run_none(loop: Loop) -> None:
    """Tasks that are due at one moment are as many choices."""
    for number in range(4):
        loop.spawn(f"t{number}", loop.nap, str(number), 5)
    loop.settle()
    loop.later(5)
    assert (loop.ready, loop.log) == (["t0", "t1", "t2", "t3"], [])
    loop.step("t2")
    assert loop.log == ["2 at 5"]


def test_children_of_a_task_are_tasks(loop: Loop) -> None:
    """A nursery in user code: its children are chosen one by one, and their parent goes on after them."""

    async def parent() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(loop.count, "x", 2, name="x")
            nursery.start_soon(loop.count, "y", 2, name="y")
        loop.log.append("joined")

    loop.spawn("parent", parent)
    loop.step("parent")
    assert loop.ready == ["x", "y"]
    for name in "yyyxxx":
        loop.step(name)
    assert loop.ready == ["parent"]
    loop.settle()
    assert loop.log == ["y", "y", "x", "x", "joined"]


def test_a_failing_child_cancels_its_siblings(loop: Loop) -> None:
    """Nurseries keep Trio's rules: the sibling is cancelled, in steps of its own, and the parent gets the error."""

    async def fail() -> None:
        raise ValueError("no")

    async def parent() -> None:
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(loop.nap, "sleeper", 9, name="sleeper")
                nursery.start_soon(fail, name="fails")
        except* ValueError:
            loop.log.append("caught")

    loop.spawn("parent", parent)
    loop.step("parent")
    loop.step("sleeper")
    loop.step("fails")
    assert loop.ready == ["sleeper"]
    loop.settle()
    assert loop.log == ["caught"]


def test_cancel_scopes_end_in_virtual_time(loop: Loop) -> None:
    """`move_on_after` is due like a sleeper, and wakes the task that is inside."""

    async def impatient() -> None:
        with trio.move_on_after(2) as scope:
            await trio.sleep(100)
        loop.log.append(f"{scope.cancelled_caught} at {trio.current_time():g}")

    loop.spawn("impatient", impatient)
    loop.settle()
    assert loop.tasks.next_deadline_s == 2
    loop.later(2)
    loop.settle()
    assert loop.log == ["True at 2"]


def test_a_task_that_never_ends_is_a_choice_for_ever(loop: Loop) -> None:
    """A loop without an end stops nobody: others are chosen beside it, and `close` ends it."""
    loop.spawn("busy", loop.count, "busy", sys.maxsize)
    loop.spawn("other", loop.count, "other", 1)
    for _ in range(1000):
        loop.step("busy")
    loop.step("other")
    assert Counter(loop.log) == {"busy": 1000, "other": 1}
    assert "busy" in loop.ready
    loop.tasks.close()
    assert loop.ready == []


def test_closing_cancels_every_task_and_lets_it_clean_up(loop: Loop) -> None:
    """`finally` blocks run to their end, shielded awaits too; tasks that never ran begin and are cancelled."""

    async def careful(name: str) -> None:
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.lowlevel.checkpoint()
            loop.log.append(f"{name} is clean")

    loop.spawn("first", careful, "first")
    loop.settle()
    loop.spawn("second", careful, "second")
    loop.tasks.close()
    assert sorted(loop.log) == ["first is clean", "second is clean"]
    assert loop.tasks.next_deadline_s is None


def test_cleanup_that_takes_time_gets_it_and_takes_it_from_nobody(loop: Loop) -> None:
    """A shielded sleep in a `finally` block comes to its end, while the clock of the simulation stands still."""

    async def says_goodbye() -> None:
        try:
            await trio.sleep_forever()
        finally:
            with trio.move_on_after(30, shield=True):
                await loop.nap("goodbye", 5)

    loop.spawn("polite", says_goodbye)
    loop.settle()
    loop.tasks.close()
    assert (loop.log, loop.clock.passed_us) == (["goodbye at 5"], 0)


def test_a_task_that_swallows_its_cancellation_is_named_and_left_behind() -> None:
    """The error says which one it is; nothing of its loop is left, and the thread can run Trio again."""

    async def stubborn() -> None:
        while True:
            with suppress(trio.Cancelled):
                await trio.sleep_forever()

    tasks = Tasks(SimClock())
    with tasks.apart:
        tasks.nursery.start_soon(stubborn, name="stubborn")
    found = tasks.runnable()[0]
    tasks.run(found)
    with pytest.raises(RuntimeError, match="stubborn"):
        tasks.close()
    assert inspect.getcoroutinestate(found.task.coro) == inspect.CORO_CLOSED
    tasks.close()
    gc.collect()
    trio.run(trio.lowlevel.checkpoint)


def test_what_a_task_raises_comes_out_of_the_step() -> None:
    """Only Ctrl-C gets here: it comes out as it is, at once, and nothing of the loop is left."""

    async def fail() -> None:
        raise KeyboardInterrupt("now")

    tasks = Tasks(SimClock())
    with tasks.apart:
        tasks.nursery.start_soon(fail)
    with pytest.raises(KeyboardInterrupt):
        while ready := tasks.runnable():
            tasks.run(ready[0])
    tasks.close()
    assert (tasks.runnable(), tasks.alive) == ([], False)
    gc.collect()
    trio.run(trio.lowlevel.checkpoint)


def test_without_a_task_there_is_no_loop() -> None:
    """A simulation without activities costs no Trio loop: it begins with the first task."""
    tasks = Tasks(SimClock())
    assert (tasks.runnable(), tasks.next_deadline_s) == ([], None)
    tasks.wake_due()
    tasks.close()
    assert not hasattr(GLOBAL_RUN_CONTEXT, "runner")


async def numbers() -> AsyncIterator[int]:
    for number in range(3):
        yield number


def test_nothing_of_a_loop_is_left_in_the_thread() -> None:
    """While it stands still and after its end other Trio loops run, and Python's hooks are as before."""
    hooks = sys.get_asyncgen_hooks()
    tasks, log = Tasks(SimClock()), list[int]()

    async def goes_through() -> None:
        async for number in numbers():
            log.append(number)
            await trio.lowlevel.checkpoint()

    with tasks.apart:
        tasks.nursery.start_soon(goes_through)
    assert tasks.alive
    while ready := tasks.runnable():
        tasks.run(ready[0])
        trio.run(trio.lowlevel.checkpoint)
        assert sys.get_asyncgen_hooks() == hooks
    assert not tasks.alive
    tasks.close()
    assert log == [0, 1, 2]
    assert sys.get_asyncgen_hooks() == hooks
    trio.run(trio.lowlevel.checkpoint)


async def test_loops_stand_still_side_by_side_in_a_trio_program() -> None:
    """Two simulated loops and the one around them do not meet: each has its own time and its own tasks."""
    lines: list[str] = []
    clocks = [SimClock(), SimClock()]
    loops = [Tasks(clock) for clock in clocks]

    async def nap(name: str) -> None:
        await trio.sleep(10)
        lines.append(f"{name} at {trio.current_time():g}")

    for number, tasks in enumerate(loops):
        with tasks.apart:
            tasks.nursery.start_soon(partial(nap, f"loop {number}"))
        tasks.run(tasks.runnable()[0])
        await trio.lowlevel.checkpoint()
    for clock, tasks in reversed(list(zip(clocks, loops, strict=True))):
        clock.passed_us += 10_000_000
        tasks.wake_due()
        tasks.run(tasks.runnable()[0])
        tasks.close()
        await trio.lowlevel.checkpoint()
    assert lines == ["loop 1 at 10", "loop 0 at 10"]
