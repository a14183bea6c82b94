"""Jobs: durable work outside of turns, from the commit that schedules it to the result that is taken once (G24)."""

from __future__ import annotations

import msgspec

import durio.entities.keys as keys
from durio.entities.changes import Batch, CancelJob, StartJob, View
from durio.entities.messages import Job


class Jobs:
    """The table of jobs.

    Guarantees: a job starts after its commit, again after every open, and never after it was cancelled; its result is
    taken once.
    """

    def __init__(self, view: View) -> None:
        self._view = view
        self._open: set[bytes] = set()
        decoder = msgspec.msgpack.Decoder(Job)
        start = keys.JOB
        while rows := view.scan(keys.JOB, start, keys.stop_of(keys.JOB), 1000):
            for key, row in rows:
                assert isinstance(row, bytes)
                self._open.add(key)
                view.filling.outputs.append(StartJob(key, decoder.decode(row)))
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
        batch.dropped.add(output.key)
        if not fresh:
            batch.outputs.append(output)

    def finish(self, key: bytes) -> bool:
        """The job has ended: its row goes. False: it was cancelled, and its result is late."""
        if key not in self._open:
            return False
        self._open.discard(key)
        self._view.filling.delete(keys.JOB, key)
        return True
