"""Large payloads: once on disk, there as long as somebody holds them, and no longer (G2, G33)."""

from __future__ import annotations

import gc
from typing import Any

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

import durio.entities.blobs as blobs
from durio.entities import Payloads, PayloadTooLarge, Vault, keys, payload_size
from durio.entities.blob_check import check_blobs
from durio.entities.blobs import DEAD, MAGIC, Reference, is_blob, references_in
from durio.entities.changes import Batch, View
from durio.entities.messages import Timer, encode_record
from durio.storage import CorruptRecord, MemoryDisk, MemoryStore, SimulatedCrash, WriteSet
from durio.storage.limits import BULK_ROW_MAX

GROUP = b"a"


class Row(msgspec.Struct, array_like=True):
    """A record of anybody's."""

    payloads: list[bytes]


ROWS = msgspec.msgpack.Decoder(Row)


class Hub:
    """Nothing of a hub but its store, its vault, its payloads and its batches."""

    def __init__(self, disk: MemoryDisk, cache_bytes_max: int = 1 << 20) -> None:
        self.store = MemoryStore(disk)
        self.vault = Vault(self.store, self.store.epoch, cache_bytes_max=cache_bytes_max)
        self.vault.recover()
        self.payloads = Payloads().of_hub(self.vault, blob_bytes_min=10)
        self.view = View(self.store, self.vault)

    def put(self, key: bytes, *payloads: bytes) -> None:
        self.view.filling.put(GROUP, GROUP + key, Row(list(payloads)))

    def delete(self, key: bytes) -> None:
        self.view.filling.delete(GROUP, GROUP + key)

    def commit(self) -> WriteSet:
        batch = self.view.seal()
        writes = batch.seal()
        self.store.commit(writes)
        self.view.durable(batch)
        return writes

    def read(self, key: bytes) -> list[Any] | None:
        row = self.view.get(GROUP, GROUP + key, ROWS)
        return None if row is None else [self.payloads.decode(payload) for payload in row.payloads]


def blob_keys(disk: MemoryDisk) -> list[bytes]:
    return [key for key in disk.snapshot() if key.startswith(keys.BLOB)]


@pytest.mark.parametrize("value", ["x" * 100, "ä" * 100, "😀" * 100, '"\\\n' * 50, ["x" * 100, 1], {"k": "x" * 100}])
def test_a_large_payload_comes_back_whatever_it_is(value: Any) -> None:
    """G33: what is large is the same value again: at once, when its commit is there, and after opening again."""
    disk = MemoryDisk()
    hub = Hub(disk)
    reference = hub.payloads.encode(value)
    assert is_blob(reference)
    assert payload_size(reference) in (len(msgspec.json.encode(value)), len(str(value).encode()))
    hub.put(b"k", reference)
    assert hub.read(b"k") == [value]
    hub.commit()
    assert hub.read(b"k") == [value]
    again = Hub(disk)
    assert again.read(b"k") == [value]
    assert check_blobs(again.store) == []


def test_a_small_payload_is_json_as_ever() -> None:
    """G33: what is small lies in its record."""
    hub = Hub(MemoryDisk())
    assert hub.payloads.encode("x" * 8) == b'"xxxxxxxx"'
    assert Payloads().encode("x" * 1000) == msgspec.json.encode("x" * 1000)


def test_the_same_text_is_one_blob() -> None:
    """What a program passes on, as it is, is on disk once: in every record lies the same reference."""
    disk = MemoryDisk()
    hub, text = Hub(disk), "x" * 1000
    for number in range(5):
        hub.put(b"%d" % number, hub.payloads.encode(text), hub.payloads.encode(text))
        hub.commit()
    assert len(blob_keys(disk)) == 1
    assert hub.payloads.decode(hub.payloads.encode(text)) is text
    again = Hub(disk)
    (read, _) = again.read(b"1") or (None, None)
    again.put(b"5", again.payloads.encode(read))
    again.commit()
    assert len(blob_keys(disk)) == 1


def test_a_blob_goes_with_its_last_holder() -> None:
    """G2: overwriting and deleting records lets go of a blob; the commit of the last one deletes it."""
    disk = MemoryDisk()
    hub = Hub(disk)
    reference = hub.payloads.encode("x" * 1000)
    hub.put(b"1", reference)
    hub.put(b"2", reference)
    hub.commit()
    hub.delete(b"1")
    hub.commit()
    assert blob_keys(disk)
    hub.put(b"2", b'"small"')
    hub.commit()
    assert [key for key in disk.snapshot() if key[:1] != GROUP] == []


def test_what_no_record_has_is_never_written() -> None:
    """An input that was refused, a step that was rolled back, a replay: nothing of it reaches the disk or stays."""
    disk = MemoryDisk()
    hub = Hub(disk)
    content = hub.payloads.encode("x" * 1000)
    assert isinstance(content, Reference)
    hub.put(b"1", hub.payloads.encode(["y" * 1000]))
    hub.delete(b"1")
    hub.view.filling.insert(GROUP, GROUP + b"2", Row([hub.payloads.encode(["z" * 1000])]))
    hub.delete(b"2")
    hub.commit()
    assert blob_keys(disk) == []
    del content
    gc.collect()
    assert len(hub.vault._contents) == 0


