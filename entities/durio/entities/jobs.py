"""Jobs: durable work outside of turns, from the commit that schedules it to the result that is taken once (G24)."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Protocol

import msgspec
import trio

import durio.entities.keys as keys
from durio.entities.changes import Batch, CancelJob, StartJob, View
from durio.entities.limits import JOBS_START_MAX
from durio.entities.messages import UNDECODABLE, Job, JobCrashed, Message
from durio.entities.poison import Poison

logger = logging.getLogger("durio.entities")

_STOP: Final = keys.stop_of(keys.JOB)


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
        self._decoder = msgspec.msgpack.Decoder(Job)
        self._open: set[bytes] = set()
        self._left: bytes | None = None
        """From here on lie jobs of an earlier owner that are not started yet."""
        start = keys.JOB
        while rows := view.scan(keys.JOB, start, _STOP, JOBS_START_MAX):
            self._open.update(key for key, _ in rows)
            start, self._left = rows[-1][0] + b"\0", keys.JOB

    def recover(self, now_us: int) -> list[tuple[bytes, str, Message]]:
        """Start a bounded number of what is left: a million may be. Gives results of those never started again."""
        if self._left is None:
            return []
        results: list[tuple[bytes, str, Message]] = []
        rows = self._view.scan(keys.JOB, self._left, _STOP, JOBS_START_MAX)
        self._left = rows[-1][0] + b"\0" if len(rows) == JOBS_START_MAX else None
        for key, row in rows:
            if key not in self._open or not isinstance(row, bytes):
                continue  # it was cancelled, or is no earlier owner's
            job: Job | None = None
            with _holding():
                job = self._decoder.decode(row)
            if job is None:
                continue
            if self._poison.job_crashed(key):
                results.append((key, job.address, _crashed(job, self._poison.times(key), now_us)))
            else:
                self._view.filling.outputs.append(StartJob(key, job))
        return results

    def find(self, key: bytes) -> Job | None:
        """A job that is wanted; None if it is not, or if it cannot be read: then it waits for the next open."""
        if key not in self._open:
            return None
        with _holding():
            return self._view.get(keys.job_group(key), key, self._decoder)
        return None

    def __contains__(self, key: bytes) -> bool:
        """Whether the job is wanted, and has not ended."""
        return key in self._open

    def schedule(self, batch: Batch, output: StartJob) -> None:
        """The job is wanted: it starts when `batch` is durable."""
        batch.insert(keys.job_group(output.key), output.key, output.job)
        self._open.add(output.key)
        batch.outputs.append(output)

    def cancel(self, batch: Batch, output: CancelJob) -> None:
        """The job is not wanted any more; if it was to start with `batch`, it does not."""
        if output.key not in self._open:
            return
        self._open.discard(output.key)
        fresh = output.key in batch.fresh
        batch.delete(keys.job_group(output.key), output.key)
        self._poison.clear(output.key)
        batch.dropped.add(output.key)
        if not fresh:
            batch.outputs.append(output)

    def finish(self, key: bytes) -> bool:
        """The job has ended: its row goes. False: it was cancelled, and its result is late."""
        if key not in self._open:
            return False
        self._open.discard(key)
        self._view.filling.delete(keys.job_group(key), key)
        self._poison.clear(key)
        return True


@contextmanager
def _holding() -> Iterator[None]:
    """A job that cannot be read is held alone."""
    try:
        yield
    except UNDECODABLE:
        logger.exception("a job is held: it cannot be read")


def _crashed(job: Job, times: int, now_us: int) -> JobCrashed:
    return JobCrashed(at_us=now_us, execution=job.execution, action=job.action, name=job.name, times=times)
