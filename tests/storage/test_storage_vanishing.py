"""G32: a folder that vanishes under its owner, and folders that cannot be written."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from durio.storage import Ambiguous, HubBroken, LmdbStore, WriteSet

NOBODY = 65534
ONE = WriteSet(((b"k", b"v"),))


def remove_folder(hub: Path) -> None:
    """Somebody cleans up."""
    shutil.rmtree(hub)


def remove_file(hub: Path) -> None:
    """Only the data goes."""
    (hub / "0" / "data.mdb").unlink()


def move_folder(hub: Path) -> None:
    """The hub gets another name."""
    hub.rename(hub.with_name("moved"))


def replace_file(hub: Path) -> None:
    """A backup is put over an open hub."""
    shutil.copy(hub / "0" / "data.mdb", hub / "0" / "copy")
    (hub / "0" / "copy").rename(hub / "0" / "data.mdb")


def replace_folder(hub: Path) -> None:
    """The hub is moved away, and a new one stands at its place."""
    move_folder(hub)
    LmdbStore.open(hub).close()


VANISH = (remove_folder, remove_file, move_folder, replace_file, replace_folder)


@pytest.mark.parametrize("vanish", VANISH)
def test_an_owner_whose_folder_vanishes_acknowledges_nothing_more(
    tmp_path: Path, vanish: Callable[[Path], None]
) -> None:
    """G32: the next commit is refused, nothing is written, and so is everything after it."""
    with LmdbStore.open(tmp_path / "hub") as store:
        store.commit(ONE)
        vanish(tmp_path / "hub")
        for call in (lambda: store.commit(ONE), lambda: store.get(b"k"), lambda: store.has_commit(1)):
            with pytest.raises(HubBroken, match="removed, moved or replaced"):
                call()
        assert store.last_commit == 1
    assert vanish is replace_folder or not (tmp_path / "hub" / "closed.json").exists()


@pytest.mark.parametrize("vanish", VANISH)
def test_a_folder_that_vanishes_during_a_commit_leaves_its_fate_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, vanish: Callable[[Path], None]
) -> None:
    """G32: what was committed to a file that nobody finds is not acknowledged."""
    with LmdbStore.open(tmp_path / "hub") as store:
        real = store._env

        class Vanishing:
            """The folder vanishes once the transaction has begun."""

            def __getattr__(self, name: str) -> object:
                return getattr(real, name)

            def begin(self, write: bool = False) -> object:
                vanish(tmp_path / "hub")
                return real.begin(write=write)

        monkeypatch.setattr(store, "_env", Vanishing())
        with pytest.raises(Ambiguous) as caught:
            store.commit(ONE)
        assert caught.value.commit == 1
        with pytest.raises(HubBroken, match="removed, moved or replaced"):
            store.commit(ONE)


def test_a_moved_hub_opens_at_its_new_place_with_all_that_was_acknowledged(tmp_path: Path) -> None:
    """G32: moving an open hub loses nothing; its owner stops, the next one finds everything."""
    with LmdbStore.open(tmp_path / "hub") as store:
        store.commit(ONE)
        move_folder(tmp_path / "hub")
        with pytest.raises(HubBroken):
            store.commit(WriteSet(((b"k", b"lost"),)))
    with LmdbStore.open(tmp_path / "moved") as store:
        assert store.get(b"k") == b"v"
        assert not store.has_commit(2)


def test_a_read_only_file_system_is_refused_at_open(tmp_path: Path) -> None:
    """G31, G32: the error says which file may not be written, and nothing is changed."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=12m", "durio-test", str(tmp_path)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("needs the right to mount a tmpfs")
    try:
        with LmdbStore.open(tmp_path / "hub") as store:
            store.commit(ONE)
        subprocess.run(["mount", "-o", "remount,ro", str(tmp_path)], check=True)
        for name, named in (("hub", "owner.lock"), ("new", "new")):
            with pytest.raises(OSError, match=f"Read-only file system.*{named}"):
                LmdbStore.open(tmp_path / name)
        assert not (tmp_path / "new").exists()
        subprocess.run(["mount", "-o", "remount,rw", str(tmp_path)], check=True)
        with LmdbStore.open(tmp_path / "hub") as store:
            assert (store.epoch, store.get(b"k")) == (2, b"v")
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


@contextmanager
def as_somebody(folder: Path) -> Iterator[None]:
    """Root may write everywhere: as somebody else, to whom everything in `folder` belongs."""
    if os.geteuid() != 0:
        yield
        return
    for path in (folder, *folder.rglob("*")):
        os.chown(path, NOBODY, NOBODY)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.parametrize("inside", ["", "0"])
def test_a_read_only_folder_is_refused_at_open(inside: str) -> None:
    """G31, G32: a folder or file that this process may not write is `PermissionError`, and names it."""
    with tempfile.TemporaryDirectory() as name:
        hub = Path(name) / "hub"
        with LmdbStore.open(hub) as store:
            store.commit(ONE)
        shut = [*(path for path in (hub / inside).iterdir() if path.is_file()), hub / inside]
        with as_somebody(Path(name)):
            for path in shut:
                path.chmod(0o555 if path.is_dir() else 0o444)
            with pytest.raises(PermissionError, match=str(hub)):
                LmdbStore.open(hub)
            for path in reversed(shut):
                path.chmod(0o755 if path.is_dir() else 0o644)
            with LmdbStore.open(hub) as store:
                assert (store.epoch, store.get(b"k")) == (2, b"v")
