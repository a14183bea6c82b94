"""The trace: numbered steps for people, whole lines for comparing."""

from __future__ import annotations

from durio.simulation import Trace

WIDTH_MAX = 110


def test_steps_are_numbered_and_notes_stand_below_them() -> None:
    """A step is its number, its kind and what it is about; what came of it is indented under it, in order."""
    trace = Trace()
    trace.step("client 0", "call @c@k add(1)")
    trace.step("commit", "1")
    trace.note("client 0 gets 1")
    trace.note("client 1 gets 2")
    trace.step("restart", "")
    assert str(trace).splitlines() == [
        "   1  client 0  call @c@k add(1)",
        "   2  commit    1",
        "                client 0 gets 1",
        "                client 1 gets 2",
        "   3  restart",
    ]
    assert [(step.number, step.kind, step.notes) for step in trace.steps][1] == (
        2,
        "commit",
        ["client 0 gets 1", "client 1 gets 2"],
    )


def test_what_happens_before_the_first_step_has_a_place() -> None:
    """A note without a step stands under one that says that the hub was opened."""
    trace = Trace()
    trace.note("a timer is late")
    trace.step("commit", "1")
    assert str(trace).splitlines() == ["   1  open", "                a timer is late", "   2  commit    1"]


def test_long_lines_are_cut_for_people_only() -> None:
    """What is printed fits on a screen and shows where it was cut; `lines()` has all of it, for comparing."""
    trace = Trace()
    trace.step("turn", "x" * 200)
    trace.note("y" * 200)
    trace.note("z" * (WIDTH_MAX - 16))
    printed = str(trace).splitlines()
    assert [len(line) for line in printed] == [WIDTH_MAX] * 3
    assert [line[-1] for line in printed] == ["…", "…", "z"]
    assert "x" * 200 in trace.lines()[0]
    assert "y" * 200 in trace.lines()[1]


def test_an_empty_trace_is_an_empty_text() -> None:
    """Nothing happened, nothing is printed."""
    assert (str(Trace()), Trace().lines()) == ("", [])


def test_numbers_have_room() -> None:
    """The columns stay in line up to the longest run there is by default."""
    trace = Trace()
    for _ in range(2_000):
        trace.step("time", "+1 s")
    assert {len(line) for line in trace.lines()} == {len("   1  time      +1 s")}
