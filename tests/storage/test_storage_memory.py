"""The store in memory crashes at the commit it was told to, and keeps its fault model."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durio.storage import (
    CorruptRecord,
    Fenced,
    HubClosed,
    MemoryDisk,
    MemoryStore,
    SimulatedCrash,
    When,
    WriteSet,
)


def put(key: bytes, value: bytes) -> WriteSet:
    """A write set of one record."""
    return WriteSet(((key, value),))


@given(st.integers(1, 6), st.sampled_from(["before", "after"]))
def test_a_crash_leaves_the_commits_before_it_and_its_own_if_after(commit: int, when: When) -> None:
    """G2: the disk holds a prefix of the commits; the one at the crash is whole or absent, as told."""
    disk = MemoryDisk()
    store = MemoryStore(disk)
    disk.crash_at(commit, when)
    with pytest.raises(SimulatedCrash) as caught:
        for n in range(1, 10):
            store.commit(WriteSet(((b"a%d" % n, b""), (b"b%d" % n, b""))))
    assert (caught.value.commit, caught.value.when) == (commit, when)
    kept = commit if when == "after" else commit - 1
    assert disk.snapshot().keys() == {b"%c%d" % (c, n) for n in range(1, kept + 1) for c in b"ab"}
    again = MemoryStore(disk)
    assert again.last_commit == kept
    assert again.has_commit(commit) == (when == "after")
    assert again.commit(put(b"x", b"")) == kept + 1


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_crashed_store_refuses_everything(when: When) -> None:
    """A dead process does nothing: every call of its store is `SimulatedCrash`, also beside a new owner."""
    disk = MemoryDisk()
    store = MemoryStore(disk)
    disk.crash_at(1, when)
    with pytest.raises(SimulatedCrash):
        store.commit(put(b"k", b"v"))
    for _ in range(2):
        for call in (
            lambda: store.get(b"k"),
            lambda: store.scan(b""),
            lambda: store.commit(put(b"k", b"v")),
            lambda: store.has_commit(1),
        ):
            with pytest.raises(SimulatedCrash):
                call()
        MemoryStore(disk).commit(put(b"l", b"v"))


def test_openings_do_not_count_as_commits_of_a_crash_plan() -> None:
    """The plan counts write sets, over owners."""
    disk = MemoryDisk()
    disk.crash_at(2, "before")
    MemoryStore(disk).commit(put(b"a", b""))
    store = MemoryStore(disk)
    with pytest.raises(SimulatedCrash):
        store.commit(put(b"b", b""))
    assert disk.snapshot() == {b"a": b""}


def test_a_refused_write_set_does_not_count() -> None:
    """A fenced commit is no commit, and the plan waits for one."""
    disk = MemoryDisk()
    old, new = MemoryStore(disk), MemoryStore(disk)
    disk.crash_at(1, "after")
    with pytest.raises(Fenced):
        old.commit(put(b"a", b""))
    with pytest.raises(SimulatedCrash):
        new.commit(put(b"b", b""))


def test_a_plan_can_be_replaced_and_taken_back() -> None:
    """One crash is planned at a time, 0 is none, and the past is refused."""
    disk = MemoryDisk()
    store = MemoryStore(disk)
    disk.crash_at(1, "before")
    disk.crash_at(2, "after")
    assert store.commit(put(b"a", b"")) == 1
    disk.crash_at(0, "before")
    assert store.commit(put(b"b", b"")) == 2
    with pytest.raises(ValueError, match="-1"):
        disk.crash_at(-1, "before")


def test_a_crash_is_no_exception() -> None:
    """G2: `except Exception` in the code under test cannot survive its own death."""
    assert not issubclass(SimulatedCrash, Exception)


def test_an_older_owner_is_fenced() -> None:
    """G1: opening takes the disk over; the older owner's next commit changes nothing."""
    disk = MemoryDisk("my disk")
    old = MemoryStore(disk)
    old.commit(put(b"k", b"old"))
    new = MemoryStore(disk)
    assert (old.epoch, new.epoch, new.last_commit, new.path) == (1, 2, 1, "my disk")
    with pytest.raises(Fenced) as caught:
        old.commit(put(b"k", b"lost"))
    assert (caught.value.mine, caught.value.found) == (1, 2)
    with pytest.raises(Fenced):
        old.has_commit(1)
    assert new.get(b"k") == b"old"


def test_a_closed_store_refuses() -> None:
    """Closing is final for the handle, not for the disk."""
    store = MemoryStore(MemoryDisk())
    store.close()
    store.close()
    with pytest.raises(HubClosed):
        store.get(b"k")


def test_damaged_memory_is_never_data() -> None:
    """G32: the twin seals its records like the disk does."""
    disk = MemoryDisk()
    store = MemoryStore(disk)
    store.commit(put(b"k", b"v"))
    disk._records[b"k"] = disk._records[b"k"][:-1] + b"w"
    for call in (lambda: store.get(b"k"), lambda: store.scan(b""), disk.snapshot):
        with pytest.raises(CorruptRecord):
            call()
