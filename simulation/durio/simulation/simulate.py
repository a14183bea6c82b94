"""simulate: a property-based concurrency test in a few lines."""

from __future__ import annotations

import functools
import inspect
import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Protocol, cast

import attrs
import hypothesis
from hypothesis.errors import HypothesisException

from durio.orchestration import App
from durio.simulation.asking import Ask
from durio.simulation.discovery import app_for
from durio.simulation.drawing import Faults, fixed, plans
from durio.simulation.errors import TwinFailed
from durio.simulation.exhaustive import RUNS_MAX, Ran, search
from durio.simulation.options import OPTIONS
from durio.simulation.plan import Plan
from durio.simulation.process import Parts
from durio.simulation.sim import Sim
from durio.simulation.subject import NO_FAKES, STEPS_MAX, Subject
from durio.simulation.twin import BETWEEN_RUNS, BETWEEN_SEEDS, Twin, compare, is_twin, looks_unordered
from durio.storage import LmdbStore, Store

Check = Callable[[Sim], object]


@attrs.frozen(kw_only=True)
class Setup:
    """How a simulation runs; `simulate` says what each field means."""

    subject: Subject
    asks: tuple[Ask, ...]
    faults: Faults
    keys: tuple[str, ...]
    clients: int
    max_calls: int
    invariants: tuple[Check, ...]
    eventually: tuple[Check, ...]
    within: int
    exhaustive: int | None
    runs_max: int
    settings: hypothesis.settings | None
    store: Literal["memory", "lmdb"]
    hash_seeds: bool | None


class Simulated:
    """A test that was decorated: runs plans, one at a time, and says what it finds."""

    def __init__(self, setup: Setup, test: Callable[..., object]) -> None:
        self.setup = setup
        self.test = test

    def trace(self, plan: Plan) -> list[str]:
        """The trace of a plan, without the test's own assertions."""
        with ExitStack() as stack:
            sim = self._sim(plan, stack)
            try:
                sim.run()
            except Exception as error:
                sim.trace.note(f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}")
            return sim.trace.lines()

    def check(self, plan: Plan, given: Mapping[str, Any], twin: Twin | None = None) -> Ran:
        """Run a plan and the test on it. Raises what the test raises, with the trace in its notes."""
        __tracebackhide__ = True
        setup = self.setup
        with ExitStack() as stack:
            sim = self._sim(plan, stack)
            try:
                for invariant in setup.invariants:
                    sim.invariant(_named(invariant, sim))
                sim.run()
                lines = sim.trace.lines()
                sim.calm()
                for holds in setup.eventually:
                    sim.eventually(_named(holds, sim), setup.within)
                if (returned := self.test(sim, **given)) is not None:
                    raise TypeError(f"{self.test.__name__} returned {returned!r}: a test says it with assert")
                if twin is not None:
                    compare(lines, twin.trace(plan), BETWEEN_SEEDS)
                return Ran(sim.widths, sim.commits, sum(step.kind == "task" for step in sim.trace.steps))
            except HypothesisException:
                raise  # it steers, and is no finding
            except Exception as error:
                error.add_note(self.report(sim, plan))
                stack.close()  # one run of a subject at a time
                self._check_again(sim.trace.lines(), plan)
                raise

    def report(self, sim: Sim, plan: Plan) -> str:
        """What a person needs to see of a failure: the trace, and how to run it again."""
        text = plan.encode()
        return (
            f"\nwhat happened ({sim.counted}):\n{sim.trace}\n\n"
            f"run exactly this again:\n  {self.test.__name__}.replay({text!r})\n"
            f"  pytest {OPTIONS.get().test or f'-k {self.test.__name__}'} --sim-replay={text}"
        )

    def _check_again(self, lines: list[str], plan: Plan) -> None:
        """A finding that does not come again is one about determinism. The test itself may have gone on, or stopped."""
        again = self.trace(plan)
        common = max(0, min(len(lines), len(again)) - 1)  # the last line may say how it stopped
        compare(lines[:common], again[:common], BETWEEN_RUNS)

    def once(self, plan: Plan, given: Mapping[str, Any]) -> None:
        """Run the test on one plan, with the other process if the test has one."""
        __tracebackhide__ = True
        with ExitStack() as stack:
            twin = stack.enter_context(self._twin()) if self._wants_twin() else None
            self.check(plan, given, twin)

    def run(self, given: Mapping[str, Any]) -> None:
        """Run the test: the one plan that the command line names, or all that Hypothesis or the search finds."""
        __tracebackhide__ = True
        if is_twin():
            raise TwinFailed("the module runs its simulations when it is imported: put that under `if __name__ == ...`")
        options, setup = OPTIONS.get(), self.setup
        if options.replay:
            self.once(Plan.decode(options.replay), given)
            return
        with ExitStack() as stack:
            twin = stack.enter_context(self._twin()) if self._wants_twin() else None
            if setup.exhaustive is None:
                self._explore(given, options.runs, twin)
                return
            plan = Plan(fixed(setup.subject.app, setup.asks, setup.keys))
            check = partial(self.check, given=given, twin=twin)
            search(plan, check, setup.exhaustive, setup.faults.crashes, setup.runs_max)

    def _explore(self, given: Mapping[str, Any], runs: int | None, twin: Twin | None) -> None:
        __tracebackhide__ = True
        setup = self.setup
        drawn = plans(
            setup.subject.app,
            setup.asks,
            setup.faults,
            keys=setup.keys,
            clients=setup.clients,
            calls_max=setup.max_calls,
        )

        def explore(plan: Plan) -> None:
            __tracebackhide__ = True
            self.check(plan, given, twin)

        explore.__name__ = re.sub(r"\W+", "_", self.test.__qualname__)
        explore.__qualname__ = self.test.__qualname__
        explore.__module__ = self.test.__module__
        settings = setup.settings or hypothesis.settings(deadline=None)
        # Which lines of durio ran explains nothing: the trace does.
        phases = [phase for phase in settings.phases if phase is not hypothesis.Phase.explain]
        runs = settings.max_examples if runs is None else runs
        told = hypothesis.Verbosity.quiet if settings.verbosity is hypothesis.Verbosity.normal else settings.verbosity
        settings = hypothesis.settings(settings, phases=phases, max_examples=runs, verbosity=told)
        try:
            settings(hypothesis.given(plan=drawn)(explore))()
        except Exception as error:
            error.__traceback__ = _of_the_test(error.__traceback__)
            raise

    def _sim(self, plan: Plan, stack: ExitStack) -> Sim:
        open_store: Callable[[], Store] | None = None
        if self.setup.store == "lmdb":
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="durio-")))
            open_store = partial(LmdbStore.open, folder / "hub")
        sim = Sim(self.setup.subject, plan, open_store)
        stack.callback(sim.close)
        return sim

    def _wants_twin(self) -> bool:
        if self.setup.hash_seeds is None:
            started = [ask.what for ask in self.setup.asks if ask.kind == "start"]
            registry = self.setup.subject.app.registry
            functions = [registry.orchestration(what).function for what in started]
            importable = "<locals>" not in self.test.__qualname__ and self.test.__module__ != "__main__"
            return importable and looks_unordered(functions)
        return self.setup.hash_seeds

    def _twin(self) -> Twin:
        test = self.test
        if "<locals>" in test.__qualname__:
            raise ValueError(f"hash_seeds=True needs a test at the top level of its module, not {test.__qualname__!r}")
        return Twin(test.__module__, inspect.getsourcefile(test) or "", test.__qualname__)


