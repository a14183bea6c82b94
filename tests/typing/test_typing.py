"""Types flow through durio's surface, and wrong calls are found before they run: in mypy and in pyright."""

from __future__ import annotations

from collections import Counter

import pytest

from durio.orchestration import App
from tests.typing import checkers, program
from tests.typing.checkers import Error

Said = dict[str, list[Error]]


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> Said:
    """What each checker says of program.py, use.py and misuse.py without its marks."""
    folder = tmp_path_factory.mktemp("unmarked")
    checkers.unmarked(folder)
    return {"mypy": checkers.mypy(folder), "pyright": checkers.pyright(folder)}


@pytest.mark.parametrize("checker", ["mypy", "pyright"])
def test_right_calls_are_right(said: Said, checker: str) -> None:
    """Every assert_type of use.py holds, and nothing in it or in the program it calls is an error."""
    assert [error for error in said[checker] if error.file != "misuse.py"] == []


@pytest.mark.parametrize("checker", ["mypy", "pyright"])
def test_wrong_calls_are_wrong(said: Said, checker: str) -> None:
    """Every marked line of misuse.py is an error, and no other."""
    lines = {error.line for error in said[checker] if error.file == "misuse.py"}
    assert lines == checkers.marks().keys()


def test_wrong_calls_are_wrong_once(said: Said) -> None:
    """Mypy says one thing about each wrong line, and it is what the mark names."""
    found = [(error.line, error.code) for error in said["mypy"] if error.file == "misuse.py"]
    assert Counter(found) == Counter(checkers.marks().items())


def test_enough_is_looked_at() -> None:
    """The types of all calls and all kinds of mistakes are looked at: 27 and 10 of them is the least."""
    assert (checkers.HERE / "use.py").read_text("utf-8").count("    assert_type(") >= 27
    assert len(checkers.marks()) >= 10


def test_program_is_real() -> None:
    """What the checkers read can be registered, so the types are those of a program that runs."""
    assert isinstance(program.app, App)
    registry = program.app.registry
    assert registry.activity("roll").function is program.dice
    assert registry.orchestration("buy", "2").function is program.purchase
    assert registry.entities.find("box") is not None
