"""Jobs: durable work outside of turns, from the commit that schedules it to the result that is taken once (G24)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import msgspec
import trio

import durio.entities.keys as keys
from durio.entities.changes import Batch, CancelJob, StartJob, View
from durio.entities.messages import Job, JobCrashed, Message
from durio.entities.poison import Poison


class JobRunner(Protocol):
    """Runs jobs; each ends in `Runtime.job_done`, unless it was cancelled."""

    def start(self, key: bytes, job: Job, nursery: trio.Nursery) -> None:
        """The job is durable: run it."""
        ...

    def cancel(self, key: bytes) -> None:
        """The job is not wanted any more."""
        ...


class Jobs:
    """The table of jobs.

    Guarantees: a job starts after its commit, again after every open, and never after it was cancelled; its result is
    taken once. One that was running at too many unclean ends is not started: its result is that (G6).
    """

    def __init__(self, view: View, poison: Poison) -> None:
        self._view = view
        self._poison = poison
        self._open: set[bytes] = set()

    def recover(self, now_us: int) -> Iterator[tuple[bytes, str, Message]]:
        """At an open: start what has no result. Gives the results of those that are not started any more."""
        view = self._view
        decoder = msgspec.msgpack.Decoder(Job)
        start = keys.JOB
        while rows := view.scan(keys.JOB, start, keys.stop_of(keys.JOB), 1000):
            for key, row in rows:
                assert isinstance(row, bytes)
                self._open.add(key)
                job, times = decoder.decode(row), self._poison.times(key)
                if self._poison.job_crashed(key):
                    yield key, job.address, _crashed(job, times, now_us)
                else:
                    view.filling.outputs.append(StartJob(key, job))
            start = rows[-1][0] + b"\0"

    def __contains__(self, key: bytes) -> bool:
        """Whether the job is wanted, and has not ended."""
        return key in self._open

    def schedule(self, batch: Batch, output: StartJob) -> None:
        """The job is wanted: it starts when `batch` is durable."""
        batch.insert(keys.JOB, output.key, output.job)
        self._open.add(output.key)
        batch.outputs.append(output)

    def cancel(self, batch: Batch, output: CancelJob) -> None:
        """The job is not wanted any more; if it was to start with `batch`, it does not."""
        if output.key not in self._open:
            return
        self._open.discard(output.key)
        fresh = output.key in batch.fresh
        batch.delete(keys.JOB, output.key)
        self._poison.clear(output.key)
        batch.dropped.add(output.key)
        if not fresh:
            batch.outputs.append(output)

    def finish(self, key: bytes) -> bool:
        """The job has ended: its row goes. False: it was cancelled, and its result is late."""
        if key not in self._open:
            return False
        self._open.discard(key)
        self._view.filling.delete(keys.JOB, key)
        self._poison.clear(key)
        return True


def _crashed(job: Job, times: int, now_us: int) -> JobCrashed:
    return JobCrashed(at_us=now_us, execution=job.execution, action=job.action, name=job.name, times=times)
