"""Requests of every kind, right and wrong, drawn from the OpenAPI document of the HTTP API."""

from __future__ import annotations

import json
import re
from typing import Any, Final
from urllib.parse import quote

import attrs
from hypothesis import strategies as st

from durio.hosting.http import BASES

Json = dict[str, Any]

NAMES: Final = ("Approval", "Echo", "EchoText", "Fails", "E1_HelloSequence", "Versioned", "Counter", "counter")
IDS: Final = ("one", "two", "a/b", "ü %", "x", "k1")
EVENTS: Final = ("ApprovalEvent", "approvalevent", "other")
OPERATIONS: Final = ("add", "set", "reset", "delete", "", "nothing", "_private")
STATUSES: Final = ("Running", "Completed", "Running,Failed", "pending", "Sleeping", ",", "Completed,,")
TIMES: Final = (
    *("2000-01-01T00:00:00Z", "2000-01-01T00:00:00.123456Z", "2100-01-01T00:00:00%2B09:00") * 6,
    "2100-01-01T00:00:00+09:00",
    "2000-01-01",
    "0001-01-01T00:00:00%2B14:00",
    "9999-12-31T23:59:59-14:00",
    "9999-12-31T23:59:60Z",
    "20000101",
    "2000-W01-1",
    "yesterday",
    "1",
)
NUMBERS: Final = (
    *("1", "2", "5", "0.5", "100") * 4,
    "0",
    "5",
    "0.5",
    "1e3",
    "-1",
    "nan",
    "inf",
    "1e999",
    "٣",
    "1_0",
    "3600",
    "3601",
    "9" * 30,
    " 1",
)
SLOPPY: Final = ("%", "%ZZ", "%FF", "%C3", "%00", "%0A", "%2F", "%2e%2e", "..", ".", "$", "@", "@x@y", "+", "a b", ";")
JUNK: Final = st.one_of(st.sampled_from(SLOPPY), st.text(max_size=8), st.sampled_from(("x" * 300, "é" * 200, "")))


@attrs.frozen
class Asked:
    """A request, and the id of the operation that it is for; None where what was drawn may mean another."""

    method: str
    target: str
    headers: dict[str, str]
    data: bytes
    operation: str | None


@st.composite
def requests(draw: st.DrawFn, document: Json) -> Asked:
    """One request."""
    operations = [(method, path) for path, found in sorted(document["paths"].items()) for method in sorted(found)]
    method, path = draw(st.sampled_from(operations))
    operation: str | None = document["paths"][path][method]["operationId"]
    target = path
    for name in re.findall(r"\{(\w+)\}", path):
        part = draw(_part(name))
        if part in ("", "wait") or "/" in part or "?" in part or "#" in part:
            operation = None
        target = target.replace(f"{{{name}}}", part, 1)
    if target.startswith(BASES[0]):
        target = draw(st.sampled_from(BASES)) + target.removeprefix(BASES[0])
    query = [f"{name}={value}" for name, value in draw(_query(document["paths"][path][method]["parameters"]))]
    target += draw(st.sampled_from(("", "", "/")))
    target += "?" + "&".join(query) if query else ""
    if draw(st.integers(0, 19)) == 0:
        method, operation = draw(st.sampled_from(("put", "patch", "get", "post", "delete", "head", "options"))), None
    headers, data = draw(_body())
    if draw(st.integers(0, 9)) == 0:
        headers["x-ms-continuation-token"] = draw(st.text(st.characters(max_codepoint=255, exclude_categories=["C"])))
    return Asked(method.upper(), target, headers, data, operation)


def _part(name: str) -> st.SearchStrategy[str]:
    """A part of the path, as it is sent."""
    known = {"name": NAMES, "id": IDS, "key": (*IDS, "$"), "event": EVENTS}[name]
    likely = st.sampled_from([quote(one, safe="") for one in known])
    wrong = st.one_of(JUNK.map(lambda text: quote(text, safe="")), st.sampled_from(SLOPPY))
    return _mostly(likely, wrong)


def _mostly(right: st.SearchStrategy[str], wrong: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.integers(0, 9).flatmap(lambda number: wrong if number == 0 else right)


@st.composite
def _query(draw: st.DrawFn, parameters: list[Json]) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for parameter in parameters:
        if parameter["in"] == "query" and draw(st.integers(0, 2)) == 0:
            found += [(parameter["name"], value) for value in draw(st.lists(_value(parameter), min_size=1, max_size=2))]
    if draw(st.integers(0, 9)) == 0:
        found.append((quote(draw(JUNK), safe=""), quote(draw(JUNK), safe="")))
    return found


def _value(parameter: Json) -> st.SearchStrategy[str]:
    likely: tuple[str, ...] = {
        "boolean": (*("true", "True", "FALSE", "1", "") * 3, "perhaps"),
        "integer": NUMBERS,
        "number": NUMBERS,
        "string": {
            "runtimeStatus": STATUSES,
            "op": OPERATIONS,
            "version": ("2", "1.0%20a", "9", ""),
            "ifRunning": ("raise", "return", "RETURN", "maybe"),
        }.get(parameter["name"], ("o", "found%20a%20bug", "")),
    }[parameter["schema"]["type"]]
    if parameter["schema"].get("format") == "date-time":
        likely = TIMES
    return _mostly(st.sampled_from(likely), JUNK.map(lambda text: quote(text, safe="")))


_VALUES: Final = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=5)
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)),
    max_leaves=5,
)
_GARBAGE: Final = (
    b"{",
    b"\xff\xfe",
    b"NaN",
    b"[1e999]",
    b"[" * 5000,
    b'"\\ud800"',
    b'{"\\ud800": 1}',
    b"\xef\xbb\xbf1",
    b"9" * 5000,
    b'"{"',
    b"null",
    b'""',
    b" ",
)
_TYPES: Final = (
    "application/json",
    "application/json; charset=utf-8",
    "text/plain",
    "TEXT/PLAIN",
    "image/png",
    "",
    "/",
)


@st.composite
def _body(draw: st.DrawFn) -> tuple[dict[str, str], bytes]:
    kind = draw(st.integers(0, 9))
    if kind < 3:
        return {}, b""
    if kind < 8:
        value = draw(_VALUES)
        text = json.dumps(value)
        return {"content-type": "application/json"}, (json.dumps(text) if kind == 7 else text).encode()
    return {"content-type": draw(st.sampled_from(_TYPES))}, draw(
        st.one_of(st.sampled_from(_GARBAGE), st.binary(max_size=20))
    )
