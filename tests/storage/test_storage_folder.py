"""G31: a folder that is no hub, of another format or on a network file system is refused and left alone."""

import json
import os
from pathlib import Path

import lmdb
import pytest

from durio.storage import FORMAT_VERSION, FormatMismatch, HubFolder, LmdbStore, NetworkFileSystem, NotAHub, WriteSet
from durio.storage.mounts import fs_type_of, read_mount_table

MOUNT_TABLE = r"""
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
23 22 0:21 / /proc rw - proc proc rw
30 22 0:40 / /net rw shared:5 master:1 - nfs4 server:/export rw,vers=4.2
31 30 8:2 / /net/local rw - xfs /dev/sdb1 rw
32 22 0:41 / /my\040share rw - cifs //server/share rw
33 22 0:42 / /covered rw - ext4 /dev/sdc1 rw
34 33 0:43 / /covered rw - fuse.sshfs me@host: rw
not a line of a mount table
"""


def tree(path: Path) -> dict[str, bytes | None]:
    """Every file below a folder with its bytes."""
    return {str(p.relative_to(path)): p.read_bytes() if p.is_file() else None for p in sorted(path.rglob("*"))}


@pytest.mark.parametrize(
    ("path", "fs_type"),
    [
        ("/home/me/hub", "ext4"),
        ("/net", "nfs4"),
        ("/net/hub", "nfs4"),
        ("/network/hub", "ext4"),
        ("/net/local/hub", "xfs"),
        ("/my share/hub", "cifs"),
        ("/covered/hub", "fuse.sshfs"),
    ],
)
def test_the_longest_mount_point_above_a_path_decides(path: str, fs_type: str) -> None:
    """The type comes from the mount that holds the path; a later mount covers an earlier one."""
    assert fs_type_of(path, MOUNT_TABLE) == fs_type


def test_no_mount_table_says_nothing() -> None:
    """Where the system has no table, no type is known."""
    assert fs_type_of("/hub", "") is None


def test_the_real_mount_table_knows_the_root() -> None:
    """The table of this machine is in the format that is read."""
    table = read_mount_table()
    assert fs_type_of("/", table) is not None if table else True


@pytest.mark.parametrize("fs_type", ["nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs", "ceph", "lustre"])
def test_a_network_file_system_is_refused(tmp_path: Path, fs_type: str) -> None:
    """No hub is made where locks cannot be trusted."""
    hub = HubFolder.at(tmp_path / "hub")
    with pytest.raises(NetworkFileSystem) as caught:
        hub.check(f"1 0 0:1 / {tmp_path} rw - {fs_type} server:/x rw")
    assert caught.value.fs_type == fs_type
    assert tree(tmp_path) == {}


def test_a_symbolic_link_is_judged_by_its_target(tmp_path: Path) -> None:
    """A local link to a network folder is a network folder."""
    (tmp_path / "net").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "net")
    with pytest.raises(NetworkFileSystem):
        HubFolder.at(tmp_path / "link" / "hub").check(f"1 0 0:1 / {tmp_path}/net rw - nfs server:/x rw")


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({"notes.txt": b"mine"}, "notes.txt"),
        ({"0/data.mdb": b"mine"}, "durio.json is gone"),
        ({"0": b"a file"}, "durio.json is gone"),
        ({"durio.json": b""}, "cannot be read"),
        ({"durio.json": b"\xff\xfe{"}, "cannot be read"),
        ({"durio.json": b"[" * 60_000}, "cannot be read"),
        ({"durio.json": b"[1, 2]"}, "does not say"),
        ({"durio.json": b'{"format": 1}'}, "does not say"),
        ({"durio.json": b'{"format": "1", "product": "durio"}'}, "does not say"),
        ({"durio.json": b'{"format": 1, "product": "other"}'}, "does not say"),
        ({"durio.json/x": b""}, "is a folder"),
    ],
)
def test_a_folder_of_something_else_is_refused_and_left_alone(
    tmp_path: Path, files: dict[str, bytes], why: str
) -> None:
    """`NotAHub` says why, and not a byte has changed."""
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    before = tree(tmp_path)
    with pytest.raises(NotAHub, match=why) as caught:
        LmdbStore.open(tmp_path)
    assert caught.value.path == str(tmp_path)
    assert tree(tmp_path) == before


