"""Payloads: JSON values and annotated types come back as they went in, everything else is refused (G31, G33)."""

from __future__ import annotations

import collections
import dataclasses
import enum
import math
import pickle
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any, Generic, Literal, NamedTuple, NewType, TypedDict, TypeVar
from uuid import UUID

import attrs
import cattrs
import pytest
from cattrs.preconf.json import make_converter as make_json
from cattrs.preconf.msgspec import make_converter as make_msgspec
from hypothesis import given
from hypothesis import strategies as st

from durio.entities.limits import PAYLOAD_DEPTH_MAX
from durio.entities.payloads import PayloadError, Payloads, PayloadTooLarge

T = TypeVar("T")
ItemId = NewType("ItemId", int)


class Color(enum.Enum):
    RED = "red"
    ONE = 1


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Size(enum.StrEnum):
    S = "s"
    L = "l"


class Place(NamedTuple):
    at: datetime
    name: str


class Movie(TypedDict):
    title: str
    released: date


@attrs.define
class Card:
    number: str


@attrs.define
class Cash:
    coins: int


@dataclasses.dataclass
class Point:
    x: float
    y: float = 0.0


@attrs.define
class Defaults:
    text: str = "a"


@attrs.define
class Box(Generic[T]):
    value: T


@attrs.define
class Node:
    children: list[Node]


@attrs.define
class Order:
    id: UUID
    placed: datetime
    due: date
    at: time
    color: Color
    level: Level
    total: Decimal
    wait: timedelta
    raw: bytes
    grid: list[list[float]]
    stock: dict[UUID, int]
    ranks: dict[int, str]
    items: dict[ItemId, Point]
    flags: dict[bool, Color]
    colors: dict[Color, int]
    days: Mapping[date, Size]
    paid: Card | Cash | None
    note: str | int | None
    pair: tuple[int, Place]
    tags: frozenset[str]
    kind: Literal["a", 2]
    anything: Any


@attrs.define
class Broken:
    field: Missing  # type: ignore[name-defined]  # noqa: F821  # pyright: ignore[reportUndefinedVariable]  # on purpose


@attrs.define
class Loose:
    inner: Any


@attrs.define
class Either:
    key: UUID | str


@attrs.define
class Mixed:
    keys: dict[int | str, int]


@attrs.define
class Day:
    day: date


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
finite = st.floats(allow_nan=False, allow_infinity=False)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | finite | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=20,
)
offsets = st.integers(-1439, 1439).map(lambda m: timezone(timedelta(minutes=m)))
moments = st.datetimes(timezones=offsets | st.none())
points = st.builds(Point, finite, finite)
orders = st.builds(
    Order,
    id=st.uuids(),
    placed=moments,
    due=st.dates(),
    at=st.times(),
    color=st.sampled_from(Color),
    level=st.sampled_from(Level),
    total=st.decimals(allow_nan=False),
    wait=st.timedeltas(),
    raw=st.binary(max_size=20),
    grid=st.lists(st.lists(finite, max_size=3), max_size=3),
    stock=st.dictionaries(st.uuids(), st.integers(), max_size=3),
    ranks=st.dictionaries(st.integers(), texts, max_size=3),
    items=st.dictionaries(st.integers(), points, max_size=3),
    flags=st.dictionaries(st.booleans(), st.sampled_from(Color), max_size=2),
    colors=st.dictionaries(st.sampled_from(Color), st.integers(), max_size=2),
    days=st.dictionaries(st.dates(), st.sampled_from(Size), max_size=2),
    paid=st.none() | st.builds(Card, texts) | st.builds(Cash, st.integers()),
    note=st.none() | texts | st.integers(),
    pair=st.tuples(st.integers(), st.builds(Place, moments, texts)),
    tags=st.frozensets(texts, max_size=3),
    kind=st.sampled_from(["a", 2]),
    anything=json_values,
)

payloads = Payloads()


def again(value: object, type_: object = Any) -> Any:
    return payloads.decode(payloads.encode(value), type_)


def exact(value: Any) -> Any:
    """The value with its types, so that True, 1 and 1.0 differ."""
    if isinstance(value, list):
        return [exact(v) for v in value]
    if isinstance(value, dict):
        return {k: exact(v) for k, v in value.items()}
    return (type(value), repr(value))


@given(json_values)
def test_plain_json_values_come_back_the_same(value: Any) -> None:
    """G33: payloads are JSON values, with ints of any size and the sign of zero kept."""
    assert exact(again(value)) == exact(value)


@given(orders)
def test_attrs_classes_come_back_typed(order: Order) -> None:
    """G33: attrs classes, enums, datetimes and UUIDs come back typed by their annotations."""
    back = again(order, Order)
    assert back == order
    assert back.placed.utcoffset() == order.placed.utcoffset()
    assert exact(back.note) == exact(order.note)
    assert all(type(k) is int for k in back.ranks)


