"""G32: a hub is copied while it works or when it is closed, and brought up to date from an older format."""

from __future__ import annotations

import json
import shutil
import sys
import threading
from collections.abc import Iterable
from pathlib import Path

import lmdb
import pytest

from durio.storage import (
    FORMAT_VERSION,
    CorruptRecord,
    FormatMismatch,
    HubDamaged,
    HubFolder,
    HubInUse,
    LmdbStore,
    NotAHub,
    OwnerLock,
    WriteSet,
    backup,
    u64,
    upgrade,
    verify,
)
from durio.storage.keys import FORMAT_KEY
from durio.storage.report import CHECKED, COPIED, STRUCTURE, UPGRADED
from tests.storage.damage import cut, make_hub, put_raw, tree

OLD = Path(__file__).parents[1] / "fixtures" / "hub_format_1"


def rows(hub: Path) -> list[tuple[bytes, bytes]]:
    """What a hub holds."""
    with LmdbStore.open(hub) as store:
        return store.scan(b"")


def test_a_closed_hub_is_copied(tmp_path: Path) -> None:
    """The copy is a hub with the same data; nothing in the original changes."""
    expected = make_hub(tmp_path / "hub")
    before = tree(tmp_path / "hub")
    report = backup(tmp_path / "hub", tmp_path / "copy")
    assert (report.path, report.ok, report.records) == (str(tmp_path / "copy"), True, len(expected) + 2)
    assert tree(tmp_path / "hub") == before
    assert dict(rows(tmp_path / "copy")) == expected
    assert verify(tmp_path / "copy").ok
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy", "hub"]


def test_a_hub_is_copied_while_its_owner_commits(tmp_path: Path) -> None:
    """G2, G32: a copy is the hub as of one commit, with all that was acknowledged before; the owner goes on."""
    stop, acknowledged = threading.Event(), [0]

    def work(store: LmdbStore) -> None:
        while not stop.is_set():
            number = acknowledged[0] + 1
            store.commit(
                WriteSet(((b"a" + u64(number), b"x" * 300), (b"b" + u64(number), b"y"), (b"last", u64(number))))
            )
            acknowledged[0] = number

    with LmdbStore.open(tmp_path / "hub") as store:
        worker = threading.Thread(target=work, args=(store,))
        worker.start()
        try:
            for number in range(3):
                while acknowledged[0] < 20 * (number + 1):
                    stop.wait(0.001)
                before = acknowledged[0]
                backup(tmp_path / "hub", tmp_path / f"copy{number}")
                after = acknowledged[0]
                assert after > before
                with LmdbStore.open(tmp_path / f"copy{number}") as copy:
                    last = copy.last_commit
                    assert before <= last <= after
                    assert copy.get(b"last") == u64(last)
                    assert [key for key, _ in copy.scan(b"a", b"c")] == [
                        side + u64(n) for side in (b"a", b"b") for n in range(1, last + 1)
                    ]
                    assert copy.commit(WriteSet()) == last + 1
        finally:
            stop.set()
            worker.join()


def test_a_copy_overwrites_nothing(tmp_path: Path) -> None:
    """Whatever is at its place stays; an empty folder will do."""
    make_hub(tmp_path / "hub")
    (tmp_path / "file").write_text("mine")
    make_hub(tmp_path / "other", 10)
    before = tree(tmp_path)
    for name in ("file", "other", "hub"):
        with pytest.raises((FileExistsError, ValueError)):
            backup(tmp_path / "hub", tmp_path / name)
    with pytest.raises(ValueError, match="inside of the hub"):
        backup(tmp_path / "hub", tmp_path / "hub" / "copy")
    assert tree(tmp_path) == before
    (tmp_path / "empty").mkdir()
    assert backup(tmp_path / "hub", tmp_path / "empty").ok


