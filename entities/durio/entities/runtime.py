"""The runtime: drives the kernel with Trio. Turns, commits and timers are three loops, outputs leave between them."""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any, TypeVar

import trio

from durio.entities.changes import CancelJob, Ended, Offer, Output, Reply, StartJob
from durio.entities.entity import EntityKind, Outcome
from durio.entities.env import Env
from durio.entities.gathering import gather
from durio.entities.groups import single, without_cancelled
from durio.entities.intake import Intake, size_of
from durio.entities.jobs import JobRunner
from durio.entities.kernel import Kernel
from durio.entities.limits import GATHER_MS, IDLE_S, INTAKE_BYTES_MAX, OPERATION_GRACE_S, TURNS_MS
from durio.entities.messages import CONTROL_LANE, MAIL_LANE, REQUEST_TOKEN, Answer, Job, Message
from durio.entities.operations import OperationRunner
from durio.entities.requests import check_request_id
from durio.entities.shortage import Shortage
from durio.entities.switching import ShortSwitchInterval
from durio.entities.taking import PostTaker
from durio.entities.ticker import Ticker
from durio.entities.waiters import Bell, Waiter, Waiters
from durio.storage import HubClosed, NoSpace, Store

T = TypeVar("T")


@trio.lowlevel.enable_ki_protection
def _atomic(step: Callable[..., T], *args: Any, **options: Any) -> T:
    """One step of the kernel. Ctrl-C must not leave it half done: it is raised behind it, or in user code inside."""
    return step(*args, **options)


