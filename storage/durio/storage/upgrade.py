"""Bringing a hub of an older format up to date: asked for, never on the way."""

import contextlib
import os
from collections.abc import Callable, Iterable
from functools import partial
from types import MappingProxyType
from typing import Final

import lmdb

from durio.storage.backup import copy_folder
from durio.storage.codec import seal
from durio.storage.environment import is_no_space, open_environment
from durio.storage.errors import FormatMismatch, HubBroken, NoSpace, NotAHub
from durio.storage.folder import HubFolder
from durio.storage.keys import FORMAT_KEY, META_KEY, u32
from durio.storage.limits import FORMAT_VERSION
from durio.storage.lock import OwnerLock
from durio.storage.meta import Meta, format_of
from durio.storage.reading import all_rows
from durio.storage.report import UPGRADED, Progress

UPGRADED_EACH: Final = 1000

Rows = Iterable[tuple[bytes, bytes]]

Complete = Callable[[Rows], Rows]
"""Gets all rows of a hub that has no indexes, in key order, and gives the rows of its indexes."""

Step = Callable[[lmdb.Transaction, Complete], None]


def upgrade(
    hub: str | os.PathLike[str],
    complete: Complete,
    *,
    backup: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> str | None:
    """Bring the closed hub at `hub` to the format of this durio; gives the path of the copy that was made before.

    First it is copied to `backup` (the hub's name with `.format-N` behind it, if none is given), and the copy checked.
    Then all data change in one transaction. Cut short at any point, it can be called again; a copy that is there
    already stays. A hub of the right format is left as it is, and None is returned. `complete` makes the indexes, which
    hubs of formats 1 and 2 do not have.

    Raises `NotAHub`, `FormatMismatch` (from a newer durio, or too old), `HubInUse`, `HubDamaged`, `NoSpace`,
    `HubBroken`, `FileExistsError` if something else is at `backup`, and `OSError`.
    """
    folder = HubFolder.at(hub)
    found = folder.format_version()
    if found == FORMAT_VERSION:
        return None
    if not all(version in _STEPS for version in range(found, FORMAT_VERSION)) or found > FORMAT_VERSION:
        raise FormatMismatch(folder.path, found, FORMAT_VERSION)
    lock = OwnerLock.take(folder.owner_lock, folder.path)
    try:
        copy = os.path.realpath(backup if backup is not None else f"{folder.path}.format-{found}")
        if not _is_copy(copy, found):
            copy_folder(folder, copy, found, progress=progress)
        _migrate(folder, complete, progress)
        folder.declare(FORMAT_VERSION)
        return copy
    finally:
        lock.release()


def _is_copy(path: str, version: int) -> bool:
    with contextlib.suppress(NotAHub, OSError):
        return HubFolder.at(path).format_version() == version
    return False


def _migrate(folder: HubFolder, complete: Complete, progress: Progress | None) -> None:
    with contextlib.closing(open_environment(folder.partition)) as env:
        try:
            with env.begin(write=True) as txn:
                Meta.from_record(txn.get(META_KEY))
                if progress is not None:
                    complete = partial(_telling, complete, progress, int(txn.stat()["entries"]))
                # The data may be ahead of durio.json: that was cut short between the two.
                for version in range(format_of(txn.get(FORMAT_KEY)), FORMAT_VERSION):
                    _STEPS[version](txn, complete)
                    txn.put(FORMAT_KEY, seal(FORMAT_KEY, u32(version + 1)))
        except lmdb.Error as error:
            if is_no_space(error, folder.path):
                raise NoSpace(folder.path) from error
            raise HubBroken(f"LMDB: {error}") from error


def _telling(complete: Complete, progress: Progress, total: int, rows: Rows) -> Rows:
    """The same, and telling how many of its rows were looked at."""

    def looked_at() -> Rows:
        for number, row in enumerate(rows):
            if number % UPGRADED_EACH == 0:
                progress(UPGRADED, min(number, total), total)
            yield row

    return complete(looked_at())


def _from_1_to_2(txn: lmdb.Transaction, complete: Complete) -> None:
    """Nothing but the number itself: format 2 has tables and messages that a durio of format 1 would misread."""


def _from_2_to_3(txn: lmdb.Transaction, complete: Complete) -> None:
    """Indexes, which a durio of format 2 would not keep."""
    for key, value in complete(all_rows(txn)):  # they come behind the rows that they are made of
        txn.put(key, seal(key, value))


_STEPS: Final = MappingProxyType({1: _from_1_to_2, 2: _from_2_to_3})
"""What leads from each older format to the next one."""
