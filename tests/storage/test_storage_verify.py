"""G32: a whole hub can be checked, a damaged one is refused, and none is repaired silently."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from durio.storage import (
    FORMAT_VERSION,
    CorruptRecord,
    FormatMismatch,
    HubDamaged,
    HubReader,
    LmdbStore,
    NotAHub,
    WriteSet,
    seal,
    u64,
    verify,
)
from durio.storage.checker import FAR_EACH
from durio.storage.datafile import DataFile
from durio.storage.keys import META_KEY
from durio.storage.limits import FINDINGS_MAX
from durio.storage.meta import Meta
from durio.storage.report import CHECKED, Finding, Report
from tests.storage.damage import PAGE_BYTES, copy_hub, cut, kill, make_hub, put_raw, scribble, tree


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed hub that nobody damages."""
    hub = tmp_path_factory.mktemp("template") / "hub"
    make_hub(hub)
    return hub


@pytest.fixture
def hub(template: Path, tmp_path: Path) -> Path:
    """A copy of it for one test."""
    return copy_hub(template, tmp_path / "hub")


def says(hub: Path, *parts: str) -> None:
    """`verify` finds something, and all the parts are in what it says; nothing is changed by it."""
    before = tree(hub)
    report = verify(hub)
    assert not report.ok
    for part in parts:
        assert part in str(report)
    assert tree(hub) == before


def refuses(hub: Path, *parts: str) -> None:
    """Opening is refused, and nothing is changed by it."""
    before = tree(hub)
    with pytest.raises(HubDamaged) as caught:
        LmdbStore.open(hub)
    for part in parts:
        assert part in str(caught.value)
    assert tree(hub) == before


def refuses_or_is_whole(hub: Path, expected: list[tuple[bytes, bytes]]) -> bool:
    """What is not refused has lost nothing: the damage was where no data are. True if it was refused."""
    before = tree(hub)
    try:
        store = LmdbStore.open(hub)
    except HubDamaged:
        assert tree(hub) == before
        return True
    with store:
        assert store.scan(b"") == expected
    return False


def test_a_healthy_hub_has_no_findings_and_is_left_as_it_is(hub: Path) -> None:
    """All records are read; the hub opens afterwards."""
    before = tree(hub)
    report = verify(hub)
    assert tree(hub) == before
    with LmdbStore.open(hub) as store:
        assert report == Report(str(hub), len(store.scan(b"")) + 2), "the store's own: its epoch, its format"
    assert "nothing is wrong" in str(report)


def test_an_open_hub_is_checked_as_of_its_last_commit(hub: Path) -> None:
    """The owner goes on meanwhile, in this process or another; the report says that it was open."""
    with LmdbStore.open(hub) as store:
        for number in range(3):
            store.commit(WriteSet(((b"more%d" % number, b"x"),)))
            report = verify(hub)
            assert (report.ok, report.in_use) == (True, True)
            assert report.records == len(store.scan(b"")) + 2


@pytest.mark.parametrize(
    ("record", "why"),
    [(b"", "too few"), (b"\x02" + b"x" * 20, "version 2"), (b"\x01" + b"x" * 20, "checksum")],
)
def test_a_damaged_record_is_named_by_its_key(hub: Path, record: bytes, why: str) -> None:
    """What does not fit its checksum is found, and the other records are still looked at."""
    put_raw(hub, b"k" + u64(3), record)
    put_raw(hub, b"zz", seal(b"other key", b"moved"))
    says(hub, repr(b"k" + u64(3)), why, repr(b"zz"))
    refuses(hub, repr(b"k" + u64(3)))


def test_findings_are_bounded_and_the_others_counted(hub: Path) -> None:
    """A hub with a thousand damaged records gives a short report."""
    for number in range(FINDINGS_MAX + 7):
        put_raw(hub, b"bad%d" % number, b"x")
    report = verify(hub)
    assert (len(report.findings), report.hidden) == (FINDINGS_MAX, 7)
    assert "and 7 more" in str(report)


def test_the_stores_own_record_is_checked(hub: Path) -> None:
    """A missing or impossible epoch is found, and so is a record of the store's that it never writes."""
    put_raw(hub, b"\x00other", b"x")
    put_raw(hub, META_KEY, Meta(0, 7).record())
    says(hub, repr(META_KEY), "epoch 0", repr(b"\x00other"))
    put_raw(hub, META_KEY, None)
    says(hub, repr(META_KEY), "missing")


