"""connect_sync: a client for plain synchronous programs, of a hub that another process owns."""

from __future__ import annotations

import select
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import wraps
from typing import Any, Concatenate, Final, ParamSpec, TypeVar, Unpack, overload

from durio.entities import MAIL_LANE, Answer, EntityId, Env, Message, SystemEnv
from durio.entities.limits import PAYLOAD_BYTES_MAX
from durio.orchestration.app import App
from durio.orchestration.client import Client, StartOptions
from durio.orchestration.context import OrchestrationContext
from durio.orchestration.control import Started
from durio.orchestration.entity_client import EntityStateResponse
from durio.orchestration.limits import CLIENT_POLL_S, OWNER_TIMEOUT_S
from durio.orchestration.queries import InstanceFilter
from durio.orchestration.query_client import PAGE_SIZE
from durio.orchestration.records import Snapshot
from durio.orchestration.remote import Hub, RemoteLink, checked_app, client_over, outcome_of, snapshot_in
from durio.orchestration.session import Session, Wait
from durio.orchestration.status import DurableOrchestrationStatus

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
I = TypeVar("I")  # noqa: E741  # the input of a call
E = TypeVar("E")  # an entity class

_NO_ROOM_S: Final = 0.02


class BlockingLink(RemoteLink):
    """A `Link` whose coroutines never suspend: they block the thread that drives them. For any number of threads."""

    def __init__(self, session: Session, env: Env, open_names: bool) -> None:
        super().__init__(session, env, open_names)
        self._listening = threading.Lock()
        self._heard = threading.Condition()
        self._limits = threading.local()

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
        return self._outcome(self._asked(address, message, token, lane, tell, digest, due_us))

    async def ended(self, address: str, life: str) -> Snapshot:
        return snapshot_in(self._outcome(self._session.watch(address)))

    async def checkpoint(self) -> None:
        return None

    async def gather(self, calls: Sequence[Callable[[], Coroutine[Any, Any, R]]]) -> list[R]:
        return [await call() for call in calls]

    async def run_blocking(self, call: Callable[[], R]) -> R:
        return call()

    @contextmanager
    def within(self, timeout_s: float | None) -> Iterator[None]:
        """Whatever this thread waits for in the block raises `TimeoutError` after that time."""
        self._limits.deadline_s = None if timeout_s is None else time.monotonic() + timeout_s
        try:
            yield
        finally:
            self._limits.deadline_s = None

    def _outcome(self, wait: Wait) -> Answer:
        session = self._session
        deadline_s: float | None = getattr(self._limits, "deadline_s", None)
        try:
            while True:
                session.check()
                room = session.flush(time.monotonic())
                session.look()
                session.wake()
                if wait.done:
                    return outcome_of(wait)
                if deadline_s is not None and time.monotonic() >= deadline_s:
                    raise TimeoutError("it goes on, and can be waited for again")
                self._pause(_NO_ROOM_S if not room else CLIENT_POLL_S)
        except BaseException:
            session.give_up(wait)
            raise

    def _pause(self, pause_s: float) -> None:
        """Until the bell rings: one thread listens and tells the others."""
        if not self._listening.acquire(blocking=False):
            with self._heard:
                self._heard.wait(pause_s)
            return
        try:
            listener = select.poll()
            listener.register(self._session.bell.fd, select.POLLIN)
            listener.poll(pause_s * 1000)
            self._session.bell.drain()
        finally:
            self._listening.release()
        with self._heard:
            self._heard.notify_all()


def _drive(call: Coroutine[Any, Any, R]) -> R:
    try:
        call.send(None)
    except StopIteration as stop:
        result: R = stop.value
        return result
    call.close()
    raise RuntimeError("a blocking client waits for nothing but its link")


def _blocking(
    method: Callable[Concatenate[Client, P], Coroutine[Any, Any, R]],
) -> Callable[Concatenate[SyncClient, P], R]:
    @wraps(method)
    def call(self: SyncClient, /, *args: P.args, **options: P.kwargs) -> R:
        return _drive(method(self._client, *args, **options))

    return call


