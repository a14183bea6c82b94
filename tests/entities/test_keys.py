"""Keys sort as the things they stand for."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

import durio.entities.keys as keys
from durio.entities.limits import ADDRESS_BYTES_MAX, REQUEST_ID_BYTES_MAX
from durio.storage import KEY_BYTES_MAX

NUMBERS = st.integers(0, 2**64 - 1)
NAMES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=20)
TABLES = (
    keys.ACTOR, keys.MAIL, keys.TIMER, keys.JOB, keys.REQUEST, keys.REQUEST_TIME, keys.TOMBSTONE,
    keys.LOCK,
)  # fmt: skip


@given(
    one=st.tuples(st.integers(0, 2), NUMBERS, st.integers(0, 9)),
    two=st.tuples(st.integers(0, 2), NUMBERS, st.integers(0, 9)),
)
def test_mail_sorts_by_lane_then_arrival(one: tuple[int, int, int], two: tuple[int, int, int]) -> None:
    """G4: the order of the keys is lane, arrival, number within one arrival; each can be read back."""
    prefix = keys.mailbox("i1")
    first, second = keys.mail(prefix, *one), keys.mail(prefix, *two)
    assert (first < second) == (one < two)
    assert keys.mail_lane(first) == one[0]
    assert keys.mail_arrival(first) == one[1:]
    assert keys.address_of(first) == "i1"


@given(one=st.tuples(NUMBERS, NUMBERS), two=st.tuples(NUMBERS, NUMBERS))
def test_timers_sort_by_due_time_then_scheduling(one: tuple[int, int], two: tuple[int, int]) -> None:
    """G4: (due time, order of scheduling)."""
    assert (keys.timer(*one) < keys.timer(*two)) == (one < two)
    assert keys.timer_due_us(keys.timer(*one)) == one[0]


def test_a_time_before_1970_is_due_at_once() -> None:
    """G28: a due time that no key can hold is simply past."""
    assert keys.timer_due_us(keys.timer(-5, 1)) == 0


@given(one=NAMES, two=NAMES)
def test_no_actor_lies_inside_another(one: str, two: str) -> None:
    """G2: the rows of an actor and of its mailbox are its own, also when one id begins like another."""
    for prefix_of in (keys.actor, keys.mailbox):
        prefix, other = prefix_of(one), prefix_of(two)
        inside = prefix <= other < keys.stop_of(prefix)
        assert inside == (one == two)


def test_every_key_fits_the_store() -> None:
    """G31: the longest allowed address and request id make keys that LMDB takes."""
    longest = "ü" * (ADDRESS_BYTES_MAX // 2)
    request_id = "r" * REQUEST_ID_BYTES_MAX
    for key in (
        keys.actor(longest) + b"\0" * 100,
        keys.mail(keys.mailbox(longest), 2, 2**64 - 1, 2**32 - 1),
        keys.job(longest, "e" * 32, 2**64 - 1),
        keys.request(request_id),
        keys.request_time(2**64 - 1, request_id),
    ):
        assert len(key) <= KEY_BYTES_MAX


def test_tables_do_not_overlap() -> None:
    """G2: every table has a letter of its own."""
    assert len(set(TABLES)) == len(TABLES)
    assert {len(table) for table in TABLES} == {1}
