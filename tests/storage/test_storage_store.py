"""The store on LMDB: fencing, closing, damaged records, and what it says after failed writes."""

import errno
import os
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import lmdb
import pytest

from durio.storage import (
    Ambiguous,
    CorruptRecord,
    Fenced,
    HubBroken,
    HubClosed,
    LmdbStore,
    MemoryDisk,
    MemoryStore,
    NoSpace,
    Store,
    WriteSet,
    unseal,
)
from durio.storage.keys import META_KEY
from durio.storage.meta import Meta


def put(key: bytes, value: bytes) -> WriteSet:
    """A write set of one record."""
    return WriteSet(((key, value),))


def calls(store: Store) -> tuple[Callable[[], object], ...]:
    """Every call that needs the disk."""
    return (
        lambda: store.get(b"k"),
        lambda: store.scan(b""),
        lambda: store.has_commit(0),
        lambda: store.commit(put(b"k", b"v")),
    )


class FlakyTxn:
    """A write transaction whose commit reports an error, before or after it really happened."""

    def __init__(self, txn: Any, error: lmdb.Error, when: Literal["before", "after"]) -> None:
        self.txn, self.error, self.when = txn, error, when

    def __enter__(self) -> Any:
        return self.txn

    def __exit__(self, *exc: object) -> None:
        if self.when == "before":
            self.txn.abort()
        else:
            self.txn.commit()
        raise self.error


class FlakyEnv:
    """An LMDB environment whose next write fails; after that reads may fail too."""

    def __init__(self, env: Any, code: int, when: Literal["before", "after"], *, panics: bool = False) -> None:
        self.env = env
        self.when: Literal["before", "after"] = when
        self.panics = panics
        self.error: lmdb.Error | None = lmdb.Error("told to fail")
        self.error.code = code  # type: ignore[misc]  # LMDB sets it in C

    def begin(self, write: bool = False) -> Any:
        """The real transaction, or the one that fails."""
        if write and self.error is not None:
            error, self.error = self.error, None
            return FlakyTxn(self.env.begin(write=True), error, self.when)
        if self.error is None and self.panics:
            raise lmdb.PanicError("told to panic")
        return self.env.begin(write=write)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.env, name)


def fail_next_write(store: LmdbStore, code: int, when: Literal["before", "after"], *, panics: bool = False) -> None:
    """Make the next commit of `store` fail with an LMDB error code."""
    store._env = FlakyEnv(store._env, code, when, panics=panics)  # type: ignore[assignment]  # a stand-in


def test_it_is_a_store(tmp_path: Path) -> None:
    """Both implementations fit the seam, for type checkers too."""
    stores: tuple[Store, ...] = (LmdbStore.open(tmp_path / "hub"), MemoryStore(MemoryDisk()))
    assert [store.commit(WriteSet()) for store in stores] == [1, 1]
    assert stores[0].path == str(tmp_path / "hub")
    stores[0].close()


def test_a_commit_of_a_fenced_owner_changes_nothing(tmp_path: Path) -> None:
    """G1: with another epoch on disk a commit is refused inside its own transaction."""
    with LmdbStore.open(tmp_path) as store:
        store.commit(put(b"k", b"mine"))
        with store._env.begin(write=True) as txn:
            txn.put(META_KEY, Meta(7, 1).record())
        for _ in range(2):
            with pytest.raises(Fenced) as caught:
                store.commit(put(b"k", b"lost"))
            assert (caught.value.mine, caught.value.found) == (1, 7)
        with pytest.raises(Fenced):
            store.has_commit(1)
        assert store.get(b"k") == b"mine"
    with LmdbStore.open(tmp_path) as store:
        assert (store.epoch, store.last_commit) == (8, 1)


def test_a_commit_by_something_else_under_our_epoch_breaks_the_handle(tmp_path: Path) -> None:
    """G1: a commit number that this owner did not make is never built upon."""
    with LmdbStore.open(tmp_path) as store:
        with store._env.begin(write=True) as txn:
            txn.put(META_KEY, Meta(1, 5).record())
        with pytest.raises(HubBroken, match="commit 5"):
            store.commit(WriteSet())


@pytest.mark.parametrize("damage", [b"", b"\x01\x00\x00", b"garbage of some length"])
def test_a_damaged_epoch_is_never_an_epoch(tmp_path: Path, damage: bytes) -> None:
    """G32: neither an owner nor the next one builds upon a meta record that does not fit."""
    with LmdbStore.open(tmp_path) as store:
        with store._env.begin(write=True) as txn:
            txn.put(META_KEY, damage)
        with pytest.raises(CorruptRecord):
            store.commit(WriteSet())
        with pytest.raises(CorruptRecord):
            store.has_commit(0)
    with pytest.raises(CorruptRecord):
        LmdbStore.open(tmp_path)


