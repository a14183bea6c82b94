"""Backups: a copy of a hub that is a hub, made while it works."""

from __future__ import annotations

import os
from functools import partial

import durio.storage
from durio.orchestration.asking import Asking
from durio.orchestration.verifying import CHECKER
from durio.storage import Progress, Report


def backup(hub: str | os.PathLike[str], to: str | os.PathLike[str], *, progress: Progress | None = None) -> Report:
    """Copy the hub at `hub`, open or closed, to `to`, which must not be there yet or be an empty folder.

    The copy is the hub as of one commit, with all that was acknowledged before the call; it was checked as `verify`
    does, and is on disk when this returns. To restore it, open it where it is, or copy it to its place with `backup`.
    What had happened after the copy has not happened for it: instances go on from there, activities that were running
    run again, and request ids used since are new.

    Blocks, and copies in a process of its own; `progress` is told what is being done, how much of it is done, and of
    how much. Raises `FileExistsError` if something is at `to` (nothing is
    overwritten), `NotAHub`, `FormatMismatch`, `HubDamaged`, `NoSpace`, `HubBroken`, and `OSError`.
    """
    return durio.storage.backup(hub, to, checker=CHECKER, progress=progress)


class BackupClient(Asking):
    """The part of the client that makes backups."""

    async def backup(self, to: str | os.PathLike[str]) -> Report:
        """Copy this hub to the new folder `to` while it works on. As the function `backup`; raises what that raises."""
        self._check_outside()
        return await self._link.run_blocking(partial(backup, self._link.store.path, to))
