"""open_hub: the one way into a hub from the process that owns it."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from types import TracebackType
from typing import Literal

import attrs
import trio

from durio.entities import (
    CURRENT_GUARD,
    AskInsideTurn,
    EntityKind,
    Env,
    Kernel,
    Payloads,
    Poison,
    PostTaker,
    Runtime,
    SystemEnv,
    Vault,
    caller_line,
    count_unclean,
    holds_cancelled,
    single,
)
from durio.entities.limits import (
    ACTIVATIONS_MAX,
    IDLE_S,
    INTAKE_BYTES_MAX,
    PAYLOAD_BYTES_MAX,
    POISON_ENDS_MAX,
    REQUEST_DEDUPE_S,
)
from durio.orchestration.activities import ActivityRunner
from durio.orchestration.app import App
from durio.orchestration.asking import INSTEAD
from durio.orchestration.client import Client
from durio.orchestration.directory import HubDirectory
from durio.orchestration.doorman import HubDoorman
from durio.orchestration.kind import InstanceKind
from durio.orchestration.retention import Keeper, Retention
from durio.orchestration.standby import take_over
from durio.storage import LmdbStore, Store


@attrs.define(eq=False)
class _OpenHub(AbstractAsyncContextManager[Client]):
    open_store: Callable[[], Awaitable[Store]]
    app: App
    env: Env
    hold_on_nondeterminism: bool
    activations_max: int
    idle_s: float
    dedupe_s: float
    payload_bytes_max: int
    intake_bytes_max: int
    poison_max: int
    retention: Retention | None
    _nurseries: AbstractAsyncContextManager[trio.Nursery] | None = None
    _runtime: Runtime | None = None
    _keeper: Keeper | None = None

    async def __aenter__(self) -> Client:
        app, env = self.app, self.env
        if not trio.lowlevel.in_trio_run():
            raise RuntimeError(
                "durio runs on Trio: start the program with trio.run(main), not with asyncio.run(main())"
            )
        guard = CURRENT_GUARD.get()
        if guard is not None:
            raise guard.refuse(AskInsideTurn("a hub was opened inside a turn", INSTEAD, caller_line()))
        store = await self.open_store()
        env.begin(store.epoch)
        vault = Vault(store, store.epoch)
        payloads = app.payloads.of_hub(vault, bytes_max=self.payload_bytes_max)
        directory = HubDirectory(app.registry, env)
        entities = EntityKind(app.registry.entities, payloads, directory, store.notes)
        instances = InstanceKind(
            app.registry,
            payloads,
            directory,
            hold_on_nondeterminism=self.hold_on_nondeterminism,
            notes=store.notes,
        )
        activities = ActivityRunner(app.registry, payloads, env, store.notes)
        posts: PostTaker | None = None
        try:
            poison = partial(Poison, careful=count_unclean(store, env.now_us()), ends_max=self.poison_max)
            make_kernel = partial(
                Kernel,
                store,
                entities,
                instances,
                env.now_us,
                activations_max=self.activations_max,
                dedupe_s=self.dedupe_s,
                poison=poison,
                vault=vault,
            )
            if isinstance(store, LmdbStore):
                posts = PostTaker.open(store, HubDoorman(app.registry, payloads), env)
            self._runtime = Runtime(
                store,
                make_kernel,
                entities,
                env,
                activities,
                idle_s=self.idle_s,
                intake_bytes_max=self.intake_bytes_max,
                posts=posts,
            )
        except BaseException:
            if posts is not None:
                posts.close()
            store.close()
            raise
        activities.report_to(self._runtime)
        self._nurseries = trio.open_nursery()
        nursery = await self._nurseries.__aenter__()
        nursery.start_soon(self._runtime.run)
        self._keep(nursery, entities, payloads)
        return Client(self._runtime, app, entities, payloads)

    def _keep(self, nursery: trio.Nursery, entities: EntityKind, payloads: Payloads) -> None:
        if self.retention is not None:
            assert self._runtime is not None, "entered"
            self._keeper = Keeper(self._runtime, self.app, entities, payloads, self.retention)
            nursery.start_soon(self._keeper.run)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        assert self._runtime is not None and self._nurseries is not None, "entered"
        if self._keeper is not None:
            self._keeper.scope.cancel()
        self._runtime.stop()
        try:
            if error is None or holds_cancelled(error):
                return bool(await self._nurseries.__aexit__(kind, error, trace))
            await self._nurseries.__aexit__(None, None, None)
        except BaseExceptionGroup as group:
            raise single(group) from None
        return False


def open_hub(
    hub: str | os.PathLike[str] | Store,
    app: App,
    *,
    env: Env | None = None,
    on_nondeterminism: Literal["fail", "hold"] = "fail",
    activations_max: int = ACTIVATIONS_MAX,
    idle_s: float = IDLE_S,
    dedupe_s: float = REQUEST_DEDUPE_S,
    payload_bytes_max: int = PAYLOAD_BYTES_MAX,
    intake_bytes_max: int = INTAKE_BYTES_MAX,
    poison_max: int = POISON_ENDS_MAX,
    retention: Retention | None = None,
    standby: bool = False,
) -> AbstractAsyncContextManager[Client]:
    """Open a hub (a folder, made if it is not there; or a `Store`) as its owner and run it while the block runs.

    `env`: the clock, ids and threads (`VirtualEnv` for tests). `on_nondeterminism`: what becomes of an instance whose
    code does not do what its history says: it fails, or it is held until fitting code is there. `activations_max`,
    `idle_s`: how many actors stay in memory, and for how many seconds without work. `dedupe_s`: for how many seconds
    request ids and their answers are remembered. `payload_bytes_max`: what is larger, encoded, is refused at the call
    with `PayloadTooLarge`; what lies in the hub already is read however large it is.
    `intake_bytes_max`: how much may be taken in and not be durable yet; who sends more than that waits.
    `poison_max`: a message that was running when the process died is parked as a dead letter after so many times (an
    activity fails after ten).
    `retention`: for how long instances are kept after their end; without it, until they are purged.
    `standby`: while another process owns the hub, wait for its death or its leaving and take over, instead of raising
    `HubInUse`.

    Leaving the block closes the hub: running activities are cancelled and run again at the next open. Entering
    it raises `HubInUse`, `NotAHub`, `FormatMismatch`, `NetworkFileSystem`, `NoSpace`; leaving it, whatever broke the
    hub meanwhile (`HubBroken`, `Fenced`, `Ambiguous`). A full disk does not break it (G32).
    """
    if not isinstance(app, App):
        raise TypeError(f"app is an App object, not {app!r}")
    if not isinstance(hub, str | os.PathLike) and not hasattr(hub, "commit"):
        raise TypeError(f"hub is a path or a Store, not {hub!r}")
    if isinstance(hub, str | os.PathLike):
        path = hub

        async def open_store() -> Store:
            if standby:
                return await take_over(path, partial(LmdbStore.open, path))
            return LmdbStore.open(path)
    else:
        store = hub

        async def open_store() -> Store:
            return store

    if retention is not None and not isinstance(retention, Retention):
        raise TypeError(f"retention is a Retention object, not {retention!r}")
    if isinstance(payload_bytes_max, bool) or not isinstance(payload_bytes_max, int) or payload_bytes_max < 1:
        raise ValueError(f"payload_bytes_max={payload_bytes_max!r} must be a whole number of bytes, at least 1")
    hold = on_nondeterminism == "hold"
    return _OpenHub(
        open_store,
        app,
        env or SystemEnv(),
        hold,
        activations_max,
        idle_s,
        dedupe_s,
        payload_bytes_max,
        intake_bytes_max,
        poison_max,
        retention,
    )