def test_what_is_no_hub_is_not_copied(tmp_path: Path) -> None:
    """G31: a folder that is none, and a hub that was never opened, are refused; nothing is made."""
    (tmp_path / "empty").mkdir()
    for name in ("empty", "gone"):
        with pytest.raises(NotAHub):
            backup(tmp_path / name, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_a_damaged_hub_gives_no_copy(tmp_path: Path) -> None:
    """G32: damage that ends the reader, and damage in a record, are found; no copy is left that looks like one."""
    make_hub(tmp_path / "cut")
    cut(tmp_path / "cut", 5 * 4096)
    make_hub(tmp_path / "record")
    put_raw(tmp_path / "record", b"bad", b"x")
    for name in ("cut", "record"):
        with pytest.raises(HubDamaged):
            backup(tmp_path / name, tmp_path / "copy")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cut", "record"]


def test_a_copy_that_was_cut_short_is_never_at_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy appears whole or not at all; what a crash left over does not stop the next one."""
    make_hub(tmp_path / "hub")

    class PowerCut(BaseException):
        pass

    def die(*_: object, **__: object) -> None:
        raise PowerCut

    monkeypatch.setattr(shutil, "rmtree", lambda *_, **__: None)
    monkeypatch.setattr(sys.modules["durio.storage.backup"], "check_data", die)
    with pytest.raises(PowerCut):
        backup(tmp_path / "hub", tmp_path / "copy")
    monkeypatch.undo()
    assert not (tmp_path / "copy").exists()
    assert backup(tmp_path / "hub", tmp_path / "copy").ok


def no_index(rows: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """What makes the indexes when there is nothing to be found."""
    assert len(list(rows)) > 5
    return []


def old_hub(tmp_path: Path) -> Path:
    """A copy of the fixture of format 1."""
    return Path(shutil.copytree(OLD, tmp_path / "hub"))


def test_an_older_hub_is_refused_until_it_is_upgraded(tmp_path: Path) -> None:
    """G31: opening never upgrades; the error names what does; the copy made before stays as it was."""
    hub = old_hub(tmp_path)
    before = tree(hub)
    for refused in (LmdbStore.open, verify, lambda path: backup(path, tmp_path / "copy")):
        with pytest.raises(FormatMismatch, match=r"durio\.orchestration\.upgrade") as caught:
            refused(hub)
        assert (caught.value.found, caught.value.expected) == (1, FORMAT_VERSION)
    assert tree(hub) == before
    copy = upgrade(hub, no_index)
    assert copy is not None
    assert copy == f"{hub}.format-1"
    assert json.loads((hub / "durio.json").read_bytes())["format"] == FORMAT_VERSION
    assert json.loads((Path(copy) / "durio.json").read_bytes())["format"] == 1
    assert verify(hub).ok
    data = rows(hub)
    assert len(data) > 5
    assert upgrade(hub, no_index) is None
    assert upgrade(Path(copy), no_index) == f"{copy}.format-1"
    assert rows(Path(copy)) == data


@pytest.mark.parametrize("moment", ["copied", "migrated"])
def test_an_upgrade_that_was_cut_short_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str) -> None:
    """G32: killed before or after its transaction, an upgrade can be called again, and its copy stays."""
    hub = old_hub(tmp_path)

    class PowerCut(BaseException):
        pass

    def die(*_: object, **__: object) -> None:
        raise PowerCut

    with monkeypatch.context() as patch:
        if moment == "migrated":
            upgrade_copy = f"{hub}.format-1"
            assert (
                upgrade(Path(shutil.copytree(OLD, tmp_path / "first")), no_index, backup=upgrade_copy) == upgrade_copy
            )
        if moment == "copied":
            patch.setattr(sys.modules["durio.storage.upgrade"], "_migrate", die)
        else:
            patch.setattr(HubFolder, "declare", die)
        with pytest.raises(PowerCut):
            upgrade(hub, no_index)
    with pytest.raises(FormatMismatch):
        LmdbStore.open(hub)
    assert upgrade(hub, no_index) == f"{hub}.format-1"
    assert verify(hub).ok
    assert len(rows(hub)) > 5


def test_an_upgrade_refuses_what_it_cannot_do(tmp_path: Path) -> None:
    """G31: a hub of the future or of a forgotten format, one in use, no hub, a place for the copy that is taken."""
    hub = old_hub(tmp_path)
    (tmp_path / "hub.format-1").write_text("mine")
    with pytest.raises(FileExistsError):
        upgrade(hub, no_index)
    for version in (0, FORMAT_VERSION + 1):
        (hub / "durio.json").write_text(json.dumps({"format": version, "product": "durio"}))
        with pytest.raises(FormatMismatch):
            upgrade(hub, no_index)
    with pytest.raises(NotAHub):
        upgrade(tmp_path, no_index)
    (hub / "durio.json").write_text(json.dumps({"format": 1, "product": "durio"}))
    lock = OwnerLock.take(str(hub / "owner.lock"), str(hub))
    with pytest.raises(HubInUse):
        upgrade(hub, no_index)
    lock.release()


def test_data_of_another_format_than_the_hub_says_are_refused(tmp_path: Path) -> None:
    """G31: durio.json alone makes no hub of another format."""
    hub = tmp_path / "hub"
    make_hub(hub)
    put_raw(hub, FORMAT_KEY, None)
    with pytest.raises(FormatMismatch) as caught:
        LmdbStore.open(hub)
    assert caught.value.found == 1
    put_raw(hub, FORMAT_KEY, b"x")
    with pytest.raises((CorruptRecord, HubDamaged)):
        LmdbStore.open(hub)


def test_the_older_hub_is_what_its_script_makes() -> None:
    """The fixture has no mark of its format in its data, as durio then wrote it."""
    with lmdb.open(str(OLD / "0"), readonly=True, lock=False) as env, env.begin() as txn:
        assert txn.get(FORMAT_KEY) is None
        assert txn.stat()["entries"] > 5


def test_a_backup_tells_how_far_it_is(tmp_path: Path) -> None:
    """Bytes of the copy as it grows, of as many as it gets; then records of as many as there are."""
    make_hub(tmp_path / "hub")
    told: list[tuple[str, int, int]] = []
    report = backup(tmp_path / "hub", tmp_path / "copy", progress=lambda *far: told.append(far))
    copied = [far for far in told if far[0] == COPIED]
    size = (tmp_path / "copy" / "0" / "data.mdb").stat().st_size
    assert copied[-1] == (COPIED, size, size)
    assert all(done <= total for _, done, total in told)
    assert told[-1] == (CHECKED, report.records, report.records)


def test_an_upgrade_tells_how_far_it_is(tmp_path: Path) -> None:
    """The copy, its check, and the records that are upgraded."""
    shutil.copytree(OLD, tmp_path / "hub")
    told: list[tuple[str, int, int]] = []
    upgrade(tmp_path / "hub", list, progress=lambda *far: told.append(far))
    assert list(dict.fromkeys(what for what, _, _ in told)) == [COPIED, STRUCTURE, CHECKED, UPGRADED]
    assert all(0 <= done <= total for _, done, total in told)
