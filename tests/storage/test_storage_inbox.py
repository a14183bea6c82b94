"""The inbox, bells, and readers: what processes use that do not own a hub."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import lmdb
import pytest

from durio.storage import (
    Bell,
    CorruptRecord,
    HubBroken,
    HubClosed,
    HubReader,
    Inbox,
    InboxHeld,
    LmdbStore,
    NotAHub,
    OwnerLock,
    WriteSet,
    is_heard,
    ring,
    u64,
)
from durio.storage import inbox as inbox_module
from durio.storage.limits import INBOX_ROWS_MAX

ALL = 1 << 30

APPENDER = """
import signal, sys
from durio.storage import Inbox
inbox = Inbox.open(sys.argv[1])
for n in range(1, int(sys.argv[3]) + 1):
    print(inbox.append([f"{sys.argv[2]} {n}".encode()], 0, 60.0), n, flush=True)
signal.pause()
"""

STOPPED = """
import fcntl, os, signal, sys
from durio.storage import Inbox
inbox = Inbox.open(sys.argv[1])
with inbox._turn(float("inf")):
    print("held", flush=True)
    os.kill(os.getpid(), signal.SIGSTOP)
"""


def make(hub: Path) -> None:
    """A hub that somebody has owned."""
    LmdbStore.open(hub).close()


@contextlib.contextmanager
def appender(hub: Path, name: str, rows_max: int) -> Iterator[subprocess.Popen[str]]:
    """A process that appends rows called `name` and prints their numbers; killed at the end."""
    command = [sys.executable, "-c", APPENDER, str(hub), name, str(rows_max)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as client:
        try:
            yield client
        finally:
            client.kill()


def lines_until_killed(client: subprocess.Popen[str], lines: int) -> list[str]:
    """The whole lines that `client` printed, killed once so many were read."""
    assert client.stdout is not None
    text = "".join(client.stdout.readline() for _ in range(lines))
    client.kill()
    text += client.stdout.read()
    return [line for line in text.splitlines(keepends=True) if line.endswith("\n")]


def rows(inbox: Inbox, after: int = 0) -> list[tuple[int, object]]:
    """What waits."""
    return list(inbox.after(after, 1_000_000, ALL))


def test_rows_are_numbered_and_read_in_order(tmp_path: Path) -> None:
    """G4: rows come in the order in which they were made durable, a bounded number at a time."""
    make(tmp_path)
    inbox = Inbox.open(tmp_path)
    assert rows(inbox) == []
    assert inbox.append([b"a", b"b"], 0, 1.0) == 2
    assert inbox.append([b"c"], 0, 1.0) == 3
    assert rows(inbox) == [(1, b"a"), (2, b"b"), (3, b"c")]
    assert inbox.after(1, 1, ALL) == [(2, b"b")]
    assert [number for number, _ in inbox.after(0, 10, 1)] == [1]
    inbox.close()
    with pytest.raises(HubClosed):
        inbox.after(0, 1, ALL)
    assert rows(Inbox.open(tmp_path)) == [(1, b"a"), (2, b"b"), (3, b"c")]


def test_rows_that_were_taken_go_and_their_numbers_never_come_again(tmp_path: Path) -> None:
    """G3: numbers only grow, also when the inbox is empty, and when it was lost and the owner remembers more."""
    make(tmp_path)
    inbox = Inbox.open(tmp_path)
    inbox.append([b"a", b"b", b"c"], 0, 1.0)
    assert inbox.append([b"d"], 2, 1.0) == 4
    assert rows(inbox) == [(3, b"c"), (4, b"d")]
    assert inbox.append([b"e"], 4, 1.0) == 5
    assert inbox.append([b"f"], 90, 1.0) == 91
    assert rows(inbox) == [(91, b"f")]


def test_an_inbox_that_is_full_refuses_until_rows_are_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows and bytes that wait are bounded; one row always fits, and what is taken makes room."""
    monkeypatch.setattr(inbox_module, "INBOX_ROWS_MAX", 3)
    monkeypatch.setattr(inbox_module, "INBOX_BYTES_MAX", 100)
    make(tmp_path)
    inbox = Inbox.open(tmp_path)
    assert inbox.append([b"x" * 200], 0, 1.0) == 1
    assert inbox.append([b"y"], 0, 1.0) == 0, "the bytes"
    assert inbox.append([b"y"], 1, 1.0) == 2
    assert inbox.append([b"y", b"y"], 1, 1.0) == 4
    assert inbox.append([b"z"], 1, 1.0) == 0, "the rows"
    assert inbox.append([b"z"], 2, 1.0) == 5
    assert [number for number, _ in rows(inbox)] == [3, 4, 5]


def test_a_damaged_row_hides_no_other(tmp_path: Path) -> None:
    """G32: a row that does not fit its checksum is seen as that, and those behind it are read."""
    make(tmp_path)
    inbox = Inbox.open(tmp_path)
    inbox.append([b"a", b"b", b"c"], 0, 1.0)
    with inbox._lease.env.begin(write=True) as txn:
        txn.put(b"r" + u64(2), b"scribble")
    found = rows(inbox)
    assert [row for _, row in found if isinstance(row, bytes)] == [b"a", b"c"]
    assert isinstance(found[1][1], CorruptRecord)


