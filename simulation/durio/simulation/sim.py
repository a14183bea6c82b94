"""Sim: one simulated run, as tests see it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar, overload

from durio.orchestration import App, Client
from durio.simulation.asking import NOTHING, Ask, call, raise_event, request_of, signal, start
from durio.simulation.errors import Unanswered
from durio.simulation.plan import Plan
from durio.simulation.process import Parts, Surroundings
from durio.simulation.sight import Sight
from durio.simulation.subject import NO_FAKES, Subject
from durio.simulation.world import Call, World
from durio.storage import MemoryDisk, MemoryStore, Store

T = TypeVar("T")


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
        around = Surroundings(subject.app, subject.parts, evict=self.plan.evict)
        subject.effects.begin_run(around.trace.note, lambda: self._world.process is not None)
        with around.inside():
            world = World(around, open_store or (lambda: MemoryStore(disk)), self.plan)
        super().__init__(subject, around, world)

    # What happens

    def run(self, *, time: bool = True) -> None:
        """Take steps until nothing is left to do, or `steps_max` were taken. With `time=False` no time passes."""
        with self._around.inside():
            for _ in range(self._subject.steps_max):
                steps = self._world.enabled() if not time else None
                if steps is not None and (not steps or steps[0].kind == "time"):
                    return
                if not self._world.step():
                    return

    def step(self) -> bool:
        """Take one step, as the plan has it; False: nothing is left to do."""
        with self._around.inside():
            return self._world.step()

    def enabled(self) -> list[str]:
        """The steps that could come next, in a few words; the first one is the default."""
        with self._around.inside():
            return [f"{step.kind} {step.label}" for step in self._world.enabled()]

    def choose(self, number: int) -> None:
        """Take one of the enabled steps."""
        with self._around.inside():
            self._world.take(self._world.enabled()[number])

    def crash(self) -> None:
        """The process dies: what was not committed never was. A new one starts with the next step."""
        self._around.trace.step("crash", "")
        with self._around.inside():
            self._world.crash()

    def advance(self, by: timedelta | None = None, /, **units: float) -> None:
        """Let time pass, from timer to timer, and do what becomes due: `advance(days=30)`."""
        left_us = round(((by or timedelta()) + timedelta(**units)) / timedelta(microseconds=1))
        if left_us < 0:
            raise ValueError(f"time does not go back: advance({by or units!r})")
        self.run(time=False)
        while (wait_us := self._next_moment_us()) is not None and wait_us <= left_us:
            left_us -= wait_us
            self._pass(wait_us)
            self.run(time=False)
        self._pass(left_us)
        self.run(time=False)

    # What clients ask

    @overload
    def call(self, operation: Callable[[Any], Coroutine[Any, Any, T]], /, *, key: str = ...) -> T: ...
    @overload
    def call(self, operation: Callable[[Any, Any], Coroutine[Any, Any, T]], input: Any, /, *, key: str = ...) -> T: ...
    @overload
    def call(self, operation: Callable[[Any], T], /, *, key: str = ...) -> T: ...
    @overload
    def call(self, operation: Callable[[Any, Any], T], input: Any, /, *, key: str = ...) -> T: ...
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
        """A client starts an orchestration; gives the instance id. The options are those of `Client.start_new`."""
        started: Any = self.ask(start(orchestration, input, instance_id=instance_id, **options))
        return str(started.instance_id)

    def raise_event(self, instance_id: str, event_name: str, event_data: object = None) -> None:
        """A client raises an event for an instance."""
        self.ask(raise_event(instance_id, event_name, event_data))

    def ask(self, ask: Ask, *, client: int = 0) -> Any:
        """A client asks and waits for the answer. Raises what it raises, and `Unanswered` if none comes."""
        return self._answer(self.send(ask, client=client))

    def send(self, ask: Ask, *, client: int = 0) -> Call:
        """A client will ask, when the run goes on; look at the `Call` later."""
        value = ask.input if ask.kind != "event" or ask.input is not None else None
        target = "k" if ask.target is None and ask.kind in ("call", "signal") else ask.target
        request = request_of(self._subject.app, ask, client, value, target, len(self._world.calls))
        return self._world.add(request)

    def do(self, use: Callable[[Client], Coroutine[Any, Any, T]], *, what: str = "a client") -> T:
        """Use the real client, `sim.do(lambda client: client.wait_for_completion("a"))`; time passes meanwhile."""
        answer: T = self._answer(self._world.add_call(what, 0, lambda client, _: use(client)), time=True)
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
        """Without any further crash or choice, `holds` must come true within so many steps."""
        with self._around.inside():
            self._world.calm()
            for _ in range(within):
                if holds():
                    return
                if not self._world.step():
                    break
        if not holds():
            why = "nothing is left to do" if self.at_rest else f"{within} steps were not enough"
            raise AssertionError(f"{getattr(holds, '__name__', 'it')} never came true: {why}")

    def close(self) -> None:
        """The run is over: everything is given back."""
        with self._around.inside():
            self._world.close()

    # Inside

    def _answer(self, asked: Call, *, time: bool = False) -> Any:
        with self._around.inside():
            for _ in range(self._subject.steps_max):
                steps = self._world.enabled()
                if asked.returned is not None or not steps or (steps[0].kind == "time" and not time):
                    break
                self._world.step()
        if asked.error is not None:
            raise asked.error
        if asked.returned is None:
            raise Unanswered(str(asked), str(self.trace))
        return asked.value

    def _next_moment_us(self) -> int | None:
        with self._around.inside():
            process = self._world.process
            return None if process is None else process.next_moment_us

    def _pass(self, passed_us: int) -> None:
        if passed_us:
            self._around.trace.step("time", f"+{passed_us / 1_000_000:g} s")
        with self._around.inside():
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
) -> Iterator[Sim]:
    """A simulated hub for tests that say themselves what happens.

    `activities`: fakes by activity. `world`: as in `simulate`. `replay`: the choices that a failure printed. `evict`:
    every actor leaves memory after every commit. `open_store`: another store than the one in memory.
    """
    plan = Plan.decode(replay) if replay else Plan(evict=evict)
    sim = Sim(Subject(app, activities=activities, world=world, parts=parts), plan, open_store)
    try:
        yield sim
    finally:
        sim.close()
