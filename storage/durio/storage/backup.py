"""A copy of a hub that is a hub, made while its owner works, or from a closed one."""

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator
from typing import Final

from durio.storage.child import end_of, run_child
from durio.storage.copier import LOCKED, UNLOCKED
from durio.storage.environment import NO_SPACE_CODES, can_be_locked
from durio.storage.errors import HubDamaged, HubReadOnly, NoSpace, NotAHub
from durio.storage.folder import HubFolder, sync_folder
from durio.storage.limits import FORMAT_VERSION
from durio.storage.lock import ReaderLock
from durio.storage.report import COPIED, Progress, Report
from durio.storage.verify import CHECKER, check_data, inbox_locked

COPIER: Final = "durio.storage.copier"
_UNFINISHED: Final = ".durio-unfinished"


def backup(
    hub: str | os.PathLike[str],
    to: str | os.PathLike[str],
    *,
    checker: str = CHECKER,
    progress: Progress | None = None,
) -> Report:
    """Copy the hub at `hub`, open or closed, to `to`, which must not be there yet or be an empty folder.

    The copy is the hub as of one commit, all that was acknowledged before the call included; it is checked, and is on
    disk when this returns. The owner works on meanwhile. What it is: a hub that was not closed in good order. To
    restore it, open it where it is, or copy it to its place in the same way.

    Blocks, and tells `progress` how far it is. Raises `FileExistsError` if something is at `to` (nothing is
    overwritten), `NotAHub`, `FormatMismatch`, `HubReadOnly` if the hub may not be written to and is owned, `HubDamaged`
    if it or its copy is damaged, `NoSpace`, `HubBroken`, and `OSError`. A copy that was not finished is never at `to`.
    """
    source = HubFolder.at(hub)
    source.check()
    return copy_folder(source, to, FORMAT_VERSION, checker, progress)


def copy_folder(
    source: HubFolder,
    to: str | os.PathLike[str],
    format_version: int,
    checker: str = CHECKER,
    progress: Progress | None = None,
) -> Report:
    """The same for a hub of any format."""
    if not source.exists or not os.path.exists(source.data):
        raise NotAHub(source.path, "there is no hub, or it was never opened")
    target = HubFolder.at(to)
    _refuse_to_overwrite(source, target)
    part = HubFolder.at(target.path + _UNFINISHED)
    shutil.rmtree(part.path, ignore_errors=True)
    part.make()
    try:
        with _readable(source) as mode:
            # The inbox first: what its owner takes out of it meanwhile is in the hub's copy then.
            if os.path.exists(source.inbox_data):
                _copy(source, source.inbox, part.inbox, mode, None)
            _copy(source, source.partition, part.partition, mode, progress)
        with open(part.owner_lock, "xb"):
            pass  # by this file it can be read where it may not be written to
        part.declare(format_version)
        report = check_data(part, checker=checker, progress=progress)
        if not report.ok:
            raise HubDamaged(source.path, str(report.findings[0]), len(report.findings) - 1 + report.hidden)
        os.rename(part.path, target.path)
    except OSError as error:
        if error.errno in NO_SPACE_CODES:
            raise NoSpace(target.path) from error
        raise
    finally:
        shutil.rmtree(part.path, ignore_errors=True)
    sync_folder(os.path.dirname(target.path))
    return Report(target.path, report.records)


def _refuse_to_overwrite(source: HubFolder, target: HubFolder) -> None:
    if os.path.commonpath([source.path, target.path]) == source.path:
        raise ValueError(f"{target.path!r} is inside of the hub: give another place")
    if os.path.lexists(target.path) and (not os.path.isdir(target.path) or os.listdir(target.path)):
        raise FileExistsError(
            errno.EEXIST, "a copy of a hub overwrites nothing: give a new or empty folder", target.path
        )


@contextlib.contextmanager
def _readable(hub: HubFolder) -> Iterator[str]:
    """How a hub can be read: with LMDB's locks, or else while nobody owns it and no client writes to its inbox."""
    if can_be_locked(hub.partition):
        yield LOCKED
        return
    lock = ReaderLock.take(hub.owner_lock, hub.path)
    try:
        with inbox_locked(hub) as locked:
            if not locked:
                raise HubReadOnly(hub.path, "a client writes to its inbox, which would change while it is copied")
            yield UNLOCKED
    finally:
        lock.release()


def _copy(hub: HubFolder, source: str, target: str, mode: str, progress: Progress | None) -> None:
    def watch(said: str) -> None:
        total = int(said) if said.endswith("\n") else 0
        if progress is not None and total:
            with contextlib.suppress(FileNotFoundError):
                progress(COPIED, min(os.stat(os.path.join(target, "data.mdb")).st_size, total), total)

    process = run_child(COPIER, source, target, mode, watch=None if progress is None else watch)
    if process.returncode in NO_SPACE_CODES:
        raise NoSpace(target)
    if process.returncode:
        raise HubDamaged(hub.path, end_of(process), 0)
    sync_folder(target)
