"""What the orchestration tests share: hubs in virtual time, a hub driven by hand, and readings of what lies on disk."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Final, TypeVar

import trio

from durio.entities import (
    CONTROL_LANE,
    MAIL_LANE,
    Answer,
    EntityKind,
    Failure,
    Job,
    Kernel,
    Message,
    Payloads,
    StartInstance,
    VirtualEnv,
)
from durio.entities import keys as entity_keys
from durio.entities.changes import Reply, StartJob
from durio.orchestration import App, Client, DurableOrchestrationStatus, open_hub
from durio.orchestration.directory import HubDirectory
from durio.orchestration.history import HistoryEvent, Woke
from durio.orchestration.instance import Decoders, Instance, load, read_history
from durio.orchestration.kind import InstanceKind
from durio.orchestration.messages import ActivityDone, Cancel, RaiseEvent, Terminate
from durio.storage import MemoryDisk, MemoryStore, Store

T = TypeVar("T")

SOON_S: Final = 7200.0
"""Virtual time after which a test says: this never ends."""

PAYLOADS: Final = Payloads()


def hub(tmp_path: Path, app: App, **options: Any) -> AbstractAsyncContextManager[Client]:
    """A real hub on disk that runs in virtual time; opened again it goes on with what lies there."""
    env = options.pop("env", None) or VirtualEnv()
    return open_hub(tmp_path / "hub", app, env=env, **options)


def in_memory(app: App, **options: Any) -> AbstractAsyncContextManager[Client]:
    """A hub in memory that runs in virtual time: for tests of what never comes near a disk."""
    return open_hub(MemoryStore(MemoryDisk()), app, env=VirtualEnv(), **options)


async def finished(client: Client, instance_id: str) -> DurableOrchestrationStatus:
    """The last status of an instance; fails when it goes on for two virtual hours."""
    with trio.fail_after(SOON_S):
        return await client.wait_for_completion(instance_id)


async def output(client: Client, instance_id: str) -> Any:
    """The output of an instance that completes."""
    status = await finished(client, instance_id)
    assert status.runtime_status == "Completed", status.output
    return status.output


async def answered(call: Awaitable[T]) -> T:
    """The answer of a call; fails when none comes within two virtual hours."""
    with trio.fail_after(SOON_S):
        return await call


def rows_of(disk: MemoryDisk, table: bytes, address: str = "") -> list[bytes]:
    """The keys of a table on disk, of one actor if an address is given."""
    prefix = table + (address.encode() + b"\0" if address else b"")
    return [key for key in disk.snapshot() if key.startswith(prefix)]


class Stepper:
    """A hub driven by hand, without Trio: the test decides when turns run, when a batch is committed, how late it is.

    Activities are plain functions and run at once after the commit that scheduled them, unless `hold_jobs` is set.
    With `evict` every actor leaves memory after every commit, so that every turn begins with a replay.
    """

    def __init__(
        self, app: App, disk: MemoryDisk | None = None, *, evict: bool = False, hold_on_nondeterminism: bool = False
    ) -> None:
        self.app = app
        self.disk = disk or MemoryDisk()
        self.evict = evict
        self.now_us = 1_767_225_600_000_000
        self.answers: dict[str, Answer] = {}
        self.hold_jobs = False
        self.jobs: list[tuple[bytes, Job]] = []
        self._env = VirtualEnv()
        self._hold = hold_on_nondeterminism
        self._tokens = 0
        self._open()

    def _open(self) -> None:
        registry, payloads = self.app.registry, self.app.payloads
        directory = HubDirectory(registry, self._env)
        self.store: Store = MemoryStore(self.disk)
        self.entities = EntityKind(registry.entities, payloads, directory)
        self.instances = InstanceKind(registry, payloads, directory, hold_on_nondeterminism=self._hold)
        self.kernel = Kernel(
            self.store, self.entities, self.instances, lambda: self.now_us, activations_max=0 if self.evict else 10_000
        )

    def reopen(self, app: App | None = None) -> None:
        """Close and open again, perhaps with other code; everything is loaded from disk."""
        self.kernel.close()
        self.app = app or self.app
        self._open()
        self.settle()

    def submit(self, address: str, build: Callable[..., Message], lane: int = MAIL_LANE, **facts: Any) -> str:
        """Take a message in; its answer will lie under the token that is returned."""
        self._tokens += 1
        token = f"c{self._tokens}"
        if self.kernel.admit(address, token, b""):
            self.kernel.submit(address, build(at_us=self.now_us, reply=token, **facts), lane, token, tell=False)
        return token

    def start(self, name: str, address: str, input_: object = None, **facts: Any) -> str:
        """Take a start in."""
        data = None if input_ is None else PAYLOADS.encode(input_)
        events: Sequence[tuple[str, object]] = facts.pop("events", ())
        encoded = tuple((event, PAYLOADS.encode(value)) for event, value in events)
        return self.submit(address, StartInstance, name=name, input=data, events=encoded, **facts)

    def raise_event(self, address: str, name: str, value: object = None) -> str:
        """Take an event in."""
        return self.submit(address, RaiseEvent, name=name, input=PAYLOADS.encode(value))

    def terminate(self, address: str, reason: str = "") -> str:
        """Take a termination in."""
        return self.submit(address, Terminate, CONTROL_LANE, reason=reason)

    def cancel(self, address: str, reason: str = "") -> str:
        """Take a request to end in."""
        return self.submit(address, Cancel, reason=reason)

    def settle(self) -> None:
        """Run turns and commits, and the activities they schedule, until nothing is left to do."""
        while self.kernel.runnable or self.kernel.view.filling:
            while self.kernel.runnable:
                self.kernel.run_turn()
            self.commit()

    def commit(self) -> None:
        """Make what is there durable, and let its outputs leave."""
        batch = self.kernel.seal()
        writes = batch.seal()
        if writes.changes:
            self.store.commit(writes)
        for output in self.kernel.committed(batch):
            if isinstance(output, Reply):
                self.answers[output.token] = output.answer
            elif isinstance(output, StartJob):
                self.jobs.append((output.key, output.job))
        self.kernel.collect(0)
        if not self.hold_jobs:
            self.run_jobs()

    def run_jobs(self) -> None:
        """Run the activities that wait."""
        jobs, self.jobs = self.jobs, []
        for key, job in jobs:
            activity = self.app.registry.activity(job.name)
            inputs = (PAYLOADS.decode(job.input or b"null"),) if activity.takes_input else ()
            result, failure = None, None
            try:
                result = PAYLOADS.encode(activity.function(*inputs))
            except Exception as error:
                failure = Failure.of(error)
            done = ActivityDone(
                at_us=self.now_us, execution=job.execution, action=job.action, result=result, failure=failure
            )
            self.kernel.job_done(key, job.address, done)

    def finish_job(self, address: str, input_: object) -> None:
        """Let one of the activities that are held return: that of this instance with this input."""
        data = PAYLOADS.encode(input_)
        found = next(item for item in self.jobs if (item[1].address, item[1].input) == (address, data))
        self.jobs.remove(found)
        held, self.jobs = self.jobs, [found]
        self.run_jobs()
        self.jobs = held

    def pass_s(self, seconds: float) -> None:
        """Let time pass, timer by timer."""
        until_us = self.now_us + round(seconds * 1_000_000)
        while (due_us := self.kernel.timers.next_due_us) is not None and due_us <= until_us:
            self.now_us = max(self.now_us, due_us)
            self.kernel.fire_due(self.now_us)
            self.settle()
        self.now_us = until_us

    def instance(self, address: str) -> Instance:
        """An instance as it lies on disk and in the overlay."""
        return load(self.kernel.view, address, Decoders())

    def status(self, address: str) -> str:
        """The runtime status of an instance; empty if there is none."""
        head = self.instance(address).head
        return "" if head is None else "Suspended" if head.suspended and self.instance(address).alive else head.status

    def output(self, address: str) -> Any:
        """What a completed instance returned."""
        outcome = self.instance(address).outcome
        assert outcome is not None
        assert outcome.failure is None, outcome.failure
        return None if outcome.output is None else PAYLOADS.decode(outcome.output)

    def history(self, address: str) -> list[HistoryEvent]:
        """The history of the current execution, without the times of turns."""
        parts = read_history(self.instance(address), Decoders())
        return [event for part in parts for event in part if not isinstance(event, Woke)]

    def refusal(self, token: str) -> str:
        """The class of the error that a call was answered with; empty if it was accepted."""
        return self.answers[token].refusal


def unread(disk: MemoryDisk, address: str) -> int:
    """How many messages wait on disk for an actor."""
    return len(rows_of(disk, entity_keys.MAIL, address))
