"""The harness of the planted bugs can fail: it wants the bug that was planted, in time, and in few steps."""

from __future__ import annotations

import attrs
import pytest

from tests.simulation.planted.harness import assert_found, find, passes
from tests.simulation.planted.report import modules, planted
from tests.simulation.planted.user_money import LOST_UPDATE, REFUSAL_UNREAD
from tests.simulation.planted.user_waiting import SIGNAL_THEN_READ


def test_a_correct_program_is_not_found() -> None:
    """Where no bug is, none is found."""
    with pytest.raises(AssertionError, match="not found in"):
        find(attrs.evolve(LOST_UPDATE, wrong=LOST_UPDATE.right), 30)


def test_another_error_is_not_the_bug() -> None:
    """A failure of another class is not what was planted."""
    with pytest.raises(AssertionError, match="found something else"):
        find(attrs.evolve(LOST_UPDATE, error=KeyError), 30)


def test_another_failure_is_not_the_bug() -> None:
    """A failure whose text does not show the bug is another one."""
    with pytest.raises(AssertionError, match="is not in what was found"):
        find(attrs.evolve(LOST_UPDATE, shows="withdraw"), 30)


def test_a_long_finding_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A finding that has too many steps fails."""
    short = attrs.evolve(SIGNAL_THEN_READ, steps_max=1)
    with pytest.raises(AssertionError, match=r": \d steps"):
        assert_found(short)


def test_a_wrong_twin_does_not_pass() -> None:
    """A twin with the bug raises what the property raises, with the trace."""
    with pytest.raises(AssertionError, match="goods for") as caught:
        passes(attrs.evolve(REFUSAL_UNREAD, right=REFUSAL_UNREAD.wrong), 30)
    assert "what happened" in "\n".join(caught.value.__notes__)


def test_the_report_knows_all_modules() -> None:
    """The report finds the bugs in user code by itself."""
    names = [name for name in modules() if name.startswith("user_")]
    assert LOST_UPDATE in tuple(planted(names))
    assert {"user_activities", "user_chance", "user_money", "user_waiting"} <= set(names)
