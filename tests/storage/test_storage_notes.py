"""Notes of what is running: what is found behind an end of the process."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durio.storage import Found, LmdbStore, MemoryDisk, MemoryStore, Notes, SimulatedCrash, WriteSet
from durio.storage.notes import NOTES_BYTES

KEYS = st.binary(min_size=1, max_size=511)


@given(st.integers(1, 2**64 - 1), st.lists(KEYS, max_size=5), KEYS)
def test_what_is_noted_is_found(epoch: int, beside: list[bytes], turn: bytes) -> None:
    """G6: what was running at the end is found, once each, with the epoch of its owner."""
    buffer = bytearray(10 * 520)
    notes = Notes(buffer)
    notes.start(epoch)
    for key in beside:
        notes.begin(key)
    notes.end(notes.begin(b"gone"))
    notes.note(turn)
    found = Notes(buffer).found()
    assert found.epoch == epoch
    assert sorted(found.keys) == sorted({*beside, turn})


def test_what_has_ended_is_not_found() -> None:
    """G6: a turn that rests and work that has ended leave nothing."""
    buffer = bytearray(10 * 520)
    notes = Notes(buffer)
    notes.start(3)
    notes.note(b"mail")
    notes.rest()
    notes.end(notes.begin(b"job"))
    assert Notes(buffer).found() == Found(3)


@given(st.binary(min_size=4 * 520, max_size=4 * 520))
def test_bytes_that_nobody_noted_are_no_notes(data: bytes) -> None:
    """G32: whatever is in the file, it is no note unless it fits its checksum."""
    assert Notes(bytearray(data)).found() == Found()


@given(st.data(), KEYS, KEYS)
def test_a_torn_note_is_no_note(data: st.DataObject, old: bytes, new: bytes) -> None:
    """G6: a process that died while it noted leaves the new note, or none, and not a mixture."""
    buffer, after = bytearray(3 * 520), bytearray(3 * 520)
    for place, keys in ((buffer, [old]), (after, [old, new])):
        notes = Notes(place)
        notes.start(1)
        for key in keys:
            notes.note(key)
    cut = data.draw(st.integers(520, 1040))
    torn = after[:cut] + buffer[cut:]
    assert Notes(torn).found().keys in ((old,), (new,), ())


def test_what_does_not_fit_is_not_noted() -> None:
    """G6: there are so many slots; what ends makes room."""
    buffer = bytearray(4 * 520)
    notes = Notes(buffer)
    notes.start(1)
    first, second, third = (notes.begin(key) for key in (b"1", b"2", b"3"))
    notes.end(third)
    notes.end(first)
    notes.begin(b"4")
    assert sorted(Notes(buffer).found().keys) == [b"2", b"4"]
    notes.end(second)


def test_a_clean_end_leaves_nothing_and_a_dead_owner_everything() -> None:
    """G6: `close` clears, `abandon` does not; what happens behind them changes nothing."""
    for end, left in ((Notes.close, Found()), (Notes.abandon, Found(1, (b"job",)))):
        buffer = bytearray(4 * 520)
        notes = Notes(buffer)
        notes.start(1)
        job = notes.begin(b"job")
        end(notes)
        notes.end(job)
        notes.note(b"late")
        notes.begin(b"later")
        assert Notes(buffer).found() == left


def test_who_only_looks_leaves_the_notes_of_the_last_owner(tmp_path: Path) -> None:
    """G6: a tool that opens the hub and closes it, without running anything, takes no note away."""
    disk = MemoryDisk()
    first = MemoryStore(disk)
    first.notes.start(1)
    first.notes.note(b"mail")
    first.notes.abandon()
    MemoryStore(disk).close()
    assert MemoryStore(disk).notes.found() == Found(1, (b"mail",))


def test_a_simulated_crash_leaves_the_notes() -> None:
    """G6: the disk in memory keeps what was running at the crash."""
    disk = MemoryDisk()
    store = MemoryStore(disk)
    store.notes.start(store.epoch)
    store.notes.note(b"mail")
    disk.crash_at(1, "before")
    with pytest.raises(SimulatedCrash):
        store.commit(WriteSet())
    store.close()
    assert MemoryStore(disk).notes.found() == Found(1, (b"mail",))


PROGRAM = """
import os, signal, sys
from durio.storage import LmdbStore
store = LmdbStore.open(sys.argv[1])
store.notes.start(store.epoch)
store.notes.note(b"mail")
store.notes.begin(b"job")
if sys.argv[2] == "close":
    store.close()
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize(("end", "keys"), [("die", (b"mail", b"job")), ("close", ())])
def test_notes_survive_a_kill_and_not_a_clean_end(tmp_path: Path, end: str, keys: tuple[bytes, ...]) -> None:
    """G6: after `kill -9` the next owner finds what was running; after a clean end nothing."""
    hub = tmp_path / "hub"
    ended = subprocess.run([sys.executable, "-c", PROGRAM, str(hub), end], check=False)
    assert ended.returncode == -signal.SIGKILL
    with LmdbStore.open(hub) as store:
        assert store.notes.found() == (Found(1, keys) if keys else Found())
        assert os.path.getsize(hub / "running") == NOTES_BYTES


def test_an_owner_on_a_full_disk_works_without_notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """G32: a disk without room for the notes is no reason not to open: an owner may come to make room."""

    def full(path: str) -> Notes:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Notes, "in_file", full)
    with LmdbStore.open(tmp_path / "hub") as store:
        store.notes.start(store.epoch)
        store.notes.note(b"mail")
        assert store.notes.begin(b"job") == 0
