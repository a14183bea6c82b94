"""The store on LMDB, the one in memory and a plain dict are the same thing, over reopenings."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from durio.storage import KeyTooLong, LmdbStore, MemoryDisk, MemoryStore, ReservedKey, Store, WriteSet

PARTS = st.sampled_from([b"a", b"b", b"\x01", b"\xff", b"\x00", b"key"])
KEYS = st.lists(PARTS, max_size=3).map(b"".join) | st.just(b"k" * 511)
VALUES = st.none() | st.binary(max_size=12) | st.just(b"v" * 9000)
CHANGES = st.lists(st.tuples(KEYS.filter(lambda key: key >= b"\x01"), VALUES), max_size=12).map(tuple)


class Twins(RuleBasedStateMachine):
    """Random commits, reads and reopenings of both stores and a dict."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.disk = MemoryDisk()
        self.model: dict[bytes, bytes] = {}
        self.commits = 0
        self.owners = 0
        self.stores: tuple[Store, ...] = ()
        self.reopen()

    @rule()
    def reopen(self) -> None:
        """Close both and open them again: a new epoch, the same data."""
        for store in self.stores:
            store.close()
        self.stores = (LmdbStore.open(Path(self.folder.name) / "hub"), MemoryStore(self.disk))
        self.owners += 1

    @rule(changes=CHANGES)
    def commit(self, changes: tuple[tuple[bytes, bytes | None], ...]) -> None:
        """G2: a commit applies all its changes and has the next number."""
        for key, value in changes:
            if value is None:
                self.model.pop(key, None)
            else:
                self.model[key] = value
        self.commits += 1
        assert [store.commit(WriteSet(changes)) for store in self.stores] == [self.commits] * 2

    @rule(changes=CHANGES, bad=st.sampled_from([b"", b"\x00", b"\x00meta", b"k" * 512]))
    def refused(self, changes: tuple[tuple[bytes, bytes | None], ...], bad: bytes) -> None:
        """G31: a refused write set changes nothing."""
        for store in self.stores:
            with pytest.raises((KeyTooLong, ReservedKey)):
                store.commit(WriteSet((*changes, (bad, b"x"))))

    @rule(key=KEYS | st.just(b"k" * 600) | st.just(b"\x00meta"))
    def get(self, key: bytes) -> None:
        """A key has its last value."""
        assert [store.get(key) for store in self.stores] == [self.model.get(key)] * 2

    @rule(start=KEYS | st.just(b"k" * 512), stop=st.none() | KEYS, limit=st.none() | st.integers(0, 5))
    def scan(self, start: bytes, stop: bytes | None, limit: int | None) -> None:
        """A range is what a sorted dict holds between its ends."""
        expected = sorted(item for item in self.model.items() if item[0] >= start and (stop is None or item[0] < stop))[
            :limit
        ]
        assert [store.scan(start, stop, limit=limit) for store in self.stores] == [expected] * 2

    @invariant()
    def numbers_agree(self) -> None:
        """Epochs count owners, commit numbers count write sets; both are on disk."""
        for store in self.stores:
            assert (store.epoch, store.last_commit) == (self.owners, self.commits)
            assert store.has_commit(self.commits)
            assert not store.has_commit(self.commits + 1)
        assert self.disk.snapshot() == self.model

    def teardown(self) -> None:
        """Let go of the hub before its folder goes."""
        for store in self.stores:
            store.close()
        self.folder.cleanup()


TestTwins = Twins.TestCase
TestTwins.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