class SimulatedTest(Protocol):
    """What `simulate` makes of a test: a function that pytest calls with the test's other fixtures."""

    simulated: Simulated

    def __call__(self, **given: Any) -> None: ...

    def replay(self, text: str, **given: Any) -> None:
        """Run the one plan that a failure printed. Raises `UnusableReplay` for any other text."""
        ...


def simulate(
    *asks: Ask,
    app: App | None = None,
    activities: Mapping[str | Callable[..., Any], Callable[..., Any]] = NO_FAKES,
    world: Callable[[], object] | None = None,
    keys: Sequence[str] = ("k",),
    clients: int = 3,
    max_calls: int = 6,
    max_crashes: int | None = None,
    faults: Faults | None = None,
    invariant: Check | Sequence[Check] = (),
    eventually: Check | Sequence[Check] = (),
    within: int = 1_000,
    exhaustive: int | None = None,
    runs_max: int = RUNS_MAX,
    settings: hypothesis.settings | None = None,
    store: Literal["memory", "lmdb"] = "memory",
    steps_max: int = STEPS_MAX,
    hash_seeds: bool | None = None,
    parts: Parts | None = None,
) -> Callable[[Callable[..., object]], SimulatedTest]:
    """Decorate a test: it is called with the `Sim` of every run that Hypothesis can think of.

    `asks`: what clients ask (`call`, `signal`, `start`, …). `app`: found in the test's module if there is one.
    `activities`: fakes by activity. `world`: makes what is outside of the hub, anew for each run; crashes leave it
    alone; it is `sim.world`, and fakes that are methods of its class are called on it. `keys`: of the entities, where
    an ask names none. At most `max_calls` requests by `clients` clients. `max_crashes`: short for
    `Faults(crashes=...)`. `invariant`: functions of the `Sim` that hold after every commit. `eventually`: those that
    come true at the end, with faults off, `within` so many steps.
    `exhaustive`: instead of drawing, every ask once, and every schedule with at most so many choices that are not the
    default; at most `runs_max` runs. `settings`: Hypothesis' own. `store`: where the data is. `hash_seeds`: compare
    with a process of another hash seed; by itself it does when an orchestrator uses sets. `parts`: wrong parts of
    durio, for its own tests.

    Raises `NoApp`, `TypeError`, `ValueError` for what cannot be run; a failing run raises what the test raised, with
    the trace and the line that replays it in its notes; `NotDeterministic` if the same choices gave another run.
    """
    if max_crashes is not None and faults is not None:
        raise TypeError("say max_crashes or faults, not both: Faults(crashes=...)")
    faults = faults or Faults(crashes=max_crashes or 0)
    _check_given(asks, keys, world, store)
    _check_numbers(
        clients=(clients, 1),
        max_calls=(max_calls, 1),
        max_crashes=(faults.crashes, 0),
        within=(within, 1),
        exhaustive=(exhaustive or 0, 0),
        runs_max=(runs_max, 1),
        steps_max=(steps_max, 1),
    )

    def decorate(test: Callable[..., object]) -> SimulatedTest:
        found = app or app_for(asks, getattr(test, "__globals__", {}))
        subject = Subject(found, activities=activities, world=world, parts=parts, steps_max=steps_max)
        setup = Setup(
            subject=subject,
            asks=asks,
            faults=faults,
            keys=tuple(keys),
            clients=clients,
            max_calls=max_calls,
            invariants=_all(invariant),
            eventually=_all(eventually),
            within=within,
            exhaustive=exhaustive,
            runs_max=runs_max,
            settings=settings,
            store=store,
            hash_seeds=hash_seeds,
        )
        return _decorated(Simulated(setup, test))

    return decorate


