"""One owner over processes, forks and deaths; acknowledged commits outlive all of them."""

import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from durio.storage import HubInUse, LmdbStore, NoSpace, OwnerLock, WriteSet

COMMITTER = """
import sys
from durio.storage import LmdbStore, WriteSet, u64
store = LmdbStore.open(sys.argv[1])
n = store.last_commit
while True:
    n += 1
    number = store.commit(WriteSet(((b"a" + u64(n), b"x" * 3000), (b"b" + u64(n), b"y"), (b"last", u64(n)))))
    assert number == n
    print(n, flush=True)
"""

HOLDER = """
import sys
from durio.storage import LmdbStore
store = LmdbStore.open(sys.argv[1])
print("open", flush=True)
sys.stdin.read()
"""

FORKER = """
import os, signal, sys
from durio.storage import LmdbStore, WriteSet
store = LmdbStore.open(sys.argv[1])
store.commit(WriteSet(((b"k", b"v"),)))
done, tell = os.pipe()
if os.fork() == 0:
    for call in (lambda: store.get(b"k"), lambda: store.scan(b""), lambda: store.commit(WriteSet()),
                 lambda: store.has_commit(1), store.close):
        try:
            print("allowed", call(), flush=True)
        except Exception as error:
            right = vars(error) == {"pid": os.getpid(), "owner_pid": os.getppid()}
            print(type(error).__name__, right, flush=True)
    print(os.getpid(), flush=True)
    os.write(tell, b".")
    sys.stdin.read()
    os._exit(0)
os.read(done, 1)
os.kill(os.getpid(), signal.SIGKILL)
"""

FORK_AND_GO_ON = """
import os, sys
from durio.storage import HubInUse, LmdbStore, WriteSet
store = LmdbStore.open(sys.argv[1])
if os.fork() == 0:
    sys.exit(0)
assert os.wait()[1] == 0
try:
    LmdbStore.open(sys.argv[1])
except HubInUse as error:
    assert error.pid == os.getpid()
    print(store.commit(WriteSet(((b"k", b"v"),))), flush=True)
"""

LIMITED = """
import resource, sys
from durio.storage import HubBroken, LmdbStore, WriteSet
store = LmdbStore.open(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, resource.RLIM_INFINITY))
try:
    while True:
        print(store.commit(WriteSet(((b"k%d" % store.last_commit, b"x" * 50_000),))), flush=True)
except HubBroken:
    pass
try:
    store.get(b"k0")
except HubBroken:
    store.close()
    print("broken", flush=True)
"""

OPENER = """
import sys
from durio.storage import LmdbStore, NoSpace
try:
    LmdbStore.open(sys.argv[1])
except NoSpace as error:
    print("no space", error.path)
"""


