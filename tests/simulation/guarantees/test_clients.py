"""What durio guarantees to clients, and of entities, as properties over interleavings, crashes and faults."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any, Final

import attrs
from hypothesis import strategies as st

from durio.entities import Operation
from durio.orchestration import Client
from durio.orchestration.records import ALIVE
from durio.simulation import (
    Call,
    Interval,
    Sim,
    call,
    linearization,
    raise_event,
    resume,
    rewind,
    signal,
    start,
    suspend,
    terminate,
)
from durio.storage import HubClosed
from tests.simulation.guarantees import lives
from tests.simulation.guarantees.claims import (
    FAULTS,
    another_run,
    claim,
    done,
    exactly_once,
    input_of,
    items,
    named,
    of_kind,
    returned_just_now,
    unknown,
)
from tests.simulation.guarantees.disk import Disk
from tests.simulation.guarantees.owed import everything_is_done
from tests.simulation.guarantees.town import Journal, Office, Slow, careful, errand, single

numbers = st.integers(1, 9)
ids = st.sampled_from(["s", "t"])
states: st.SearchStrategy[Any] = st.sampled_from([None, 0, "", [], False, {}, 1])

NOTHING: Final = "nothing"


@claim(
    call(Journal.scrawl, numbers),
    signal(Journal.scrawl, numbers),
    call(Journal.append, numbers),
    call(Slow.slip, numbers),
    signal(Slow.slip, numbers),
    call(Slow.peek),
)
def test_g10_an_operation_that_raises_has_not_happened(sim: Sim) -> None:
    """G10: state and outbox are as before an operation that raised; its caller got the error."""
    assert sim.linearizable()
    for asked in named(of_kind(sim, "call"), "scrawl", "slip"):
        assert asked.returned is None or type(asked.error).__name__ == "EntityOperationFailed", asked.value
    assert items(sim, "blots") == []
    assert not sim.status("blot")
    appended = named(of_kind(sim, "call"), "append")
    exactly_once(
        items(sim, "k"),
        [input_of(sim, asked) for asked in done(appended)],
        [input_of(sim, asked) for asked in unknown(appended)],
    )


@claim(
    call("set", states, entity="cell"),
    signal("set", states, entity="cell"),
    call("look", entity="cell"),
    keys=("x", "y"),
)
def test_g11_none_deletes_and_every_other_value_is_state(sim: Sim) -> None:
    """G11: an entity whose state is None is not there; 0, "", [], False and {} are states."""
    for key in ("x", "y"):
        asked = [one for one in of_kind(sim, "call", "signal") if one.request and one.request.target.endswith(key)]
        history = [_seen(sim, one) for one in asked]
        end = len(sim.trace.steps) + 1
        there = ["state", sim.state("cell", key)] if sim.exists("cell", key) else [NOTHING]
        history.append(Interval(("look", None), end, end, repr(there)))
        assert linearization(history, repr([NOTHING]), _cell, str.__eq__) is not None, history


def _seen(sim: Sim, asked: Call) -> Interval[tuple[str, Any], str]:
    assert asked.request is not None, "a request of the plan"
    answered = asked.returned is not None
    one_way = asked.request.kind == "signal"
    end = float(asked.returned) if asked.returned is not None and not one_way else float("inf")
    answer = repr(asked.value) if answered and not one_way else None
    return Interval((asked.request.name, input_of(sim, asked)), asked.invoked, end, answer, required=answered)


def _cell(state: str, operation: tuple[str, Any]) -> tuple[str, str]:
    """The cell, in three lines: what is there, and what it answers."""
    name, value = operation
    after = repr([NOTHING] if value is None else ["state", value]) if name == "set" else state
    return after, state


@claim(call(Office.open, ids), signal(Office.open, "s"), start(single, instance_id="s"))
def test_g11_an_entity_starts_what_does_not_run(sim: Sim) -> None:
    """G11: what an entity starts runs once, and goes on if it ran already; nobody is told of it."""
    wanted = {asked.value for asked in done(named(of_kind(sim, "call"), "open"))}
    assert all(sim.status(instance_id).runtime_status == "Running" for instance_id in wanted)
    noted = [instance for instance, _ in items(sim, "lives")]
    assert sorted(noted) == sorted(sim.instances), f"lives noted: {noted}"


def shown_at_once(sim: Sim) -> None:
    """What a client was told in this step is what a read shows now: it asks alone, so nothing came since."""
    for asked in returned_just_now(sim):
        request, error = asked.request, type(asked.error).__name__
        assert request is not None, "a request of the plan"
        if request.kind == "call":
            assert (asked.value, input_of(sim, asked)) in enumerate(items(sim, "k")), f"{asked} got {asked.value}"
        elif request.kind == "signal":
            assert input_of(sim, asked) in [*items(sim, "k"), *_unread(sim)]
        else:
            shown = str(sim.status(request.target).runtime_status or "")
            running = {"start": ALIVE, "terminate": ("Terminated",), "suspend": ("Suspended",)}
            expected = {
                "NoneType": running.get(request.kind, ("Running", "Suspended", "Completed")),
                "InstanceNotFound": ("",),
                "InstanceFinished": ("Completed", "Terminated"),
                "InstanceAlreadyExists": ("Running", "Suspended"),
            }
            assert shown in expected[error], f"{asked} was answered, {request.target} is {shown or 'not there'}"


def _unread(sim: Sim) -> list[Any]:
    found = [message for _, _, message in Disk(sim).mail("@journal@k") if isinstance(message, Operation)]
    return [sim._subject.app.payloads.decode(message.input or b"null") for message in found]


@claim(
    call(Journal.append, numbers),
    signal(Journal.append, numbers),
    start(single, instance_id="s"),
    raise_event("s", "stop"),
    suspend("s"),
    resume("s"),
    terminate("s"),
    clients=1,
    max_calls=8,
    faults=attrs.evolve(FAULTS, abandoned=False),
    invariant=shown_at_once,
)
def test_g13_what_was_answered_is_shown_by_the_next_read(sim: Sim) -> None:
    """G13: an ask returns when the turn that accepted or refused it is on disk, a tell when its message is."""
    assert not unknown(sim.results)
    answers = [lives.answer_of(asked) for asked in sim.results]
    assert None not in answers


def steps_done(sim: Sim) -> None:
    """A start that was answered in this step has had its first step."""
    for asked in returned_just_now(sim):
        if asked.request is not None and asked.request.kind == "start" and asked.error is None:
            status = sim.status(asked.request.target)
            assert status.runtime_status not in ("", "Pending"), f"{asked} was answered, and has not begun"
            assert status.custom_status in ("begun", "nearly done")


@claim(start(errand, numbers), suspend("errand-0"), resume("errand-0"), invariant=steps_done, max_calls=4)
def test_g14_a_start_includes_the_first_step(sim: Sim) -> None:
    """G14: the turn that accepts a start runs the first step; one that starts later is Pending, on disk, until then."""
    later = sim.now + timedelta(hours=1)
    sim.do(lambda client: client.start_new(single, "later", start_at=later))
    assert sim.status("later").runtime_status == "Pending"
    sim.crash()
    sim.advance(minutes=59)
    assert sim.status("later").runtime_status == "Pending"
    sim.advance(minutes=2)
    assert sim.status("later").runtime_status == "Running"


@claim(
    call(Journal.append, numbers),
    call(Slow.add, numbers),
    start(errand, numbers),
    start(single, instance_id="s", if_running="replace"),
    terminate("s"),
    max_calls=4,
    examples=150,
)
def test_g14_reads_show_the_last_commit(sim: Sim) -> None:
    """G14: between two commits, whatever happens, nothing that can be read changes."""
    with another_run(sim) as again:
        shown = _all_that_is_shown(again)
        while again.step():
            if again._world.process is None:
                continue  # it died: the commit is there, or is not
            if again.trace.steps[-1].kind in ("commit", "restart"):
                shown = _all_that_is_shown(again)
            else:
                assert _all_that_is_shown(again) == shown, f"shown before its commit: {again.trace.steps[-1]}"


def _all_that_is_shown(sim: Sim) -> list[Any]:
    return [sim.instances, items(sim, "k"), sim.state(Slow), sim.exists(Journal), [*Disk(sim).states()]]


STARTS: Final = (
    start(single, instance_id=ids),
    start(single, instance_id=ids, if_running="return"),
    start(single, instance_id=ids, if_running="replace"),
    start(single, instance_id=ids, if_finished="raise"),
)


@claim(*STARTS, call(Office.open, ids), raise_event(ids, "stop"), terminate(ids), max_calls=8, examples=300)
def test_g15_one_start_wins(sim: Sim) -> None:
    """G15: starts are decided one after the other, each life has one `created` answer, and notes itself once."""
    everything_is_done(sim)
    noted = items(sim, "lives")
    assert len({execution for _, execution in noted}) == len(noted), f"a life began twice: {noted}"
    for instance_id in ("s", "t"):
        assert lives.linearizable(sim, instance_id), [str(asked) for asked in sim.results]
        starts = [one for one in of_kind(sim, "start") if one.request and one.request.target == instance_id]
        created = [asked for asked in done(starts) if asked.value.created]
        most = len(created) + len(unknown(starts)) + len(named(of_kind(sim, "call"), "open"))
        assert len(created) <= len(lives.lives_noted(noted, instance_id)) <= most


@claim(
    start(single, instance_id="s", if_running="return"),
    start(single, instance_id="s", if_running="replace"),
    raise_event("s", "stop"),
    terminate("s"),
    suspend("s"),
    resume("s"),
    clients=2,
    max_calls=8,
    examples=300,
)
def test_g26_control_is_decided_like_all_else(sim: Sim) -> None:
    """G15, G26: with suspend and resume among them all asks still fit one order, and a held stop comes at resume."""
    assert lives.linearizable(sim, "s"), [str(asked) for asked in sim.results]


@claim(
    start(careful, instance_id="c", if_running="replace"),
    start(single, instance_id="c", if_running="return"),
    raise_event("c", "how", st.sampled_from(["return", "raise", "again"])),
    suspend("c"),
    resume("c"),
    terminate("c"),
    rewind("c"),
    max_calls=6,
    examples=100,
)
def test_g17_the_index_says_what_the_instances_say(sim: Sim) -> None:
    """G2, G17: after every commit and every crash the rows of the index are those that follow from the instances."""
    with another_run(sim) as again:
        seen = -1
        while again.step():
            disk = None if again._world.process is None else Disk(again)
            if disk is not None and disk.commit != seen:
                seen = disk.commit
                assert disk.wrong() == []


@claim(
    start(careful, instance_id="c", if_running="replace"),
    raise_event("c", "how", st.sampled_from(["return", "raise", "again"])),
    terminate("c"),
    max_calls=6,
    examples=150,
)
def test_g17_waiting_is_for_the_life_that_is_there(sim: Sim) -> None:
    """G17: who waits hears of the end of the life that was there, over continue-as-new and crashes, and of no other."""
    life_of: dict[str, str] = {}
    bound: dict[int, str] = {}

    def wait(number: int) -> Callable[[Client, str], Coroutine[Any, Any, Any]]:
        async def waiting(client: Client, _: str) -> Any:
            head = Disk(again).head("c")
            assert head is not None, "it was there"
            bound[number] = head.life
            return await client.wait_for_completion("c")

        return waiting

    with another_run(sim, abandoned=()) as again:
        waits: list[Call] = []
        while again.step():
            head = None if again._world.process is None else Disk(again).head("c")
            if head is not None and life_of.setdefault(head.execution, head.life) and len(waits) < 20:
                waits.append(again._world.add_call("wait", 10 + len(waits), wait(len(waits))))
        for number, asked in enumerate(waits):
            if isinstance(asked.error, HubClosed):
                continue  # its process died, and it cannot be asked again
            if asked.returned is not None:
                assert life_of.get(asked.value.execution_id) == bound[number]
                assert asked.value.runtime_status in ("Completed", "Failed", "Terminated")
            else:
                assert again.status("c").runtime_status == "Running"
