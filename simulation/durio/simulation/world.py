"""The world around a hub: clients, time, crashes. Lists the steps that are enabled, and takes the chosen one."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Iterator
from functools import partial
from typing import Any, Final

import attrs

from durio.entities import Answer, EntityId
from durio.orchestration import Client
from durio.simulation.link import SimLink, Waits
from durio.simulation.operations import show
from durio.simulation.plan import Plan, Request
from durio.simulation.process import Completion, Process, Surroundings
from durio.simulation.tasks import SimTask
from durio.storage import Store, When

AHEAD_MAX: Final = 32
"""After so many steps without one a commit comes first by default: no schedule starves the disk."""

CHOICES: Final = 16
"""How many alternatives a choice can tell apart."""


@attrs.define(eq=False)
class Call:
    """A request of a client, and how it went. Times are numbers of steps.

    While `returned` is None nobody knows how it went. `value`: what the client's method returned; `error`: what it
    raised. `answers`: every answer that came, also to repeated sends: they must be equal (G3).
    """

    number: int
    request: Request | None
    what: str
    client: int
    make: Callable[[Client, str], Coroutine[Any, Any, Any]]
    invoked: int = 0
    invoked_us: int = 0
    returned: int | None = None
    value: Any = None
    error: Exception | None = None
    answers: list[Answer] = attrs.Factory(list)
    sent: int = 0
    lost: bool = False
    """Whether it waited in a process that died, and was not sent again yet."""

    @property
    def request_id(self) -> str:
        """The id under which it is sent, and sent again."""
        return f"q{self.number}"

    @property
    def pending(self) -> bool:
        """Whether it was sent and has no answer yet."""
        return self.sent > 0 and self.returned is None

    def __str__(self) -> str:
        return self.what


@attrs.frozen
class Enabled:
    """A step that could come next."""

    kind: str
    label: str
    take: Callable[[], object]


class Crashed(Exception):
    """Inside the world only: the process has died in the middle of a step."""


class World:
    """Runs one plan.

    Guarantees: the same plan gives the same trace; every step is one of those that a real hub could take then.
    """

    def __init__(self, around: Surroundings, open_store: Callable[[], Store], plan: Plan) -> None:
        self.around = around
        self.plan = plan
        self.calls: list[Call] = []
        self.commits = 0
        self.crashes = 0
        self.widths: list[int] = []
        """At each choice: how many steps were enabled."""
        self.after_commit: list[Callable[[], None]] = []
        self.process: Process | None = None
        self._open_store = open_store
        self._choices: Iterator[int] = iter(plan.schedule)
        self._crashes: dict[int, When] = dict(plan.crashes)
        self._jumps: dict[int, float] = dict(plan.jumps)
        self._waiting: dict[object, list[tuple[Call, Coroutine[Any, Any, Any]]]] = {}
        self._heard: list[tuple[object, Any]] = []
        self._ahead = 0
        self._last_task = 0
        self._retried: set[int] = set()
        for request in plan.requests:
            self.add(request)
        self._start()

    # What clients ask

    def add(self, request: Request) -> Call:
        """A request that its client will send when it has the answers to those before."""
        payloads = self.around.app.payloads

        def make(client: Client, request_id: str) -> Coroutine[Any, Any, Any]:
            value = payloads.decode(request.input.encode()) if request.input else None
            return _ask(client, request, value, request_id)

        call = Call(len(self.calls), request, str(request), request.client, make)
        self.calls.append(call)
        return call

    def add_call(self, what: str, client: int, make: Callable[[Client, str], Coroutine[Any, Any, Any]]) -> Call:
        """Any use of a client."""
        call = Call(len(self.calls), None, what, client, make)
        self.calls.append(call)
        return call

    # Steps

    def enabled(self) -> list[Enabled]:
        """The steps that could come next; the first one is the default.

        Benign, but dangerous: everybody asks before anything is done, and a commit comes as late as it can.
        """
        process = self.process
        if process is None:
            return [Enabled("restart", "", self._start)]
        steps = [self._sending(call) for call in self._askable()]
        steps += self._doing(process)
        if process.commits:
            commit = Enabled("commit", str(self.commits + 1), self._commit)
            steps.insert(len(steps) if self._ahead < AHEAD_MAX else 0, commit)
            if process.in_flight is None:
                steps.append(Enabled("seal", f"commit {self.commits + 1} is on its way", process.seal))
        late = [completion for completion in process.completions if completion.again]
        steps += [Enabled("result", str(completion), partial(process.deliver, completion)) for completion in late]
        steps += self._passing(process)
        steps += [self._sending(call) for call in self._repeatable()]
        return steps

    def step(self) -> bool:
        """Take the step that the plan chooses; False: there is none."""
        steps = self.enabled()
        if not steps:
            return False
        width = min(len(steps), CHOICES)
        choice = next(self._choices, 0)
        self.widths.append(width)
        self.take(steps[choice % width])
        return True

    def take(self, chosen: Enabled) -> None:
        """Take one step."""
        trace = self.around.trace
        jump_s = self._jumps.pop(len(trace.steps), None)
        trace.step(chosen.kind, chosen.label)
        if jump_s is not None:
            self.around.clock.jumped_us += round(jump_s * 1_000_000)
            trace.note(f"the wall clock jumps by {jump_s:+g} s")
        self._ahead += 1
        try:
            chosen.take()
            self._hand_out()
        except Crashed:
            return
        self.around.reality.check()
        if chosen.kind == "commit":
            for check in self.after_commit:
                check()

    def crash(self, why: str = "") -> None:
        """The process dies, here and now."""
        process, self.process = self.process, None
        if process is None:
            return
        self.crashes += 1
        self.around.trace.note(f"CRASH {why}".rstrip())
        self._heard.clear()
        for waiting in self._waiting.values():
            for call, coroutine in waiting:
                coroutine.close()
                call.lost = True
        self._waiting.clear()
        process.kill()

    def calm(self) -> None:
        """From now on there are no crashes, no jumps, and only default choices."""
        self._choices = iter(())
        self._crashes.clear()
        self._jumps.clear()

    def advance(self, passed_us: int) -> None:
        """Let time pass."""
        self.around.clock.passed_us += passed_us
        if self.process is not None:
            self.process.fire_due()

    def close(self) -> None:
        """The run is over."""
        for waiting in self._waiting.values():
            for _, coroutine in waiting:
                coroutine.close()
        self._waiting.clear()
        if self.process is not None:
            self.process.kill()

    # Inside

    def _start(self) -> None:
        self.process = self.around.parts.process(self._open_store(), self.around, self._hear)
        self.client = Client(SimLink(self.process), self.around.app, self.process.entities)
        self._ahead = self._last_task = 0

    def _askable(self) -> Iterable[Call]:
        """For each client what it sends next: again what was lost in a crash, else the next one."""
        busy: set[int] = set()
        for call in self.calls:
            if call.client in busy or call.returned is not None:
                continue
            if call.lost and call.number in self.plan.abandoned:
                continue  # the client gave up: nobody knows whether it was done
            busy.add(call.client)
            if call.sent == 0 or call.lost:
                yield call

    def _repeatable(self) -> Iterable[Call]:
        for call in self.calls:
            if call.pending and not call.lost and call.number in self.plan.retries and call.number not in self._retried:
                yield call

    def _sending(self, call: Call) -> Enabled:
        again = " again" if call.sent else ""
        return Enabled(f"client {call.client}", f"{call}{again}", partial(self._send, call))

    def _send(self, call: Call) -> None:
        if call.sent and not call.lost:
            self._retried.add(call.number)
        if call.sent == 0:
            call.invoked, call.invoked_us = len(self.around.trace.steps), self.around.clock.wall_us
        call.sent += 1
        call.lost = False
        self._drive(call, call.make(self.client, call.request_id), None)

    def _doing(self, process: Process) -> Iterable[Enabled]:
        """What the hub itself has to do, but for commits and time; the task that ran last goes on first."""
        for task in sorted(process.tasks.runnable(), key=lambda task: (task.number != self._last_task, task.number)):
            yield Enabled("task", task.name, partial(self._run_task, process, task))
        for completion in process.completions:
            if not completion.again:
                yield Enabled("result", str(completion), partial(self._deliver, process, completion))
        for address in process.kernel.waiting:
            yield Enabled("turn", address, partial(process.kernel.run_turn, address))

    def _passing(self, process: Process) -> Iterable[Enabled]:
        wait_us = process.next_moment_us
        if wait_us is not None:
            label = f"+{wait_us / 1_000_000:g} s" if wait_us else "what is due fires"
            yield Enabled("time", label, partial(self.advance, wait_us))

    def _run_task(self, process: Process, task: SimTask) -> None:
        self._last_task = task.number
        process.tasks.run(task)

    def _deliver(self, process: Process, completion: Completion) -> None:
        process.deliver(completion)
        if completion.number in self.plan.duplicates:
            process.completions.append(attrs.evolve(completion, again=True))

    def _commit(self) -> None:
        process = self.process
        assert process is not None, "it is enabled"
        if process.in_flight is None:
            process.seal()
        self._ahead = 0
        self.commits += 1
        when = self._crashes.pop(self.commits, None)
        if when == "after":
            process.write()
        if when is not None:
            self.crash(f"{when} commit {self.commits} was durable")
            raise Crashed
        process.land()

    def _hear(self, key: object, value: Any) -> None:
        self._heard.append((key, value))

    def _hand_out(self) -> None:
        """Clients get what has come for them."""
        while self._heard:
            heard, self._heard = self._heard, []
            for key, value in heard:
                for call, coroutine in self._waiting.pop(key, ()):
                    if isinstance(value, Answer):
                        call.answers.append(value)
                    self._drive(call, coroutine, value)

    def _drive(self, call: Call, coroutine: Coroutine[Any, Any, Any], value: Any) -> None:
        try:
            waits = coroutine.send(value)
        except StopIteration as stop:
            self._return(call, stop.value, None)
        except Exception as error:
            self._return(call, None, error)
        else:
            assert isinstance(waits, Waits), "clients wait for the simulated hub only"
            self._waiting.setdefault(waits.key, []).append((call, coroutine))

    def _return(self, call: Call, value: Any, error: Exception | None) -> None:
        if call.returned is None:
            call.returned = len(self.around.trace.steps)
            call.value, call.error = value, error
            shown = show(call.answers[-1]) if call.answers else repr(value)
            self.around.trace.note(
                f"client {call.client} gets {shown if error is None else f'{type(error).__name__}: {error}'}"
            )


def _ask(client: Client, request: Request, value: Any, request_id: str) -> Coroutine[Any, Any, Any]:
    options: dict[str, Any] = dict(request.options)
    if request.kind == "call":
        return client.call_entity(EntityId.parse(request.target), request.name, value, request_id=request_id)
    if request.kind == "signal":
        return client.signal_entity(EntityId.parse(request.target), request.name, value, request_id=request_id)
    if request.kind == "start":
        return client.start_new(request.name, request.target, value, request_id=request_id, **options)
    if request.kind == "event":
        return client.raise_event(request.target, request.name, value, request_id=request_id)
    if request.kind == "terminate":
        return client.terminate(request.target, request_id=request_id)
    if request.kind == "suspend":
        return client.suspend(request.target, request_id=request_id)
    return client.resume(request.target, request_id=request_id)