def start(script: str, hub: Path) -> "subprocess.Popen[str]":
    """A process that runs a script on a hub."""
    return subprocess.Popen(
        [sys.executable, "-c", script, str(hub)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def test_a_second_owner_in_the_same_process_is_refused_with_the_pid(tmp_path: Path) -> None:
    """G1: two opens of a hub in one process are two owners, through any name of the folder."""
    (tmp_path / "link").symlink_to(tmp_path / "hub")
    with LmdbStore.open(tmp_path / "hub") as store:
        for path in (tmp_path / "hub", tmp_path / "link"):
            with pytest.raises(HubInUse) as caught:
                LmdbStore.open(path)
            assert (caught.value.path, caught.value.pid) == (str(tmp_path / "hub"), os.getpid())
        assert store.commit(WriteSet()) == 1
    with LmdbStore.open(tmp_path / "hub") as store:
        assert store.epoch == 2


def test_a_second_owner_in_another_process_is_refused_until_the_first_dies(tmp_path: Path) -> None:
    """G1: `HubInUse` names the process; its death, by kill -9, frees the hub at once."""
    with start(HOLDER, tmp_path) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "open\n"
        with pytest.raises(HubInUse) as caught:
            LmdbStore.open(tmp_path)
        assert caught.value.pid == owner.pid
        owner.kill()
        owner.wait()
        with LmdbStore.open(tmp_path) as store:
            assert store.epoch == 2


def test_a_released_lock_names_nobody(tmp_path: Path) -> None:
    """The pid of a former owner is never reported for another one."""
    file = str(tmp_path / "lock")
    OwnerLock.take(file, "hub").release()
    assert (tmp_path / "lock").read_bytes().strip() == b""
    lock = OwnerLock.take(file, "hub")
    with pytest.raises(HubInUse) as caught:
        OwnerLock.take(file, "hub")
    assert caught.value.pid == os.getpid()
    lock.release()
    lock.release()


def test_a_forked_child_can_use_nothing_and_keeps_no_lock(tmp_path: Path) -> None:
    """G1: every call in the child is `UsedAfterFork`; the owner's death frees the hub."""
    with start(FORKER, tmp_path) as owner:
        assert owner.stdout is not None
        assert owner.stdin is not None
        lines = [owner.stdout.readline() for _ in range(6)]
        assert owner.wait() == -9
        assert lines[:5] == ["UsedAfterFork True\n"] * 5
        os.kill(int(lines[5]), 0)
        with LmdbStore.open(tmp_path) as store:
            assert (store.epoch, store.get(b"k")) == (2, b"v")
        owner.stdin.close()
        assert owner.stdout.read() == ""


def test_the_exit_of_a_forked_child_takes_nothing_from_the_owner(tmp_path: Path) -> None:
    """G1: after a child came and went the parent still has the lock and commits."""
    with start(FORK_AND_GO_ON, tmp_path) as owner:
        assert owner.communicate()[0] == "1\n"
    with LmdbStore.open(tmp_path) as store:
        assert store.get(b"k") == b"v"


@pytest.mark.parametrize("acknowledged", [0, 1, 7, 60, 200])
def test_kill_9_keeps_a_prefix_of_commits_with_all_acknowledged_ones(tmp_path: Path, acknowledged: int) -> None:
    """G2, G32: after kill -9 at any moment commits are whole and no acknowledged one is lost."""
    for life in range(1, 4):
        with start(COMMITTER, tmp_path) as owner:
            assert owner.stdout is not None
            numbers = [int(owner.stdout.readline()) for _ in range(acknowledged)]
            owner.kill()
            numbers += [int(line) for line in owner.stdout if line.endswith("\n")]
        if not (tmp_path / "0").exists():
            continue
        with LmdbStore.open(tmp_path) as store:
            last = store.last_commit
            assert last - (numbers[-1] if numbers else last) in (0, 1)
            assert store.has_commit(last)
            assert not store.has_commit(last + 1)
            rows = [key for key, _ in store.scan(b"a", b"c")]
            assert rows == [side + n.to_bytes(8, "big") for side in (b"a", b"b") for n in range(1, last + 1)], life
            assert store.get(b"last") == (last.to_bytes(8, "big") if last else None)


def test_a_real_write_error_breaks_the_hub_and_loses_nothing(tmp_path: Path) -> None:
    """G32: a write error with room on disk is `HubBroken`; everything acknowledged stays."""
    with start(LIMITED, tmp_path) as owner:
        *numbers, end = owner.communicate()[0].split()
    assert end == "broken"
    assert numbers
    with LmdbStore.open(tmp_path) as store:
        assert store.last_commit == len(numbers)
        assert not store.has_commit(len(numbers) + 1)
        assert len(store.scan(b"")) == len(numbers)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MiB; skipped where this process may not mount one."""
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "durio-test", str(tmp_path)], capture_output=True)
    if mount.returncode:
        pytest.skip("needs the right to mount a tmpfs")
    try:
        yield tmp_path
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_a_full_disk_refuses_and_goes_on_when_there_is_room(small_disk: Path) -> None:
    """G32: no space is `NoSpace`; what is acknowledged stays, and the handle goes on with room again."""
    with LmdbStore.open(small_disk / "hub") as store:
        with pytest.raises(NoSpace):
            while True:
                store.commit(WriteSet(((b"k%d" % store.last_commit, b"x" * 100_000),)))
        kept = store.last_commit
        assert kept > 10
        assert store.has_commit(kept)
        assert not store.has_commit(kept + 1)
        assert len(store.scan(b"")) == kept
        subprocess.run(["mount", "-o", "remount,size=16m", str(small_disk)], check=True)
        assert store.commit(WriteSet(((b"more", b"x" * 1_000_000),))) == kept + 1
    with LmdbStore.open(small_disk / "hub") as store:
        assert len(store.scan(b"")) == kept + 1


def test_a_new_hub_on_a_full_disk_is_refused_not_killed(small_disk: Path) -> None:
    """G32: LMDB writes its lock file through a map, where a full disk would be SIGBUS."""
    for left_bytes in (0, 4096, 40_960, 73_728):
        filler = small_disk / "filler"
        stat = os.statvfs(small_disk)
        with filler.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, stat.f_bavail * stat.f_frsize - left_bytes)
        with start(OPENER, small_disk / "hub") as owner:
            assert owner.communicate()[0].startswith("no space"), left_bytes
            assert owner.returncode == 0
        filler.unlink()
    with LmdbStore.open(small_disk / "hub") as store:
        assert store.commit(WriteSet()) == 1


def test_limited_address_space_opens_with_a_smaller_map(tmp_path: Path) -> None:
    """G32: where 1 TiB of address space is not to be had the map is halved until it fits."""
    script = (
        "import resource, sys\n"
        "from durio.storage import LmdbStore, WriteSet\n"
        f"resource.setrlimit(resource.RLIMIT_AS, ({1 << 34}, {resource.RLIM_INFINITY}))\n"
        "store = LmdbStore.open(sys.argv[1])\n"
        "print(store.commit(WriteSet()), store._env.info()['map_size'] < 1 << 34)\n"
    )
    with start(script, tmp_path) as owner:
        assert owner.communicate()[0] == "1 True\n"
