"""The part of a check that reads the data: `python -m durio.storage.checker`, in a process of its own.

A damaged file can end its reader with a signal (SIGBUS, SIGABRT), which nothing in that process can catch. So this is
started by `verify`, says what it finds line by line, and whoever started it sees how it ended.
"""

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Final, Protocol, TypeAlias

import lmdb
import lmdb.verify

from durio.storage.codec import unseal
from durio.storage.datafile import DataFile
from durio.storage.errors import CorruptRecord
from durio.storage.keys import FIRST_KEY, FORMAT_KEY, META_KEY
from durio.storage.limits import FINDINGS_MAX, KEY_BYTES_MAX, MAP_SIZE_BYTES, MAP_SIZE_BYTES_MIN, READERS_MAX
from durio.storage.meta import Meta, format_of
from durio.storage.report import CHECKED, IN_USE, STRUCTURE

FAR_EACH: Final = 10_000

Found: TypeAlias = tuple[str, str]
"""Where and what, as in `Finding`."""


class RecordChecks(Protocol):
    """What a layer above knows of the records: each is looked at in key order, then all of them together."""

    def record(self, key: bytes, payload: bytes) -> Iterable[str]:
        """What is wrong with one record, whose checksum fits."""
        ...

    def end(self) -> Iterable[Found]:
        """What does not fit together."""
        ...


class NoChecks:
    """For a store that nobody knows more of."""

    def record(self, key: bytes, payload: bytes) -> Iterable[str]:
        """Nothing."""
        return ()

    def end(self) -> Iterable[Found]:
        """Nothing."""
        return ()


def shown(key: bytes) -> str:
    """A record, for people."""
    return f"record {key!r}"


def check(partition: str, checks: RecordChecks, *, in_use: bool, progress: Callable[[int], None]) -> Iterator[Found]:
    """All that is wrong with the environment in a folder. May end this process.

    The structure of the file comes first, read as plain bytes. Only if it is sound, the records are read.
    """
    if not in_use:
        broken = False
        far(STRUCTURE, 0, os.stat(os.path.join(partition, "data.mdb")).st_size)
        for why in structure(os.path.join(partition, "data.mdb")):
            broken = True
            yield "the structure of data.mdb", why
        if broken:
            return
    try:
        with open_to_check(partition, locks=in_use) as env:
            yield from _records(env, checks, progress)
    except lmdb.Error as error:
        yield "data.mdb", f"LMDB cannot read it: {error}"


def structure(data: str) -> Iterator[str]:
    """What is wrong with the pages of a file of LMDB, read as plain bytes."""
    fd = os.open(data, os.O_RDONLY | os.O_CLOEXEC)
    try:
        # What is on the disk counts, not what this machine still remembers of a write that failed.
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(fd)
    look = DataFile.look(data)
    if look is not None and look.wrong:
        yield look.wrong
        return
    try:
        found: list[str] = lmdb.verify.verify(data)  # type: ignore[no-untyped-call]
    except Exception as error:  # it is made for damage, but nobody knows all damage
        yield f"it cannot be read: {error}"
    else:
        yield from found


def open_to_check(partition: str, *, locks: bool) -> lmdb.Environment:
    """An environment for reading alone. Raises `lmdb.Error`."""
    map_size = MAP_SIZE_BYTES
    while True:
        try:
            return lmdb.open(
                partition, map_size=map_size, max_readers=READERS_MAX, readonly=True, create=False, lock=locks
            )
        except lmdb.MemoryError:
            map_size //= 2
            if map_size < MAP_SIZE_BYTES_MIN:
                raise


def _records(env: lmdb.Environment, checks: RecordChecks, progress: Callable[[int], None]) -> Iterator[Found]:
    with env.begin() as txn:
        yield from _store_record(txn.get(META_KEY))
        entries: int = txn.stat()["entries"]
        count, previous, finder = 0, None, txn.cursor()
        for key, record in txn.cursor():
            count += 1
            if count > entries:
                break
            if count % FAR_EACH == 0:
                far(CHECKED, count, entries)
            if previous is not None and key <= previous:
                yield shown(key), f"it stands behind {previous!r}: the keys are out of order"
            if not finder.set_key(key):
                yield shown(key), "it is there, but looking for its key does not find it"
            previous = key
            if key >= FIRST_KEY:
                yield from ((shown(key), why) for why in _record(key, record, checks))
            elif key == FORMAT_KEY:
                yield from ((shown(key), why) for why in _format(record))
            elif key != META_KEY:
                yield shown(key), "the store has no such record of its own"
        progress(count)
        if count != entries:
            yield "data.mdb", f"it has {count} records, its root says {entries}"
        yield from checks.end()


def _store_record(record: bytes | None) -> Iterator[Found]:
    try:
        meta = Meta.from_record(record)
    except CorruptRecord as error:
        yield shown(META_KEY), error.why
    else:
        if meta.epoch < 1:
            yield shown(META_KEY), "no owner has epoch 0"


def _format(record: bytes) -> Iterator[str]:
    try:
        format_of(record)
    except CorruptRecord as error:
        yield error.why


def _record(key: bytes, record: bytes, checks: RecordChecks) -> Iterator[str]:
    if len(key) > KEY_BYTES_MAX:
        yield f"the key has {len(key)} bytes"
    try:
        payload = unseal(key, record)
    except CorruptRecord as error:
        yield error.why
    else:
        yield from checks.record(key, payload)


def main(checks: RecordChecks) -> None:
    """`PARTITION whole|in use`: what a check finds, said to whoever started this process."""
    partition, mode = sys.argv[1:]
    records = [0]
    report(check(partition, checks, in_use=mode == IN_USE, progress=records.append), records)


def report(findings: Iterable[Found], records: list[int]) -> None:
    """A JSON line for each finding, and one with the numbers at the end: the last of `records`, and how many findings
    were left out.
    """
    found = 0
    for where, why in findings:
        found += 1
        if found <= FINDINGS_MAX:
            say([where, why])
    say([records[-1], max(0, found - FINDINGS_MAX)])


def far(what: str, done: int, total: int) -> None:
    """How far it is, for whoever waits for it."""
    say([None, what, done, total])


def say(line: list[object]) -> None:
    """One line, at once: a process that dies takes with it what it has not written."""
    os.write(sys.stdout.fileno(), (json.dumps(line) + "\n").encode())


if __name__ == "__main__":
    main(NoChecks())
