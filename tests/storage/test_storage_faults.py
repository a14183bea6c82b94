"""G32: what a disk can do wrong, done to a real owner by a preloaded shim: no space, write errors, failed syncs."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path

import pytest

from durio.storage import LmdbStore
from tests.storage.faults import FaultyProcess

WORKER = Path(__file__).with_name("fault_worker.py")
COMMITS = ["small", "large"]

WRITE_ERRORS = [
    ("write", errno.EIO, "before"),
    ("write", errno.EIO, "after"),
    ("write", errno.EROFS, "before"),
    ("write", errno.ENODEV, "before"),
    ("write", errno.EIO, "short"),
    ("fdatasync", errno.EIO, "before"),
    ("fdatasync", errno.EIO, "after"),
]
META_ERRORS = [("meta", errno.EIO, "before"), ("meta", errno.EIO, "after"), ("meta", errno.EIO, "stuck")]


@pytest.fixture(scope="module")
def process() -> Iterator[FaultyProcess]:
    """One process for all tests: starting Python takes longer than they do."""
    with FaultyProcess(WORKER, files="/hub") as process:
        yield process


@pytest.fixture
def owner(process: FaultyProcess, tmp_path: Path) -> Iterator[FaultyProcess]:
    """An owner in a process of its own, with five commits, numbered from 1."""
    assert process.ask(f"open {tmp_path / 'hub'}") == "open"
    assert [process.ask(COMMITS[n % 2]) for n in range(5)] == [str(n + 1) for n in range(5)]
    yield process
    process.mend()


def check_whole(owner: FaultyProcess, hub: Path, acknowledged: int, *, maybe: int = 0) -> None:
    """After the owner has closed every acknowledged commit is there, and nothing else but `maybe` a last one."""
    assert owner.ask("close") == "closed"
    with LmdbStore.open(hub) as store:
        assert acknowledged <= store.last_commit <= acknowledged + maybe
        assert store.has_commit(acknowledged)
        values = [int.from_bytes(value[:8], "big") for _, value in store.scan(b"k", b"l")]
        assert values == list(range(1, store.last_commit + 1))


@pytest.mark.parametrize("commit", COMMITS)
@pytest.mark.parametrize(("call", "code", "how"), WRITE_ERRORS)
def test_a_failed_write_or_sync_breaks_the_hub(
    owner: FaultyProcess, tmp_path: Path, call: str, code: int, how: str, commit: str
) -> None:
    """G32: `HubBroken`, and the handle refuses everything, also when the disk works again; the next owner has all."""
    owner.fail(call, code, how)
    assert owner.ask(commit) == "HubBroken"
    assert owner.ask("count") == "HubBroken"
    owner.mend()
    assert owner.ask(commit) == "HubBroken"
    assert owner.ask("count") == "HubBroken"
    assert owner.ask("last") == "5"
    check_whole(owner, tmp_path / "hub", 5)


@pytest.mark.parametrize(("call", "code", "how"), META_ERRORS)
def test_a_failed_write_of_the_root_leaves_a_commit_open_until_the_hub_is_opened_again(
    owner: FaultyProcess, tmp_path: Path, call: str, code: int, how: str
) -> None:
    """G32: LMDB cannot say whether such a commit is on disk, so nobody is told that it is; the next owner knows."""
    owner.fail(call, code, how)
    assert owner.ask("large") == "Ambiguous"
    assert owner.ask("count") == "HubBroken"
    owner.mend()
    assert owner.ask("small") == "HubBroken"
    check_whole(owner, tmp_path / "hub", 5, maybe=1)


@pytest.mark.parametrize("commit", COMMITS)
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("call", ["write", "fdatasync"])
def test_without_room_the_same_owner_goes_on_when_there_is_room_again(
    owner: FaultyProcess, tmp_path: Path, call: str, code: int, commit: str
) -> None:
    """G32: `NoSpace` as often as it is tried; nothing of it is stored, everything before it is, and then it works."""
    owner.fail(call, code)
    assert [owner.ask(commit) for _ in range(3)] == ["NoSpace"] * 3
    assert owner.ask("count") == "5"
    assert not (tmp_path / "hub" / "ballast").exists()
    owner.mend()
    assert [owner.ask(commit), owner.ask("small"), owner.ask("large")] == ["6", "7", "8"]
    assert owner.ask("ballast") == "True"
    assert (tmp_path / "hub" / "ballast").exists()
    check_whole(owner, tmp_path / "hub", 8)


@pytest.mark.parametrize("skip", range(3))
@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC])
@pytest.mark.parametrize("call", ["write", "fdatasync", "meta", "fsync"])
def test_a_fault_while_a_hub_is_opened_leaves_it_as_it_was(
    owner: FaultyProcess, tmp_path: Path, call: str, code: int, skip: int
) -> None:
    """G32: an owner that cannot commit its epoch is refused; the next one has everything."""
    owner.ask("close")
    owner.fail(call, code, skip=skip)
    said = owner.ask(f"open {tmp_path / 'hub'}")
    # A root that cannot be written breaks LMDB's handle, whatever the reason.
    assert said in ("open", "HubBroken", "NoSpace")
    if skip == 0 and call != "fdatasync":
        assert said != "open"
    owner.mend()
    if said != "open":
        assert owner.ask(f"open {tmp_path / 'hub'}") == "open"
    check_whole(owner, tmp_path / "hub", 5)


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC])
@pytest.mark.parametrize("call", ["write", "fdatasync", "meta", "fsync", "fallocate"])
def test_a_fault_while_a_hub_is_made_leaves_nothing_that_cannot_be_opened(
    process: FaultyProcess, tmp_path: Path, call: str, code: int
) -> None:
    """G31, G32: whatever fails while a new hub is made, the next try makes it."""
    for skip in range(8):
        hub = tmp_path / f"hub{skip}"
        process.fail(call, code, skip=skip)
        said = process.ask(f"open {hub}")
        assert said in ("open", "HubBroken", "NoSpace")
        process.mend()
        if said != "open":
            assert process.ask(f"open {hub}") == "open"
        check_whole(process, hub, 0)
