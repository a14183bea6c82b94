"""What an owner does before it has a hub: refuse a damaged one, and begin an epoch of its own."""

import lmdb

from durio.storage.closing import ClosingMark
from durio.storage.codec import seal
from durio.storage.datafile import DataFile
from durio.storage.environment import NO_SPACE_CODES, is_no_space
from durio.storage.errors import FormatMismatch, HubBroken, HubDamaged, NoSpace, NotAHub
from durio.storage.folder import HubFolder
from durio.storage.keys import FORMAT_KEY, META_KEY, u32
from durio.storage.limits import FORMAT_VERSION
from durio.storage.lock import OwnerLock
from durio.storage.meta import Meta, format_of
from durio.storage.notes import Notes
from durio.storage.verify import check_data, missing_data


def refuse_damaged(folder: HubFolder) -> None:
    """Raise `HubDamaged` before anything of a damaged hub is read. Only what gives cause for doubt is checked."""
    damage = _damage(folder)
    if damage is not None:
        raise damage
    ClosingMark(folder.closed).remove()


def refuse_damaged_to_readers(folder: HubFolder) -> None:
    """The same for who only reads, and would be ended by it. The owner has looked, if there is one, and writes now."""
    if OwnerLock.holder(folder.owner_lock) is None:
        damage = _damage(folder)
        if damage is not None and OwnerLock.holder(folder.owner_lock) is None:
            raise damage


def _damage(folder: HubFolder) -> HubDamaged | None:
    missing, found = missing_data(folder), DataFile.look(folder.data)
    if missing:
        return HubDamaged(folder.path, f"data.mdb: {missing}", 0)
    if found is not None and ClosingMark(folder.closed).doubt(found):
        report = check_data(folder)
        if not report.ok:
            return HubDamaged(folder.path, str(report.findings[0]), len(report.findings) - 1 + report.hidden)
    return None


def notes_in(path: str) -> Notes:
    """The notes in a file. An owner that comes to make room on a full disk works without."""
    try:
        return Notes.in_file(path)
    except OSError as error:
        if error.errno in NO_SPACE_CODES:
            return Notes()
        raise


def start_epoch(env: lmdb.Environment, folder: HubFolder) -> Meta:
    """Commit the next epoch and sync everything, the names of the files too: only then may the owner
    answer.
    """
    try:
        with env.begin(write=True) as txn:
            record = txn.get(META_KEY)
            if record is None and txn.stat()["entries"]:
                raise NotAHub(folder.path, "its data.mdb holds data of something else")
            old = Meta(0, 0) if record is None else Meta.from_record(record)
            if record is None:
                txn.put(FORMAT_KEY, seal(FORMAT_KEY, u32(FORMAT_VERSION)))
            elif (found := format_of(txn.get(FORMAT_KEY))) != FORMAT_VERSION:
                raise FormatMismatch(folder.path, found, FORMAT_VERSION)
            meta = Meta(old.epoch + 1, old.commit)
            txn.put(META_KEY, meta.record())
        env.sync(True)
    except lmdb.Error as error:
        if is_no_space(error, folder.path):
            raise NoSpace(folder.path) from error
        raise HubBroken(f"LMDB cannot commit the new epoch: {error}") from error
    folder.sync()
    return meta
