"""G32: every record has a checksum over key and value; what does not fit is an error, never data."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durio.storage import CorruptRecord, seal, unseal


@given(st.binary(), st.binary())
def test_what_was_sealed_comes_back(key: bytes, payload: bytes) -> None:
    """`unseal` undoes `seal`, for the same key."""
    assert unseal(key, seal(key, payload)) == payload


@given(st.binary(), st.binary(), st.data())
def test_a_changed_byte_is_never_data(key: bytes, payload: bytes, data: st.DataObject) -> None:
    """A byte flipped anywhere in a record, its head included, is found."""
    record = bytearray(seal(key, payload))
    at = data.draw(st.integers(0, len(record) - 1))
    record[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(CorruptRecord) as caught:
        unseal(key, bytes(record))
    assert caught.value.key == key


@given(st.binary(), st.binary(), st.data())
def test_a_cut_record_is_never_data(key: bytes, payload: bytes, data: st.DataObject) -> None:
    """A record that lost its end, up to all of it, is found."""
    record = seal(key, payload)
    with pytest.raises(CorruptRecord):
        unseal(key, record[: data.draw(st.integers(0, len(record) - 1))])


def test_a_record_under_another_key_is_never_data() -> None:
    """The checksum covers the key."""
    with pytest.raises(CorruptRecord):
        unseal(b"other", seal(b"key", b"payload"))


def test_an_unknown_record_version_is_named() -> None:
    """A record of a later durio is refused with its version."""
    with pytest.raises(CorruptRecord, match="version 9"):
        unseal(b"key", b"\x09" + seal(b"key", b"payload")[1:])
