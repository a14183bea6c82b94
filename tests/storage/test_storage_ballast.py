"""G32: a ballast keeps room back for a full disk."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from durio.storage import LmdbStore, MemoryDisk, MemoryStore, NoSpace, WriteSet
from durio.storage.ballast import Ballast, free_bytes
from durio.storage.limits import BALLAST_BYTES, ROOM_BYTES_MIN

MIB = 1 << 20


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 12 MiB; skipped where this process may not mount one."""
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "durio-test", str(tmp_path)], capture_output=True)
    if mount.returncode:
        pytest.skip("needs the right to mount a tmpfs")
    try:
        yield tmp_path
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def fill(store: LmdbStore) -> None:
    """Commit until there is no room."""
    with pytest.raises(NoSpace):
        while True:
            store.commit(WriteSet(((b"fill%d" % store.last_commit, b"x" * 100_000),)))


def test_an_open_hub_keeps_allocated_bytes_back(tmp_path: Path) -> None:
    """The ballast is really allocated, at open, and is still there when the hub is opened again."""
    for _ in range(2):
        with LmdbStore.open(tmp_path):
            assert os.stat(tmp_path / "ballast").st_blocks * 512 >= BALLAST_BYTES
    assert (tmp_path / "ballast").stat().st_size == BALLAST_BYTES


def test_no_space_gives_the_ballast_away_and_it_is_made_again_when_there_is_room(small_disk: Path) -> None:
    """G32: after `NoSpace` the very same handle has some MiB for what must still be written."""
    with LmdbStore.open(small_disk / "hub") as store:
        fill(store)
        assert not (small_disk / "hub" / "ballast").exists()
        assert not store.has_room()
        assert not store.restore_ballast()
        for n in range(20):
            store.commit(WriteSet(((b"end%d" % n, b"x" * 50_000),)))
        fill(store)
        assert not store.release_ballast()
        subprocess.run(["mount", "-o", "remount,size=40m", str(small_disk)], check=True)
        assert store.has_room()
        assert store.restore_ballast()
        assert (small_disk / "hub" / "ballast").stat().st_size == BALLAST_BYTES
        assert store.release_ballast()
        assert not store.release_ballast()


def test_a_full_disk_opens_on_its_ballast(small_disk: Path) -> None:
    """G32: an owner that comes to make room gets in: the ballast is given away when its epoch finds no room."""
    hub = small_disk / "hub"
    with LmdbStore.open(hub) as store:
        store.commit(WriteSet(((b"k", b"v"),)))
    stat = os.statvfs(small_disk)
    with (small_disk / "filler").open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, stat.f_bavail * stat.f_frsize)
    for _ in range(40):
        with LmdbStore.open(hub) as store:
            assert store.get(b"k") == b"v"
            if not (hub / "ballast").exists():
                break
    else:
        pytest.fail("the epoch always found room: the disk was not full")
    with LmdbStore.open(hub) as store:
        store.commit(WriteSet(((b"k", None),)))


def test_without_room_for_it_there_is_no_ballast(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small disk is left to the data: no ballast is made, and the hub opens all the same."""
    free = BALLAST_BYTES + ROOM_BYTES_MIN - 1
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_bavail=free, f_frsize=1))
    with LmdbStore.open(tmp_path) as store:
        assert not (tmp_path / "ballast").exists()
        assert not store.has_room()
        assert not store.restore_ballast()
        free += 1
        assert store.has_room()
        assert store.restore_ballast()
        free = ROOM_BYTES_MIN
        assert store.has_room()  # the ballast is there: it needs no room
        assert store.restore_ballast()


@pytest.mark.parametrize("left", [b"", b"x" * 5000])
def test_a_half_made_ballast_is_made_whole(tmp_path: Path, left: bytes) -> None:
    """A crash while the file was allocated leaves nothing that counts as a ballast."""
    (tmp_path / "ballast").write_bytes(left)
    ballast = Ballast(str(tmp_path / "ballast"), MIB)
    assert not ballast.held
    assert ballast.make()
    assert (tmp_path / "ballast").stat().st_size == MIB


def test_a_ballast_never_raises(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no ballast can be made, or the system says nothing of its room, the hub goes on without."""
    ballast = Ballast(str(tmp_path / "gone" / "ballast"), MIB)
    assert free_bytes(str(tmp_path / "gone")) is None
    assert ballast.has_room
    assert not ballast.make()
    assert not ballast.release()

    def refuse(*_: object) -> None:
        raise OSError

    monkeypatch.setattr(os, "posix_fallocate", refuse)
    here = Ballast(str(tmp_path / "ballast"), MIB)
    assert not here.make()
    assert list(tmp_path.iterdir()) == []


def test_a_store_in_memory_is_never_full() -> None:
    """The twin in memory has no ballast and always room."""
    store = MemoryStore(MemoryDisk())
    assert (store.has_room(), store.release_ballast(), store.restore_ballast()) == (True, False, True)
