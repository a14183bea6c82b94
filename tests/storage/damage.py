"""Hubs to be damaged, and ways to damage them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import lmdb

from durio.storage import LmdbStore, WriteSet, u64

ROWS = 400
PAGE_BYTES = 4096


def make_hub(hub: Path, rows: int = ROWS) -> dict[bytes, bytes]:
    """A closed hub with branch, leaf and overflow pages, and free ones; what it holds."""
    with LmdbStore.open(hub, ballast_bytes=0) as store:
        store.commit(WriteSet(tuple((b"k" + u64(n), b"value %d " % n * 5) for n in range(rows))))
        store.commit(WriteSet(((b"large", b"x" * 20_000), (b"larger", b"y" * 50_000))))
        store.commit(WriteSet(((b"larger", None), *((b"k" + u64(n), None) for n in range(0, rows, 7)))))
        store.commit(WriteSet(((b"last", b"one"),)))
        return dict(store.scan(b""))


def kill(hub: Path) -> None:
    """As if the owner had been killed: nothing says how it ended."""
    (hub / "closed.json").unlink()


def tree(hub: Path) -> dict[str, bytes]:
    """Every file of a hub but its locks, with its bytes."""
    files = (path for path in sorted(hub.rglob("*")) if path.is_file() and "lock" not in path.name)
    return {str(path.relative_to(hub)): path.read_bytes() for path in files}


def scribble(hub: Path, offset: int, scrawl: bytes) -> None:
    """Overwrite bytes of the data file."""
    with (hub / "0" / "data.mdb").open("r+b") as file:
        file.seek(offset)
        file.write(scrawl)


def cut(hub: Path, length: int) -> None:
    """Cut the data file."""
    os.truncate(hub / "0" / "data.mdb", length)


def put_raw(hub: Path, key: bytes, record: bytes | None) -> None:
    """Write a record behind the store's back, in good order for LMDB; None removes it."""
    with lmdb.open(str(hub / "0"), map_size=1 << 30) as env, env.begin(write=True) as txn:
        if record is None:
            txn.delete(key)
        else:
            txn.put(key, record)


def copy_hub(hub: Path, to: Path) -> Path:
    """A copy as `cp -a` makes it."""
    return Path(shutil.copytree(hub, to))
