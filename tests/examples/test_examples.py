"""Every example runs by itself, shows what it claims, and leaves nothing behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.examples.helpers import EXAMPLES, run_example

CLAIMS = {
    "aggregator": ("/news   500 views", "every one of them: 1500 views"),
    "bank": ("200 transfers at the same time", "all with the same sum: {800}", "800 in 8 accounts, and 0 locks"),
    "eternal": ("1000 reported, 1000 cleaned up", "499500 reported, 499500 freed"),
    "fan_out_fan_in": ("up to 50 activities ran at once", "12,750 words"),
    "find_the_race": ("what happened (", "in all", "run exactly this again:", "nothing was found", "on a real hub"),
    "function_chaining": ("book: reserved -> charged -> shipped", "yacht: reserved -> released"),
    "human_interaction": ("train: approved after 5 hours", "hotel: escalated after 72 hours"),
    "monitor": ("backup is done", "gave up on endless"),
    "seeds_approval": ("approved: True", "forgotten after 72 hours: approval requested, escalated"),
    "seeds_chaining": ("F1 -> F2 -> F3 -> F4",),
    "seeds_counter": ("'get' answers 100", "After 'reset' the state is 0"),
    "seeds_eternal": ("In 24 hours 16 cleanups",),
    "seeds_fan_out": ("[328350]",),
    "seeds_monitor": ("'good' looked 5 times", "Alerts: ['good']"),
    "singleton": (
        "'created': 1",
        "'InstanceAlreadyExists': 99",
        "'created': 0, 'found running': 100",
        "the work was done 1 time",
    ),
}


def test_every_example_is_tested() -> None:
    """Each file in examples/ has its claims here, or a test file of its own."""
    assert {path.stem for path in EXAMPLES.glob("*.py")} == {*CLAIMS, "wordcount"}


@pytest.mark.parametrize("name", CLAIMS)
def test_example_shows_what_it_claims(name: str, tmp_path: Path) -> None:
    """An example ends well, prints its claims and nothing on stderr, and removes its temporary hub."""
    ran = run_example(name, temporary=tmp_path)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert [claim for claim in CLAIMS[name] if claim not in ran.stdout] == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", CLAIMS)
def test_example_runs_again_on_its_hub(name: str, tmp_path: Path) -> None:
    """An example uses the folder it is given, also one that it used before."""
    hub = tmp_path / "hub"
    for _ in range(2):
        ran = run_example(name, hub, temporary=tmp_path)
        assert (ran.returncode, ran.stderr) == (0, "")
    assert list(tmp_path.iterdir()) == [hub]
    assert any(hub.iterdir())
