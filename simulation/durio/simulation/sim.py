"""Sim: one simulated run, as tests see it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar, overload

from durio.entities.limits import REQUEST_DEDUPE_S
from durio.orchestration import App, Client, RewindPlan
from durio.simulation.asking import (
    NOTHING,
    Ask,
    call,
    cancel,
    raise_event,
    request_of,
    resume,
    rewind,
    signal,
    start,
    suspend,
    terminate,
)
from durio.simulation.calls import Call
from durio.simulation.errors import NeverAtRest, SimulationOver, Unanswered
from durio.simulation.plan import Plan
from durio.simulation.process import Parts, Surroundings
from durio.simulation.sight import Sight
from durio.simulation.subject import NO_FAKES, STEPS_MAX, Subject
from durio.simulation.wording import span
from durio.simulation.world import World
from durio.storage import MemoryDisk, MemoryStore, Store

T = TypeVar("T")
I = TypeVar("I")  # noqa: E741  # the input of a call


class Sim(Sight):
    """A hub in a simulated world: virtual time, chosen interleavings, crashes.

    Everything that can be read shows the last commit, as it does for a client. `close` ends it; `simulation` does
    that by itself.
    """

    def __init__(
        self, subject: Subject, plan: Plan | None = None, open_store: Callable[[], Store] | None = None
    ) -> None:
        self.plan = Plan() if plan is None else plan
        disk = MemoryDisk("simulation")
        # A client that sends again waits for no day, however far the clock jumps meanwhile.
        dedupe_s = REQUEST_DEDUPE_S + sum(abs(seconds) for _, seconds in self.plan.jumps)
        around = Surroundings(subject.app, subject.parts, evict=self.plan.evict, dedupe_s=dedupe_s)
        subject.effects.begin_run(around.trace.note, lambda: self._world.process is not None)
        with around.inside():
            world = World(around, open_store or (lambda: MemoryStore(disk)), self.plan)
        super().__init__(subject, around, world)

    # What happens

    def run(self, *, time: bool = True) -> None:
        """Take steps until nothing is left to do, or `steps_max` were taken. With `time=False` no time passes.

        The trace of a run that was cut off says so, and it is not `at_rest`.
        """
        with self._inside():
            for _ in range(self._subject.steps_max):
                if not self._world.step(time=time):
                    return
            if self._world.enabled():
                self.trace.note(f"cut off after {self._subject.steps_max:,} steps (steps_max)")

    def step(self) -> bool:
        """Take one step, as the plan has it; False: nothing is left to do."""
        with self._inside():
            return self._world.step()

    def enabled(self) -> list[str]:
        """The steps that could come next, in a few words; the first one is the default."""
        with self._inside():
            return [f"{step.kind} {step.label}".rstrip() for step in self._world.enabled()]

    def choose(self, number: int) -> None:
        """Take one of the enabled steps. Raises `IndexError` if there is none of that number."""
        with self._inside():
            steps = self._world.enabled()
            if not 0 <= number < len(steps):
                raise IndexError(f"there is no step {number}: {len(steps)} are enabled, numbered from 0")
            self._world.take(steps[number])

    def crash(self) -> None:
        """The process dies: what was not committed never was. A new one starts with the next step."""
        with self._inside():
            if self._world.process is not None:
                self._around.trace.step("crash", "")
                self._world.crash()

    def calm(self) -> None:
        """From now on there are no planned faults, and only default choices."""
        self._world.calm()

    def advance(self, by: timedelta | None = None, /, **units: float) -> None:
        """Let time pass, from timer to timer, and do what becomes due: `advance(days=30)`.

        Raises `NeverAtRest` when more than `steps_max` steps keep time from passing, `ValueError` for a negative time.
        """
        if by is not None and not isinstance(by, timedelta):
            raise TypeError(f"advance takes a timedelta or units, advance(days=30), and not {by!r}")
        left_us = round(((by or timedelta()) + timedelta(**units)) / timedelta(microseconds=1))
        if left_us < 0:
            raise ValueError(f"time does not go back: advance({by or units!r})")
        self._come_to_rest()
        while (wait_us := self._next_moment_us()) is not None and wait_us <= left_us:
            left_us -= wait_us
            self._pass(wait_us)
            self._come_to_rest()
        if left_us:
            self._pass(left_us)
            self._come_to_rest()

    # What clients ask

    @overload
    def call(self, operation: Callable[[Any], Coroutine[Any, Any, T]], /, *, key: str = ...) -> T: ...
    @overload
    def call(self, operation: Callable[[Any, I], Coroutine[Any, Any, T]], input: I, /, *, key: str = ...) -> T: ...
    @overload
    def call(self, operation: Callable[[Any], T], /, *, key: str = ...) -> T: ...
    @overload
    def call(self, operation: Callable[[Any, I], T], input: I, /, *, key: str = ...) -> T: ...
    @overload
    def call(
        self, operation: str, input: object = ..., /, *, key: str = ..., entity: type | Callable[..., Any] | str
    ) -> Any: ...
    def call(
        self,
        operation: Callable[..., Any] | str,
        input: object = NOTHING,
        /,
        *,
        key: str = "k",
        entity: type | Callable[..., Any] | str | None = None,
    ) -> Any:
        """A client calls an operation of an entity and gets its result. Raises what the client raises."""
        return self.ask(call(operation, input, key=key, entity=entity))

    def signal(
        self,
        operation: Callable[..., Any] | str,
        input: object = NOTHING,
        /,
        *,
        key: str = "k",
        entity: type | Callable[..., Any] | str | None = None,
    ) -> None:
        """A client signals an entity; returns when the signal is durable."""
        self.ask(signal(operation, input, key=key, entity=entity))

    def start(
        self,
        orchestration: Callable[..., Any] | str,
        input: object = NOTHING,
        /,
        *,
        instance_id: str | None = None,
        **options: Any,
    ) -> str:
        """A client starts an orchestration; gives the instance id. Options: those of `durio.simulation.start`."""
        started: Any = self.ask(start(orchestration, input, instance_id=instance_id, **options))
        return str(started.instance_id)

    def raise_event(self, instance_id: str, event_name: str, event_data: object = None) -> None:
        """A client raises an event for an instance."""
        self.ask(raise_event(instance_id, event_name, event_data))

    def cancel(self, instance_id: str) -> None:
        """A client asks an instance to end."""
        self.ask(cancel(instance_id))

    def terminate(self, instance_id: str, *, recursive: bool = True) -> None:
        """A client terminates an instance, and its children unless `recursive` is False."""
        self.ask(terminate(instance_id, recursive=recursive))

    def suspend(self, instance_id: str) -> None:
        """A client suspends an instance."""
        self.ask(suspend(instance_id))

    def resume(self, instance_id: str) -> None:
        """A client resumes an instance."""
        self.ask(resume(instance_id))

    def rewind(self, instance_id: str) -> RewindPlan:
        """A client rewinds an instance that has failed; gives what was taken back."""
        plan: RewindPlan = self.ask(rewind(instance_id))
        return plan

    def ask(self, ask: Ask, *, client: int | None = None) -> Any:
        """A client asks and waits for the answer. Raises what it raises, and `Unanswered` if none comes.

        Without `client` it is one that is not waiting for another answer. No time passes.
        """
        return self._answer(self.send(ask, client=self._free_client() if client is None else client))

    def send(self, ask: Ask, *, client: int = 0) -> Call:
        """A client will ask, when the run goes on and it has its other answers; look at the `Call` later."""
        if self._world.over:
            raise SimulationOver
        for value in (ask.input, ask.target):
            if hasattr(value, "example") and hasattr(value, "filter"):
                raise TypeError(f"{value!r} is a strategy: only `simulate` draws; give a value here")
        target = "k" if ask.target is None and ask.kind in ("call", "signal") else ask.target
        number = len(self._world.calls)
        return self._world.add(request_of(self._subject.app, ask, client, ask.input, target, number))

    def do(self, use: Callable[[Client], Coroutine[Any, Any, T]], *, what: str = "a client") -> T:
        """Use the real client, `sim.do(lambda client: client.wait_for_completion("a"))`; time passes meanwhile.

        `use` gives a coroutine that awaits the client and nothing else. When the process dies it gets `HubClosed`.
        """
        if self._world.over:
            raise SimulationOver
        call = self._world.add_call(what, self._free_client(), lambda client, _: use(client))
        answer: T = self._answer(call, time=True)
        return answer

    # What must hold

    def invariant(self, check: Callable[[], object]) -> Callable[[], object]:
        """`check` must hold after every commit from now on: it raises, or returns False, when it does not."""

        def checked() -> None:
            if check() is False:
                raise AssertionError(f"{getattr(check, '__name__', 'the invariant')} does not hold")

        self._world.after_commit.append(checked)
        return check

    def eventually(self, holds: Callable[[], object], within: int = 1_000) -> None:
        """Without any further crash or choice, `holds` must come true within so many steps.

        It is not true yet while it returns something false, but None, or raises `AssertionError`.
        """
        self.calm()
        why: AssertionError | None = None
        for number in range(within + 1):
            try:
                found = holds()
            except AssertionError as error:
                why = error
            else:
                why = None
                if found is None or found:
                    return
            if number == within or not self.step():
                break
        ended = "nothing is left to do" if self.at_rest else f"{within} steps were not enough"
        raise AssertionError(f"{getattr(holds, '__name__', 'it')} never came true: {ended}") from why

    def close(self) -> None:
        """The run is over: everything is given back."""
        with self._around.inside():
            self._world.close()

    # Inside

    @contextmanager
    def _inside(self) -> Iterator[None]:
        if self._world.over:
            raise SimulationOver
        with self._around.inside():
            yield

    def _answer(self, asked: Call, *, time: bool = False) -> Any:
        steps = 0
        with self._inside():
            while asked.returned is None and steps < self._subject.steps_max and self._world.step(time=time):
                steps += 1
        if asked.error is not None:
            raise asked.error
        if asked.returned is None:
            raise Unanswered(str(asked), self._why_not(asked, steps), self.trace.tail())
        return asked.value

    def _why_not(self, asked: Call, steps: int) -> str:
        if steps >= self._subject.steps_max:
            return f"{steps:,} steps (steps_max) were not enough"
        others = [
            call for call in self._world.calls if call.client == asked.client and call.pending and call is not asked
        ]
        if others:
            return f"client {asked.client} still waits for: {others[0]}"
        return "nothing is left to do" if self.at_rest else "only time is left to pass: use advance, run or do"

    def _free_client(self) -> int:
        busy = {call.client for call in self._world.calls if call.returned is None}
        return next(client for client in range(len(busy) + 1) if client not in busy)

    def _come_to_rest(self) -> None:
        """Do what is to be done without time passing."""
        last = len(self.trace.steps) + self._subject.steps_max
        with self._inside():
            while self._world.step(time=False):
                if len(self.trace.steps) >= last:
                    raise NeverAtRest(self._subject.steps_max, self.trace.tail())

    def _next_moment_us(self) -> int | None:
        with self._inside():
            process = self._world.process
            return None if process is None else process.next_moment_us

    def _pass(self, passed_us: int) -> None:
        with self._inside():
            self._around.trace.step("time", f"+{span(passed_us)}")
            self._world.advance(passed_us)


@contextmanager
def simulation(
    app: App,
    *,
    activities: Mapping[str | Callable[..., Any], Callable[..., Any]] = NO_FAKES,
    world: Callable[[], object] | None = None,
    parts: Parts | None = None,
    replay: str = "",
    evict: bool = False,
    open_store: Callable[[], Store] | None = None,
    steps_max: int = STEPS_MAX,
) -> Iterator[Sim]:
    """A simulated hub for tests that say themselves what happens.

    `activities`: fakes by activity. `world`: as in `simulate`. `replay`: the choices that a failure printed. `evict`:
    every actor leaves memory after every commit. `open_store`: another store than the one in memory. `steps_max`:
    after so many steps a run is cut off.
    """
    if replay and evict:
        raise TypeError("say replay or evict, not both: the plan that is replayed says whether actors leave memory")
    plan = Plan.decode(replay) if replay else Plan(evict=evict)
    sim = Sim(Subject(app, activities=activities, world=world, parts=parts, steps_max=steps_max), plan, open_store)
    try:
        yield sim
    finally:
        sim.close()