@given(st.lists(points, max_size=4))
def test_dataclasses_in_plain_lists_come_back_typed(values: list[Point]) -> None:
    """G33: what is nested in plain lists goes through cattrs too."""
    assert again(values, list[Point]) == values


@pytest.mark.parametrize(
    ("value", "type_"),
    [
        (None, None),
        (None, int | None),
        (3, int | None),
        ((1, "a"), tuple[int, str]),
        ((1, 2, 3), tuple[int, ...]),
        ({1, 2}, set[int]),
        ([1, 2], Sequence[int]),
        (collections.deque([1]), collections.deque[int]),
        (collections.Counter("aab"), collections.Counter[str]),
        ({UUID(int=1): 2}, dict[UUID, int]),
        ({Size.S: 2}, dict[Size, int]),
        (Place(datetime(2020, 1, 1), "x"), Place),  # noqa: DTZ001  # a naive one round-trips too
        ({"title": "x", "released": date(2020, 1, 1)}, Movie),
        (Box(3), Box[int]),
        (Box(Point(1.0)), Box[Point]),
        (Node([Node([]), Node([Node([])])]), Node),
        ([Card("1"), Cash(2)], list[Card | Cash]),
        (Size.L, Size),
        (Level.HIGH, Level),
        ([Level.HIGH, None], list[Level | None]),
        (["x", Level.HIGH], list[Level | str]),
        (Color.ONE, Literal[Color.ONE]),
        (datetime(2020, 1, 1, tzinfo=UTC), datetime),
        (time(1, 2, 3, 4, tzinfo=UTC), time),
        (timedelta.max, timedelta),
        (timedelta.min, timedelta),
        (timedelta(days=-1, microseconds=1), timedelta),
        (Decimal("1E+5"), Decimal),
        (b"\x00\xff", bytes),
        (10**400, int),
        ("\x00\u2028", str),
        (ItemId(4), ItemId),
        ([1, "a"], list[T]),  # type: ignore[valid-type]  # on purpose
        ([1], object),
    ],
    ids=repr,
)
def test_annotated_values_come_back_typed(value: Any, type_: Any) -> None:
    """G33: every supported annotation restores its value."""
    back = again(value, type_)
    assert back == value
    assert type(back) is type(value)


def test_an_int_is_a_float_where_a_float_is_annotated() -> None:
    """G33: JSON has one number type, so 1 is the float 1.0 by annotation."""
    assert exact(payloads.decode(b"1", float)) == exact(1.0)
    assert exact(payloads.decode(b"1", float | str)) == exact(1.0)
    assert exact(payloads.decode(b"1", int | float)) == exact(1)


def test_extra_keys_are_ignored() -> None:
    """G33: a newer writer may add fields to a class."""
    assert payloads.decode(b'{"x":1.5,"z":3}', Point) == Point(1.5)


def circular() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


def deep(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels - 1):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [
        math.nan,
        math.inf,
        [1.0, math.nan],
        {"a": {"b": -math.inf}},
        Loose([math.nan]),
        Point(math.nan),
        complex(1, 2),
        object(),
        [object()],
        Loose(object()),
        "\ud800",
        ["\udfff"],
        {"\ud800": 1},
        {1: 2},
        {True: 2},
        {None: 2},
        {1.5: 2},
        [{"a": {1: 2}}],
        Loose({1: 2}),
        {Level.LOW: 1},
        {(1, 2): 3},
        {Size.S: 1, UUID(int=1): 2, str(UUID(int=1)): 3},
        deep(100_000),
        circular(),
        Broken(1),
        Order,
        Either("a"),
        Mixed({1: 2}),
        Day(datetime(2020, 1, 1)),  # noqa: DTZ001  # its time would be lost
        Day("2020-01-01"),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # on purpose
        10**5000,
    ],
    ids=lambda v: type(v).__name__,
)
def test_what_has_no_json_form_is_refused_when_encoded(value: Any) -> None:
    """G31: a value that JSON would change or could not hold is refused at the call, with its name."""
    with pytest.raises(PayloadError) as caught:
        payloads.encode(value, "result of activity 'f1'")
    assert caught.value.what == "result of activity 'f1'"
    assert str(caught.value).startswith("result of activity 'f1' (")
    payloads.encode(str(caught.value))


