"""The lives of one instance id, as a model: what every ask may be answered, whatever else is going on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import MappingProxyType
from typing import Final

import attrs

from durio.orchestration import Started
from durio.simulation import Call, Interval, Sim, linearization

States = frozenset[str]
"""All that an instance may be. "stopping": it was resumed and will come to the stop that it held."""

FINAL_STATUS: Final = MappingProxyType(
    {"Running": "alive", "Suspended": "held", "": "", "Terminated": "over", "Completed": "over"}
)
"""What each status at the end says."""


@attrs.frozen
class Asked:
    """One ask, and its answer if there is one: the model keeps what fits to it."""

    kind: str
    if_running: str = "raise"
    if_finished: str = "start"
    seen: str | None = None


def linearizable(sim: Sim, instance_id: str) -> bool:
    """Whether all asks for a `single` could have come one after the other, and left what is there now."""
    calls = [asked for asked in sim.results if asked.sent and asked.request and asked.request.target == instance_id]
    history = [_interval(asked) for asked in calls]
    history += [_opened(asked, instance_id, sim) for asked in sim.results if _opens(asked, instance_id)]
    status = str(sim.status(instance_id).runtime_status or "")
    end = len(sim.trace.steps) + 1
    history.append(Interval(Asked("read", seen=FINAL_STATUS[status]), end, end, True))
    return linearization(history, frozenset({""}), _apply, bool.__eq__) is not None


def answer_of(asked: Call) -> str | None:
    """The answer of an ask in a word; None if there is none."""
    if asked.returned is None:
        return None
    if asked.error is not None:
        return type(asked.error).__name__
    if isinstance(asked.value, Started):
        return "created" if asked.value.created else "found"
    return "done"


def _interval(asked: Call) -> Interval[Asked, bool]:
    assert asked.request is not None, "a request of the plan"
    options, seen = dict(asked.request.options), answer_of(asked)
    one = Asked(asked.request.kind, options.get("if_running", "raise"), options.get("if_finished", "start"), seen=seen)
    end = float("inf") if asked.returned is None else asked.returned
    return Interval(one, asked.invoked, end, None if seen is None else True, required=seen is not None)


def _opens(asked: Call, instance_id: str) -> bool:
    request = asked.request
    return bool(asked.sent and request and request.name == "open" and instance_id in request.input)


def _opened(asked: Call, instance_id: str, sim: Sim) -> Interval[Asked, bool]:
    """A start by an entity, one way: some time after it was asked, at the latest when everything is at rest."""
    sure = asked.returned is not None and sim.at_rest
    return Interval(Asked("start", "return"), asked.invoked, float("inf"), None, required=sure)


def _apply(states: States, one: Asked) -> tuple[States, bool]:
    """What an instance may be after an ask was answered so, and whether it can have been answered so at all."""
    after = {
        then for state in states for then, answer in _answers(state, one) if one.seen is None or answer == one.seen
    }
    return frozenset(after), bool(after)


def _answers(state: str, one: Asked) -> Iterator[tuple[str, str]]:
    if state == "stopping":
        yield from _answers("over", one)  # it has come to the stop meanwhile
    if one.kind == "read":
        yield state, state.partition(",")[0]
    elif one.kind == "start" and state != "stopping":
        yield _started(state, one)
    elif state in ("", "over"):
        yield state, "InstanceFinished" if state else "InstanceNotFound"
    elif one.kind == "terminate":
        yield "over", "done"
    elif one.kind == "event" and state != "stopping":
        yield {"alive": "over", "held": "held, stop", "held, stop": "held, stop"}[state], "done"
    elif one.kind == "suspend":
        yield {"alive": "held", "stopping": "held, stop"}.get(state, state), "done"
    elif one.kind == "resume":
        yield {"held": "alive", "held, stop": "stopping"}.get(state, state), "done"


def _started(state: str, one: Asked) -> tuple[str, str]:
    if state in ("", "over"):
        refused = state == "over" and one.if_finished == "raise"
        return (state, "InstanceAlreadyExists") if refused else ("alive", "created")
    if one.if_running == "replace":
        return "alive", "created"
    return state, "found" if one.if_running == "return" else "InstanceAlreadyExists"


def lives_noted(lives: Sequence[Sequence[str]], instance_id: str) -> list[str]:
    """The executions that a `single` has noted in its journal, in order."""
    return [execution for instance, execution in lives if instance == instance_id]
