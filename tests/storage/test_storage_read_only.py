"""G13, G32: a hub that may not be written to is read while nobody owns it, and only then."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from durio.storage import HubInUse, HubReader, HubReadOnly, LmdbStore, OwnerLock, WriteSet, backup, verify
from tests.storage.damage import make_hub, tree

READER, COPYING = (sys.modules[f"durio.storage.{name}"] for name in ("reader", "backup"))


@pytest.fixture
def unlockable(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if nobody could tell LMDB that he reads. What the rights do not allow is tested with the command line."""
    for module in (READER, COPYING):
        monkeypatch.setattr(module, "can_be_locked", lambda _: False)


@pytest.mark.usefixtures("unlockable")
def test_nobody_owns_a_hub_while_it_is_read(tmp_path: Path) -> None:
    """Several read it at a time; an owner is refused until the last one has closed it; nothing changes."""
    expected = make_hub(tmp_path / "hub")
    before = tree(tmp_path / "hub")
    one, another = HubReader.open(tmp_path / "hub"), HubReader.open(tmp_path / "hub")
    assert dict(one.scan(b"")) == dict(another.scan(b"")) == expected
    one.close()
    one.close()
    with pytest.raises(HubInUse):
        LmdbStore.open(tmp_path / "hub")
    assert OwnerLock.holder(str(tmp_path / "hub" / "owner.lock")) is None
    another.close()
    assert tree(tmp_path / "hub") == before
    LmdbStore.open(tmp_path / "hub").close()


@pytest.mark.usefixtures("unlockable")
@pytest.mark.parametrize("read", [HubReader.open, lambda hub: backup(hub, f"{hub}.copy")])
def test_a_hub_that_is_owned_is_not_read(read: Callable[[Path], object], tmp_path: Path) -> None:
    """What a reader reads could be written over meanwhile. The owner is named."""
    with LmdbStore.open(tmp_path / "hub") as store:
        store.commit(WriteSet(((b"a", b"1"),)))
        with pytest.raises(HubReadOnly, match=f"process {os.getpid()} owns it"):
            read(tmp_path / "hub")
    assert [path.name for path in tmp_path.iterdir()] == ["hub"]


@pytest.mark.usefixtures("unlockable")
def test_without_the_file_of_its_owners_it_is_not_read(tmp_path: Path) -> None:
    """There is nothing that would keep an owner away. A backup has that file."""
    make_hub(tmp_path / "hub")
    (tmp_path / "hub" / "owner.lock").unlink()
    with pytest.raises(HubReadOnly, match="without the file"):
        HubReader.open(tmp_path / "hub")
    LmdbStore.open(tmp_path / "hub").close()
    backup(tmp_path / "hub", tmp_path / "copy")
    HubReader.open(tmp_path / "copy").close()


@pytest.mark.usefixtures("unlockable")
def test_a_backup_waits_for_no_client(tmp_path: Path) -> None:
    """While a client writes to the inbox, that is not copied."""
    make_hub(tmp_path / "hub")
    inbox = OwnerLock.take(str(tmp_path / "hub" / "inbox.lock"), "")
    with pytest.raises(HubReadOnly, match="a client writes to its inbox"):
        backup(tmp_path / "hub", tmp_path / "copy")
    inbox.release()
    assert backup(tmp_path / "hub", tmp_path / "copy").ok
    assert verify(tmp_path / "copy").ok
