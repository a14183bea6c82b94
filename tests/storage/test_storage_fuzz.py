"""G32: whatever bytes are on disk, no process that matters dies of them, and none of them is read as data."""

from __future__ import annotations

import functools
import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from durio.storage import CorruptRecord, HubDamaged, LmdbStore, WriteSet, seal, unseal, verify
from durio.storage.report import FAR
from tests.storage.damage import PAGE_BYTES, make_hub

WORKER = Path(__file__).with_name("fuzz_worker.py")
Scribble = tuple[int, int, bytes]

SCRAWL = st.binary(min_size=1, max_size=24) | st.sampled_from([b"\0" * 16, b"\xff" * 16])
SCRIBBLES = st.tuples(st.integers(0, 60), st.integers(0, 48) | st.integers(0, PAGE_BYTES - 1), SCRAWL)


@functools.cache
def template() -> tuple[bytes, str, dict[bytes, bytes]]:
    """The data file of a hub, a digest of what it holds, and what that is."""
    with tempfile.TemporaryDirectory() as name:
        rows = make_hub(Path(name) / "hub", 200)
        data = (Path(name) / "hub" / "0" / "data.mdb").read_bytes()
    found = hashlib.sha256()
    for key, value in sorted(rows.items()):
        found.update(repr((key, value)).encode())
    return data, found.hexdigest(), rows


@functools.cache
def hub() -> Path:
    """The folder whose data are damaged; one for all examples."""
    path = Path(tempfile.mkdtemp(prefix="durio-fuzz-")) / "hub"
    make_hub(path, 200)
    return path


class Reader:
    """A process that checks, and reads what passed the check; a new one if it died."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[str] | None = None

    def read(self, path: Path) -> str:
        """What it says of a hub: a digest, `damaged`, or nothing if it died."""
        if self.process is None or self.process.poll() is not None:
            self.process = subprocess.Popen(
                [sys.executable, str(WORKER)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
            )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{path}\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        while line.startswith(FAR):
            line = self.process.stdout.readline()
        return line.strip()


@functools.cache
def reader() -> Reader:
    """One for all examples: starting Python takes longer than they do."""
    return Reader()


def damaged(scribbles: list[Scribble], length: int | None) -> bytes:
    """The template, scribbled on and cut."""
    data = bytearray(template()[0])
    for page, offset, scrawl in scribbles:
        start = (page * PAGE_BYTES + offset) % len(data)
        data[start : start + len(scrawl)] = scrawl
    return bytes(data if length is None else data[: min(length, len(data))])


@settings(max_examples=150)
@example([(0, 145, b"\x01")], None)  # an old root that says it is the newest: old data, all of them whole
@given(st.lists(SCRIBBLES, min_size=1, max_size=3), st.none() | st.integers(1, 60 * PAGE_BYTES))
def test_no_scribble_and_no_cut_is_read_as_data(scribbles: list[Scribble], length: int | None) -> None:
    """G32: a damaged file is named damaged, or what is read from it is all that was written; its reader lives."""
    (hub() / "0" / "data.mdb").write_bytes(damaged(scribbles, length))
    assert reader().read(hub()) in ("damaged", template()[1])


@settings(max_examples=8)
@given(st.lists(SCRIBBLES, min_size=1, max_size=3), st.none() | st.integers(1, 60 * PAGE_BYTES))
def test_an_owner_refuses_a_damaged_hub_or_reads_what_was_written(
    scribbles: list[Scribble], length: int | None
) -> None:
    """G32: the same through the front door, in this very process: refused, or whole, and never the end of it."""
    (hub() / "0" / "data.mdb").write_bytes(damaged(scribbles, length))
    os.utime(hub() / "0" / "data.mdb", (1, 1))  # the clock of some file systems ticks slowly
    try:
        store = LmdbStore.open(hub())
    except HubDamaged:
        assert not verify(hub()).ok
        return
    with store:
        assert dict(store.scan(b"")) == template()[2]


@given(st.binary(min_size=1, max_size=20), st.binary(max_size=60), st.data())
def test_no_changed_record_is_read_as_data(key: bytes, payload: bytes, data: st.DataObject) -> None:
    """G32: a record with flipped bits, cut, lengthened or under another key is an error."""
    record = seal(key, payload)
    assert unseal(key, record) == payload
    place = data.draw(st.integers(0, len(record) - 1))
    flip = data.draw(st.integers(1, 255))
    other = data.draw(st.binary(max_size=70).filter(lambda other: other != record))
    for found in (
        record[:place] + bytes((record[place] ^ flip,)) + record[place + 1 :],
        record[:place],
        record + bytes((flip,)),
        other,
    ):
        with pytest.raises(CorruptRecord) as caught:
            unseal(key, found)
        assert caught.value.key == key


@settings(max_examples=30)
@given(st.lists(st.tuples(st.binary(min_size=1, max_size=6), st.binary(max_size=30)), min_size=1, max_size=5))
def test_any_bytes_under_any_keys_are_errors(records: list[tuple[bytes, bytes]]) -> None:
    """G32: what something else put into the data file is found by whoever reads it, and never given to anybody."""
    with tempfile.TemporaryDirectory() as name, LmdbStore.open(Path(name) / "hub", ballast_bytes=0) as store:
        store.commit(WriteSet(((b"good", b"value"),)))
        raw = {b"k" + key: record for key, record in records}
        with store._env.begin(write=True) as txn:
            for key, record in raw.items():
                txn.put(key, record)
        for key in raw:
            with pytest.raises(CorruptRecord) as caught:
                store.get(key)
            assert caught.value.key == key
        with pytest.raises(CorruptRecord) as caught:
            store.scan(b"k")
        assert caught.value.key == min(raw)
        assert store.get(b"good") == b"value"
