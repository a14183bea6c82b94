"""Missing code: what waits in a hub for orchestrations, activities and entities that an app does not have."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import attrs
import msgspec

from durio.entities import EntityId, Job, NotRegistered
from durio.entities import keys as entity_keys
from durio.orchestration.index import SHOWN_ALIVE
from durio.orchestration.instance import Decoders
from durio.orchestration.queries import Finder, Wanted
from durio.orchestration.registry import Registry
from durio.storage import Reads

EXAMPLES_MAX: Final = 5
ROWS_MAX: Final = 100
"""So many rows are looked at before others have their turn (G8)."""


@attrs.frozen
class UnregisteredCode:
    """What waits, unchanged, for code that the app of this client does not have (G20).

    `kind`: "orchestration" (its instances that go on), "activity" (calls of it that were scheduled) or "entity"
    (entities with unread messages). `count`: how many; `examples`: of instances the oldest ids, of activities the
    instances that called them, of entities their ids. `why`: what the app has instead.
    """

    kind: str
    name: str
    version: str | None
    count: int
    examples: tuple[str, ...]
    why: str


@attrs.define
class _Group:
    why: str
    count: int = 0
    examples: list[str] = attrs.Factory(list)


class CodeSearch:
    """Looks through the instances that have not ended, the jobs, and the entities that have mail, and nothing else."""

    def __init__(self, store: Reads, registry: Registry, decoders: Decoders) -> None:
        self._store = store
        self._registry = registry
        self._decoders = decoders
        self._groups: dict[tuple[str, str, str | None], _Group] = {}

    def run(self) -> Iterator[None]:
        """Look; others have their turn at each step."""
        yield from self._orchestrations()
        yield from self._activities()
        yield from self._entities()

    @property
    def found(self) -> list[UnregisteredCode]:
        """What is missing: that for which most waits comes first."""
        largest = sorted(self._groups.items(), key=lambda item: (-item[1].count, item[0][:2], item[0][2] or ""))
        return [UnregisteredCode(*code, found.count, tuple(found.examples), found.why) for code, found in largest]

    def _orchestrations(self) -> Iterator[None]:
        token: str | None = None
        while True:
            for page in Finder(self._store, Wanted(SHOWN_ALIVE), self._decoders).pages(ROWS_MAX, token):
                yield
                if page is None:
                    continue
                for address, snapshot in page.found:
                    name, version = snapshot.origin.name, snapshot.origin.version
                    if self._registry.exact_orchestration(name, version) is None:
                        why = str(self._registry.missing_orchestration(name, version))
                        self._add("orchestration", name, version, address, why)
                token = page.token
            if token is None:
                return

    def _activities(self) -> Iterator[None]:
        decoder = msgspec.msgpack.Decoder(Job)
        start, stop = entity_keys.JOB, entity_keys.stop_of(entity_keys.JOB)
        while rows := self._store.scan(start, stop, limit=ROWS_MAX):
            for _, row in rows:
                job = decoder.decode(row)
                self._check("activity", job.name, job.address, self._registry.activity)
            start = rows[-1][0] + b"\0"
            yield

    def _entities(self) -> Iterator[None]:
        """One read for each entity that has mail: behind its first message all others are skipped."""
        table = entity_keys.MAIL + b"@"
        start, stop = table, entity_keys.stop_of(table)
        while rows := self._store.scan(start, stop, limit=1):
            address = entity_keys.address_of(rows[0][0])
            self._check("entity", EntityId.parse(address).name, address, self._registry.entities.get)
            start = entity_keys.stop_of(entity_keys.mailbox(address))
            yield

    def _check(self, kind: str, name: str, example: str, find: Callable[[str], object]) -> None:
        try:
            find(name)
        except NotRegistered as error:
            self._add(kind, name, None, example, str(error))

    def _add(self, kind: str, name: str, version: str | None, example: str, why: str) -> None:
        group = self._groups.setdefault((kind, name, version), _Group(why))
        group.count += 1
        if len(group.examples) < EXAMPLES_MAX and example not in group.examples:
            group.examples.append(example)
