"""The overlay: what is durable, and over it what is not durable yet, read like one dict."""

from __future__ import annotations

from typing import TypeAlias

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from durio.entities.changes import Batch, Reply, View
from durio.entities.messages import Answer, Timer, encode_record
from durio.storage import MemoryDisk, MemoryStore

GROUPS = (b"a1\0", b"a2\0", b"t")
DECODER = msgspec.msgpack.Decoder(Timer)

Write: TypeAlias = tuple[str, bytes, bytes, str]
"""What to do, the group, the key and the new value."""

KEYS = st.tuples(st.sampled_from(GROUPS), st.binary(max_size=2)).map(lambda parts: (parts[0], parts[0] + parts[1]))
WRITES = st.tuples(st.sampled_from(["put", "put", "delete", "insert"]), KEYS, st.text("xyz", max_size=2)).map(
    lambda parts: (parts[0], *parts[1], parts[2])
)
STEPS = st.lists(WRITES | st.sampled_from(["seal", "durable"]), max_size=60)


def record(value: str) -> Timer:
    """A record that holds `value`."""
    return Timer(value, b"")


def value_of(row: object) -> str:
    """What a row of a scan holds, be it a record of the overlay or bytes of the disk."""
    found = DECODER.decode(row) if isinstance(row, bytes) else row
    assert isinstance(found, Timer)
    return found.address


class Model:
    """A view, and the dict that it should look like."""

    def __init__(self) -> None:
        self.disk = MemoryDisk()
        self.store = MemoryStore(self.disk)
        self.view = View(self.store)
        self.rows: dict[bytes, str] = {}
        self.used: set[bytes] = set()
        self.flying: list[tuple[Batch, dict[bytes, str]]] = []
        self.durable: dict[bytes, str] = {}

    def do(self, step: Write | str) -> None:
        """One write, one seal, or one commit of the oldest sealed batch."""
        if step == "seal":
            self.flying.append((self.view.seal(), dict(self.rows)))
        elif step == "durable":
            if self.flying:
                batch, self.durable = self.flying.pop(0)
                self.store.commit(batch.seal())
                self.view.durable(batch)
        else:
            assert isinstance(step, tuple)
            self.write(*step)

    def write(self, what: str, group: bytes, key: bytes, value: str) -> None:
        """One change. A key is inserted only if it was never used before: that is what `insert` asks for."""
        if what == "delete":
            self.view.filling.delete(group, key)
            self.rows.pop(key, None)
        elif what == "insert" and key not in self.used:
            self.view.filling.insert(group, key, record(value))
            self.rows[key] = value
        else:
            self.view.filling.put(group, key, record(value))
            self.rows[key] = value
        self.used.add(key)


@given(steps=STEPS, start=st.binary(max_size=2), stop=st.binary(max_size=2), limit=st.none() | st.integers(1, 6))
def test_a_view_reads_like_a_dict_whatever_is_durable(
    steps: list[Write | str], start: bytes, stop: bytes, limit: int | None
) -> None:
    """G2, G3: a read sees every write set applied before it, in any mixture of durable, in flight and filling."""
    model = Model()
    for step in steps:
        model.do(step)
    for group in GROUPS:
        first, last = group + start, group + stop + b"\xff"
        expected = sorted((k, v) for k, v in model.rows.items() if k.startswith(group) and first <= k < last)[:limit]
        rows = model.view.scan(group, first, last, limit)
        assert [(key, value_of(row)) for key, row in rows] == expected
    for key in model.used:
        group = next(group for group in GROUPS if key.startswith(group))
        found = model.view.get(group, key, DECODER)
        assert (None if found is None else found.address) == model.rows.get(key)


@given(steps=STEPS)
def test_the_disk_holds_exactly_the_durable_batches(steps: list[Write | str]) -> None:
    """G2, G5: what is on disk is the state at the last durable seal, nothing of it missing and nothing newer."""
    model = Model()
    for step in [*steps, "seal"]:
        model.do(step)
        disk = {key: DECODER.decode(value).address for key, value in model.disk.snapshot().items()}
        assert disk == model.durable
    assert model.view.undurable == (model.flying[0][0].number if model.flying else model.view.filling.number)
    while model.flying:
        model.do("durable")
    assert {key: DECODER.decode(value).address for key, value in model.disk.snapshot().items()} == model.rows


def test_what_is_inserted_and_deleted_in_one_batch_never_touches_the_disk() -> None:
    """A message sent and consumed inside one batch cancels out; a deleted old row is still deleted."""
    batch = Batch(0)
    batch.insert(b"a", b"a1", record("x"))
    batch.put(b"a", b"a1", record("y"))
    batch.delete(b"a", b"a1")
    assert not batch
    assert batch.seal().changes == ()
    batch.delete(b"a", b"a2")
    assert batch.seal().changes == ((b"a2", None),)
    batch.put(b"a", b"a2", record("z"))
    assert batch.seal().changes == ((b"a2", encode_record(record("z"))),)


def test_a_batch_with_outputs_only_is_no_empty_batch() -> None:
    """G5: an answer without any change still leaves in its turn, behind the batches before it."""
    batch = Batch(0)
    assert not batch
    batch.outputs.append(Reply("c1", Answer()))
    assert batch


def test_batches_become_durable_in_order_only() -> None:
    """G2: a later batch can never be taken for durable before an earlier one."""
    view = View(MemoryStore(MemoryDisk()))
    first, second = view.seal(), view.seal()
    assert (first.number, second.number, view.filling.number) == (0, 1, 2)
    with pytest.raises(RuntimeError, match="in order"):
        view.durable(second)
