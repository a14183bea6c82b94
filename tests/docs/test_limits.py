"""docs/limits.md has every limit of the code, and says what is beyond each."""

from __future__ import annotations

import re

import pytest

from tests.docs.facts import errors
from tests.docs.limits import LAYERS, NEW, PAGE, UNITS, beyond_in, layer_rows, refreshed

BUILT_IN = {"ValueError", "TypeError", "OSError"}


def test_the_page_has_the_limits_of_the_code() -> None:
    """G31: names, values, units and reasons on the page are those of the code, in the same order."""
    text = PAGE.read_text("utf-8")
    assert refreshed(text) == text, "run: python -m tests.docs.refresh"


def test_every_limit_says_what_is_beyond_it() -> None:
    """G31: for each limit the page names its error, or what happens instead; the errors exist."""
    known = {*errors(), *BUILT_IN}
    for (title, module), beyond in zip(LAYERS, beyond_in(PAGE.read_text("utf-8")), strict=True):
        for name, *_, words in layer_rows(module, beyond):
            assert words not in ("", NEW), f"{title}: say in docs/limits.md what is beyond {name}"
            named = re.findall(r"`([A-Z]\w*[a-z]\w*)`", words)
            assert set(named) <= known, f"{name}: {named}"


@pytest.mark.parametrize("title", [title for title, _ in LAYERS])
def test_every_limit_has_its_unit_in_its_name_and_a_reason(title: str) -> None:
    """A limit is a number with a sentence behind it; where it has a unit, its name ends with it or says _MAX behind."""
    for name, value, unit, reason, _ in layer_rows(dict(LAYERS)[title], {}):
        assert value, name
        assert unit == "number" or unit in UNITS.values()
        assert reason.endswith((".", ")")), f"{name} has no reason in a docstring"
