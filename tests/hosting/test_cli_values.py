"""What people write on a command line is read, or refused with a hint (G31)."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durio.entities import EntityId
from durio.hosting.cli_errors import UsageError
from durio.hosting.cli_values import duration_s, entity_id, events, json_value, moment, pairs

NOW = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)
EARLIEST = NOW.replace(year=1980, tzinfo=None)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


def refused(read: Callable[[], object]) -> str | None:
    """What the usage error says; None if there is none."""
    try:
        read()
    except UsageError as error:
        return str(error)
    return None


@given(value=JSON)
def test_json_is_read_as_it_is_written(value: Any) -> None:
    """Every JSON value is an input."""
    assert json_value(json.dumps(value)) == value


@given(text=st.text())
def test_what_is_no_json_is_refused_with_a_hint_that_works(text: str) -> None:
    """Any other text is a usage error, never another one; the hint shows it as a JSON text."""
    if text == "-" or text.startswith("@"):
        return
    told = refused(partial(json_value, text))
    if told is None:
        assert json_value(text) == json.loads(text)
    else:
        assert "is no JSON" in told
        assert json.dumps(text, ensure_ascii=False).replace("'", "'\\''") in told


def test_a_bare_word_shows_how_to_quote_it() -> None:
    """A word without quotes is most likely a text whose quotes the shell took."""
    with pytest.raises(UsageError, match=r"""--input yes is no JSON.*--input '"yes"'"""):
        json_value("yes")


@pytest.mark.parametrize("text", ["NaN", "[Infinity]", "-Infinity", "[" * 100_000, "", "{'a': 1}", "01"])
def test_what_only_looks_like_json_is_refused(text: str) -> None:
    """NaN, infinity, endless nesting, Python's quotes are no JSON (G33)."""
    with pytest.raises(UsageError):
        json_value(text)


def test_input_from_a_file_and_from_standard_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`@FILE` and `-` are read; an error names the source."""
    file = tmp_path / "input.json"
    file.write_text('{"a": "ß"}', "utf-8")
    assert json_value(f"@{file}") == {"a": "ß"}
    file.write_bytes(b"\xff")
    with pytest.raises(UsageError, match="cannot be read"):
        json_value(f"@{file}")
    with pytest.raises(UsageError, match="cannot be read"):
        json_value("@nowhere")
    monkeypatch.setattr(sys, "stdin", io.StringIO("[1]"))
    assert json_value("-") == [1]
    monkeypatch.setattr(sys, "stdin", io.StringIO("word"))
    with pytest.raises(UsageError, match="standard input is no JSON"):
        json_value("-")


@given(parts=st.lists(st.tuples(st.integers(0, 99), st.sampled_from("smhdw")), min_size=1, max_size=4))
def test_durations_add_up(parts: list[tuple[int, str]]) -> None:
    """`1h30m` is the sum of its parts."""
    seconds = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
    assert duration_s("".join(f"{n}{unit}" for n, unit in parts)) == sum(n * seconds[unit] for n, unit in parts)


@given(text=st.text(alphabet="0123456789.smhdw -") | st.text())
def test_a_duration_is_a_number_or_a_usage_error(text: str) -> None:
    """Nothing else comes of any text."""
    told = refused(partial(duration_s, text))
    assert text in told if told is not None else 0 <= duration_s(text) < float("inf")


@given(when=st.datetimes(EARLIEST) | st.datetimes(EARLIEST, timezones=st.timezones()))
def test_moments_are_iso_8601(when: datetime) -> None:
    """With a zone it is that moment, without one it is local time; what comes out is aware (G28)."""
    if when.year > 9990:
        return
    found = moment(when.isoformat(), "--at", NOW)
    assert found.utcoffset() == timedelta(0)
    assert found == datetime.fromisoformat(when.isoformat()).astimezone(UTC)


@given(text=st.text(alphabet="0123456789-:TZ+.hm") | st.text(), ahead=st.booleans())
def test_a_moment_is_aware_or_a_usage_error(text: str, ahead: bool) -> None:
    """Nothing else comes of any text."""
    told = refused(partial(moment, text, "--at", NOW, ahead=ahead))
    assert text in told if told is not None else moment(text, "--at", NOW, ahead=ahead).tzinfo is not None


def test_moments_ago_and_from_now() -> None:
    """A duration is ago in a filter, and ahead in a start."""
    assert moment("90m", "--created-from", NOW) == NOW - timedelta(minutes=90)
    assert moment("2h", "--at", NOW, ahead=True) == NOW + timedelta(hours=2)
    with pytest.raises(UsageError, match="2h ago"):
        moment("yesterday", "--created-from", NOW)


def test_pairs_events_and_entities() -> None:
    """Tags and events are NAME=VALUE, entities NAME@KEY; what is not shows how."""
    assert pairs(["a=b=c", "d="], "--tag") == [("a", "b=c"), ("d", "")]
    assert events(["go=[1]", "stop"]) == [("go", [1]), ("stop", None)]
    assert entity_id("Counter@a@b") == entity_id("@counter@a@b") == EntityId("Counter", "a@b")
    for wrong in ("=x", "x"):
        with pytest.raises(UsageError, match="NAME=VALUE"):
            pairs([wrong], "--tag")
    for wrong in ("counter", "@counter", "@", "counter@", "@@key", ""):
        with pytest.raises(UsageError, match="NAME@KEY"):
            entity_id(wrong)


def test_json_that_is_broken_is_told_where() -> None:
    """What begins as JSON is probably meant as such; a file that cannot be read is said in words."""
    told = refused(lambda: json_value("[1,2"))
    assert told is not None
    assert told.startswith("--input [1,2 is no JSON (Expecting ',' delimiter: line 1 column 5 (char 4)); text is")
    assert refused(lambda: json_value("@none")) == "--input @none: the file cannot be read (No such file or directory)"
