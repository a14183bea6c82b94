"""An inbox that was cut or scribbled on ends nobody's process (G32)."""

from __future__ import annotations

import os
from pathlib import Path

import lmdb
import pytest

from durio.storage import HubDamaged, Inbox, LmdbStore, verify
from durio.storage.inbox_rows import row


@pytest.fixture
def hub(tmp_path: Path) -> Path:
    """A closed hub with some rows in its inbox."""
    folder = tmp_path / "hub"
    LmdbStore.open(folder).close()
    inbox = Inbox.open(folder)
    for number in range(20):
        inbox.append([b"x" * 3000, b"%d" % number], 0, 5)
    inbox.close()
    return folder


def data_of(hub: Path) -> Path:
    return hub / "inbox" / "data.mdb"


def test_a_whole_inbox_is_checked_with_its_hub(hub: Path) -> None:
    """G32: verify reads the inbox, too, and finds nothing wrong with a healthy one."""
    with LmdbStore.open(hub):
        assert verify(hub).ok
    assert verify(hub).ok


@pytest.mark.parametrize("kept", [0.3, 0.7])
def test_a_cut_inbox_is_refused_and_named(hub: Path, kept: float) -> None:
    """G32: neither an owner nor a client reads what was cut: that would end its process with SIGBUS."""
    size = data_of(hub).stat().st_size
    os.truncate(data_of(hub), int(size * kept) // 4096 * 4096)
    with pytest.raises(HubDamaged):
        Inbox.open(hub)
    assert not verify(hub).ok


def test_a_scribbled_root_is_refused(hub: Path) -> None:
    """G32: roots that are none are seen before LMDB sees them."""
    with data_of(hub).open("r+b") as file:
        file.seek(16)
        file.write(b"\xff" * 64)
    with pytest.raises(HubDamaged):
        Inbox.open(hub)
    assert not verify(hub).ok


def test_a_damaged_row_is_named(hub: Path) -> None:
    """G32: a row whose checksum does not fit is found by verify; the rows around it are still taken."""
    with lmdb.open(str(hub / "inbox"), map_size=1 << 30) as env, env.begin(write=True) as txn:
        txn.put(row(3), b"nonsense")
    report = verify(hub)
    assert len(report.findings) == 1
    assert "inbox" in report.findings[0].where
    inbox = Inbox.open(hub)
    assert len(inbox.after(0, 100, 1 << 20)) == 40
    inbox.close()