class Runtime:
    """Runs one open hub until it is closed or breaks.

    Guarantees: outputs leave only after `store.commit` of their batch returned (G5); commits go on however busy the
    loop is: after 2 ms of turns with a commit in flight the turns wait for it; when the hub breaks, everybody who
    waits is told; when the disk is full nothing acknowledged is lost, and it goes on when there is room (G32).
    """

    def __init__(
        self,
        store: Store,
        make_kernel: Callable[[], Kernel],
        entities: EntityKind,
        env: Env,
        jobs: JobRunner,
        *,
        idle_s: float = IDLE_S,
        intake_bytes_max: int = INTAKE_BYTES_MAX,
        posts: PostTaker | None = None,
    ) -> None:
        self.kernel = make_kernel()
        self._make_kernel = make_kernel
        self.env = env
        self.store = store
        self.answers: Waiters[Answer] = Waiters()
        self.endings: Waiters[Any] = Waiters()
        self.intake = Intake(lambda: self.kernel.view.filling, intake_bytes_max)
        self._jobs = jobs
        self._posts = posts
        self._shortage = Shortage(store)
        self._idle_us = int(idle_s * 1_000_000)
        self._tokens = 0
        self._turns_bell, self._commit_bell = Bell(), Bell()
        self._ticker = Ticker(env, self._idle_us)
        self._landing = trio.lowlevel.ParkingLot()
        self._in_flight = False
        self._ahead_s = 0.0
        self._gathered_s = 0.0
        self._operations = OperationRunner(self.kernel, entities, env, self, store.notes)
        self._stop = trio.Event()
        self._broken: BaseException | None = None
        self._nursery: trio.Nursery | None = None

    @property
    def disk_full(self) -> bool:
        """Whether there was no room for the last commit (G32)."""
        return bool(self._shortage)

    # What clients use

    def request_id(self, given: str | None) -> str | None:
        """The id under which a request is remembered; None: it is not."""
        return given

    def token(self, request_id: str | None) -> str:
        """A reply token: a fresh one, or that of the request id. Raises `InvalidAddress` for an unusable id."""
        if request_id is not None:
            return REQUEST_TOKEN + check_request_id(request_id)
        self._tokens += 1
        return f"c{self.store.epoch}.{self._tokens}"  # messages of earlier owners carry tokens too

    async def submit(
        self,
        address: str,
        message: Message,
        token: str,
        *,
        lane: int = MAIL_LANE,
        tell: bool = False,
        digest: bytes = b"",
        due_us: int | None = None,
    ) -> Answer:
        """Tell or ask: take the message in, once there is room, and wait for the durable answer.

        Cancelling never retracts a message that was taken in, and one that still waits for room is not sent.
        """

        def take_in() -> Waiter[Answer]:
            if self._stop.is_set():
                raise HubClosed(self.store.path)
            if self._shortage and lane != CONTROL_LANE:
                raise self._shortage.refusal()
            if self.kernel.admit(address, token, digest):
                self._step(self.kernel.submit, address, message, lane, token, tell=tell, digest=digest, due_us=due_us)
            self.poke()
            if due_us is not None:
                self._ticker.check(self.kernel)
            return self.answers.expect(token)

        waiter = await self.intake.take(size_of(message), take_in, control=lane == CONTROL_LANE)
        return await self.answers.wait_as(token, waiter)

    async def job_done(self, key: bytes, address: str, message: Message) -> None:
        """A job ended: take its result in, once there is room."""

        def take_in() -> None:
            if self._shortage:
                self._shortage.keep(key, address, message)
            else:
                self._step(self.kernel.job_done, key, address, message)
                self.poke()

        await self.intake.take(size_of(message), take_in)

    def job(self, key: bytes) -> Job | None:
        """A job as it lies in the hub; None if it is not wanted any more."""
        return self._step(self.kernel.jobs.find, key)

    def operation_done(self, offer: Offer, outcome: Outcome) -> None:
        """An `async def` operation ended."""
        if self._broken is None and self._step(self.kernel.settle_offer, offer.address, offer.number, [outcome]):
            self._ticker.check(self.kernel)
            self._commit_bell.ring()
            self.poke()

    async def ended(self, address: str, life: str) -> Any:
        """Wait until a life that goes on has ended; gives what its kind of actor says of it."""
        return await self.endings.wait((address, life))

    async def checkpoint(self) -> None:
        """Let others run."""
        await trio.lowlevel.checkpoint()

    async def gather(self, calls: Sequence[Callable[[], Coroutine[Any, Any, T]]]) -> list[T]:
        """Make calls side by side."""
        return await gather(calls)

    async def run_blocking(self, call: Callable[[], T]) -> T:
        """Run what blocks in a thread; cancelling abandons it."""
        return await self.env.run_blocking(call, trio.CapacityLimiter(1))

    def poke(self) -> None:
        """There is something to do."""
        if self._next_turn() is not None:
            self._turns_bell.ring()
        else:
            self._commit_bell.ring()

    def stop(self) -> None:
        """Close in good order: no new requests, running operations get their grace, what is done is committed."""
        self._stop.set()

    def _step(self, step: Callable[..., T], *args: Any, **options: Any) -> T:
        """One step of the kernel. Whatever it raises may have left it half done: nothing more is committed (G2)."""
        try:
            return _atomic(step, *args, **options)
        except BaseException as error:
            self._broken = self._broken or error
            if self._nursery is not None:
                self._nursery.cancel_scope.cancel()
            raise

    # The loops

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Run until `stop` is called, or until the hub breaks; then everything is closed, the store too."""
        try:
            with ShortSwitchInterval():
                await self._serve(task_status)
            if self._broken is not None:
                raise self._broken
        except BaseException as error:
            if self._broken is not None:
                raise self._broken from None  # what else failed, failed because of it
            found = single(error)
            self._broken = found if without_cancelled(error) else None  # cancelled from outside: what is done stays
            raise
        finally:
            await self._close()

    async def _serve(self, task_status: trio.TaskStatus[None]) -> None:
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            nursery.start_soon(self._run_turns)
            nursery.start_soon(self._run_commits)
            nursery.start_soon(self._run_timers)
            if self._posts is not None:
                nursery.start_soon(self._posts.run, self._take_posts, self._landing)
            nursery.start_soon(self.intake.run)
            self._commit_bell.ring()
            task_status.started()
            try:
                await self._stop.wait()
                with trio.move_on_after(OPERATION_GRACE_S):
                    await self._operations.drain()
            finally:  # also when the hub is cancelled from outside
                self._operations.interrupt()
            nursery.cancel_scope.cancel()

    @trio.lowlevel.enable_ki_protection
    async def _close(self) -> None:
        self._stop.set()
        try:
            with trio.CancelScope(shield=True):
                while self._broken is None and self.kernel.view.filling and not self._shortage:
                    await self._commit()
        finally:
            closed = self._broken if isinstance(self._broken, Exception) else HubClosed(self.store.path)
            self.intake.fail(closed)
            self.answers.fail(closed)
            self.endings.fail(closed)
            self.kernel.close()
            if self._posts is not None:
                self._posts.close()
            self.store.close()

    async def _run_turns(self) -> None:
        slice_s = TURNS_MS / 1000
        while True:
            turn = self._next_turn()
            if turn is None:
                await self._turns_bell.wait()
                continue
            started = time.perf_counter()
            spent = 0.0
            while turn is not None and spent < slice_s:
                self._step(turn)
                spent = time.perf_counter() - started
                turn = self._next_turn()
            self._gathered_s += spent
            self._commit_bell.ring()
            self._ticker.check(self.kernel)
            self._ahead_s += spent
            if self._in_flight and self._ahead_s >= slice_s:
                await self._landing.park()
            else:
                await trio.lowlevel.checkpoint()

    def _next_turn(self) -> Callable[[], object] | None:
        """The turn to give next, if any. With no room on the disk only control mail is looked at (G32)."""
        kernel = self.kernel
        if self._shortage:
            return kernel.run_urgent if kernel.queue.urgent else None
        return kernel.run_turn if kernel.runnable else None

    async def _run_commits(self) -> None:
        while self._broken is None:
            # Mail whose turn comes in the same batch never touches the disk, so turns come first, up to a limit.
            gathered = self._next_turn() is None or self._gathered_s >= GATHER_MS / 1000
            if self.kernel.view.filling and gathered:
                self._gathered_s = 0.0
                await self._commit()
            else:
                await self._commit_bell.wait()

    async def _commit(self) -> None:
        batch = self._step(self.kernel.seal)
        writes = batch.seal()
        self.intake.sealed()
        self._in_flight, self._ahead_s = True, 0.0
        if writes.changes:
            try:
                await self.env.run_commit(partial(self.store.commit, writes))
            except NoSpace as error:
                self._step(self._start_over, error)
                return
            except BaseException as error:
                self._broken = error
                raise
        else:
            await trio.lowlevel.cancel_shielded_checkpoint()  # a sealed batch is always finished
        self._in_flight = False
        self._release(self._step(self.kernel.committed, batch))
        if not self._shortage:
            self._step(self.kernel.tombstones.sweep)
        self._step(self.kernel.collect, self._idle_us)
        self.intake.landed()
        self._landing.unpark_all()
        if self.kernel.runnable:  # turns that waited for this commit (G6)
            self._turns_bell.ring()

    def _start_over(self, error: NoSpace) -> None:
        """Whatever is not durable has not happened: who asked for it is refused, all else is offered again (G32)."""
        begins = self._shortage.begin(error)
        old, void = self.kernel, self.kernel.void
        old.close()
        self.kernel = self._make_kernel()
        self.kernel.succeed(old)
        self._operations.move(self.kernel, [outcome for batch in void for outcome in batch.outcomes])
        for batch in void:
            for result in batch.results:
                self._shortage.keep(*result)
            for token in batch.tokens:
                self.answers.refuse(token, self._shortage.refusal())
        self._in_flight, self._ahead_s = False, 0.0
        self.intake.landed()
        self._landing.unpark_all()
        self.poke()  # durable control mail may have its turn, and nobody else may ask for anything
        if begins and not self._stop.is_set():
            assert self._nursery is not None, "it runs"
            self._nursery.start_soon(self._await_room)

    async def _await_room(self) -> None:
        await self._shortage.wait()
        for result in self._shortage.end():
            self._step(self.kernel.job_done, *result)
        for bell in (self._turns_bell, self._commit_bell, self._ticker.bell):
            bell.ring()
        if self._posts is not None:
            self._posts.look_again()

    async def _run_timers(self) -> None:
        while True:
            if self._shortage:
                await self._ticker.bell.wait()
                continue
            now_us = self.env.now_us()
            changed, more = self._step(self._ticker.fire, self.kernel, now_us)
            if changed:
                self.poke()
            if more:
                await self._landing.park()  # the next ones wait for a commit: a million may be due
                continue
            self._step(self.kernel.collect, self._idle_us)
            await self._ticker.sleep(self.kernel, now_us)

    def _take_posts(self, step: Callable[..., T], *args: Any) -> T | None:
        if self._shortage or self._stop.is_set():
            return None
        done = self._step(step, self.kernel, *args)
        self.poke()
        self._ticker.check(self.kernel)
        return done

    # What leaves

    def _release(self, outputs: list[Output]) -> None:
        nursery = self._nursery
        assert nursery is not None, "outputs leave while the runtime runs"
        closing = self._stop.is_set()
        for output in outputs:
            if isinstance(output, Reply):
                self.answers.resolve(output.token, output.answer)
                if self._posts is not None:
                    self._posts.note(output.token)
            elif isinstance(output, StartJob):
                if not closing and output.key in self.kernel.jobs and not self._shortage.keeps(output.key):
                    self._jobs.start(output.key, output.job, nursery)
            elif isinstance(output, CancelJob):
                self._jobs.cancel(output.key)
            elif isinstance(output, Ended):
                self.endings.resolve((output.address, output.life), output.last)
            elif not closing:
                self._operations.start(output, nursery)
        if self._posts is not None:
            self._posts.ring()