def test_a_blob_that_was_deleted_can_come_again() -> None:
    """A text that is given again when its blob was deleted already is written again."""
    disk = MemoryDisk()
    hub, text = Hub(disk), "x" * 1000
    hub.put(b"1", hub.payloads.encode(text))
    hub.commit()
    kept = hub.payloads.encode(text)
    hub.delete(b"1")
    hub.commit()
    assert blob_keys(disk) == []
    hub.put(b"2", kept)
    hub.commit()
    assert Hub(disk).read(b"2") == [text]


def test_what_a_timer_carries_stays_until_it_is_written() -> None:
    """A message inside a record is bytes already: nothing but the batch keeps its content."""
    disk = MemoryDisk()
    hub = Hub(disk)
    reference = hub.payloads.encode(["x" * 1000])
    timer = Timer("@a@b", encode_record(Row([reference])))
    hub.view.filling.insert(GROUP, GROUP + b"t", timer)
    hub.view.filling.keep(timer.message)
    del reference
    gc.collect()
    hub.commit()
    assert len(blob_keys(disk)) == 1
    assert check_blobs(hub.store) == []


def test_durable_blobs_take_bounded_memory() -> None:
    """G7: beyond the bound what is durable is read again; who holds a reference holds no memory with it."""
    disk = MemoryDisk()
    hub = Hub(disk, cache_bytes_max=3000)
    held = [hub.payloads.encode(f"{number}" * 1000) for number in range(10)]
    for number, reference in enumerate(held):
        hub.put(b"%d" % number, reference)
    hub.commit()
    assert hub.vault.cached_bytes <= 3000
    assert sum(reference.content.value is not None for reference in held if isinstance(reference, Reference)) == 3
    for number in range(10):
        assert hub.read(b"%d" % number) == [f"{number}" * 1000]
    assert hub.vault.cached_bytes <= 3000


def test_many_blobs_are_deleted_a_bounded_number_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """G8, G9: one commit deletes a bounded number of rows; the others go with the next commits, after a crash too."""
    monkeypatch.setattr(blobs, "BLOB_ROWS_FREED_MAX", 3)
    disk = MemoryDisk()
    hub = Hub(disk)
    for number in range(10):
        hub.put(b"%d" % number, hub.payloads.encode(["x" * 1000]))
    hub.commit()
    for number in range(10):
        hub.delete(b"%d" % number)
    hub.commit()
    assert len(blob_keys(disk)) == 7
    assert check_blobs(hub.store) == []
    hub = Hub(disk)
    left = []
    while hub.view.filling:
        hub.commit()
        left.append(len(blob_keys(disk)))
    assert left == [4, 1, 0]
    assert [key for key in disk.snapshot() if key.startswith(keys.HOLDER)] == []


