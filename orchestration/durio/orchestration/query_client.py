"""QueryClient: lists instances and entities, and purges many instances."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Any, Final, Unpack

import attrs

from durio.entities import CONTROL_LANE, PayloadError
from durio.orchestration.control import ControlClient, PurgeHistoryResult
from durio.orchestration.entity_client import EntityClient
from durio.orchestration.entity_list import EntityFinder, EntityMetadata, EntityPage, FoundEntity, metadata_of
from durio.orchestration.errors import InstanceNotFinished
from durio.orchestration.index import ENDED
from durio.orchestration.messages import Purge
from durio.orchestration.queries import Finder, InstanceFilter, Page, Statuses, Wanted
from durio.orchestration.records import Head, Snapshot
from durio.orchestration.status import DurableOrchestrationStatus, payloads_shown, status_of
from durio.storage import NoSpace, Progress

PAGE_SIZE: Final = 100
PAGE_SIZE_MAX: Final = 10_000
PURGES_AT_ONCE: Final = 100
PURGED: Final = "instances purged"


@attrs.frozen
class StatusPage:
    """Some of the instances that match, and the token for the next page; None: these are the last."""

    statuses: list[DurableOrchestrationStatus]
    continuation_token: str | None


class QueryClient(ControlClient, EntityClient):
    """The part of a client that is about many instances or entities. Each page shows what was committed last (G14)."""

    async def get_status_all(self) -> list[DurableOrchestrationStatus]:
        """All instances, in the order of their creation, without inputs. Of many use `iterate_status` or pages."""
        return [status async for status in self.iterate_status()]

    async def get_status_by(
        self,
        created_time_from: datetime | None = None,
        created_time_to: datetime | None = None,
        runtime_status: Statuses = None,
        *,
        updated_time_from: datetime | None = None,
        updated_time_to: datetime | None = None,
        name: str | Callable[..., object] | None = None,
        instance_id_prefix: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> list[DurableOrchestrationStatus]:
        """The instances that match all of it, without inputs; see `InstanceFilter` and `iterate_status`."""
        found = self.iterate_status(
            created_time_from=created_time_from,
            created_time_to=created_time_to,
            runtime_status=runtime_status,
            updated_time_from=updated_time_from,
            updated_time_to=updated_time_to,
            name=name,
            instance_id_prefix=instance_id_prefix,
            tags=tags,
        )
        return [status async for status in found]

    async def iterate_status(
        self, *, page_size: int = PAGE_SIZE, show_input: bool = False, **wanted: Unpack[InstanceFilter]
    ) -> AsyncIterator[DurableOrchestrationStatus]:
        """The instances that match, one after the other; a page of them is read at a time.

        What is there and matches all the time comes exactly once, whatever changes meanwhile. Raises as
        `get_status_page`.
        """
        token: str | None = None
        while True:
            page = await self.get_status_page(page_size, token, show_input=show_input, **wanted)
            for status in page.statuses:
                yield status
            token = page.continuation_token
            if token is None:
                return

    async def get_status_page(
        self,
        page_size: int = PAGE_SIZE,
        continuation_token: str | None = None,
        *,
        show_input: bool = False,
        **wanted: Unpack[InstanceFilter],
    ) -> StatusPage:
        """At most `page_size` (up to 10,000) of the instances that match; fewer only on the last page.

        They come in the order of their creation; in that of their ids, if a prefix is asked for and neither name, tags
        nor creation; in that of their last update, to 67 s, if this is asked for and none of these. Raises `ValueError`
        for an unknown status, a naive time, or a token of another query (G17).
        """
        found = await self._page(page_size, continuation_token, self._wanted(**wanted))
        statuses: list[DurableOrchestrationStatus] = []
        for address, snapshot in found.found:
            shown = payloads_shown(snapshot)
            await self._load(*(shown if show_input else shown[1:]))
            statuses.append(status_of(address, snapshot, self._decoder(snapshot), show_input=show_input))
        return StatusPage(statuses, found.token)

    async def list_entities(
        self,
        name: str | None = None,
        key_prefix: str = "",
        *,
        last_operation_time_from: datetime | None = None,
        last_operation_time_to: datetime | None = None,
        fetch_state: bool = False,
        page_size: int = PAGE_SIZE,
        continuation_token: str | None = None,
    ) -> EntityPage:
        """At most `page_size` of the entities that have a state, in the order of their ids; fewer only at the end.

        `name`: only those (`key_prefix`: with such keys). Times are aware and include both ends. `fetch_state` gives
        states as plain JSON. Raises `ValueError` for naive times and wrong tokens.
        """
        self._check_reading()
        finder = EntityFinder(self._link.store, self._entities.decode_row, name, key_prefix)
        size = checked_size(page_size)
        await self._link.checkpoint()
        for page in finder.pages(size, continuation_token, last_operation_time_from, last_operation_time_to):
            if page is not None:
                found, token = page
                return EntityPage([await self._metadata(one, fetch_state) for one in found], token)
            await self._link.checkpoint()
        raise AssertionError("a list ends with a page")

    async def _metadata(self, found: FoundEntity, fetch_state: bool) -> EntityMetadata:
        if not fetch_state:
            return metadata_of(found, None)
        await self._load(found.row.state)
        return metadata_of(found, self._payloads.decode(found.row.state))

    async def purge_instance_history_by(
        self,
        created_time_from: datetime | None = None,
        created_time_to: datetime | None = None,
        runtime_status: Statuses = None,
        *,
        updated_time_from: datetime | None = None,
        updated_time_to: datetime | None = None,
        name: str | Callable[..., object] | None = None,
        instance_id_prefix: str | None = None,
        tags: Mapping[str, str] | None = None,
        progress: Progress | None = None,
    ) -> PurgeHistoryResult:
        """Forget all instances that match and have ended; others stay (G18).

        Many commits, each instance whole: cut off at any point, it can be called again. Works while the disk is full.
        `progress` is told how many went so far.
        """
        self._check_outside()
        wanted = self._wanted(
            created_time_from=created_time_from,
            created_time_to=created_time_to,
            runtime_status=runtime_status,
            updated_time_from=updated_time_from,
            updated_time_to=updated_time_to,
            name=name,
            instance_id_prefix=instance_id_prefix,
            tags=tags,
        )
        wanted = attrs.evolve(wanted, statuses=tuple(status for status in wanted.statuses if status in ENDED))
        deleted, token = 0, None
        while True:
            count, token = await self._purge_page(wanted, token)
            deleted += count
            if progress is not None:
                progress(PURGED, deleted, 0)
            if token is None:
                return PurgeHistoryResult(deleted)

    async def _purge_page(self, wanted: Wanted, token: str | None) -> tuple[int, str | None]:
        """Forget the next ones that are wanted, all of them ended; gives how many, and where to go on."""
        page = await self._page(PURGES_AT_ONCE, token, wanted)
        purges = [partial(self._purged_with_others, address, snapshot.head) for address, snapshot in page.found]
        deleted = 0
        for (address, snapshot), count in zip(page.found, await self._link.gather(purges), strict=True):
            deleted += await self._purged(address, snapshot.head) if count is None else count
        return deleted, page.token

    async def _purged_with_others(self, address: str, head: Head) -> int | None:
        """Forget it in one commit with others. None: on a full disk there is no room for all their pages at once."""
        try:
            return await self._purged(address, head)
        except NoSpace:
            return None

    async def _purged(self, address: str, head: Head) -> int:
        """Forget the end that was found: what was rewound since and has ended again may not be wanted any more."""
        build = partial(Purge, life=head.life, ended_us=head.updated_us)
        try:
            answer = await self._ask(address, build, None, CONTROL_LANE)
        except InstanceNotFinished:
            return 0  # it was brought back to life meanwhile
        return int(answer.value or 0)

    async def _page(self, size: int, token: str | None, wanted: Wanted) -> Page:
        self._check_reading()
        size = checked_size(size)
        await self._link.checkpoint()
        for page in Finder(self._link.store, wanted, self._decoders).pages(size, token):
            if page is not None:
                return page
            await self._link.checkpoint()
        raise AssertionError("a query ends with a page")

    def _wanted(self, *, name: str | Callable[..., object] | None = None, **wanted: Any) -> Wanted:
        if name is not None and not isinstance(name, str):
            name = self._app.registry.orchestration(name, None).name
        return Wanted.of(name, **wanted)

    def _decoder(self, snapshot: Snapshot) -> Callable[[bytes, str], Any]:
        """Decodes what a status shows: input and output as the code declares them, if it is there and they fit."""
        found = self._app.registry.exact_orchestration(snapshot.origin.name, snapshot.origin.version)
        payloads = self._payloads

        def decode(data: bytes, what: str) -> Any:
            if found is not None and what in ("input", "output"):
                try:
                    type_ = found.input_type if what == "input" else found.result_type
                    return payloads.decode(data, type_, f"{what} of {found.name!r}")
                except (PayloadError, NameError):  # the code has changed since; plain JSON still shows what it was
                    return payloads.decode(data)
            return payloads.decode(data)

        return decode


def checked_size(size: int) -> int:
    """Give the size of a page back. Raises `ValueError` for one that is not to be had."""
    if isinstance(size, bool) or not isinstance(size, int) or not 1 <= size <= PAGE_SIZE_MAX:
        raise ValueError(f"page_size={size!r} must be a whole number from 1 to {PAGE_SIZE_MAX:,}")
    return size