def test_a_damaged_record_is_an_error_and_names_its_key(tmp_path: Path) -> None:
    """G32: a flipped bit on disk is never data, for get and for scan."""
    with LmdbStore.open(tmp_path) as store:
        store.commit(WriteSet(((b"a", b"1"), (b"b", b"2"))))
        with store._env.begin(write=True) as txn:
            record = txn.get(b"b")
            assert record is not None
            assert unseal(b"b", record) == b"2"
            txn.put(b"b", record[:-1] + b"3")
        assert store.get(b"a") == b"1"
        assert store.scan(b"", b"b") == [(b"a", b"1")]
        for call in (lambda: store.get(b"b"), lambda: store.scan(b"")):
            with pytest.raises(CorruptRecord) as caught:
                call()
            assert caught.value.key == b"b"


def test_a_closed_store_refuses_everything(tmp_path: Path) -> None:
    """Closing is final, may be repeated, and frees the hub."""
    store = LmdbStore.open(tmp_path)
    store.close()
    store.close()
    for call in calls(store):
        with pytest.raises(HubClosed, match=str(tmp_path)):
            call()
    LmdbStore.open(tmp_path).close()


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_no_space_keeps_the_handle_and_stores_nothing(tmp_path: Path, code: int) -> None:
    """G32: out of room or quota is refused with `NoSpace`, and the same handle goes on."""
    with LmdbStore.open(tmp_path) as store:
        store.commit(put(b"k", b"kept"))
        fail_next_write(store, code, "before")
        with pytest.raises(NoSpace):
            store.commit(put(b"k", b"lost"))
        assert store.get(b"k") == b"kept"
        assert not store.has_commit(2)
        assert store.commit(put(b"k", b"next")) == 2


@pytest.mark.parametrize(("free_blocks", "error"), [(0, NoSpace), (255, NoSpace), (256, HubBroken)])
def test_an_io_error_means_no_space_only_when_there_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free_blocks: int, error: type[Exception]
) -> None:
    """G32: LMDB turns a short write into an I/O error; the file system tells the two apart."""
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_bavail=free_blocks, f_frsize=4096))
    with LmdbStore.open(tmp_path) as store:
        fail_next_write(store, errno.EIO, "before")
        with pytest.raises(error):
            store.commit(put(b"k", b"lost"))


def test_a_full_map_is_no_space_and_ends_with_more_map(tmp_path: Path) -> None:
    """G32: where address space is limited the map fills up like a disk does."""
    with LmdbStore.open(tmp_path) as store:
        store.commit(put(b"k", b"kept"))
        store._env.set_mapsize(1 << 16)
        with pytest.raises(NoSpace):
            store.commit(put(b"big", b"x" * (1 << 17)))
        assert store.get(b"k") == b"kept"
        store._env.set_mapsize(1 << 20)
        assert store.commit(put(b"big", b"x" * (1 << 17))) == 2


def test_a_write_error_breaks_the_handle_and_the_next_owner_goes_on(tmp_path: Path) -> None:
    """G32: after a write error nothing is carried on; what was acknowledged is there after reopening."""
    with LmdbStore.open(tmp_path) as store:
        store.commit(put(b"k", b"kept"))
        fail_next_write(store, errno.EIO, "before")
        with pytest.raises(HubBroken):
            store.commit(put(b"k", b"lost"))
        for call in calls(store):
            with pytest.raises(HubBroken, match="told to fail"):
                call()
    with LmdbStore.open(tmp_path) as store:
        assert store.get(b"k") == b"kept"
        assert not store.has_commit(2)


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC])
def test_a_commit_that_can_be_read_after_an_error_is_not_acknowledged(tmp_path: Path, code: int) -> None:
    """G32: what can be read may be in memory only, so the next owner finds out; nobody syncs again and hopes."""
    store = LmdbStore.open(tmp_path)
    fail_next_write(store, code, "after")
    with pytest.raises(Ambiguous) as caught:
        store.commit(put(b"k", b"v"))
    assert caught.value.commit == 1
    for call in calls(store):
        with pytest.raises(HubBroken, match="it can be read"):
            call()
    store.close()
    with LmdbStore.open(tmp_path) as store:
        assert store.has_commit(1)
        assert store.get(b"k") == b"v"


