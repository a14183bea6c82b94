"""Addresses: what can be an id, and what is refused with a reason."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durio.entities import EntityId, InvalidAddress, check_instance_id, is_entity

TEXT = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=30)


@pytest.mark.parametrize(
    ("instance_id", "why"),
    [
        ("", "empty"),
        ("@counter@a", "'@'"),
        ("@", "'@'"),
        ("a\0b", "control"),
        ("a\nb", "control"),
        ("a\x7fb", "control"),
        ("a\x85b", "control"),
        ("\ud800", "surrogate"),
        ("x" * 257, "257 bytes"),
        ("ü" * 129, "258 bytes"),
        (17, "str"),
        (None, "str"),
        (b"a", "str"),
    ],
)
def test_an_id_that_cannot_be_one_is_refused_with_the_reason(instance_id: object, why: str) -> None:
    """G31: an instance id is refused at the call when it is empty, too long, no text, or would break a key."""
    with pytest.raises(InvalidAddress, match=why) as caught:
        check_instance_id(instance_id)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("instance_id", ["x" * 256, "ü" * 128, "a@b", " ", "a/b:c", "日本", "order-17"])
def test_every_other_text_is_an_instance_id(instance_id: str) -> None:
    """G31: no more is refused than has to be."""
    assert check_instance_id(instance_id) == instance_id
    assert not is_entity(instance_id)


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("", "a"), ("counter", ""), ("a@b", "a"), ("counter", "a\0"), ("count\ner", "a"), ("counter", "\ud800"),
        ("counter", "x" * 248), (5, "a"), ("counter", 5), (None, "a"), ("counter", None),
    ],
)  # fmt: skip
def test_an_entity_id_that_cannot_be_one_is_refused(name: Any, key: Any) -> None:
    """G31: an entity id needs a name without '@', a key, no control characters and at most 256 bytes."""
    with pytest.raises(InvalidAddress):
        EntityId(name, key)


@given(name=TEXT.filter(lambda name: "@" not in name), key=TEXT)
def test_an_entity_id_is_its_text(name: str, key: str) -> None:
    """`@name@key`, the name lower-cased, the key as it is; a key may hold '@'."""
    entity_id = EntityId(name, key)
    assert str(entity_id) == f"@{name.lower()}@{key}"
    assert EntityId.parse(str(entity_id)) == entity_id
    assert is_entity(str(entity_id))


def test_names_compare_lower_cased_and_keys_as_they_are() -> None:
    """@Counter@A and @counter@A are one entity, @counter@a is another."""
    assert EntityId("Counter", "A") == EntityId("COUNTER", "A") != EntityId("counter", "a")
    assert len({EntityId("Counter", "A"), EntityId("counter", "A")}) == 1
    assert repr(EntityId("Counter", "A")) == "EntityId('counter', 'A')"


@pytest.mark.parametrize("text", ["counter", "@counter", "x@counter@a", "", "@", "@@", "@@a", "@counter@"])
def test_what_is_no_entity_id_is_not_parsed(text: str) -> None:
    """G31: only `@name@key` names an entity."""
    with pytest.raises(InvalidAddress):
        EntityId.parse(text)