def test_clients_that_are_killed_lose_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    """G3: every number that a killed process printed is there with its row, and no number twice."""
    make(tmp_path)
    inbox = Inbox.open(tmp_path)
    seed = int.from_bytes(os.urandom(4), "big")
    print(f"seed {seed}")
    chance, told = random.Random(seed), dict[int, bytes]()
    turns, each = 4, INBOX_ROWS_MAX // 10  # so that all of them together never fill the inbox
    for turn in range(turns):
        names = [f"{turn}{letter}" for letter in "ab"]
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(appender(tmp_path, name, each)) for name in names]
            for client, name in zip(clients, names, strict=True):
                for line in lines_until_killed(client, chance.randint(1, 60)):
                    number, n = line.split()
                    assert int(number) not in told
                    told[int(number)] = f"{name} {n}".encode()
    found = dict(rows(inbox))
    assert {number: found[number] for number in told} == told
    assert list(found) == list(range(1, len(found) + 1))


def test_a_stopped_client_is_named_and_does_not_hide_the_rows(tmp_path: Path) -> None:
    """Whoever is stopped in the middle of a write holds up other writers, who are told its pid; readers go on."""
    make(tmp_path)
    inbox = Inbox.open(tmp_path)
    inbox.append([b"a"], 0, 1.0)
    with subprocess.Popen([sys.executable, "-c", STOPPED, str(tmp_path)], stdout=subprocess.PIPE, text=True) as client:
        try:
            assert client.stdout is not None
            assert client.stdout.readline() == "held\n"
            with pytest.raises(InboxHeld) as caught:
                inbox.append([b"b"], 0, 0.05)
            assert caught.value.pid == client.pid
            assert rows(inbox) == [(1, b"a")]
        finally:
            client.send_signal(signal.SIGKILL)
    assert inbox.append([b"b"], 0, 1.0) == 2


def test_a_bell_wakes_and_is_only_a_hint(tmp_path: Path) -> None:
    """To ring never blocks and never fails: nobody there, a dead listener, a full pipe."""
    path = str(tmp_path / "bell")
    assert not ring(path)
    bell = Bell.hang(path)
    assert is_heard(path)
    for _ in range(100_000):
        assert ring(path)
    bell.drain()
    with pytest.raises(BlockingIOError):
        os.read(bell.fd, 1)
    again = Bell.hang(path)
    assert ring(path)
    assert os.read(again.fd, 10) == b"."
    again.take_down()
    again.take_down()
    assert not ring(path)
    assert os.listdir(tmp_path) == []
    bell.take_down()


def test_a_reader_sees_the_last_commit_and_changes_nothing(tmp_path: Path) -> None:
    """G14: with an owner in another handle of this process, without one, and with one that comes and goes."""
    with pytest.raises(NotAHub, match="no owner has opened it yet"):
        HubReader.open(tmp_path / "hub")
    with LmdbStore.open(tmp_path / "hub") as store:
        reader = HubReader.open(tmp_path / "hub")
        store.commit(WriteSet(((b"k", b"1"),)))
        assert reader.get(b"k") == b"1"
    assert reader.scan(b"a") == [(b"k", b"1")]
    other = HubReader.open(tmp_path / "hub")
    with LmdbStore.open(tmp_path / "hub") as store:
        store.commit(WriteSet(((b"k", b"2"),)))
        assert reader.get(b"k") == other.get(b"k") == b"2"
        reader.close()
        reader.close()
        assert other.get(b"k") == b"2"
    other.close()
    with pytest.raises(HubClosed):
        other.get(b"k")
    alone = HubReader.open(tmp_path / "hub")
    assert alone.get(b"k") == b"2"
    assert alone.get(b"\x00meta") is None
    with pytest.raises(lmdb.ReadonlyError), alone._lease.env.begin(write=True):
        pass
    alone.close()


def test_an_owner_that_cannot_open_leaves_readers_with_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """G32: when LMDB cannot be opened for the owner, readers of the same process are told; later all is well."""
    make(tmp_path)
    reader = HubReader.open(tmp_path)

    def fail(folder: str) -> lmdb.Environment:
        raise HubBroken("no")

    with monkeypatch.context() as patch:
        patch.setattr("durio.storage.store.open_environment", fail)
        with pytest.raises(HubBroken, match="no"):
            LmdbStore.open(tmp_path)
    with pytest.raises(HubBroken, match="could not be opened again"):
        reader.get(b"k")
    with LmdbStore.open(tmp_path):
        assert reader.get(b"k") is None
    reader.close()


def test_one_can_ask_who_owns_a_hub_without_getting_in_the_way(tmp_path: Path) -> None:
    """G1: the pid while somebody holds the lock, None before and after; to ask takes no lock."""
    path = str(tmp_path / "owner.lock")
    assert OwnerLock.holder(path) is None
    lock = OwnerLock.take(path, "hub")
    assert OwnerLock.holder(path) == os.getpid()
    lock.release()
    assert OwnerLock.holder(path) is None
