"""The store in memory and LMDB are twins: every plan runs alike on both, and leaves the same records behind."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

import attrs
import pytest

from durio.orchestration import NonDeterminismError
from durio.simulation import Plan, Sim
from durio.simulation.subject import Subject
from durio.storage import LmdbStore, MemoryDisk, MemoryStore, Store, WriteSet
from tests.simulation.scenarios import app, random_plan

HEAVY_SEEDS = 5_000


@attrs.frozen
class Run:
    """All that a run showed and left: its trace, what clients got, every record, commits and openings.

    `reached`: what kinds of steps, history events, statuses, operations and errors there were.
    """

    reached: set[str]
    trace: list[str]
    results: list[str]
    records: list[tuple[bytes, bytes]]
    commits: int
    epoch: int


def run_of(plan: Plan, open_store: Callable[[], Store]) -> Run:
    """Run a plan to its end on a store, then look at the store as its next owner does."""
    sim = Sim(Subject(app), plan, open_store)
    try:
        sim.run()
        trace = [f"{step.kind} {step.label}: {'; '.join(step.notes)}" for step in sim.trace.steps]
        results = [f"{c}: {c.invoked} {c.returned} {c.value!r} {c.error!r} {c.answers}" for c in sim.results]
        reached = reached_by(sim)
    finally:
        sim.close()
    store = open_store()
    try:
        return Run(reached, trace, results, store.scan(b""), store.last_commit, store.epoch)
    finally:
        store.close()


def reached_by(sim: Sim) -> set[str]:
    """What kinds of things happened."""
    found = {step.kind for step in sim.trace.steps}
    found.update(f"crash in {step.kind}" for step in sim.trace.steps if any("CRASH" in note for note in step.notes))
    found.update(operation.name for operation in sim.operations)
    found.update(type(asked.error).__name__ for asked in sim.results if asked.error is not None)
    for instance_id, status in sim.instances.items():
        found.add(str(status.runtime_status))
        found.update(type(event).__name__ for event in sim.history(instance_id))
    return found


def in_memory(plan: Plan, make: Callable[[MemoryDisk], Store] = MemoryStore) -> Run:
    """The plan on a disk in memory."""
    return run_of(plan, partial(make, MemoryDisk()))


def on_lmdb(plan: Plan, folder: Path) -> Run:
    """The plan on a real hub folder, which is removed then."""
    with tempfile.TemporaryDirectory(dir=folder) as own:
        return run_of(plan, partial(LmdbStore.open, Path(own, "hub")))


def check_alike(seed: int, folder: Path) -> Run:
    """Run a plan on both stores; fails with the plan if they differ."""
    plan = random_plan(seed)
    first, second = in_memory(plan), on_lmdb(plan, folder)
    shown = f"seed {seed}: {plan!r}"
    assert first.trace == second.trace, shown
    assert first.results == second.results, shown
    assert first.records == second.records, shown
    assert (first.commits, first.epoch) == (second.commits, second.epoch), shown
    return first


# What the plans must reach many times; else the comparison is one of nothing.
REACHED = frozenset(
    {
        "client 0",
        "client 2",
        "turn",
        "task",
        "result",
        "commit",
        "seal",
        "time",
        "restart",
        "crash in commit",
        "crash in task",
    }
    | {"take", "audit", "hand_over", "close", "append", "EntityOperationFailed", "InstanceAlreadyExists"}
    | {"Completed", "Failed", "Terminated", "ActivityCompleted", "ActivityFailed", "ChildCompleted", "ChildFailed"}
    | {
        "TimerFired",
        "CancelTask",
        "EventRaised",
        "EventSent",
        "EntityAnswered",
        "Suspended",
        "Ended",
        "InstanceFinished",
    }
)


def test_500_random_plans_run_alike_on_lmdb_and_in_memory(tmp_path: Path) -> None:
    """Trace, answers, records, commit number and epoch are equal, over crashes before and after commits."""
    reached: Counter[str] = Counter()
    records = 0
    for seed in range(500):
        run = check_alike(seed, tmp_path)
        reached.update(run.reached)
        records += len(run.records)
    assert {what for what in REACHED if reached[what] < 10} == set()
    assert records > 3_000


@pytest.mark.heavy
def test_thousands_of_random_plans_run_alike_on_lmdb_and_in_memory(tmp_path: Path) -> None:
    """The same for as many plans as a night has time for."""
    for seed in range(500, HEAVY_SEEDS):
        check_alike(seed, tmp_path)


class Short(MemoryStore):
    """Does not see the last of several records."""

    def scan(self, start: bytes, stop: bytes | None = None, *, limit: int | None = None) -> list[tuple[bytes, bytes]]:
        found = super().scan(start, stop, limit=limit)
        return found[:-1] if len(found) > 3 else found


class Leaky(MemoryStore):
    """Forgets to delete the last of several keys."""

    def commit(self, writes: WriteSet) -> int:
        deleted = [key for key, value in writes.changes if value is None]
        kept = deleted[-1] if len(deleted) > 2 else None
        return super().commit(WriteSet(tuple(change for change in writes.changes if change[0] != kept)))


class Twice(MemoryStore):
    """Makes an empty commit before every other one."""

    def commit(self, writes: WriteSet) -> int:
        super().commit(WriteSet(()))
        return super().commit(writes)


@pytest.mark.parametrize("wrong", [Short, Leaky, Twice])
def test_a_store_that_is_another_one_is_found(wrong: Callable[[MemoryDisk], Store]) -> None:
    """The comparison can fail: of fifty plans some show a store that reads, deletes or counts in its own way."""
    found = 0
    for seed in range(50):
        plan = random_plan(seed)
        try:
            found += in_memory(plan, wrong) != in_memory(plan)
        except NonDeterminismError:  # the hub itself noticed that a history is not whole
            found += 1
    assert found > 0
