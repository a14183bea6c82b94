"""The part of a check that reads the inbox: `python -m durio.storage.inbox_checker`, in a process of its own."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator

import lmdb

from durio.storage.checker import Found, open_to_check, report, shown, structure
from durio.storage.codec import unseal
from durio.storage.errors import CorruptRecord, HubBroken
from durio.storage.inbox_rows import STATE, number_of, state_of
from durio.storage.report import IN_USE


def check(partition: str, *, in_use: bool, progress: Callable[[int], None]) -> Iterator[Found]:
    """All that is wrong with an inbox. May end this process."""
    if not in_use:
        broken = [("the structure of inbox/data.mdb", why) for why in structure(os.path.join(partition, "data.mdb"))]
        yield from broken
        if broken:
            return
    try:
        with open_to_check(partition, locks=in_use) as env, env.begin() as txn:
            count = 0
            for key, record in txn.cursor():
                count += 1
                yield from ((f"inbox, {shown(key)}", why) for why in _record(key, record))
            progress(count)
    except lmdb.Error as error:
        yield "inbox/data.mdb", f"LMDB cannot read it: {error}"


def _record(key: bytes, record: bytes) -> Iterator[str]:
    try:
        if key == STATE:
            state_of(record)
        else:
            number_of(key)
            unseal(key, record)
    except CorruptRecord as error:
        yield error.why
    except (HubBroken, ValueError) as error:
        yield str(error)


if __name__ == "__main__":
    numbers = [0]
    report(check(sys.argv[1], in_use=sys.argv[2] == IN_USE, progress=numbers.append), numbers)
