"""Checking a whole hub: its file, and everything that durio keeps in it."""

from __future__ import annotations

import os
from typing import Final

import durio.storage
from durio.storage import Progress, Report

CHECKER: Final = "durio.orchestration.checker"


def verify(hub: str | os.PathLike[str], *, progress: Progress | None = None) -> Report:
    """Check the hub at `hub` and say what is wrong with it; nothing is changed or repaired.

    The structure of the file, every record's checksum, that it is what its key says, that histories are whole and that
    jobs have their instances. The reading is done by a process of its own, which a damaged file may end. A hub that is
    closed cannot be opened meanwhile; one that is open is checked as of its last commit. Blocks; in Trio:
    `await trio.to_thread.run_sync(verify, hub)`. `progress` is told what is being done, how much of it is done, and of
    how much (0: that is not known).

    Raises `NotAHub`, `FormatMismatch`, `HubBroken` if no process can be started, and `OSError`.
    """
    return durio.storage.verify(hub, checker=CHECKER, progress=progress)
