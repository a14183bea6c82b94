"""ControlClient: ends, holds, restarts and forgets instances."""

from __future__ import annotations

import uuid
from functools import partial

import attrs

from durio.entities import CONTROL_LANE, StartInstance, View, check_instance_id, check_text
from durio.orchestration.asking import Asking
from durio.orchestration.errors import InstanceFinished, InstanceNotFailed, InstanceNotFound
from durio.orchestration.index import shown_status
from durio.orchestration.instance import Instance, load
from durio.orchestration.messages import Cancel, Purge, Resume, Rewind, Suspend, Terminate
from durio.orchestration.planning import planned
from durio.orchestration.rewind_plan import RewindPlan


@attrs.frozen
class Started:
    """The answer to `start_new`: the instance, and whether this call created it or found it running."""

    instance_id: str
    created: bool

    def __str__(self) -> str:
        return self.instance_id


@attrs.frozen
class PurgeHistoryResult:
    """How many instances a purge has deleted."""

    instances_deleted: int


class ControlClient(Asking):
    """The part of a client that is about the life of an instance as a whole."""

    async def terminate(
        self,
        instance_id: str | Started,
        reason: str = "",
        *,
        recursive: bool = True,
        request_id: str | None = None,
    ) -> None:
        """End an instance, and its sub-orchestrations unless `recursive` is False. Its code cannot object (G26).

        Raises `InstanceNotFound`, `InstanceFinished`.
        """
        self._check_outside()
        build = partial(Terminate, reason=check_text(reason, "reason"), recursive=recursive)
        await self._ask(id_of(instance_id), build, request_id, CONTROL_LANE)

    async def cancel(self, instance_id: str | Started, reason: str = "", *, request_id: str | None = None) -> None:
        """Ask an instance to end: `Cancelled` is raised in its code, at the await it stands at, once (G26).

        The code may clean up first, or catch it and go on. If it lets it pass the instance ends as Canceled, and its
        sub-orchestrations are asked the same. Returns when the request is accepted, not when the instance has ended;
        a suspended one hears of it when it is resumed, one that has not begun ends at once.
        Raises `InstanceNotFound`, `InstanceFinished`.
        """
        self._check_outside()
        await self._ask(id_of(instance_id), partial(Cancel, reason=check_text(reason, "reason")), request_id)

    async def rewind(
        self, instance_id: str | Started, reason: str = "", *, dry_run: bool = False, request_id: str | None = None
    ) -> RewindPlan:
        """Take a failed instance back to the failures that ended it, and let it go on; gives what was taken back (G27).

        The activities, calls and sub-orchestrations that failed, and what was asked for after them, are done again;
        results and events that it has got already stay, timers and retries too. If the orchestrator itself was wrong,
        its whole history is replayed with the code that is there now, and goes on. `dry_run`: only say what would be
        done. Raises `InstanceNotFound`, `InstanceFinished` if it has not failed, `InstanceNotFailed` if it has not
        ended.
        """
        address = id_of(instance_id)
        check_text(reason, "reason")
        if not dry_run:
            self._check_outside()
            answer = await self._ask(address, partial(Rewind, reason=reason), request_id, CONTROL_LANE)
            return RewindPlan.decode(answer.value or b"{}")
        self._check_reading()
        await self._link.checkpoint()
        instance = load(View(self._link.store), address, self._decoders)
        if instance.head is None or instance.head.status != "Failed":
            raise _not_failed(instance)
        for _ in planned(instance, self._decoders):
            await self._link.checkpoint()
        assert instance.plan is not None, "just made"
        return instance.plan.in_words(instance.head.rewinds + 1)

    async def suspend(self, instance_id: str | Started, reason: str = "", *, request_id: str | None = None) -> None:
        """Hold an instance: events and results wait, in order, until `resume`.

        Raises `InstanceNotFound`, `InstanceFinished`.
        """
        self._check_outside()
        await self._ask(
            id_of(instance_id), partial(Suspend, reason=check_text(reason, "reason")), request_id, CONTROL_LANE
        )

    async def resume(self, instance_id: str | Started, reason: str = "", *, request_id: str | None = None) -> None:
        """Let a suspended instance go on. Raises `InstanceNotFound`, `InstanceFinished`."""
        self._check_outside()
        await self._ask(
            id_of(instance_id), partial(Resume, reason=check_text(reason, "reason")), request_id, CONTROL_LANE
        )

    async def purge_instance_history(
        self, instance_id: str | Started, *, request_id: str | None = None
    ) -> PurgeHistoryResult:
        """Forget an instance that has ended: its status, history, output. Answers to request ids stay (G3, G18).

        `instances_deleted` is 0 if there is no such instance. Raises `InstanceNotFinished`.
        """
        self._check_outside()
        answer = await self._ask(id_of(instance_id), partial(Purge), request_id, CONTROL_LANE)
        return PurgeHistoryResult(int(answer.value or 0))

    async def restart(
        self,
        instance_id: str | Started,
        restart_with_new_instance_id: bool = True,
        *,
        request_id: str | None = None,
    ) -> Started:
        """Start an orchestration again: the name, version, tags and input that an instance has, or had at its end.

        Under a fresh id, or, with `restart_with_new_instance_id=False`, under the same one, if it has ended. After
        continue-as-new the input is the last one. As `DurableClient.RestartAsync` of Azure Durable Functions.
        Raises `InstanceNotFound`, `InstanceAlreadyExists`, `NotRegistered`.
        """
        self._check_outside()
        address = id_of(instance_id)
        origin = load(View(self._link.store), address, self._decoders).origin
        if origin is None:
            raise InstanceNotFound(address)
        found = self._app.registry.orchestration(origin.name, origin.version)
        await self._load(origin.input)
        data = None if origin.input is None else self._payloads.decode(origin.input)
        request_id = self._link.request_id(request_id)
        new_id = self._fresh_id(request_id) if restart_with_new_instance_id else address
        build = partial(
            StartInstance,
            name=found.name,
            version=found.version,
            input=self._encode(data, f"input of orchestration {found.name!r}"),
            tags=origin.tags,
        )
        await self._ask(new_id, build, request_id)
        return Started(new_id, True)

    def _fresh_id(self, request_id: str | None) -> str:
        """A fresh instance id. A repeated request must find the instance that it started."""
        if request_id is None:
            return self._link.env.new_id()
        return uuid.uuid5(uuid.NAMESPACE_OID, f"durio request {request_id}").hex


def id_of(instance_id: str | Started) -> str:
    """The id of an instance, checked. Raises `InvalidAddress`."""
    return check_instance_id(instance_id.instance_id if isinstance(instance_id, Started) else instance_id)


def _not_failed(instance: Instance) -> Exception:
    if instance.head is None:
        return InstanceNotFound(instance.address)
    error = InstanceNotFailed if instance.alive else InstanceFinished
    return error(instance.address, shown_status(instance.head))
