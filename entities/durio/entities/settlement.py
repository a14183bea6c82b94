"""What a settled turn changes and says: collected here as data, applied by the kernel as one."""

from __future__ import annotations

from collections.abc import Callable

import durio.entities.keys as keys
from durio.entities.changes import CancelJob, Change, Ended, Output, Record, Reply, StartJob
from durio.entities.failures import Failure
from durio.entities.messages import MAIL_LANE, Answer, Answered, Job, Message, Operation, Timer, encode_record


class Settlement:
    """The write set of one turn of one actor, and its outputs (G2).

    `now_us` is the clock of the turn; `arrival()` gives the next arrival number of the hub.
    """

    __slots__ = (
        "address",
        "arrival",
        "consumed",
        "counted",
        "cuts",
        "group",
        "indexed",
        "listed",
        "now_us",
        "outputs",
        "returned",
        "rewind",
        "sent",
        "timers",
        "timers_cancelled",
        "written",
        "yields",
    )

    def __init__(self, address: str, now_us: int, arrival: Callable[[], int]) -> None:
        self.address = address
        self.group = keys.actor(address)
        self.now_us = now_us
        self.arrival = arrival
        self.consumed: list[bytes] = []
        self.written: list[tuple[bytes, Change, bool]] = []
        self.indexed: list[tuple[bytes, bool]] = []
        self.listed: list[tuple[bytes, Change]] = []
        self.sent: list[tuple[str, int, Message]] = []
        self.returned: list[tuple[tuple[int, int], Message]] = []
        self.cuts: list[tuple[bytes, bytes]] = []
        self.outputs: list[Output] = []
        self.timers: list[tuple[bytes, Timer]] = []
        self.timers_cancelled: list[bytes] = []
        self.counted: list[str] = []
        self.rewind = False
        """Whether messages that were taken and not consumed shall come up again."""
        self.yields = False
        """Whether the actor goes to the back of the queue now, whatever it still has to do."""

    def consume(self, key: bytes) -> None:
        """The message under `key` has had its turn."""
        self.consumed.append(key)

    def insert(self, suffix: bytes, record: Record) -> None:
        """Write a row of the actor under a key that was never used before."""
        self.written.append((self.group + suffix, record, True))

    def put(self, suffix: bytes, record: Record) -> None:
        """Write a row of the actor."""
        self.written.append((self.group + suffix, record, False))

    def delete(self, suffix: bytes) -> None:
        """Delete a row of the actor."""
        self.written.append((self.group + suffix, None, False))

    def list_in(self, table: bytes, record: Record | None) -> None:
        """Write, or delete, the actor's row in a table that lists actors."""
        self.listed.append((table, record))

    def index(self, where: bytes, present: bool) -> None:
        """Write, or delete, a row by which the actor is found (G17)."""
        self.indexed.append((keys.index(where), present))

    def send(self, address: str, message: Message, lane: int = MAIL_LANE) -> None:
        """Put a message into a mailbox, behind all that is there."""
        self.sent.append((address, lane, message))

    def put_back(self, arrival: tuple[int, int], message: Message) -> None:
        """Put a message into the actor's own mailbox under its old arrival number (G23)."""
        self.returned.append((arrival, message))

    def schedule(self, due_us: int, address: str, message: Message) -> bytes:
        """Send a message when its time comes; returns the key to cancel it by."""
        key = keys.timer(due_us, self.arrival())
        self.timers.append((key, Timer(address, encode_record(message))))
        return key

    def unschedule(self, key: bytes) -> None:
        """Cancel a scheduled message that has not been sent yet."""
        self.timers_cancelled.append(key)

    def answer(self, token: str, answer: Answer) -> None:
        """Answer the client that waits under `token`, if any does."""
        if token:
            self.outputs.append(Reply(token, answer))

    def start_job(self, job: Job) -> bytes:
        """Start durable work after the commit; returns the key to cancel it by."""
        key = keys.job(job.address, job.execution, job.action)
        self.outputs.append(StartJob(key, job))
        return key

    def cancel_job(self, key: bytes) -> None:
        """The job is no longer wanted."""
        self.outputs.append(CancelJob(key))

    def cut(self, start: bytes, stop: bytes) -> None:
        """Delete the rows from suffix `start` to before `stop`, however many, before anything is written (G18)."""
        self.cuts.append((self.group + start, self.group + stop))

    def end(self, life: str, last: Record) -> None:
        """A life came to its end; `last` is what it was then."""
        self.outputs.append(Ended(self.address, life, last))

    def count(self, what: str) -> None:
        """Count something that was dropped or refused without anybody being told."""
        self.counted.append(what)


def answer_operation(
    operation: Operation, result: bytes | None, failure: Failure | None, settlement: Settlement, *, refusal: str = ""
) -> bool:
    """Answer whoever waits for an operation. False: it is a signal."""
    caller = operation.caller
    if caller is not None:
        answered = Answered(
            at_us=settlement.now_us,
            execution=caller.execution,
            action=caller.action,
            result=result,
            failure=failure,
        )
        settlement.send(caller.address, answered)
    elif operation.reply:
        settlement.answer(operation.reply, Answer(value=result, failure=failure, refusal=refusal))
    return caller is not None or bool(operation.reply)
