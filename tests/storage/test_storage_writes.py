"""A write set is plain data that can be put on a wire."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from durio.storage import CorruptRecord, KeyTooLong, ReservedKey, WriteSet, seal, unseal

CHANGES = st.lists(st.tuples(st.binary(), st.none() | st.binary())).map(tuple)


@given(CHANGES)
def test_a_write_set_comes_back_from_the_wire(changes: tuple[tuple[bytes, bytes | None], ...]) -> None:
    """Order, deletions and empty values survive."""
    writes = WriteSet(changes)
    assert WriteSet.from_wire(writes.to_wire()) == writes


@given(CHANGES, st.data())
def test_a_damaged_wire_is_never_a_write_set(
    changes: tuple[tuple[bytes, bytes | None], ...], data: st.DataObject
) -> None:
    """A flipped byte is an error, not other changes."""
    wire = bytearray(WriteSet(changes).to_wire())
    wire[data.draw(st.integers(0, len(wire) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(CorruptRecord):
        WriteSet.from_wire(bytes(wire))


@given(st.one_of(st.binary(), st.just(msgspec.msgpack.encode([[["text", None]]]))))
def test_a_well_sealed_something_else_is_no_write_set(payload: bytes) -> None:
    """A decode failure of any kind is `CorruptRecord`."""
    try:
        writes = WriteSet.from_wire(seal(b"WriteSet", payload))
    except CorruptRecord:
        return
    assert isinstance(writes, WriteSet)


@given(CHANGES)
def test_sealing_keeps_the_last_change_of_every_key_in_key_order(
    changes: tuple[tuple[bytes, bytes | None], ...],
) -> None:
    """Stores get every key once: as a sealed record, or as a deletion."""
    changes = tuple((b"k" + key, value) for key, value in changes)
    puts, deletes = WriteSet(changes).sealed()
    latest = dict(changes)
    assert {key: unseal(key, record) for key, record in puts} == {
        key: value for key, value in latest.items() if value is not None
    }
    assert deletes == sorted(key for key, value in latest.items() if value is None)
    assert puts == sorted(puts)


@pytest.mark.parametrize("key", [b"", b"\x00", b"\x00meta"])
@pytest.mark.parametrize("value", [b"x", None])
def test_the_stores_own_keys_are_refused(key: bytes, value: bytes | None) -> None:
    """Nobody can overwrite or delete the epoch."""
    with pytest.raises(ReservedKey) as caught:
        WriteSet(((b"a", b"1"), (key, value))).sealed()
    assert caught.value.key == key


def test_a_key_of_511_bytes_is_fine_and_512_are_refused() -> None:
    """The limit of keys, at the limit."""
    assert WriteSet(((b"k" * 511, b""),)).sealed()[0]
    with pytest.raises(KeyTooLong) as caught:
        WriteSet(((b"a", b"1"), (b"k" * 512, None))).sealed()
    assert (caught.value.key_bytes, caught.value.limit_bytes) == (512, 511)