def test_a_file_that_is_cut_is_refused(hub: Path) -> None:
    """G32: a cut file would kill its reader; it is checked in a child, named, and never opened."""
    whole = (hub / "0" / "data.mdb").stat().st_size
    for length in (whole // 2, 2 * PAGE_BYTES, 5000, 1):
        cut(hub, length)
        says(hub, "data.mdb")
        refuses(hub, "data.mdb")
    cut(hub, 0)
    says(hub, "data.mdb", "empty")
    refuses(hub, "data.mdb", "empty")
    (hub / "0" / "data.mdb").unlink()
    says(hub, "data.mdb", "missing")
    refuses(hub, "data.mdb", "missing")


def test_a_file_cut_after_its_owner_was_killed_is_refused(hub: Path) -> None:
    """G32: without any mark the length alone gives cause for doubt."""
    kill(hub)
    cut(hub, (hub / "0" / "data.mdb").stat().st_size // 2)
    refuses(hub, "data.mdb")
    os.truncate(hub / "0" / "data.mdb", 0)
    refuses(hub, "empty")


@pytest.mark.parametrize("killed", [False, True])
@pytest.mark.parametrize("offset", [0, 8, 16, 20, 40, 64 + 100, 16 + 128, PAGE_BYTES + 16 + 128, PAGE_BYTES + 12])
def test_scribbled_roots_are_refused_or_harmless(hub: Path, offset: int, killed: bool) -> None:
    """G32: no scribble on LMDB's two roots loses the last commit unseen, also when the owner was killed."""
    with LmdbStore.open(hub) as store:
        expected = store.scan(b"")
    if killed:
        kill(hub)
    scribble(hub, offset, b"\xa5" * 8)
    refuses_or_is_whole(hub, expected)


def test_a_closed_hub_that_is_scribbled_on_is_refused(hub: Path) -> None:
    """G32: a file that was changed since its owner closed it is checked before anything of it is read."""
    with LmdbStore.open(hub) as store:
        expected = store.scan(b"")
    pages = range(2, (hub / "0" / "data.mdb").stat().st_size // PAGE_BYTES, 4)
    refused = 0
    for page in pages:
        other = copy_hub(hub, hub.with_name(f"hub{page}"))
        scribble(other, page * PAGE_BYTES + 8, b"\xff" * 24)
        refused += refuses_or_is_whole(other, expected)
    assert refused > 1


def test_a_reader_that_dies_is_a_finding(hub: Path) -> None:
    """G32: whatever ends the child that reads, a signal or an error, this process goes on and says it."""
    report = verify(hub, checker="tests.storage.dying_checker")
    assert [finding.where for finding in report.findings] == ["data.mdb", "data.mdb"]
    assert "SIGBUS" in report.findings[1].why
    report = verify(copy_hub(hub, hub.with_name("error")), checker="tests.storage.dying_checker")
    assert "told to fail" in report.findings[1].why


def test_an_open_hub_whose_file_is_cut_kills_only_the_child(hub: Path) -> None:
    """G32: the one check that has to read through a map dies alone."""
    with LmdbStore.open(hub):
        cut(hub, 4 * PAGE_BYTES)
        report = verify(hub)
        assert report.in_use
        assert "SIGBUS" in str(report) or "CORRUPTED" in str(report)


def test_a_hub_that_broke_is_checked_when_it_is_opened_again(hub: Path) -> None:
    """G32: reopened with verify: with damage it is refused, without it opens and works."""
    store = LmdbStore.open(hub)
    store._broken = "told to"
    store.close()
    assert json.loads((hub / "closed.json").read_bytes()) == {"clean": False, "why": "told to"}
    damaged = copy_hub(hub, hub.with_name("damaged"))
    put_raw(damaged, b"bad", b"x")
    refuses(damaged, repr(b"bad"))
    with LmdbStore.open(hub) as store:
        assert not (hub / "closed.json").exists()
        store.commit(WriteSet(((b"k", b"v"),)))


def test_a_hub_without_doubt_is_opened_without_a_check(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Opening stays fast: closed in good order or killed, no child is started."""

    def refuse(*_: object, **__: object) -> None:
        pytest.fail("a check was started")

    monkeypatch.setattr(subprocess, "run", refuse)
    for _ in range(2):
        LmdbStore.open(hub).close()
    kill(hub)
    LmdbStore.open(hub).close()
    LmdbStore.open(hub.with_name("new")).close()


@pytest.mark.parametrize("mark", [b"", b"[]", b"{", b'{"clean": true}', b"\xff\xfe", b"[" * 60_000])
def test_a_damaged_mark_only_means_a_closer_look(hub: Path, mark: bytes) -> None:
    """A mark that nobody can read says nothing, so the data are checked, and open if they are whole."""
    (hub / "closed.json").write_bytes(mark)
    with LmdbStore.open(hub) as store:
        assert store.get(b"last") == b"one"


def test_a_copy_is_checked_once_and_opens(hub: Path) -> None:
    """A copy has other times than what its owner left: it is looked at, then opened."""
    os.utime(hub / "0" / "data.mdb")
    with LmdbStore.open(hub) as store:
        assert store.get(b"last") == b"one"


def test_a_file_that_lmdb_left_short_is_no_damage(tmp_path: Path) -> None:
    """LMDB need not write pages that it freed again: closing makes its file whole."""
    hub = tmp_path / "hub"
    store = LmdbStore.open(hub)
    store.commit(WriteSet(((b"k", b"v"),)))
    found = DataFile.look(str(hub / "0" / "data.mdb"))
    for number in range(40):
        store.commit(WriteSet(((b"t%d" % number, b"x" * 100_000),)))
        store.commit(WriteSet(((b"t%d" % number, None), (b"u%d" % number, b"x" * 30_000))))
        found = DataFile.look(str(hub / "0" / "data.mdb"))
        if found is not None and found.odd:
            break
    store.close()
    found = DataFile.look(str(hub / "0" / "data.mdb"))
    assert found is not None
    assert (found.odd, verify(hub).ok) == ("", True)


def test_a_crash_while_a_hub_was_made_is_no_damage(hub: Path, tmp_path: Path) -> None:
    """G31: a hub in the making may lack its data; one that was whole may not."""
    new = tmp_path / "new"
    (new / "0").mkdir(parents=True)
    (new / "durio.json").write_text(json.dumps({"format": FORMAT_VERSION, "product": "durio", "making": True}))
    assert verify(new).ok
    LmdbStore.open(new).close()
    assert json.loads((new / "durio.json").read_bytes()) == {"format": FORMAT_VERSION, "product": "durio"}
    (new / "0" / "data.mdb").unlink()
    refuses(new, "missing")


def test_what_is_no_hub_is_refused(tmp_path: Path, hub: Path) -> None:
    """G31: `verify` of a folder that is no hub, or of another format, is an error and no report."""
    for path in (tmp_path / "gone", tmp_path):
        with pytest.raises(NotAHub):
            verify(path)
    (hub / "durio.json").write_text('{"format": 99, "product": "durio"}')
    with pytest.raises(FormatMismatch):
        verify(hub)


def test_a_record_damaged_under_an_open_hub_is_an_error_not_data(hub: Path) -> None:
    """G32: what no check at open can see is found when it is read."""
    with LmdbStore.open(hub) as store:
        with store._env.begin(write=True) as txn:
            txn.put(b"k" + u64(1), seal(b"last", b"one"))
        with pytest.raises(CorruptRecord):
            store.get(b"k" + u64(1))
        says(hub, repr(b"k" + u64(1)))


def test_a_report_reads_as_text() -> None:
    """A report says where and what, a line each."""
    report = Report("/hub", 1234, (Finding("record b'k'", "the checksum does not fit"),), 2)
    assert str(report).splitlines() == [
        "/hub: 1,234 records read, 3 findings",
        "- record b'k': the checksum does not fit",
        "- and 2 more",
    ]


def test_a_check_tells_how_far_it_is(tmp_path: Path) -> None:
    """Its structure first, then records, of as many as the file says that it has."""
    rows = 2 * FAR_EACH
    with LmdbStore.open(tmp_path / "hub") as store:
        store.commit(WriteSet(tuple((b"a" + u64(number), b"x") for number in range(rows))))
    told: list[tuple[str, int, int]] = []
    report = verify(tmp_path / "hub", progress=lambda *far: told.append(far))
    assert report.records == rows + 2
    assert told[-2:] == [(CHECKED, rows, rows + 2), (CHECKED, rows + 2, rows + 2)]
    assert all(0 <= done <= total for _, done, total in told)


def test_a_reader_looks_first_while_nobody_owns_the_hub(hub: Path) -> None:
    """G32: what was scribbled on since it was closed is `HubDamaged` for a reader, too; an owner has looked already."""
    HubReader.open(hub).close()
    with LmdbStore.open(hub):
        HubReader.open(hub).close()
    size = (hub / "0" / "data.mdb").stat().st_size
    scribble(hub, 2 * PAGE_BYTES, b"?" * (size - 2 * PAGE_BYTES))
    before = tree(hub)
    with pytest.raises(HubDamaged):
        HubReader.open(hub)
    assert tree(hub) == before
