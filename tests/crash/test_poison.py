"""Code that ends its own process: what was running is counted, and parked in the end."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

LIVES = Path(__file__).with_name("lives.py")

WHY = "it was running at 3 unclean ends of the process"
POISONED = "durio.entities.errors.Poisoned"
CRASHED = "durio.orchestration.errors.ActivityCrashed"
STARTED = "Started(instance_id='it', created=True)"


@pytest.fixture(scope="module")
def lives(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """How all the programs went."""
    folder = tmp_path_factory.mktemp("lives")
    ran = subprocess.run([sys.executable, str(LIVES), str(folder)], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


@pytest.mark.parametrize(
    ("name", "what", "killed"),
    [
        # A synchronous operation runs before its message is durable: the first end finds nothing that could be counted.
        ("operation", "operation 'go_off'", 4),
        ("async operation", "operation 'go_off_slowly'", 3),
        ("operation in a thread", "operation 'go_off_in_a_thread'", 3),
    ],
)
def test_an_operation_that_ends_the_process_is_parked(lives: dict[str, Any], name: str, what: str, killed: int) -> None:
    """G6: found running at the third unclean end it is parked, its caller gets `Poisoned`, the entity goes on."""
    went = lives[name]
    assert went["said"] == [[f"{what}: {WHY}", 1], [["@bomb@k", what, 3]]]
    assert went["killed"] == killed
    assert went["counts"] == 0


@pytest.mark.parametrize(
    ("name", "what", "told"),
    [
        ("first step", "start of 'dies_at_once'", None),
        ("step after a result", "an activity's result", STARTED),
        ("step after an event", "event 'go'", None),
    ],
)
def test_a_step_that_ends_the_process_fails_its_instance(
    lives: dict[str, Any], name: str, what: str, told: str | None
) -> None:
    """G6: the message is parked, who waits for its answer gets `Poisoned`, and the instance becomes Failed."""
    went = lives[name]
    (answer, status, output), letters = went["said"]
    assert answer == (told or f"{what}: {WHY}")
    assert status == "Failed"
    assert output.startswith(POISONED)
    assert letters == [["it", what, 3]]
    assert (went["killed"], went["counts"]) == (4, 0)


def test_a_replay_that_ends_the_process_fails_its_instance(lives: dict[str, Any]) -> None:
    """G6: there is no message to be parked; the instance becomes Failed without running its code."""
    assert lives["replay"] == {"killed": 3, "said": [["Failed", POISONED], []], "counts": 0}


def test_cleanup_code_that_ends_the_process_is_not_run_for_ever(lives: dict[str, Any]) -> None:
    """G6: the terminate that caused it is parked, and the instance becomes Failed."""
    went = lives["cleanup"]
    assert went["said"] == [[f"terminate: {WHY}", "Failed"], [["it", "terminate", 3]]]


@pytest.mark.parametrize("name", ["call from an orchestration", "child"])
def test_an_orchestration_that_waits_gets_a_failure(lives: dict[str, Any], name: str) -> None:
    """G6: a call or a child that was parked is a failed task, which the caller may catch."""
    (told, status, output), letters = lives[name]["said"]
    assert (told, status, output) == (STARTED, "Completed", POISONED)
    assert len(letters) == 1


@pytest.mark.parametrize("name", ["activity", "activity in a thread"])
def test_an_activity_that_ends_the_process_fails_at_the_tenth_time(lives: dict[str, Any], name: str) -> None:
    """G24: found running at ten unclean ends it fails with `ActivityCrashed`, and is not tried again."""
    assert lives[name] == {"killed": 10, "said": [[STARTED, "Completed", CRASHED], []], "counts": 0}


def test_clean_ends_count_nothing(lives: dict[str, Any]) -> None:
    """G6: a hub that is closed in good order leaves nothing to be counted."""
    assert lives["clean ends"] == {"killed": 0, "said": [6, []], "counts": 0}