@pytest.mark.parametrize(
    ("data", "type_"),
    [
        (b"1", str),
        (b'"1"', int),
        (b"true", int),
        (b"1", bool),
        (b"1.0", int),
        (b'"1"', float),
        (b"true", float),
        (b"null", int),
        (b"0", None),
        (b"true", int | None),
        (b"true", str | int | None),
        (b"true", Literal[1]),
        (b"true", Color),
        (b'"blue"', Color),
        (b"true", Level),
        (b"7", Level),
        (b'"abc"', list[str]),
        (b'{"a":1}', list[str]),
        (b'"ab"', tuple[str, str]),
        (b"[1]", tuple[int, int]),
        (b"[1,2,3]", tuple[int, int]),
        (b"[]", Defaults),
        (b'"xyz"', Defaults),
        (b"{}", Point),
        (b'{"x":"1"}', Point),
        (b"[]", dict[str, int]),
        (b'{"a":1}', dict[int, int]),
        (b'{"1.5":1}', dict[int, int]),
        (b'{"key":"a"}', Either),
        (b"5", UUID),
        (b'"x"', UUID),
        (b'"x"', datetime),
        (b"5", Decimal),
        (b'"x"', Decimal),
        (b"5", timedelta),
        (b'{"field":1}', Broken),
        (b"{}", "Order"),
        (b"1", complex),
        (b"1", 5),
        (b"1e400", Any),
        (b"NaN", Any),
        (b"[Infinity]", list[float]),
        (b"", Any),
        (b"\xff", Any),
        (b'"\xed\xa0\x80"', Any),
        (b'"\\ud800"', str),
        (b"[" * 100_000 + b"]" * 100_000, Any),
        (b'{"children":[' * 400 + b"]}" * 400, Node),
    ],
    ids=lambda v: repr(v)[:30],
)
def test_bytes_that_are_no_value_of_the_type_are_refused(data: bytes, type_: Any) -> None:
    """G31: wrong types and malformed bytes are one kind of error that names the value and the wanted type."""
    with pytest.raises(PayloadError) as caught:
        payloads.decode(data, type_, "input of 'f1'")
    assert caught.value.what == "input of 'f1'"
    assert caught.value.why


def test_the_error_names_the_path() -> None:
    """G31: the error says where in the value it is wrong, and what was expected there."""
    with pytest.raises(PayloadError) as caught:
        payloads.decode(b'[{"x":1},{"x":"no"},{}]', list[Point], "input")
    assert str(caught.value) == (
        "input (list[tests.entities.test_payloads.Point]): ".replace("tests.entities.test_payloads", Point.__module__)
        + "expected float, got str @ $[1].x; the required field 'x' is missing @ $[2].x"
    )


def test_too_large_is_refused_with_size_and_limit() -> None:
    """G31: too large a payload is refused at the call, and the error says how large it may be."""
    small = Payloads(bytes_max=10)
    assert small.encode("x" * 8) == b'"xxxxxxxx"'
    with pytest.raises(PayloadTooLarge, match="11 bytes, at most 10 are allowed"):
        small.encode("x" * 9)


def test_nesting_has_one_limit_for_plain_and_typed_values() -> None:
    """G33: what was encoded decodes again, so depth is bounded by a number and not by the call stack."""
    deepest = deep(PAYLOAD_DEPTH_MAX)
    assert again(deepest) == deepest
    for value in (deep(PAYLOAD_DEPTH_MAX + 1), [date(2020, 1, 1), deepest], Loose(deepest)):
        with pytest.raises(PayloadError, match=f"more than {PAYLOAD_DEPTH_MAX} levels"):
            payloads.encode(value)


def test_the_error_survives_pickling() -> None:
    """G31: the error can cross to another process whole."""
    error = PayloadError("input", "Order", "no \ud800")
    back = pickle.loads(pickle.dumps(error))
    assert (back.what, back.type_name, back.why) == ("input", "Order", "no \\ud800")
    assert str(back) == str(error)


@pytest.mark.parametrize("make", [make_json, make_msgspec])
def test_a_converter_of_the_user_is_copied_and_used_as_it_is(make: Any) -> None:
    """G33: the user's hooks decide, enums in plain lists included, and the given converter is not changed."""
    given_converter: cattrs.Converter = make()
    given_converter.register_unstructure_hook(Size, lambda size: size.name)
    given_converter.register_structure_hook(Size, lambda name, _: Size[name])
    mine = Payloads(given_converter)
    given_converter.register_structure_hook(Size, lambda *_: None)
    assert mine.encode([Size.L]) == b'["L"]'
    assert mine.decode(b'["L"]', list[Size]) == [Size.L]
    assert mine.decode(b'"5"', int) == 5
    moment = datetime(2020, 1, 1, tzinfo=UTC)
    assert mine.decode(mine.encode([moment]), list[datetime]) == [moment]
    assert mine.decode(mine.encode(Box({1: 2})), Box[dict[int, int]]) == Box({1: 2})
    for bad in ({1: 2}, [math.nan], Point(math.inf), object()):
        with pytest.raises(PayloadError):
            mine.encode(bad)
