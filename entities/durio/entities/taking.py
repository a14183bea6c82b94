"""PostTaker: the owner's side of the inbox. Takes posts in, and rings for those whose answers are durable."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Protocol, Self

import msgspec
import trio

from durio.entities.changes import Reply, View
from durio.entities.env import Env
from durio.entities.errors import DurioError
from durio.entities.kernel import Kernel
from durio.entities.limits import POST_BYTES_MAX, POST_RINGS_MAX, POST_SCAN_S, POST_TIDY_S, POSTS_MAX
from durio.entities.messages import REQUEST_TOKEN, Answer, Message, refuse
from durio.entities.posts import Post
from durio.entities.requests import session_of
from durio.storage import Bell, CorruptRecord, HubBroken, HubFolder, Inbox, LmdbStore, is_heard, ring

logger = logging.getLogger("durio.entities")


class Doorman(Protocol):
    """What the layer above says of a post before it is taken in."""

    def admit(self, address: str, data: bytes, open_names: bool) -> Message:
        """The message. Raises why it is refused: a name that is not registered, bytes that cannot be read."""
        ...

    def life(self, view: View, address: str) -> tuple[str, Any]:
        """The life at an address, and what it was at its end if it is over, else None. Raises if there is none."""
        ...


class PostTaker:
    """Takes rows of the inbox in, in their order, a bounded number at a time.

    Guarantees: each row is taken in once (G3); one that cannot be read, or is refused, is answered or logged and hides
    no other; whatever clients do, or stop doing, the owner goes on.
    """

    def __init__(self, inbox: Inbox, bell: Bell, store: LmdbStore, doorman: Doorman, env: Env) -> None:
        """Use `open`."""
        self._inbox = inbox
        self._bell = bell
        self._store = store
        self._doorman = doorman
        self._env = env
        self._sessions = HubFolder.at(store.path).sessions
        self._posts = msgspec.msgpack.Decoder(Post)
        self._waiting: OrderedDict[str, set[str]] = OrderedDict()
        self._to_ring: set[str] = set()
        self._broken = False
        self._tidied_s = -math.inf
        self._clearing = trio.CapacityLimiter(1)
        # Where time is virtual nothing but this process is there: it rings.
        self._virtual = math.isinf(env.clock_read_s)
        self._scan_s = math.inf if self._virtual else POST_SCAN_S

    @classmethod
    def open(cls, store: LmdbStore, doorman: Doorman, env: Env) -> Self:
        """The inbox of a hub that is open. Raises `NoSpace`, `HubBroken`, `OSError`."""
        inbox = Inbox.open(store.path)
        try:
            return cls(inbox, Bell.hang(HubFolder.at(store.path).bell), store, doorman, env)
        except BaseException:
            inbox.close()
            raise

    def close(self) -> None:
        """Hear no more."""
        self._bell.take_down()
        self._inbox.close()

    async def run(self, perform: Callable[..., Any], landing: trio.lowlevel.ParkingLot) -> None:
        """Look at open, whenever somebody rings, and every second anyway.

        `perform` does a step of the kernel, or nothing while the hub takes nothing in; `landing` wakes after commits.
        """
        while True:
            if perform(self.take):
                await landing.park()  # the next ones wait for a commit: ten thousand may be there
                continue
            alive = await self._tidy()
            if alive is not None:
                perform(self.forget, alive)
            with trio.move_on_after(self._scan_s):
                await trio.lowlevel.wait_readable(self._bell.fd)
            self._bell.drain()  # before looking, so that no ring is lost

    def look_again(self) -> None:
        """The hub takes posts in again: look at once."""
        ring(self._bell.path)

    # Taking

    def take(self, kernel: Kernel) -> bool:
        """Take some posts in; whether there may be more. One step of the kernel."""
        try:
            rows = self._inbox.after(kernel.posts.taken, POSTS_MAX, POST_BYTES_MAX)
        except HubBroken as error:
            if not self._broken:  # it is not the hub that is broken: the owner goes on, and looks again
                logger.error("the inbox cannot be read, so clients in other processes are not heard: %s", error)  # noqa: TRY400
            self._broken = True
            return False
        self._broken = False
        for number, row in rows:
            try:
                if isinstance(row, CorruptRecord):
                    raise row
                post = self._posts.decode(row)
            except (CorruptRecord, msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
                kernel.counters["posts dropped: they could not be read"] += 1
                logger.error("post %d of another process is dropped: %s", number, error)  # noqa: TRY400
            else:
                self._take(kernel, post)
            kernel.posts.take(number)
        return bool(rows)

    def _take(self, kernel: Kernel, post: Post) -> None:
        for own_id in post.read:
            kernel.requests.drop(own_id)
        try:
            if post.watch:
                self._watch(kernel, post)
            elif post.message:
                self._submit(kernel, post)
        except (DurioError, CorruptRecord, ValueError, TypeError) as error:
            kernel.counters["posts refused"] += 1
            if post.tell:
                logger.error("what another process told %r is refused: %s", post.address, error)  # noqa: TRY400
            else:  # under its own id: a refusal here is no answer to keep for a request id
                kernel.requests.keep(post.own_id, refuse(error), self._env.now_us())
                kernel.view.filling.outputs.append(Reply(REQUEST_TOKEN + post.own_id, refuse(error)))

    def _submit(self, kernel: Kernel, post: Post) -> None:
        message = self._doorman.admit(post.address, post.message, post.open_names)
        token = REQUEST_TOKEN + post.request_id if post.request_id else ""
        if post.request_id != post.own_id and token:
            self._waiting.setdefault(token, set()).add(session_of(post.own_id))
            if len(self._waiting) > POST_RINGS_MAX:
                self._waiting.popitem(last=False)  # they are not rung for, and find their answer when they look
        if kernel.admit(post.address, token, post.digest):
            kernel.submit(
                post.address,
                message,
                post.lane,
                token,
                tell=post.tell,
                digest=post.digest,
                due_us=post.due_us,
            )

    def _watch(self, kernel: Kernel, post: Post) -> None:
        life, last = self._doorman.life(kernel.view, post.address)
        now_us = self._env.now_us()
        if last is None:
            kernel.posts.watch(post.address, life, post.own_id, now_us)
        else:
            answer = Answer(value=msgspec.msgpack.encode(last))
            kernel.requests.keep(post.own_id, answer, now_us)
            kernel.view.filling.outputs.append(Reply(REQUEST_TOKEN + post.own_id, answer))

    # Answers

    def note(self, token: str) -> None:
        """The answer under this token is durable."""
        session = session_of(token[1:])
        if session:
            self._to_ring.add(session)
        if token in self._waiting:
            self._to_ring.update(self._waiting.pop(token))

    def ring(self) -> None:
        """Ring for all whose answers are durable now."""
        for session in self._to_ring:
            if "/" not in session:
                ring(os.path.join(self._sessions, session))
        self._to_ring.clear()

    # Tidiness

    async def _tidy(self) -> frozenset[str] | None:
        """Every few seconds: free what killed clients left behind. Gives the sessions that are there; else None."""
        now_s = time.monotonic()
        if self._virtual or now_s - self._tidied_s < POST_TIDY_S:
            return None
        self._tidied_s = now_s
        if self._clearing.borrowed_tokens == 0:
            # In a thread: a reader that is stopped in the middle of coming or going would hold up the loop.
            with trio.move_on_after(1.0):
                await trio.to_thread.run_sync(self._clear_readers, limiter=self._clearing, abandon_on_cancel=True)
        return self._clear_bells()

    def forget(self, kernel: Kernel, alive: frozenset[str]) -> None:
        """Forget which lives sessions watched that are gone. One step of the kernel."""
        kernel.posts.unwatch(kernel.posts.watchers - alive)

    def _clear_readers(self) -> None:
        self._store.clear_readers()
        self._inbox.clear_readers()

    def _clear_bells(self) -> frozenset[str]:
        alive: set[str] = set()
        with contextlib.suppress(OSError):
            for name in os.listdir(self._sessions):
                path = os.path.join(self._sessions, name)
                if is_heard(path):
                    alive.add(name)
                elif not name.startswith(".") or time.time() - os.stat(path).st_mtime > POST_TIDY_S:
                    with contextlib.suppress(OSError):
                        os.unlink(path)
        return frozenset(alive)