def test_a_text_is_cut_between_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    """G33: rows of a blob are cut so that each can be read alone; together they are the value."""
    disk = MemoryDisk()
    hub, text = Hub(disk), "aä😀" * (BULK_ROW_MAX // 2)
    hub.put(b"1", hub.payloads.encode(text), hub.payloads.encode([text]))
    hub.commit()
    rows = [value for key, value in disk.snapshot().items() if key.startswith(keys.BLOB)]
    assert len(rows) == 2 + 4
    assert "".join(row.decode() for row in rows[:2]) == text
    assert Hub(disk).read(b"1") == [text, [text]]


def test_what_is_loaded_gives_way_after_every_row() -> None:
    """G8: a large payload is read from disk in steps; in between others have their turn."""
    disk = MemoryDisk()
    hub, text = Hub(disk), "x" * (3 * BULK_ROW_MAX)
    reference = hub.payloads.encode(text)
    hub.put(b"1", reference)
    hub.commit()
    cold = Hub(disk)
    cold.vault._slice_s = 0.0
    asked = 1
    while not cold.payloads.ready(bytes(reference)):
        asked += 1
    assert asked == 4
    assert cold.payloads.ready(bytes(reference))
    assert cold.payloads.decode(bytes(reference)) == text


@pytest.mark.parametrize("what", ["gone", "short", "forged"])
def test_a_blob_that_is_not_whole_is_an_error(what: str) -> None:
    """G32: a part that is missing is never taken for the whole."""
    disk = MemoryDisk()
    hub = Hub(disk)
    reference = hub.payloads.encode(["x" * (2 * BULK_ROW_MAX)])
    hub.put(b"1", reference)
    hub.commit()
    if what == "forged":
        reference = MAGIC + b"short"
    else:
        row = blob_keys(disk)[-1]
        hub.store.commit(WriteSet(((row, None if what == "gone" else b"x"),)))
        assert any("rows" in found for found in check_blobs(hub.store)) == (what == "gone")
    with pytest.raises(CorruptRecord):
        Hub(disk).payloads.decode(reference)


def test_equal_payloads_are_known_as_equal() -> None:
    """What did not change need not be written again, though it was encoded again."""
    disk = MemoryDisk()
    hub = Hub(disk)
    first, second, other = (hub.payloads.encode([letter * 100]) for letter in "xxy")
    hub.put(b"1", first)
    hub.commit()
    for payloads in (hub.payloads, Hub(disk).payloads):
        assert payloads.same(bytes(first), second) == (payloads is hub.payloads)  # else it would have to be read
    assert not hub.payloads.same(first, other)
    assert hub.payloads.same(b"1", b"1")
    assert not hub.payloads.same(b"1", None)


def test_a_limit_holds_for_large_payloads() -> None:
    """G31: what would be a blob is refused when it is too large, and says its size."""
    payloads = Payloads().of_hub(Vault(MemoryStore(MemoryDisk())), bytes_max=100, blob_bytes_min=10)
    assert is_blob(payloads.encode("x" * 98))
    for value in ("x" * 99, ["x" * 97], "ä" * 50):
        with pytest.raises(PayloadTooLarge) as caught:
            payloads.encode(value)
        assert (caught.value.size, caught.value.limit) == (101 if value != "ä" * 50 else 102, 100)


def test_references_are_found_wherever_they_lie() -> None:
    """A record may have several references, and bytes that look like the beginning of one."""
    vault = Vault(MemoryStore(MemoryDisk()))
    first, second = (bytes(vault.keep(b"[]", 2)) for _ in range(2))
    data = encode_record(Row([first, MAGIC[:-1], second, b"\xff" * 50, MAGIC]))
    assert list(references_in(data)) == [first, second]


class Holders(RuleBasedStateMachine):
    """Records come, change and go, commits crash, memory is short: G2 holds for blobs, too."""

    def __init__(self) -> None:
        super().__init__()
        self.disk = MemoryDisk()
        self.hub = Hub(self.disk, cache_bytes_max=100)
        self.model: dict[bytes, list[Any]] = {}
        self.durable: dict[bytes, list[Any]] = {}
        self.sealed: tuple[Batch, dict[bytes, list[Any]]] | None = None
        self.texts = ["".join((letter,) * 40) for letter in "abc"]
        self.fresh = 0

    values = st.lists(st.sampled_from(["same a", "same b", "fresh", "small", "json"]), max_size=3)
    names = st.sampled_from([b"1", b"2", b"3"])

    def value(self, kind: str) -> Any:
        self.fresh += 1
        made = {"small": "s", "fresh": f"{self.fresh}" * 30, "json": [f"{self.fresh}", "x" * 20]}
        return made.get(kind) or self.texts["ab".index(kind[-1])]

    @rule(name=names, kinds=values)
    def write(self, name: bytes, kinds: list[str]) -> None:
        self.model[name] = [self.value(kind) for kind in kinds]
        self.hub.put(name, *(self.hub.payloads.encode(value) for value in self.model[name]))

    @rule(name=names)
    def erase(self, name: bytes) -> None:
        self.hub.delete(name)
        self.model.pop(name, None)

    @rule(name=names, other=names)
    def move(self, name: bytes, other: bytes) -> None:
        row = self.hub.view.get(GROUP, GROUP + name, ROWS)
        if row is not None:
            self.hub.put(other, *row.payloads)
            self.model[other] = self.model[name]

    @rule()
    def seal(self) -> None:
        if self.sealed is None:
            self.sealed = self.hub.view.seal(), dict(self.model)

    @rule()
    def land(self) -> None:
        self.seal()
        assert self.sealed is not None
        (batch, self.durable), self.sealed = self.sealed, None
        self.hub.store.commit(batch.seal())
        self.hub.view.durable(batch)

    @rule(after=st.booleans())
    def crash(self, after: bool) -> None:
        self.seal()
        assert self.sealed is not None
        self.disk.crash_at(1, "after" if after else "before")
        batch, then = self.sealed
        with pytest.raises(SimulatedCrash):
            self.hub.store.commit(batch.seal())
        if after:
            self.durable = then
        self.hub, self.sealed, self.model = Hub(self.disk, cache_bytes_max=100), None, dict(self.durable)

    @rule()
    def void(self) -> None:
        """No space: what is not durable never was, and the vault goes on."""
        if self.sealed is not None:
            self.sealed[0].seal()
        self.hub.vault.recover()
        self.hub.view = View(self.hub.store, self.hub.vault)
        self.sealed, self.model = None, dict(self.durable)

    @invariant()
    def every_reference_leads_to_its_value(self) -> None:
        for name in (b"1", b"2", b"3"):
            assert self.hub.read(name) == self.model.get(name)

    @invariant()
    def the_disk_is_whole_and_holds_nothing_else(self) -> None:
        store = MemoryStore(self.disk)
        self.disk.meta = type(self.disk.meta)(self.hub.store.epoch, self.disk.meta.commit)  # looking takes nothing over
        assert check_blobs(store) == []
        assert not [key for key in self.disk.snapshot() if key.startswith(DEAD)]


TestHolders = Holders.TestCase
TestHolders.settings = settings(max_examples=30, stateful_step_count=20, deadline=None)
