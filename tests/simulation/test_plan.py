"""A plan is plain data: its text replays it exactly, and no other text replays anything."""

from __future__ import annotations

import base64
import json
import re
from typing import Any, get_args

import attrs
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from durio.orchestration import App
from durio.simulation import Faults, Plan, Request, UnusableReplay, call, start
from durio.simulation.asking import Ask, raise_event
from durio.simulation.drawing import plans
from durio.simulation.plan import FORMAT, Kind

WORDS = st.text(max_size=8)
NUMBERS = st.lists(st.integers(0, 99), max_size=3).map(tuple)
OPTION_VALUES = st.none() | st.booleans() | st.integers() | WORDS
REQUESTS = st.builds(
    Request,
    client=st.integers(0, 9),
    kind=st.sampled_from(get_args(Kind)),
    target=WORDS,
    name=WORDS,
    input=WORDS,
    options=st.lists(st.tuples(WORDS, OPTION_VALUES), max_size=2).map(tuple),
)
PLANS = st.builds(
    Plan,
    requests=st.lists(REQUESTS, max_size=3).map(tuple),
    schedule=NUMBERS,
    crashes=st.lists(st.tuples(st.integers(1, 99), st.sampled_from(["before", "after"])), max_size=2).map(tuple),
    duplicates=NUMBERS,
    retries=NUMBERS,
    abandoned=NUMBERS,
    jumps=st.lists(st.tuples(st.integers(0, 99), st.floats(-1e6, 1e6)), max_size=2).map(tuple),
    evict=st.booleans(),
)

app = App()


@app.entity
@attrs.define
class Counter:
    """Counts."""

    value: int = 0

    def add(self, amount: int) -> int:
        self.value += amount
        return self.value


@app.orchestration
async def wait(ctx: Any, name: str) -> None:
    await ctx.wait_for_external_event(name)


ASKS: tuple[Ask, ...] = (
    call(Counter.add, st.integers()),
    start(wait, st.text(), instance_id=st.sampled_from(["a", "b"]), if_running="replace"),
    raise_event(st.sampled_from(["a", "b"]), "go", st.lists(st.text())),
)


def text_of(data: object) -> str:
    """Any JSON value, wrapped as a plan is."""
    return base64.urlsafe_b64encode(msgspec.json.encode(data)).decode().rstrip("=")


def fields(**changes: object) -> list[object]:
    """The JSON of an empty plan with some fields changed."""
    empty: dict[str, object] = {field.name: [] for field in attrs.fields(Plan)}
    empty["evict"] = False
    return [FORMAT, *(empty | changes).values()]


@given(plan=PLANS)
def test_a_plan_comes_back_as_it_was(plan: Plan) -> None:
    """`decode` gives what was encoded, to the last type: equal, hashable, and with the same text."""
    again = Plan.decode(plan.encode())
    assert again == plan
    assert hash(again) == hash(plan)
    assert again.encode() == plan.encode()


@given(plan=plans(app, ASKS, Faults(crashes=2), keys=("k", "Ä"), clients=3, calls_max=6))
def test_a_drawn_plan_comes_back_as_it_was(plan: Plan) -> None:
    """Whatever Hypothesis draws can be replayed from one word."""
    assert Plan.decode(plan.encode()) == plan
    assert re.fullmatch(r"[\w-]+", plan.encode(), re.ASCII), "one word for a shell and for a source file"


@given(plan=PLANS)
def test_a_plan_is_printed_as_what_replays_it(plan: Plan) -> None:
    """The text that a failing test prints is Python that gives the plan."""
    assert repr(plan) == f"Plan.decode({plan.encode()!r})"


@given(text=st.text(max_size=60) | st.text("ABCabc019_-", max_size=60) | st.binary().map(lambda data: data.hex()))
def test_any_other_text_is_refused(text: str) -> None:
    """G31: garbage is an `UnusableReplay` that shows the text and says which one to give."""
    with pytest.raises(UnusableReplay, match="give the text between the quotes") as caught:
        Plan.decode(text)
    assert caught.value.text == text


@given(plan=PLANS, cut=st.integers(1, 20))
def test_a_text_that_was_cut_is_refused(plan: Plan, cut: int) -> None:
    """G31: half a text replays nothing, and does not replay half of it."""
    with pytest.raises(UnusableReplay):
        Plan.decode(plan.encode()[:-cut])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | WORDS,
    lambda inner: st.lists(inner, max_size=9) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=12,
)


@given(data=JSON)
def test_any_other_data_is_refused(data: object) -> None:
    """G31: what can be unpacked but is no plan is refused as well."""
    with pytest.raises(UnusableReplay):
        Plan.decode(text_of(data))


@pytest.mark.parametrize(
    "wrong",
    [
        fields(schedule=["a"]),
        fields(schedule="123"),
        fields(schedule=[1.5]),
        fields(crashes=[[1, "later"]]),
        fields(crashes=[["1", "after"]]),
        fields(duplicates=[None]),
        fields(jumps=[[1, "far"]]),
        fields(evict="no"),
        fields(requests=[[0, "eat", "k", "", "", []]]),
        fields(requests=[["x", "call", "@c@k", "add", "", []]]),
        fields(requests=[[0, "call", 5, "add", "", []]]),
        fields(requests=[[0, "call", "@c@k"]]),
        fields(requests=[[0, "call", "@c@k", "add", "", [["only a name"]]]]),
    ],
    ids=json.dumps,
)
def test_a_plan_of_wrong_values_is_refused(wrong: object) -> None:
    """G31: a number where a word belongs, an unknown kind or moment: refused before anything runs."""
    assert Plan.decode(text_of(fields())) == Plan()
    with pytest.raises(UnusableReplay):
        Plan.decode(text_of(wrong))


@pytest.mark.parametrize("data", [[FORMAT + 1, *fields()[1:]], [FORMAT + 1], [FORMAT + 1, *range(20)]])
def test_another_format_is_named(data: object) -> None:
    """A text of another version of durio is told from garbage, however many facts it holds."""
    with pytest.raises(UnusableReplay, match=f"its format is {FORMAT + 1}, this version reads {FORMAT}"):
        Plan.decode(text_of(data))


def test_requests_are_shown_as_people_would_write_them() -> None:
    """The trace names what is asked, of whom, with which input and with unusual options; long inputs are cut."""
    shown = [
        str(Request(0, "call", "@c@k", "add", "5")),
        str(Request(0, "signal", "@c@k", "reset")),
        str(Request(0, "start", "a", "wait", '"go"', (("if_running", "replace"),))),
        str(Request(0, "event", "a", "go", "[1]")),
        str(Request(0, "terminate", "a")),
        str(Request(0, "suspend", "a")),
        str(Request(0, "rewind", "a")),
    ]
    assert shown == [
        "call @c@k add(5)",
        "signal @c@k reset()",
        "start wait(\"go\") as 'a', if_running='replace'",
        "raise event 'go'([1]) for 'a'",
        "terminate 'a'",
        "suspend 'a'",
        "rewind 'a'",
    ]
    assert str(Request(0, "call", "@c@k", "add", "9" * 61)) == f"call @c@k add({'9' * 60}…)"