@pytest.mark.parametrize("when", ["before", "after"])
def test_an_unreadable_disk_after_an_error_is_ambiguous_until_it_is_reopened(
    tmp_path: Path, when: Literal["before", "after"]
) -> None:
    """G32: what cannot be known is said, and the next owner can tell."""
    store = LmdbStore.open(tmp_path)
    fail_next_write(store, errno.EIO, when, panics=True)
    with pytest.raises(Ambiguous) as caught:
        store.commit(put(b"k", b"v"))
    assert caught.value.commit == 1
    for call in calls(store):
        with pytest.raises(HubBroken):
            call()
    store.close()
    with LmdbStore.open(tmp_path) as store:
        assert store.has_commit(1) == (when == "after")


def test_a_read_error_breaks_the_handle(tmp_path: Path) -> None:
    """G32: a file that LMDB cannot read is never carried on with."""
    for index in range(3):
        store = LmdbStore.open(tmp_path)
        flaky = FlakyEnv(store._env, 0, "before", panics=True)
        flaky.error = None
        store._env = flaky  # type: ignore[assignment]  # a stand-in
        with pytest.raises(HubBroken):
            calls(store)[index]()
        with pytest.raises(HubBroken):
            store.commit(WriteSet())
        store.close()


@pytest.mark.parametrize("kind", ["lmdb", "memory"])
def test_reads_in_one_thread_see_whole_commits_of_another(tmp_path: Path, kind: str) -> None:
    """G2: a scan during commits shows one commit, never parts of two."""
    store: Store = LmdbStore.open(tmp_path) if kind == "lmdb" else MemoryStore(MemoryDisk())
    keys = [b"k%d" % n for n in range(50)]

    def write() -> None:
        for n in range(200):
            store.commit(WriteSet(tuple((key, b"%d" % n) for key in keys)))

    writer = threading.Thread(target=write)
    writer.start()
    seen = []
    while writer.is_alive():
        values = {value for _, value in store.scan(b"")}
        assert len(values) <= 1
        seen += [int(value) for value in values]
    writer.join()
    assert seen == sorted(seen)
    assert dict(store.scan(b"")) == dict.fromkeys(keys, b"199")
    store.close()


def test_close_waits_for_the_commit_in_flight(tmp_path: Path) -> None:
    """G32: closing never cuts a commit; the commit gets its number, later calls are refused."""
    store = LmdbStore.open(tmp_path)
    real, inside, go_on = store._env, threading.Event(), threading.Event()

    class SlowEnv:
        """Holds the write transaction until it is told to go on."""

        def begin(self, write: bool = False) -> Any:
            inside.set()
            assert go_on.wait(10)
            return real.begin(write=write)

        def close(self) -> None:
            real.close()

    store._env = SlowEnv()  # type: ignore[assignment]  # a stand-in
    numbers: list[int] = []
    commit = threading.Thread(target=lambda: numbers.append(store.commit(put(b"k", b"v"))))
    commit.start()
    assert inside.wait(10)
    close = threading.Thread(target=store.close)
    close.start()
    assert not store._closed
    go_on.set()
    commit.join()
    close.join()
    assert numbers == [1]
    with pytest.raises(HubClosed):
        store.get(b"k")
    with LmdbStore.open(tmp_path) as store:
        assert store.get(b"k") == b"v"


def test_the_environment_is_durable_and_its_lock_file_is_allocated(tmp_path: Path) -> None:
    """G32: fsync is on, the map is large, and no later write to the lock file needs room."""
    with LmdbStore.open(tmp_path) as store:
        flags, info = store._env.flags(), store._env.info()
        assert flags["sync"]
        assert flags["metasync"]
        assert not flags["writemap"]
        assert info["map_size"] == 1 << 40
        stat = os.stat(tmp_path / "0" / "lock.mdb")
        assert stat.st_size == 65536
        assert stat.st_blocks * 512 >= 65536


@pytest.mark.parametrize("kind", ["lmdb", "memory"])
def test_thousands_of_records_change_in_one_commit(tmp_path: Path, kind: str) -> None:
    """G2: a commit may put, replace and delete thousands of records at once."""
    store: Store = LmdbStore.open(tmp_path) if kind == "lmdb" else MemoryStore(MemoryDisk())
    keys = [b"k%05d" % n for n in range(5_000)]
    store.commit(WriteSet(tuple((key, b"old") for key in keys)))
    store.commit(WriteSet(tuple((key, None if n % 3 else b"new") for n, key in enumerate(keys))))
    assert store.scan(b"") == [(key, b"new") for key in keys[::3]]
    assert store.scan(b"k00006", b"k00013", limit=2) == [(b"k00006", b"new"), (b"k00009", b"new")]
    store.close()
