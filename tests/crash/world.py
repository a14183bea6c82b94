"""A world around a hub in which the hub's process may die at any commit, and what the clients know outlives it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import attrs
import msgspec
import trio
from trio.testing import MockClock

from durio.entities import DurioError, VirtualEnv, from_us
from durio.entities import keys as entity_keys
from durio.entities.messages import Job, Request
from durio.orchestration import ActivityContext, App, Client, DurableOrchestrationStatus, open_hub
from durio.orchestration.checker import HubChecks
from durio.orchestration.records import HEAD, Head
from durio.storage import HubClosed, MemoryDisk, MemoryStore, SimulatedCrash, Store
from durio.storage.codec import unseal
from durio.storage.memory import When

T = TypeVar("T")

Call = Callable[[Client, str], Awaitable[Any]]
"""A request: given a client and a request id."""

Crash = tuple[int, When]
"""Before or after the commit with this number, counted from the opening of a process."""

Script = Callable[["Session"], Awaitable[None]]

START_US = 1_767_225_600_000_000
REST_S = 4 * 3600.0
"""Longer than everything that a scenario waits for; after 24 h requests are forgotten, so a few of it must be less."""


class LaggingEnv(VirtualEnv):
    """Commits take their time: others run before one is durable, and before its owner knows that it is."""

    async def run_commit(self, commit: Callable[[], T]) -> T:
        done = await super().run_commit(commit)
        await trio.lowlevel.cancel_shielded_checkpoint()
        return done


@attrs.define(eq=False)
class World:
    """What is outside of the hub's process: the disk, what clients were told, what activities did, the clock.

    A script is run from its start in every process; what was acknowledged is not asked again, everything else is
    asked with the same request id. `violations` are collected: an assertion inside a dying process would be lost.
    """

    build: Callable[[World], App]
    disk: MemoryDisk = attrs.Factory(MemoryDisk)
    now_us: int = START_US
    processes: int = 0
    crashes: int = 0
    answers: dict[str, Any] = attrs.Factory(dict)
    calls: dict[str, Call] = attrs.Factory(dict)
    endings: dict[str, DurableOrchestrationStatus] = attrs.Factory(dict)
    facts: dict[str, Any] = attrs.Factory(dict)
    effects: Counter[str] = attrs.Factory(Counter)
    repaired: bool = False
    """Whether what fails at first works now: the world outside was repaired."""
    violations: list[str] = attrs.Factory(list)
    activations_max: int = 10_000
    """With 1 nearly every turn loads its actor, and replays it."""
    open_store: Callable[[], Store] | None = None
    """Another store than the disk in memory: no crashes, and no looking at the disk."""

    def live(self, script: Script, crashes: Sequence[Crash] = (), *, idle: bool = False) -> int:
        """Run a script to its end over all planned crashes; returns how many of them came.

        With `idle` nobody asks anything for a while after each crash: the hub must get to rest by itself (G9).
        """
        for crash in (*crashes, None):
            if crash is not None:
                self.disk.crash_at(*crash)
            resting = idle and self.crashes > 0
            if not self._process(script, resting):
                break
        self.disk.crash_at(0, "before")
        return self.crashes

    def _process(self, script: Script, resting: bool) -> bool:
        """One life of the process; True: it crashed."""
        self.processes += 1
        env = LaggingEnv(start_us=self.now_us, seed=self.processes)
        app = self.build(self)

        async def main() -> None:
            store = MemoryStore(self.disk) if self.open_store is None else self.open_store()
            try:
                async with open_hub(store, app, env=env, activations_max=self.activations_max) as client:
                    session = Session(self, client, env)
                    if resting:
                        await trio.sleep(REST_S)
                        self.check_rest()
                    await script(session)
            finally:
                self.now_us = env.now_us()
                self.check_whole()

        try:
            trio.run(main, clock=MockClock(autojump_threshold=0))
        except BaseException as error:
            if not _is_crash(error):
                raise
            self.crashes += 1
            return True
        return False

    # What may be seen from outside only when it is on the disk (G5)

    def check_answer(self, request_id: str) -> None:
        """A client was answered."""
        row = self._read(entity_keys.request(request_id), Request)
        if row is None or row.answer is None:
            self.violations.append(f"answered before it was durable: {request_id}")

    def check_ended(self, instance_id: str, execution: str | None) -> None:
        """A client that waited was told that a life has ended."""
        head = self._read(entity_keys.actor(instance_id) + HEAD, Head)
        if head is None or (head.execution == execution and head.status in ("Running", "Pending")):
            self.violations.append(f"its end was told before it was durable: {instance_id}")

    def effect(self) -> None:
        """An activity runs."""
        context = ActivityContext.current()
        self.effects[f"{context.idempotency_key} attempt {context.attempt}"] += 1
        if self.open_store is not None:
            return
        prefix = entity_keys.JOB + entity_keys.actor(context.instance_id)[1:]
        if not any(job.idempotency_key == context.idempotency_key for job in self._rows(prefix, Job)):
            self.violations.append(f"activity ran before it was durable: {context.idempotency_key}")

    def effect_of(self, address: str) -> None:
        """An `async def` operation runs."""
        self.effects[address] += 1
        if self.open_store is None and not self.keys(entity_keys.mailbox(address)):
            self.violations.append(f"operation ran before its message was durable: {address}")

    # What a hub at rest leaves behind (G9)

    def check_rest(self) -> None:
        """No message, timer, job or tombstone waits, but those that wait for a suspended or pending instance."""
        waiting = self.keys(entity_keys.JOB) + self.keys(entity_keys.TOMBSTONE)
        due = [key for key in self.keys(entity_keys.TIMER) if entity_keys.timer_due_us(key) <= self.now_us]
        for key in self.keys(entity_keys.MAIL):
            head = self._read(entity_keys.actor(entity_keys.address_of(key)) + HEAD, Head)
            if head is None or not head.suspended:
                waiting.append(key)
        if waiting or due:
            self.violations.append(f"not at rest after crash {self.crashes}: {waiting + due}")

    def check_whole(self) -> None:
        """All records are such and fit together, and the index says what the instances say (G2, G17)."""
        if self.open_store is not None:
            return
        checks = HubChecks()
        for key, row in self.disk.snapshot().items():
            self.violations.extend(f"{key!r}: {why}" for why in checks.record(key, row))
        self.violations.extend(f"{where}: {why}" for where, why in checks.end())

    def check_nothing_left(self) -> None:
        """Everything has ended: no message, timer, job or tombstone is left."""
        for table in (entity_keys.MAIL, entity_keys.TIMER, entity_keys.JOB, entity_keys.TOMBSTONE):
            if left := self.keys(table):
                self.violations.append(f"left: {left}")

    def keys(self, prefix: bytes) -> list[bytes]:
        """The keys on the disk that start so."""
        return [key for key, _ in self.disk.read_range(prefix, entity_keys.stop_of(prefix), None)]

    def _rows(self, prefix: bytes, type_: type[T]) -> list[T]:
        rows = self.disk.read_range(prefix, entity_keys.stop_of(prefix), None)
        return [msgspec.msgpack.decode(unseal(key, row), type=type_) for key, row in rows]

    def _read(self, key: bytes, type_: type[T]) -> T | None:
        row = self.disk.read(key)
        return None if row is None else msgspec.msgpack.decode(unseal(key, row), type=type_)


@attrs.define(eq=False)
class Session:
    """A client of one process, with the memory of all processes before."""

    world: World
    client: Client
    env: VirtualEnv

    async def do(self, name: str, call: Call) -> Any:
        """Ask, with `name` as the request id, unless it was answered already. A refusal is an answer, too."""
        world = self.world
        if name not in world.answers:
            world.calls[name] = call
            world.answers[name] = await outcome_of(call, self.client, name)
            if world.open_store is None:
                world.check_answer(name)
        return world.answers[name]

    async def wait(self, name: str, instance_id: str) -> DurableOrchestrationStatus:
        """Wait for the end of an instance, unless this was seen already: another life may go on now."""
        world = self.world
        if name not in world.endings:
            with trio.fail_after(REST_S):
                status = await self.client.wait_for_completion(instance_id)
            world.endings[name] = status
            if world.open_store is None:
                world.check_ended(instance_id, status.execution_id)
        return world.endings[name]

    async def ask_again(self) -> None:
        """Every request that was ever made, once more: all get their first answers (G3)."""
        for name, call in self.world.calls.items():
            again = await outcome_of(call, self.client, name)
            if again != self.world.answers[name]:
                self.world.violations.append(f"{name} got {self.world.answers[name]}, then {again}")

    def once(self, name: str, value: Callable[[], T]) -> T:
        """A value that is the same in every process."""
        if name not in self.world.facts:
            self.world.facts[name] = value()
        found: T = self.world.facts[name]
        return found

    def later(self, name: str, seconds: float) -> Any:
        """A moment from now on, the same in every process."""
        return self.once(name, lambda: from_us(self.env.now_us() + round(seconds * 1e6)))


async def outcome_of(call: Call, client: Client, request_id: str) -> Any:
    """What a request gave: its value, or its refusal as text. A closed hub is no answer."""
    try:
        return await call(client, request_id)
    except HubClosed:
        raise
    except DurioError as error:
        return f"{type(error).__name__}: {error}"


def _is_crash(error: BaseException) -> bool:
    """Whether nothing but the planned crash went wrong."""
    if isinstance(error, BaseExceptionGroup):
        return all(_is_crash(inner) for inner in error.exceptions)
    return isinstance(error, SimulatedCrash)
