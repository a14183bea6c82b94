"""Parts of keys compare like the values they are made of."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durio.storage import after, from_text, from_u32, from_u64, text, u32, u64

NUMBERS = st.integers(0, 2**64 - 1)
SMALL_NUMBERS = st.integers(0, 2**32 - 1)
TEXTS = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]))


@given(NUMBERS, NUMBERS)
def test_u64_sorts_like_the_number(a: int, b: int) -> None:
    """The order of the bytes is the order of the numbers, and the number comes back."""
    assert (u64(a) < u64(b)) == (a < b)
    assert from_u64(u64(a)) == a


@given(SMALL_NUMBERS, SMALL_NUMBERS)
def test_u32_sorts_like_the_number(a: int, b: int) -> None:
    """The order of the bytes is the order of the numbers, and the number comes back."""
    assert (u32(a) < u32(b)) == (a < b)
    assert from_u32(u32(a)) == a


@pytest.mark.parametrize("number", [-1, 2**64])
def test_u64_refuses_what_does_not_fit(number: int) -> None:
    """A number out of range is named in the error."""
    with pytest.raises(ValueError, match=str(number)):
        u64(number)


@pytest.mark.parametrize("number", [-1, 2**32])
def test_u32_refuses_what_does_not_fit(number: int) -> None:
    """A number out of range is named in the error."""
    with pytest.raises(ValueError, match=str(number)):
        u32(number)


def test_numbers_of_another_length_are_refused() -> None:
    """A key cut at the wrong place is no number."""
    with pytest.raises(ValueError, match="7 bytes"):
        from_u64(b"1234567")
    with pytest.raises(ValueError, match="5 bytes"):
        from_u32(b"12345")


@given(TEXTS, TEXTS, st.binary(), st.binary())
def test_text_sorts_by_code_point_whatever_follows(a: str, b: str, tail_a: bytes, tail_b: bytes) -> None:
    """Different texts decide the order alone; what is behind them in the key does not matter."""
    if a != b:
        assert (text(a) + tail_a < text(b) + tail_b) == (a < b)


@given(TEXTS, st.binary(), st.binary())
def test_text_comes_back_from_inside_a_key(value: str, before: bytes, behind: bytes) -> None:
    """`from_text` reads the text and finds where the next part starts."""
    key = before + text(value) + behind
    assert from_text(key, len(before)) == (value, len(key) - len(behind))


@pytest.mark.parametrize("value", ["a\x00b", "\x00", "\ud800"])
def test_text_refuses_what_cannot_be_a_key(value: str) -> None:
    """A NUL would end the text early; a lone surrogate is no text."""
    with pytest.raises(ValueError):
        text(value)


def test_text_without_an_end_is_refused() -> None:
    """A key cut at the wrong place is no text."""
    with pytest.raises(ValueError, match="text"):
        from_text(b"abc")


@given(st.binary(max_size=4), st.binary(max_size=6))
def test_after_is_the_end_of_a_prefix(prefix: bytes, key: bytes) -> None:
    """A key starts with the prefix exactly if it is in [prefix, after(prefix))."""
    stop = after(prefix)
    assert key.startswith(prefix) == (key >= prefix and (stop is None or key < stop))


@pytest.mark.parametrize(
    ("prefix", "stop"), [(b"", None), (b"\xff\xff", None), (b"a", b"b"), (b"a\xff", b"b"), (b"\x00", b"\x01")]
)
def test_after_of_the_edges(prefix: bytes, stop: bytes | None) -> None:
    """A prefix of nothing but 0xff bytes has no end."""
    assert after(prefix) == stop