def test_a_file_is_no_hub(tmp_path: Path) -> None:
    """A path that is a file, or goes through one, is refused."""
    (tmp_path / "file").write_bytes(b"mine")
    for path in (tmp_path / "file", tmp_path / "file" / "hub"):
        with pytest.raises(NotAHub, match="no folder"):
            LmdbStore.open(path)
    assert tree(tmp_path) == {"file": b"mine"}


@pytest.mark.parametrize("found", [0, 1, 2, FORMAT_VERSION + 1, 99])
def test_a_hub_of_another_format_is_refused_and_left_alone(tmp_path: Path, found: int) -> None:
    """`FormatMismatch` names both formats."""
    (tmp_path / "durio.json").write_text(json.dumps({"format": found, "product": "durio"}))
    before = tree(tmp_path)
    with pytest.raises(FormatMismatch) as caught:
        LmdbStore.open(tmp_path)
    assert (caught.value.found, caught.value.expected) == (found, FORMAT_VERSION)
    assert tree(tmp_path) == before


def test_missing_folders_are_made(tmp_path: Path) -> None:
    """A hub is made where there was none, with its folders."""
    LmdbStore.open(tmp_path / "a" / "b" / "hub").close()
    names = sorted(tree(tmp_path / "a" / "b" / "hub"))
    files = ["ballast", "closed.json", "durio.json", "owner.lock", "running"]
    assert names == ["0", "0/data.mdb", "0/lock.mdb", *files]
    marker = json.loads((tmp_path / "a" / "b" / "hub" / "durio.json").read_bytes())
    assert marker == {"format": FORMAT_VERSION, "product": "durio"}


class PowerCut(BaseException):
    """Ends the making of a hub at a chosen call."""


@pytest.mark.parametrize("survivors", range(12))
def test_a_hub_whose_making_was_cut_short_opens_next_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, survivors: int
) -> None:
    """A crash at any file operation of a new hub leaves something that opens fine (G1, G31)."""
    calls = 0

    def cut(name: str) -> None:
        real = getattr(os, name)

        def counted(*args: object, **options: object) -> object:
            nonlocal calls
            calls += 1
            if calls > survivors:
                raise PowerCut
            return real(*args, **options)

        monkeypatch.setattr(os, name, counted)

    for name in ("mkdir", "fsync", "rename", "posix_fallocate"):
        cut(name)
    try:
        LmdbStore.open(tmp_path / "hub").close()
    except PowerCut:
        pass
    else:
        assert calls <= survivors
    monkeypatch.undo()
    with LmdbStore.open(tmp_path / "hub") as store:
        assert store.commit(WriteSet(((b"k", b"v"),))) == 1
    with LmdbStore.open(tmp_path / "hub") as store:
        assert store.get(b"k") == b"v"


def test_data_of_something_else_in_the_partition_is_refused(tmp_path: Path) -> None:
    """An LMDB environment that durio did not write is not taken over."""
    (tmp_path / "0").mkdir()
    with lmdb.open(str(tmp_path / "0")) as env, env.begin(write=True) as txn:
        txn.put(b"k", b"mine")
    (tmp_path / "durio.json").write_text(json.dumps({"format": FORMAT_VERSION, "product": "durio"}))
    with pytest.raises(NotAHub, match="something else"):
        LmdbStore.open(tmp_path)
    with lmdb.open(str(tmp_path / "0")) as env, env.begin() as txn:
        assert list(txn.cursor()) == [(b"k", b"mine")]
