"""docs/test-kit.md has all of the test kit on one page, with the defaults of the code."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Final

import attrs
import pytest

from durio import simulation
from durio.simulation import Faults, Sim, SimMachine, simulate
from tests.docs.pages import PROJECT, blocks_of, prose_of, rows_of

PAGE: Final = PROJECT / "docs" / "test-kit.md"
OWN_TESTS: Final = frozenset({"asks", "counted", "parts", "widths", "plan", "close", "teardown"})
"""For durio's own tests, or nothing that one has to know."""
DEFAULT: Final = re.compile(r"`(\w+)` \(([\d,]+)\)|([\d,]+) (?:steps|runs)[^`(]*\(`(\w+)=`\)")


def words_of(page: Path) -> set[str]:
    """Every name in the code of a page: in backticks, and in its blocks."""
    code = [block.text for block in blocks_of(page)]
    code += re.findall(r"`[^`]+`", "\n".join(line for _, line in prose_of(page)))
    return {word for text in code for word in re.findall(r"\w+", text)}


def shown_by(cls: type) -> set[str]:
    """What a class shows to users, without what it has from elsewhere."""
    bases = [base for base in cls.__mro__ if base.__module__.startswith("durio.")]
    return {name for base in bases for name in vars(base) if not name.startswith("_")}


@pytest.mark.parametrize(
    "names",
    [
        pytest.param(set(inspect.signature(simulate).parameters), id="parameters of simulate"),
        pytest.param(set(inspect.signature(simulation.simulation).parameters), id="parameters of simulation"),
        pytest.param(shown_by(Sim), id="Sim"),
        pytest.param(shown_by(SimMachine), id="SimMachine"),
        pytest.param({field.name for field in attrs.fields(Faults)}, id="Faults"),
    ],
)
def test_page_names_everything(names: set[str]) -> None:
    """Every parameter and every method that a user may need stands on the page."""
    assert names - OWN_TESTS - words_of(PAGE) == set()


def test_faults_have_the_defaults_of_the_page() -> None:
    """The table of faults has every fault with its default, in the order of the code."""
    shown = [row[0].strip("`") for row in rows_of(PAGE) if re.fullmatch(r"`\w+=\w+`", row[0])]
    assert shown == [f"{field.name}={field.default}" for field in attrs.fields(Faults)]


def test_numbers_are_the_defaults() -> None:
    """Where the page gives a number for a parameter, it is the default; it does so for six of them."""
    defaults = {name: found.default for name, found in inspect.signature(simulate).parameters.items()}
    defaults["crashes_max"] = SimMachine.crashes_max
    prose = " ".join(line for _, line in prose_of(PAGE))
    found = [(one or other, value or number) for one, value, number, other in DEFAULT.findall(prose)]
    assert len(found) >= 6
    assert [(name, number) for name, number in found if f"{defaults[name]:,}" != number] == []


def test_every_kind_of_step_is_explained() -> None:
    """The page has every kind of step that a trace may show."""
    source = (PROJECT / "simulation" / "durio" / "simulation" / "world.py").read_text("utf-8")
    source += (PROJECT / "simulation" / "durio" / "simulation" / "sim.py").read_text("utf-8")
    kinds = set(re.findall(r"Enabled\(\s*f?\"(\w+)", source)) | set(re.findall(r"\.step\(\"(\w+)\"", source))
    shown = {word for row in rows_of(PAGE) for word in re.findall(r"`(\w+)(?: 0)?`", row[0])}
    assert len(kinds) >= 8
    assert kinds - shown == set()
