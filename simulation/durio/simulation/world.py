"""The world around a hub: clients, time, crashes. Lists the steps that are enabled, and takes the chosen one."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Iterator
from contextlib import ExitStack
from functools import partial
from typing import Any, Final

import attrs

from durio.entities import Answer
from durio.orchestration import Client
from durio.simulation.calls import Call, ask
from durio.simulation.link import SimLink, Waits
from durio.simulation.operations import show
from durio.simulation.plan import Moment, Plan, Request
from durio.simulation.process import Completion, Process, Surroundings
from durio.simulation.tasks import SimTask
from durio.simulation.wording import span
from durio.storage import HubClosed, Store

AHEAD_MAX: Final = 32
"""After so many steps without one a commit comes first by default, and a task that went on for so many comes last: no
default schedule starves the disk, or the others."""

STALL_MAX_US: Final = 60_000_000
"""For so long a hub may stall: time passes while something is to be done at once, or is due. Not longer."""


@attrs.frozen
class Enabled:
    """A step that could come next."""

    kind: str
    what: object
    take: Callable[[], object]
    again: str = ""

    @property
    def label(self) -> str:
        """What it is about; put into words only for the step that is taken."""
        return f"{self.what}{self.again}"


class Crashed(Exception):
    """Inside the world only: the process has died in the middle of a step."""


class World:
    """Runs one plan.

    Guarantees: the same plan gives the same trace; every step is one that durio's guarantees allow then.
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
        self._crashes: dict[int, Moment] = {n: when for n, when in plan.crashes if when != "running"}
        self._halfway = {n for n, when in plan.crashes if when == "running"}
        self._task_steps = 0
        self._calm = False
        self._graveyard: list[Process] = []
        self.over = False
        self._jumps: dict[int, float] = dict(plan.jumps)
        self._waiting: dict[object, list[tuple[Call, Coroutine[Any, Any, Any]]]] = {}
        self._heard: list[tuple[object, Any]] = []
        self._ahead = 0
        self._last_task = self._streak = 0
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
            return ask(client, request, value, request_id, call.invoked_us)

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
            return [] if self.over else [Enabled("restart", "", self._start)]
        asking = list(self._askable())
        steps = [self._sending(call) for call in asking]
        if process.overdue_us is not None:
            steps.append(Enabled("timers", "what is due fires", process.fire_due))
        steps += self._doing(process)
        if process.has_changes:
            commit = Enabled("commit", self.commits + 1, self._commit)
            steps.insert(len(steps) if self._ahead < AHEAD_MAX else 0, commit)
            if process.in_flight is None:
                steps.append(Enabled("seal", f"commit {self.commits + 1} is on its way", process.seal))
        late = [completion for completion in process.completions if completion.again]
        steps += [Enabled("result", completion, partial(process.deliver, completion)) for completion in late]
        repeats = [self._sending(call) for call in self._repeatable()]
        unasked = sum(call.sent == 0 for call in asking)  # who has not asked yet may do so in a month
        steps += self._passing(process, idle=len(steps) == unasked and not repeats)
        return steps + repeats

    def step(self, *, time: bool = True) -> bool:
        """Take the step that the plan chooses; False: there is none, or none but time if that may not pass."""
        steps = self.enabled()
        if not time:
            steps = [step for step in steps if step.kind != "time"]
        if not steps:
            return False
        self.widths.append(len(steps))
        self.take(steps[next(self._choices, 0) % len(steps)])
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
            if self.around.reality.died:
                self.crash("by its own code")
                return
            self._hand_out()
        except Crashed:
            return
        self.around.reality.check()
        if chosen.kind in ("commit", "restart"):  # the last commit of a process is seen by the next one
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
                if call.request is None:  # it has no id under which it could be sent again
                    self._return(call, None, HubClosed(process.store.path))
                else:
                    call.lost = True
        self._waiting.clear()
        process.kill()
        self._graveyard.append(process)

    def restart(self) -> None:
        """Open the hub again, out of turn."""
        self.around.trace.step("restart", "")
        self._start()

    def calm(self) -> None:
        """From now on there are no crashes, no jumps, no repeats, and only default choices."""
        self._choices = iter(())
        self._crashes.clear()
        self._halfway.clear()
        self._jumps.clear()
        self._calm = True

    def advance(self, passed_us: int) -> None:
        """Let time pass. What sleeps wakes; what is due in the hub fires in a step of its own, which may be late."""
        self.around.clock.passed_us += passed_us
        if self.process is not None:
            self.process.time_passed()

    def close(self) -> None:
        """The run is over."""
        self.over = True
        for waiting in self._waiting.values():
            for _, coroutine in waiting:
                coroutine.close()
        self._waiting.clear()
        process, self.process = self.process, None
        if process is not None:
            process.kill()
            self._graveyard.append(process)
        with ExitStack() as stack:
            for dead in self._graveyard:
                stack.callback(dead.bury)
        self._graveyard.clear()

    # Inside

    def _start(self) -> None:
        self.process = self.around.parts.process(self._open_store(), self.around, self._hear)
        self.around.reality.died, self.around.reality.at_death = False, self.process.die
        self.client = Client(SimLink(self.process), self.around.app, self.process.entities, self.process.payloads)
        self._ahead = self._last_task = self._streak = 0

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
        if self._calm:
            return
        for call in self.calls:
            if call.pending and not call.lost and call.number in self.plan.retries and call.number not in self._retried:
                yield call

    def _sending(self, call: Call) -> Enabled:
        return Enabled(f"client {call.client}", call, partial(self._send, call), " again" if call.sent else "")

    def _send(self, call: Call) -> None:
        if call.sent and not call.lost:
            self._retried.add(call.number)
        if call.sent == 0:
            call.invoked, call.invoked_us = len(self.around.trace.steps), self.around.clock.wall_us
        call.sent += 1
        call.lost = False
        self._drive(call, call.make(self.client, call.request_id), None)

    def _doing(self, process: Process) -> Iterable[Enabled]:
        """What the hub has to do, but for commits and time; the task that ran last goes on first, for a while."""
        tasks = sorted(process.tasks.runnable(), key=lambda task: (task.number != self._last_task, task.number))
        tired = [task for task in tasks if task.number == self._last_task and self._streak >= AHEAD_MAX]
        for task in tasks[len(tired) :]:
            yield Enabled("task", task.name, partial(self._run_task, process, task))
        for completion in process.completions:
            if not completion.again:
                yield Enabled("result", completion, partial(self._deliver, process, completion))
        for address in process.kernel.waiting:
            yield Enabled("turn", address, partial(process.kernel.run_turn, address))
        for task in tired:
            yield Enabled("task", task.name, partial(self._run_task, process, task))

    def _passing(self, process: Process, *, idle: bool) -> Iterable[Enabled]:
        """A long time passes only when nothing else is to be done: a hub stalls for seconds, and not for a month."""
        wait_us, overdue_us = process.next_moment_us, process.overdue_us or 0
        if wait_us is not None and (idle or wait_us + overdue_us <= STALL_MAX_US):
            yield Enabled("time", f"+{span(wait_us)}", partial(self.advance, wait_us))

    def _run_task(self, process: Process, task: SimTask) -> None:
        self._streak = self._streak + 1 if task.number == self._last_task else 1
        self._last_task = task.number
        process.tasks.run(task)
        self._task_steps += 1
        if self._task_steps in self._halfway and process.tasks.alive:
            self._halfway.discard(self._task_steps)
            self.crash("while a task was running")
            raise Crashed

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
        self.around.who = f"client {call.client}"
        try:
            waits = coroutine.send(value)
        except StopIteration as stop:
            self._return(call, stop.value, None)
        except Exception as error:
            self._return(call, None, error)
        else:
            if not isinstance(waits, Waits):
                coroutine.close()
                raise TypeError(f"{call} awaits something else than the client: {waits!r}")
            self._waiting.setdefault(waits.key, []).append((call, coroutine))

    def _return(self, call: Call, value: Any, error: Exception | None) -> None:
        if call.returned is None:
            call.returned = len(self.around.trace.steps)
            call.value, call.error = value, error
            shown = show(call.answers[-1]) if call.answers else repr(value)
            self.around.trace.note(
                f"client {call.client} gets {shown if error is None else f'{type(error).__name__}: {error}'}"
            )
