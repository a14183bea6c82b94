"""Owning a hub, at once or as soon as its owner is gone."""

from __future__ import annotations

import os
from collections.abc import Callable

import trio

from durio.orchestration.limits import STANDBY_POLL_S
from durio.storage import HubFolder, HubInUse, OwnerLock, Store


async def take_over(hub: str | os.PathLike[str], open_store: Callable[[], Store]) -> Store:
    """Wait until nobody owns the hub, then own it. An owner that is paused is an owner: it is waited for, for ever.

    Of several who wait one gets it, the others go on waiting. May be cancelled.
    """
    lock_file = HubFolder.at(hub).owner_lock
    while True:
        try:
            return open_store()
        except HubInUse:
            await trio.sleep(STANDBY_POLL_S)
        # A cheap question, and it gets in nobody's way. No event tells of another process's death.
        while OwnerLock.holder(lock_file) is not None:  # noqa: ASYNC110
            await trio.sleep(STANDBY_POLL_S)
