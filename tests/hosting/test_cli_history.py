"""The command `history`: a timeline that people can read, and the same for programs."""

from __future__ import annotations

from tests.hosting.cli_helpers import Cli, Owner


def test_a_timeline_has_offsets_names_and_durations(cli: Cli) -> None:
    """What ends names what it ends, and how long that took."""
    with Owner(cli.hub):
        cli.ok("start", "busy", "--id", "b", "--input", "3", "--wait")
        told = cli.ok("history", "b", "--output", "--json").json
        shown = cli.ok("history", "b", "--output").out
    kinds = [event["eventType"] for event in told["history"]]
    assert kinds[0] == "Started"
    assert kinds[-1] == "Ended"
    by_kind = {event["eventType"]: event for event in told["history"]}
    assert by_kind["ActivityCompleted"]["name"] == "double"
    assert by_kind["ActivityCompleted"]["result"] == 6
    assert by_kind["ChildCompleted"]["name"] == "echo"
    assert by_kind["EntityAnswered"]["operation"] == "add"
    assert by_kind["TimerFired"]["durationSeconds"] >= 0.01
    offsets = [event["offsetSeconds"] for event in told["history"]]
    assert offsets == sorted(offsets)
    assert offsets[0] == 0
    lines = shown.splitlines()
    assert lines[0].split() == ["b", "busy", "Completed"]
    assert lines[3].split() == ["time", "offset", "event", "#", "what", "took", "detail"]
    (completed,) = [line for line in lines if " ActivityCompleted " in line]
    assert "1  double" in completed
    assert "result 6" in completed
    assert "ms" in completed


def test_a_timeline_shows_failures_and_hides_values(cli: Cli) -> None:
    """A failure is in the line of its event; inputs and results only with `--output`."""
    with Owner(cli.hub):
        cli("start", "fails", "--id", "f", "--input", '"pump"', "--wait")
        told = cli.ok("history", "f", "--json").json
        shown = cli.ok("history", "f").out
        assert "input" not in told["history"][0]
        assert 'input "pump"' not in shown
        assert 'input "pump"' in cli.ok("history", "f", "--output").out
    (failed,) = [line for line in shown.splitlines() if " ActivityFailed " in line]
    assert "ValueError: pump is broken" in failed
    assert told["runtimeStatus"] == "Failed"
    assert told["history"][2]["failure"]["message"] == "pump is broken"


def test_the_names_within_a_failure(cli: Cli) -> None:
    """They are written as all others are."""
    with Owner(cli.hub):
        cli("start", "fails", "--id", "f", "--input", '"it"', "--wait")
        *_, last = cli.ok("history", "f", "--json").json["history"]
    assert (last["failure"]["nonRetriable"], "non_retriable" in str(last)) == (False, False)
