"""One life of the hub's process: the production kernel, driven by hand, until it crashes or the run ends."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

import attrs
import trio

from durio.entities import (
    REQUEST_TOKEN,
    EntityKind,
    Job,
    Kernel,
    Message,
    Operation,
    Poison,
    Vault,
    count_unclean,
    keys,
)
from durio.entities.changes import Batch, CancelJob, Ended, Offer, Output, Reply, StartJob
from durio.entities.entity import Outcome
from durio.entities.limits import ACTIVATIONS_MAX, IDLE_S, REQUEST_DEDUPE_S
from durio.entities.operations import OperationRunner
from durio.orchestration import App
from durio.orchestration.activities import ActivityRunner
from durio.orchestration.directory import HubDirectory
from durio.orchestration.kind import InstanceKind
from durio.simulation.clocks import SimClock, SimEnv
from durio.simulation.operations import OperationLog
from durio.simulation.reality import Reality
from durio.simulation.tasks import Apart, Tasks
from durio.simulation.trace import Trace
from durio.simulation.watching import WatchedEntities, WatchedInstances
from durio.simulation.wording import told_outcome
from durio.storage import Store

_IDLE_US: Final = int(IDLE_S * 1_000_000)
_FORGET_US: Final = 60_000_000


@attrs.frozen
class Completion:
    """The result of an activity, on its way to its instance."""

    number: int
    key: bytes
    address: str
    message: Message
    action: int
    again: bool = False

    def __str__(self) -> str:
        twice = ", a second time" if self.again else ""
        return f"#{self.action} of {self.address}: {_shown(self.message)}{twice}"


@attrs.define(eq=False)
class Surroundings:
    """What outlives a process: time, the trace, what was asked of entities."""

    app: App
    parts: Parts
    clock: SimClock = attrs.Factory(SimClock)
    trace: Trace = attrs.Factory(Trace)
    log: OperationLog = attrs.Factory(OperationLog)
    reality: Reality = attrs.field(init=False)
    evict: bool = False
    dedupe_s: float = REQUEST_DEDUPE_S
    completions: int = 0

    who: str = "a client"
    """Who is asking just now."""
    _apart: Apart = attrs.Factory(Apart)

    def __attrs_post_init__(self) -> None:
        self.reality = Reality(self.clock)

    @contextmanager
    def inside(self) -> Iterator[None]:
        """While the block runs this thread is in the simulated world."""
        with self.reality.replaced(), self._apart:
            yield


class Process:
    """A process that owns the hub.

    Guarantees: outputs leave when `land` has committed their batch, and not before (G5); after `kill` nothing of it
    has any effect.
    """

    def __init__(self, store: Store, around: Surroundings, hear: Callable[[object, Any], None]) -> None:
        self.store = store
        self.env = SimEnv(around.clock)
        self.env.begin(store.epoch)
        self.tasks = Tasks(around.clock)
        self.completions: list[Completion] = []
        self.in_flight: Batch | None = None
        self.dead = False
        self._around = around
        self._hear = hear
        self._listening: dict[object, list[Callable[[Any], None]]] = {}
        self._tokens = 0
        self._forgot_us = around.clock.wall_us
        app, parts = around.app, around.parts
        vault = Vault(store, store.epoch, slice_ms=math.inf)  # the real clock decides nothing here
        self.payloads = payloads = app.payloads.of_hub(vault, blob_bytes_min=parts.blob_bytes_min)
        directory = HubDirectory(app.registry, self.env)
        entities = parts.entities(app.registry.entities, payloads, directory, notes=store.notes)
        instances = parts.instances(app.registry, payloads, directory, notes=store.notes)
        self.entities = entities
        self.kernel = parts.kernel(
            store,
            WatchedEntities(entities, around.trace, around.log, self._batch),
            WatchedInstances(
                instances, around.trace, around.log, self._batch, app=app, payloads=payloads, reality=around.reality
            ),
            self.env.now_us,
            activations_max=0 if around.evict else ACTIVATIONS_MAX,
            dedupe_s=around.dedupe_s,
            vault=vault,
            poison=partial(Poison, careful=parts.count_unclean(store, self.env.now_us())),
        )
        self.activities = parts.activities(app.registry, payloads, self.env, notes=store.notes)
        self.activities.report_to(self)
        self.operations = OperationRunner(self.kernel, entities, self.env, self, store.notes)

    # What comes in

    def token(self, request_id: str | None) -> str:
        """A reply token: a fresh one, or that of the request id."""
        if request_id is not None:
            return REQUEST_TOKEN + request_id
        self._tokens += 1
        return f"c{self.store.epoch}.{self._tokens}"

    def take_in(
        self, address: str, message: Message, token: str, *, lane: int, tell: bool, digest: bytes, due_us: int | None
    ) -> None:
        """Take a client's message in. Raises why it is refused at once."""
        if self.kernel.admit(address, token, digest):
            if isinstance(message, Operation):
                around = self._around
                who = "an activity" if trio.lowlevel.in_trio_task() else around.who
                around.log.asked(self._batch(), around.trace.now, who, token, address, message)
            self.kernel.submit(address, message, lane, token, tell=tell, digest=digest, due_us=due_us)

    def listen(self, key: object, hear: Callable[[Any], None]) -> None:
        """Call `hear` once with what comes under `key`."""
        self._listening.setdefault(key, []).append(hear)

    async def job_done(self, key: bytes, address: str, message: Message) -> None:
        """An activity ended: its result is on its way."""
        if not self.dead:
            self._around.completions += 1
            completion = Completion(self._around.completions, key, address, message, getattr(message, "action", 0))
            self._around.trace.note(f"result {completion}")
            self.completions.append(completion)

    def job(self, key: bytes) -> Job | None:
        """A job as it lies in the hub; None if it is not wanted any more."""
        return self.kernel.jobs.find(key)

    def operation_done(self, offer: Offer, outcome: Outcome) -> None:
        """An `async def` operation ended."""
        if not self.dead:
            self.kernel.settle_offer(offer.address, offer.number, [outcome])

    def deliver(self, completion: Completion) -> None:
        """A result arrives."""
        self.completions.remove(completion)
        self.kernel.job_done(completion.key, completion.address, completion.message)

    # Commits

    @property
    def has_changes(self) -> bool:
        """Whether there is something to commit."""
        return self.in_flight is not None or bool(self.kernel.view.filling)

    def seal(self) -> None:
        """Close the batch that fills: it is on its way to the disk."""
        self.in_flight = self.kernel.seal()

    def land(self) -> None:
        """The batch in flight becomes durable, and its outputs leave."""
        batch, self.in_flight = self.in_flight, None
        assert batch is not None, "sealed"
        writes = batch.seal()
        if writes.changes:
            self.store.commit(writes)
        outputs = self.kernel.committed(batch)
        self._around.log.durable(batch.number)
        with self.tasks.apart:
            for output in outputs:
                self.release(output)
        self.kernel.tombstones.sweep()
        self.kernel.collect(_IDLE_US)

    def write(self) -> None:
        """The batch in flight becomes durable, and nobody hears of it: the process dies right behind it."""
        assert self.in_flight is not None, "sealed"
        writes = self.in_flight.seal()
        if writes.changes:
            self.store.commit(writes)
        self._around.log.durable(self.in_flight.number)

    def release(self, output: Output) -> None:
        """An output leaves."""
        if isinstance(output, Reply):
            self._around.log.answered(output.token, self._around.trace.now, output.answer)
            self._tell(output.token, output.answer)
        elif isinstance(output, StartJob):
            self.activities.start(output.key, output.job, self.tasks.nursery)
        elif isinstance(output, CancelJob):
            self.activities.cancel(output.key)
        elif isinstance(output, Ended):
            self._tell((output.address, output.life), output.last)
        else:
            self.operations.start(output, self.tasks.nursery)

    # Time

    @property
    def overdue_us(self) -> int | None:
        """For how long something is due in the kernel already; None if nothing is."""
        due_us, now_us = self.kernel.timers.next_due_us, self._around.clock.wall_us
        return None if due_us is None or due_us > now_us else now_us - due_us

    @property
    def next_moment_us(self) -> int | None:
        """In how many microseconds something becomes due; None if nothing does."""
        clock, moments = self._around.clock, list[int]()
        due_us = self.kernel.timers.next_due_us
        if due_us is not None and due_us <= clock.wall_us:  # that one is late; the next one behind it
            start = keys.timer(clock.wall_us + 1, 0)
            later = self.kernel.view.scan(keys.TIMER, start, keys.stop_of(keys.TIMER), 1)
            due_us = keys.timer_due_us(later[0][0]) if later else None
        if due_us is not None:
            moments.append(due_us - clock.wall_us)
        deadline_s = self.tasks.next_deadline_s
        if deadline_s is not None:
            deadline_us = round(deadline_s * 1_000_000)
            deadline_us += deadline_us / 1_000_000 < deadline_s  # Trio compares as it is, not as it is rounded
            moments.append(max(0, deadline_us - clock.passed_us))
        return min(moments, default=None)

    def fire_due(self) -> None:
        """What is due becomes messages."""
        self.kernel.fire_due(self._around.clock.wall_us)

    def time_passed(self) -> None:
        """Time has passed: tasks whose deadline has come can go on, and old request ids are forgotten."""
        self.tasks.wake_due()
        now_us = self._around.clock.wall_us
        if abs(now_us - self._forgot_us) >= _FORGET_US:
            self.kernel.requests.forget(now_us)
            self._forgot_us = now_us

    # The end

    def die(self) -> None:
        """From here on nothing of it has any effect; what it was running stays noted."""
        self.dead = True
        self.store.notes.abandon()

    def kill(self) -> None:
        """The process dies: nothing that was not durable has happened, and no cleanup code runs."""
        self.die()
        self._around.log.lost()
        self.completions.clear()
        self.store.close()

    def bury(self) -> None:
        """The run is over: what the dead process holds is given back; cleanup code runs now, and changes nothing."""
        self.kernel.close()
        self.tasks.close()

    def _tell(self, key: object, value: Any) -> None:
        for hear in self._listening.pop(key, ()):
            hear(value)
        self._hear(key, value)

    def _batch(self) -> int:
        return self.kernel.view.filling.number


@attrs.frozen
class Parts:
    """What a simulated process is made of: the production parts, unless a test puts wrong ones in their place."""

    kernel: Callable[..., Kernel] = Kernel
    entities: Callable[..., EntityKind] = EntityKind
    instances: Callable[..., InstanceKind] = InstanceKind
    activities: Callable[..., ActivityRunner] = ActivityRunner
    process: Callable[..., Process] = Process
    count_unclean: Callable[[Store, int], frozenset[str]] = count_unclean
    blob_bytes_min: int = sys.maxsize
    """From how many bytes on payloads lie apart. By default none do: it changes nothing that a program can see."""


def _shown(message: Message) -> str:
    return told_outcome(getattr(message, "failure", None), getattr(message, "result", None))