class SyncClient:
    """The methods of `Client`, each of which blocks until it is done. May be used by several threads."""

    def __init__(self, client: Client, link: BlockingLink) -> None:
        """Use `connect_sync`."""
        self._client = client
        self._link = link

    @overload
    def start_new(
        self,
        orchestration: Callable[[OrchestrationContext], object],
        instance_id: str | None = None,
        **options: Unpack[StartOptions],
    ) -> Started: ...
    @overload
    def start_new(
        self,
        orchestration: Callable[[OrchestrationContext, I], object],
        instance_id: str | None,
        client_input: I,
        **options: Unpack[StartOptions],
    ) -> Started: ...
    @overload
    def start_new(
        self,
        orchestration: Callable[[OrchestrationContext, I], object],
        instance_id: str | None = None,
        *,
        client_input: I,
        **options: Unpack[StartOptions],
    ) -> Started: ...
    @overload
    def start_new(
        self,
        orchestration: str,
        instance_id: str | None = None,
        client_input: object = None,
        **options: Unpack[StartOptions],
    ) -> Started: ...
    def start_new(
        self, orchestration: Any, instance_id: str | None = None, client_input: Any = None, **options: Any
    ) -> Started:
        """`Client.start_new`."""
        return _drive(self._client.start_new(orchestration, instance_id, client_input, **options))

    get_status = _blocking(Client.get_status)
    raise_event = _blocking(Client.raise_event)
    terminate = _blocking(Client.terminate)
    cancel = _blocking(Client.cancel)
    rewind = _blocking(Client.rewind)
    suspend = _blocking(Client.suspend)
    resume = _blocking(Client.resume)
    restart = _blocking(Client.restart)
    purge_instance_history = _blocking(Client.purge_instance_history)
    list_entities = _blocking(Client.list_entities)
    get_status_all = _blocking(Client.get_status_all)
    get_status_by = _blocking(Client.get_status_by)
    get_status_page = _blocking(Client.get_status_page)
    purge_instance_history_by = _blocking(Client.purge_instance_history_by)
    find_stuck = _blocking(Client.find_stuck)
    find_unregistered = _blocking(Client.find_unregistered)
    backup = _blocking(Client.backup)
    list_locks = _blocking(Client.list_locks)
    get_lock = _blocking(Client.get_lock)
    list_dead_letters = _blocking(Client.list_dead_letters)
    retry_dead_letter = _blocking(Client.retry_dead_letter)
    drop_dead_letter = _blocking(Client.drop_dead_letter)

    def iterate_status(
        self, *, page_size: int = PAGE_SIZE, show_input: bool = False, **wanted: Unpack[InstanceFilter]
    ) -> Iterator[DurableOrchestrationStatus]:
        """`Client.iterate_status`."""
        token: str | None = None
        while True:
            page = self.get_status_page(page_size, token, show_input=show_input, **wanted)
            yield from page.statuses
            token = page.continuation_token
            if token is None:
                return

    def wait_for_completion(
        self, instance_id: str | Started, *, timeout_s: float | None = None
    ) -> DurableOrchestrationStatus:
        """`Client.wait_for_completion`; raises `TimeoutError` after `timeout_s`."""
        with self._link.within(timeout_s):
            return _drive(self._client.wait_for_completion(instance_id))

    def signal_entity(
        self,
        entity_id: EntityId,
        operation: str | Callable[..., Any],
        operation_input: object = None,
        *,
        signal_time: datetime | None = None,
        request_id: str | None = None,
    ) -> None:
        """`Client.signal_entity`."""
        call = self._client.signal_entity(
            entity_id, operation, operation_input, signal_time=signal_time, request_id=request_id
        )
        _drive(call)

    @overload
    def call_entity(
        self, entity_id: EntityId, operation: Callable[[E], Coroutine[Any, Any, R]], /, *, request_id: str | None = None
    ) -> R: ...
    @overload
    def call_entity(
        self,
        entity_id: EntityId,
        operation: Callable[[E, I], Coroutine[Any, Any, R]],
        operation_input: I,
        /,
        *,
        request_id: str | None = None,
    ) -> R: ...
    @overload
    def call_entity(
        self, entity_id: EntityId, operation: Callable[[E], R], /, *, request_id: str | None = None
    ) -> R: ...
    @overload
    def call_entity(
        self,
        entity_id: EntityId,
        operation: Callable[[E, I], R],
        operation_input: I,
        /,
        *,
        request_id: str | None = None,
    ) -> R: ...
    @overload
    def call_entity(
        self,
        entity_id: EntityId,
        operation: str,
        operation_input: object = None,
        *,
        expected_type: type[T],
        request_id: str | None = None,
    ) -> T: ...
    @overload
    def call_entity(
        self, entity_id: EntityId, operation: str, operation_input: object = None, *, request_id: str | None = None
    ) -> Any: ...
    def call_entity(self, entity_id: EntityId, operation: Any, operation_input: Any = None, **options: Any) -> Any:
        """`Client.call_entity`."""
        return _drive(self._client.call_entity(entity_id, operation, operation_input, **options))

    @overload
    def read_entity_state(self, entity_id: EntityId) -> EntityStateResponse[Any]: ...
    @overload
    def read_entity_state(self, entity_id: EntityId, expected_type: type[T]) -> EntityStateResponse[T]: ...
    def read_entity_state(self, entity_id: EntityId, expected_type: Any = Any) -> EntityStateResponse[Any]:
        """`Client.read_entity_state`."""
        return _drive(self._client.read_entity_state(entity_id, expected_type))


@contextmanager
def connect_sync(
    hub: Hub,
    *,
    app: App | None = None,
    timeout_s: float = OWNER_TIMEOUT_S,
    payload_bytes_max: int = PAYLOAD_BYTES_MAX,
) -> Iterator[SyncClient]:
    """As `connect`, for a program without Trio: `with connect_sync("hub") as client:`. Every call blocks.

    Nothing runs in the background: no thread, no loop.
    """
    checked_app(app)
    env = SystemEnv()
    session = Session.open(hub, timeout_s, time.monotonic)
    try:
        link = BlockingLink(session, env, app is None)
        yield SyncClient(client_over(link, app, env, payload_bytes_max), link)
    finally:
        session.close(time.monotonic())
