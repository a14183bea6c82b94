"""What people write on a command line, read: JSON, times, durations, tags, entities."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import Any, Final, NoReturn

from durio.entities import EntityId, InvalidAddress
from durio.hosting.cli_errors import UsageError
from durio.hosting.cli_signals import typed

_PART: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)")
_SECONDS: Final = (("ms", 0.001), ("s", 1), ("m", 60), ("h", 3600), ("d", 86400), ("w", 604800))
DURATION_S_MAX: Final = 100 * 366 * 86400.0
"""Longest duration that is read: more is a mistake."""


def json_value(text: str, option: str = "--input", before: str = " ") -> Any:
    """A JSON value: written out, `@FILE`, or `-` for standard input. Raises `UsageError`."""
    if text == "-":
        source, text = "standard input", typed(sys.stdin.read)
    elif text.startswith("@"):
        source = text[1:]
        try:
            with open(source, encoding="utf-8") as file:
                text = file.read()
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else error
            raise UsageError(f"{option} {text}: the file cannot be read ({why})") from error
    else:
        source = ""
    try:
        return json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        if source:
            raise UsageError(f"{option}: what is in {source} is no JSON: {error}") from error
        raise UsageError(_hint(text, option + before, str(error))) from error


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _hint(text: str, before: str, error: str) -> str:
    """How to write what was probably meant; where it is broken, if it begins as JSON."""
    why = f" ({error})" if text.lstrip().startswith(('"', "[", "{")) else ""
    quoted = json.dumps(text, ensure_ascii=False).replace("'", "'\\''")
    return f"{before}{text} is no JSON{why}; text is written with quotes inside quotes: {before}'{quoted}'"


def duration_s(text: str, option: str = "--timeout") -> float:
    """A duration in seconds: `30s`, `10m`, `1h30m`, `2d`. Raises `UsageError`."""
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise UsageError(f"{option} {text}: a duration is a number with a unit: 500ms, 30s, 10m, 1h30m, 2d, 1w")
    seconds = sum(float(number) * dict(_SECONDS)[unit] for number, unit in parts)
    if not isfinite(seconds) or seconds > DURATION_S_MAX:
        raise UsageError(f"{option} {text}: that is longer than a hundred years")
    return seconds


def moment(text: str, option: str, now: datetime, *, ahead: bool = False) -> datetime:
    """A moment: ISO 8601 (without a zone it is local time), or a duration ago (`ahead`: from now).

    Raises `UsageError`.
    """
    if _PART.match(text) and not re.match(r"\d{4}-", text):
        distance = timedelta(seconds=duration_s(text, option))
        try:
            return now + distance if ahead else now - distance
        except OverflowError as error:
            raise UsageError(f"{option} {text}: no date is that far away") from error
    try:
        found = datetime.fromisoformat(text)
        return found.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        relative = "10m or 2h from now" if ahead else "10m or 2h ago"
        raise UsageError(
            f"{option} {text}: a time is ISO 8601, as 2026-11-27T18:30 (local time) or 2026-11-27T18:30Z, or {relative}"
        ) from error


def pairs(texts: Iterable[str], option: str, shape: str = "NAME=VALUE") -> list[tuple[str, str]]:
    """`NAME=VALUE` options, in order, each name once. Raises `UsageError`."""
    found: list[tuple[str, str]] = []
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise UsageError(f"{option} {text}: write {option} {shape}")
        if name in dict(found):
            raise UsageError(f"{option} {text}: {name} was given before, as {dict(found)[name]}")
        found.append((name, value))
    return found


def events(texts: Iterable[str]) -> list[tuple[str, Any]]:
    """`--event NAME=JSON` options; without `=` the event has no data. Raises `UsageError`."""
    found: list[tuple[str, Any]] = []
    for text in texts:
        name, equals, value = text.partition("=")
        found.append((name, json_value(value, f"--event {name}", "=") if equals else None))
    return found


def entity_id(text: str) -> EntityId:
    """`NAME@KEY` or `@name@key`. Raises `UsageError`."""
    name, at, key = text.removeprefix("@").partition("@")
    try:
        if not at:
            raise ValueError(text)
        return EntityId(name, key)
    except (ValueError, InvalidAddress) as error:
        why = f" ({error})" if at else ""
        raise UsageError(f"{text}: an entity is written NAME@KEY, as Counter@clicks{why}") from error
