"""Session: a client's side of the inbox. It numbers and writes requests, and finds their answers; it waits for nothing.

How to wait is up to the three links: Trio, asyncio, and plain synchronous code.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import Final, Self

import attrs
import msgspec

from durio.entities import REQUEST_TOKEN, Answer, Message, Post, check_request_id, keys, session_of
from durio.entities.messages import Request, encode_record
from durio.entities.posts import Taken
from durio.orchestration.errors import NoOwner, OwnerSilent
from durio.storage import Bell, HubClosed, HubFolder, HubReader, Inbox, OwnerLock, UsedAfterFork, ring

_LOOK_AT_OWNER_S: Final = 0.25
_ROWS_MAX: Final = 256
_PAUSE_S: Final = 0.02
_READ_S: Final = 1.0  # for so long an answer stays that was found: its reader may still have to follow a reference


def _nobody() -> None:
    """Nobody waits."""


@attrs.define(eq=False)
class Wait:
    """Something asked, until it is done. `Session.wake` calls `wake` once then."""

    own_id: str
    request_id: str
    digest: bytes
    tell: bool = False
    wake: Callable[[], None] = _nobody
    number: int = 0
    """Its row in the inbox; 0 while it is not there yet."""
    well_s: float = 0.0
    """When it was last seen that it is in good hands."""
    answer: Answer | None = None
    error: BaseException | None = None
    given_up: bool = False

    @property
    def done(self) -> bool:
        """Whether there is nothing to wait for any more."""
        return self.answer is not None or self.error is not None


class Session:
    """The state of one connection to a hub of another process.

    Guarantees: what was asked is durable in the order in which it was asked, also if its caller gives up; each answer
    is found once and its row is given back; when no owner takes what was asked, or a paused one does not, the caller is
    told after `timeout_s`. May be used by several threads.
    """

    def __init__(self, store: HubReader, inbox: Inbox, timeout_s: float, clock: Callable[[], float]) -> None:
        """Use `open`."""
        self.store = store
        self.name = os.urandom(8).hex()
        self._inbox = inbox
        self._timeout_s = timeout_s
        self._clock = clock
        self._folder = HubFolder.at(store.path)
        self.bell = Bell.hang(os.path.join(self._folder.sessions, self.name))
        self._lock = threading.Lock()
        self._flushing = threading.Lock()
        self._numbers = 0
        self._queue: list[tuple[Wait, Post]] = []
        self._waits: dict[str, Wait] = {}
        self._read: list[tuple[float, str]] = []
        self._done: list[Wait] = []
        self._seen = 0
        self._looked_s = 0.0
        self._pid = os.getpid()
        self._closed = False
        self._requests = msgspec.msgpack.Decoder(Request)
        self._taken = msgspec.msgpack.Decoder(Taken)

    @classmethod
    def open(cls, hub: str | os.PathLike[str], timeout_s: float, clock: Callable[[], float]) -> Self:
        """A session with the hub at `hub`. Raises `NotAHub`, `FormatMismatch`, `NetworkFileSystem`, `OSError`."""
        if not timeout_s > 0:
            raise ValueError(f"timeout_s={timeout_s!r} must be greater than 0")
        store = HubReader.open(hub)
        try:
            inbox = Inbox.open(hub)
            try:
                return cls(store, inbox, timeout_s, clock)
            except BaseException:
                inbox.close()
                raise
        except BaseException:
            store.close()
            raise

    def own_id(self) -> str:
        """A fresh request id of this session."""
        with self._lock:
            self._numbers += 1
            return f"~{self.name}.{self._numbers}"

    def token(self, request_id: str | None) -> str:
        """The reply token of a request id. Raises `InvalidAddress`. Empty without one: what is told is not answered."""
        return "" if request_id is None else REQUEST_TOKEN + check_request_id(request_id)

    # Asking

    def ask(
        self,
        address: str,
        message: Message,
        token: str,
        *,
        lane: int,
        tell: bool,
        digest: bytes,
        due_us: int | None,
        open_names: bool,
    ) -> Wait:
        """Queue a message; it is durable after the next `flush`."""
        self.check()
        request_id = token[1:]
        own_id = request_id if session_of(request_id) == self.name else self.own_id()
        wait = Wait(own_id, request_id, digest, tell)
        post = Post(
            own_id,
            address,
            encode_record(message),
            lane,
            tell,
            request_id,
            digest,
            due_us,
            open_names=open_names,
        )
        return self._enqueue(wait, post)

    def watch(self, address: str) -> Wait:
        """Queue the wish to know the end of a life."""
        self.check()
        own_id = self.own_id()
        return self._enqueue(Wait(own_id, own_id, b""), Post(own_id, address, watch=True))

    def _enqueue(self, wait: Wait, post: Post) -> Wait:
        wait.well_s = self._clock()
        with self._lock:
            self._queue.append((wait, post))
            if not wait.tell:
                self._waits[wait.own_id] = wait
        return wait

    def flush(self, now_s: float) -> bool:
        """Write what is queued, as one commit; False: there is no room for it now, or there is more. Blocks shortly.

        Call `wake` then: who told is done, and who asked if it went wrong.
        """
        with self._flushing:
            with self._lock:
                queue, self._queue = self._queue[:_ROWS_MAX], self._queue[_ROWS_MAX:]
                read = self._may_go(now_s) if queue else []
            rows = [encode_record(post) for _, post in queue]
            if rows and read:
                rows[0] = encode_record(msgspec.structs.replace(queue[0][1], read=tuple(own_id for _, own_id in read)))
            last = 0
            try:
                if rows:
                    taken = self._taken_up_to()
                    last = self._inbox.append(rows, taken, self._timeout_s)
                    if not last:
                        queue = self._no_room(queue, taken, now_s)
            except Exception as error:
                for wait, _ in queue:
                    self._finish(wait, error=error)
                queue = []
            for number, (wait, _) in enumerate(queue if last else (), last - len(queue) + 1):
                wait.number = number
                if wait.tell:
                    self._finish(wait, answer=Answer())
            with self._lock:
                if not last:
                    self._read = read + self._read
                    self._queue = queue + self._queue
        if last:
            ring(self._folder.bell)
        return not self._queue

    def _may_go(self, now_s: float) -> list[tuple[float, str]]:
        """Answers that were read, and whose rows the owner may delete now."""
        before_s = now_s - _READ_S
        go = [read for read in self._read if self._closed or read[0] <= before_s]
        self._read = self._read[len(go) :]
        return go

    def _no_room(self, queue: list[tuple[Wait, Post]], taken: int, now_s: float) -> list[tuple[Wait, Post]]:
        """The inbox is full. Who has waited too long without the owner taking anything is told; the others stay."""
        if taken > self._seen:
            self._seen = taken
            for wait, _ in queue:
                wait.well_s = now_s
        patient = [(wait, post) for wait, post in queue if now_s - wait.well_s < self._timeout_s]
        pid = OwnerLock.holder(self._folder.owner_lock)
        for wait, _ in queue:
            if now_s - wait.well_s >= self._timeout_s:
                self._finish(wait, error=self._silence(pid, now_s - wait.well_s, ""))
        return patient

    # Answers

    def look(self) -> None:
        """Find the answers that are there, and who waited too long. Call `wake` then."""
        with self._lock:
            waits = [*self._waits.values()]
        for wait in waits:
            try:
                answer = self._answer_to(wait)
            except Exception as error:
                self._finish(wait, error=error)
                continue
            if answer is not None:
                self._finish(wait, answer=answer)
        now_s = self._clock()
        if waits and now_s - self._looked_s >= _LOOK_AT_OWNER_S:
            self._looked_s = now_s
            self._look_at_owner(now_s)

    def _answer_to(self, wait: Wait) -> Answer | None:
        row = self._row(wait.own_id)
        if row is not None and row.answer is not None:
            self._read.append((self._clock(), wait.own_id))
            return row.answer
        if wait.request_id and wait.request_id != wait.own_id:
            row = self._row(wait.request_id)
            if row is not None and row.digest == wait.digest:
                return row.answer
        return None

    def _row(self, request_id: str) -> Request | None:
        data = self.store.get(keys.request(request_id))
        return None if data is None else self._requests.decode(data)

    def _taken_up_to(self) -> int:
        data = self.store.get(keys.TAKEN)
        return 0 if data is None else self._taken.decode(data).number

    def _look_at_owner(self, now_s: float) -> None:
        """Tell those who waited too long that nobody takes what they asked."""
        pid = OwnerLock.holder(self._folder.owner_lock)
        well = pid is not None and not _is_stopped(pid)
        taken = self._taken_up_to()
        with self._lock:
            waits = [wait for wait in self._waits.values() if not wait.given_up]
        for wait in waits:
            if well and 0 < wait.number <= taken:
                wait.well_s = now_s
            elif now_s - wait.well_s >= self._timeout_s:
                if wait.number:  # its answer stays for whoever asks again under this id
                    self._finish(wait, error=self._silence(pid, now_s - wait.well_s, wait.request_id))

    def _silence(self, pid: int | None, waited_s: float, request_id: str) -> Exception:
        if pid is None:
            return NoOwner(self.store.path, waited_s, request_id)
        return OwnerSilent(self.store.path, pid, waited_s, request_id)

    def give_up(self, wait: Wait) -> None:
        """The caller went away. What it asked is done all the same; its answer is given back when it comes."""
        wait.given_up = True

    def _finish(self, wait: Wait, answer: Answer | None = None, error: BaseException | None = None) -> None:
        with self._lock:
            self._waits.pop(wait.own_id, None)
            if wait.done:
                return
            wait.answer, wait.error = answer, error
            if not wait.given_up:
                self._done.append(wait)

    def wake(self) -> None:
        """Wake all who are done. Not for another thread than theirs."""
        with self._lock:
            done, self._done = self._done, []
        for wait in done:
            wait.wake()

    # The end

    def check(self) -> None:
        """Raises `HubClosed` and `UsedAfterFork`."""
        pid = os.getpid()
        if pid != self._pid:
            raise UsedAfterFork(pid, self._pid)
        if self._closed:
            raise HubClosed(self.store.path)

    @property
    def busy(self) -> bool:
        """Whether somebody waits for an answer."""
        return bool(self._waits)

    @property
    def queued(self) -> bool:
        """Whether something is not written yet."""
        return bool(self._queue)

    def close(self, now_s: float) -> None:
        """Write what is queued, give back answers that were read, and wake all who wait with `HubClosed`. Blocks."""
        if self._closed or os.getpid() != self._pid:
            return
        self._closed = True
        try:
            if self._read and not self._queue:
                own_id = self.own_id()
                self._queue.append((Wait(own_id, "", b"", tell=True), Post(own_id, tell=True)))
            while not self.flush(now_s) and self._done == []:
                time.sleep(_PAUSE_S)
        finally:
            for wait in [*self._waits.values()]:
                self._finish(wait, error=HubClosed(self.store.path))
            self.bell.take_down()
            self._inbox.close()
            self.store.close()


def _is_stopped(pid: int) -> bool:
    """Whether a process is stopped, by a signal or a debugger."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat:
            return stat.read().rpartition(b")")[2].split()[0] in (b"T", b"t")
    except (OSError, IndexError):
        return False