def _check_given(asks: Sequence[Ask], keys: Sequence[str], world: object, store: str) -> None:
    if not asks:
        raise TypeError("simulate needs something to ask: call(...), signal(...), start(...)")
    if isinstance(keys, str) or not keys:
        raise TypeError(f"keys is a list of keys, not {keys!r}: keys=[...]")
    if world is not None and not callable(world):
        raise TypeError(f"world is a class or a function that makes the world, not {world!r}")
    if store not in ("memory", "lmdb"):
        raise ValueError(f"store={store!r} must be 'memory' or 'lmdb'")


def _check_numbers(**numbers: tuple[int, int]) -> None:
    for name, (given, least) in numbers.items():
        if given < least:
            raise ValueError(f"{name}={given!r} must be at least {least}")


def _decorated(simulated: Simulated) -> SimulatedTest:
    """A function that pytest can call: without the `sim`, with the test's other fixtures."""
    test = simulated.test
    parameters = list(inspect.signature(test).parameters.values())
    if inspect.iscoroutinefunction(test) or inspect.isgeneratorfunction(test) or inspect.isasyncgenfunction(test):
        raise TypeError(f"{test.__name__} must be a plain function: the simulation has run when it is called")
    if not parameters or parameters[0].name == "self":
        raise TypeError(
            f"{test.__name__} must be a function that takes the simulation as its first argument, no method"
        )

    @functools.wraps(test)
    def run(**given: Any) -> None:
        __tracebackhide__ = True
        simulated.run(given)

    def replay(text: str, **given: Any) -> None:
        __tracebackhide__ = True
        simulated.once(Plan.decode(text), given)

    vars(run).update(
        simulated=simulated,
        replay=replay,
        __signature__=inspect.Signature(parameters[1:]),
    )
    del run.__wrapped__  # pytest would look there for the arguments
    return cast(SimulatedTest, run)


def _of_the_test(trace: TracebackType | None) -> TracebackType | None:
    """A traceback without the frames of Hypothesis and of this file that lead to the test."""
    inner = trace
    while inner is not None:
        name: str = inner.tb_frame.f_globals.get("__name__", "")
        if name != __name__ and not name.startswith("hypothesis") and inner.tb_frame.f_code.co_filename != __file__:
            return inner
        inner = inner.tb_next
    return trace


def _all(checks: Check | Sequence[Check]) -> tuple[Check, ...]:
    return (checks,) if callable(checks) else tuple(checks)


def _named(check: Check, sim: Sim) -> Callable[[], object]:
    def bound() -> object:
        return check(sim)

    bound.__name__ = getattr(check, "__name__", "the check")
    return bound
