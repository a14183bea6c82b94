"""Checking a whole hub in a process of its own, since a damaged file can end whoever reads it."""

import contextlib
import errno
import fcntl
import json
import os
from collections.abc import Iterator
from typing import Final

import attrs

from durio.storage.child import end_of, run_child
from durio.storage.datafile import DataFile
from durio.storage.errors import HubDamaged, HubInUse, NotAHub
from durio.storage.folder import HubFolder
from durio.storage.lock import OwnerLock, ReaderLock
from durio.storage.report import CHECKED, FAR, IN_USE, WHOLE, Finding, Progress, Report

CHECKER: Final = "durio.storage.checker"
INBOX_CHECKER: Final = "durio.storage.inbox_checker"


def verify(path: str | os.PathLike[str], *, checker: str = CHECKER, progress: Progress | None = None) -> Report:
    """Check the whole hub at `path` and say what is wrong with it; nothing is changed or repaired.

    The structure of the file, every record's checksum, that each is found under its key. A hub that is closed cannot
    be opened meanwhile. One that is open is checked as of its last commit, and grows while the check reads it.

    `checker`: the module that knows the records; `durio.orchestration.verify` knows what durio writes. `progress` is
    told how far it is. Raises
    `NotAHub`, `FormatMismatch`, `HubReadOnly` for a hub that may not be written to and is owned, `HubBroken` if the
    check cannot be started, and `OSError`.
    """
    folder = HubFolder.at(path)
    folder.check()
    if not folder.exists:
        raise NotAHub(folder.path, "there is no hub")
    with contextlib.ExitStack() as held:
        try:
            lock = OwnerLock.take(folder.owner_lock, folder.path)
        except HubInUse:
            in_use = True
        except OSError as error:
            if error.errno not in (errno.EROFS, errno.EACCES):
                raise
            held.callback(ReaderLock.take(folder.owner_lock, folder.path).release)
            in_use = False
        else:
            held.callback(lock.release)
            in_use = False
        data = check_data(folder, checker=checker, in_use=in_use, progress=progress)
        inbox = check_inbox(folder)
        return attrs.evolve(
            data,
            findings=(*data.findings, *inbox.findings),
            hidden=data.hidden + inbox.hidden,
        )


def check_data(
    folder: HubFolder, *, checker: str = CHECKER, in_use: bool = False, progress: Progress | None = None
) -> Report:
    """Check the data of a hub in a child process; the caller knows whether an owner has it open."""
    missing = missing_data(folder)
    if missing or DataFile.look(folder.data) is None:
        return Report(folder.path, 0, (Finding("data.mdb", missing),) if missing else ())
    return _heard(folder, checker, folder.partition, in_use=in_use, file="data.mdb", progress=progress)


def check_inbox(folder: HubFolder) -> Report:
    """Check the inbox of a hub in a child process; while a client writes to it, only what its reader sees."""
    if DataFile.look(folder.inbox_data) is None:
        return Report(folder.path, 0)
    with inbox_locked(folder) as locked:
        return _heard(folder, INBOX_CHECKER, folder.inbox, in_use=not locked, file="inbox/data.mdb")


def refuse_damaged_inbox(folder: HubFolder) -> None:
    """Raise `HubDamaged` if the inbox looks odd, and a check in a child process finds why.

    While another process writes to it nothing is looked at: that one has it open, and it is not for a client that was
    stopped in the middle to stop the owner.
    """
    with inbox_locked(folder) as locked:
        found = DataFile.look(folder.inbox_data) if locked else None
        if found is None or not found.odd:
            return
        report = _heard(folder, INBOX_CHECKER, folder.inbox, in_use=False, file="inbox/data.mdb")
    if not report.ok:
        raise HubDamaged(folder.path, str(report.findings[0]), len(report.findings) + report.hidden - 1)


@contextlib.contextmanager
def inbox_locked(folder: HubFolder) -> Iterator[bool]:
    """Keep clients from writing to the inbox, unless one is at it: then it is not locked."""
    try:
        fd = os.open(folder.inbox_lock, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError:
        yield True  # nobody has written to it, and nobody can from here
        return
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield True
    except BlockingIOError:
        yield False
    finally:
        os.close(fd)


def _heard(
    folder: HubFolder, checker: str, partition: str, *, in_use: bool, file: str, progress: Progress | None = None
) -> Report:
    """What the checker of one environment says."""

    def watch(said: str) -> None:
        lines = [line for line in said.splitlines(keepends=True) if line.startswith(FAR) and line.endswith("\n")]
        if progress is not None and lines:
            progress(*json.loads(lines[-1])[1:])

    process = run_child(checker, partition, IN_USE if in_use else WHOLE, watch=None if progress is None else watch)
    findings, records, hidden, whole = [], 0, 0, False
    for line in process.stdout.splitlines():
        if line.startswith(FAR):
            continue
        first, second = json.loads(line)
        if isinstance(first, str):
            findings.append(Finding(first, second))
        else:
            records, hidden, whole = first, second, True
    if not whole:
        findings.append(Finding(file, end_of(process)))
    if progress is not None:
        progress(CHECKED, records, records)
    return Report(folder.path, records, tuple(findings), hidden, in_use)


def missing_data(folder: HubFolder) -> str:
    """What is wrong if a whole hub has no data; empty if it has some, or was never made whole."""
    if DataFile.look(folder.data) is not None or not folder.is_whole:
        return ""
    return "it is empty" if os.path.exists(folder.data) else "it is missing"
