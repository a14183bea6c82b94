"""Retention: the hub forgets instances by itself when they ended long enough ago."""

from __future__ import annotations

import logging
import math
from datetime import timedelta
from typing import Any, Final

import attrs
import trio

from durio.entities import EntityKind, Payloads
from durio.orchestration.app import App
from durio.orchestration.index import BUCKET_BITS
from durio.orchestration.link import Link
from durio.orchestration.queries import Wanted
from durio.orchestration.query_client import QueryClient
from durio.storage import Ambiguous, Fenced, HubBroken, HubClosed

logger = logging.getLogger("durio.orchestration")

EVERY_S: Final = 60.0
REST: Final = 4.0
"""After each page of purges it rests this many times as long as they took: the hub is there for others (G8)."""

_OVER: Final = (HubClosed, HubBroken, Fenced, Ambiguous)


def _age(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if value is not None and not (isinstance(value, timedelta) and value >= timedelta(0)):
        raise ValueError(f"{attribute.name}={value!r} must be a timedelta of at least 0, or None")


def _pause(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise ValueError(f"{attribute.name}={value!r} must be a number of seconds greater than 0")


@attrs.frozen(kw_only=True)
class Retention:
    """For how long instances are kept after their end, by how they ended; None: until somebody purges them.

    The hub looks when it is opened, and then every `every_s` seconds. What is over its time goes at most `every_s` and
    67 seconds later (so exactly ends are in the index), never earlier; a large backlog takes longer, for the hub spends
    at most a fifth of its time on it.
    """

    completed: timedelta | None = attrs.field(default=None, validator=_age)
    failed: timedelta | None = attrs.field(default=None, validator=_age)
    terminated: timedelta | None = attrs.field(default=None, validator=_age)
    canceled: timedelta | None = attrs.field(default=None, validator=_age)
    every_s: float = attrs.field(default=EVERY_S, validator=_pause)

    def ages(self) -> list[tuple[str, timedelta]]:
        """The statuses of which instances are forgotten, and after what time."""
        given = (
            ("Completed", self.completed),
            ("Failed", self.failed),
            ("Terminated", self.terminated),
            ("Canceled", self.canceled),
        )
        return [(status, age) for status, age in given if age is not None]


class Keeper(QueryClient):
    """A client that purges what is over its time, for as long as the hub is open.

    Guarantees: a life is purged only if it ended as the retention says and no earlier (G18); at a hub where nothing is
    over its time it looks at one row a status; whatever goes wrong, the hub goes on without it.
    """

    def __init__(
        self, link: Link, app: App, entities: EntityKind, payloads: Payloads | None, retention: Retention
    ) -> None:
        super().__init__(link, app, entities, payloads)
        self._retention = retention
        self.scope = trio.CancelScope()
        """Cancel it to stop."""

    async def run(self) -> None:
        """Go on until it is stopped, or the hub is over."""
        with self.scope:
            while True:
                try:
                    for status, age in self._retention.ages():
                        await self._forget(status, age)
                except _OVER:
                    return  # whoever opened the hub is told
                except Exception:
                    logger.exception("retention: this round is given up")
                await trio.sleep(self._retention.every_s)

    async def _forget(self, status: str, age: timedelta) -> None:
        """What ended in buckets of the index that are over their time as a whole: no row is looked at in vain."""
        latest_us = self._link.env.now_us() - age // timedelta(microseconds=1)
        wanted = Wanted((status,), updated_us=(None, (latest_us + 1 >> BUCKET_BITS << BUCKET_BITS) - 1))
        deleted, token = 0, None
        while True:
            began_s = trio.current_time()
            count, token = await self._purge_page(wanted, token)
            deleted += count
            if token is None:
                break
            await trio.sleep(REST * (trio.current_time() - began_s))
        if deleted:
            logger.info("retention: %d instances that were %s are purged", deleted, status)
