"""The model of an entity: its own code, run sequentially on a state of its own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import attrs

from durio.entities import Answer, EntityId, EntityKind, Guard, Operation, OperationTimeout, type_name
from durio.entities.entity import Entity
from durio.orchestration import App
from durio.orchestration.directory import HubDirectory
from durio.simulation.clocks import SimClock, SimEnv
from durio.simulation.linearizability import FOREVER, Interval, Linearizability, linearization
from durio.simulation.operations import EntityOperation
from durio.simulation.tasks import NeverEnds, run_alone

ANY: Final = Answer(refusal="any")
"""The answer of an operation that made up a fresh id: no model can know it."""

LOOK: Final = "(look at the state)"
"""The name of no operation: reads the state at rest."""

NEVER: Final = Answer(refusal="never")
"""The answer of an operation that never ends: it agrees with none."""

_SENT: Final = 0.5
"""Within a step all that is taken comes before all that is sent: who asks again has the answer already."""


class Model:
    """Runs operations of one entity, one after the other, away from any hub."""

    def __init__(self, app: App, entity: str) -> None:
        self._env = SimEnv(SimClock())
        self.made_up = False
        """Whether an operation made up an id, so that nobody can know the answers behind it."""
        directory = HubDirectory(app.registry, self._env)
        self._kind = EntityKind(app.registry.entities, app.payloads, directory)
        self._id = EntityId.parse(entity)
        self._behaviour = app.registry.entities.get(self._id.name)

    def apply(self, state: bytes | None, asked: EntityOperation) -> tuple[bytes | None, Answer]:
        """The state after an operation, and its answer. One that raises leaves the state as it was (G10)."""
        if asked.name is LOOK:
            return state, Answer(value=state)
        message = Operation(at_us=asked.at_us, name=asked.name, input=asked.input)
        before = self._env.ids
        actor = Entity(self._id, self._behaviour, state, Guard())
        if self._behaviour.is_async(asked.name):
            try:
                outcome = run_alone(self._kind.run_async, actor, message, asked.at_us)
            except NeverEnds:
                return state, NEVER
        else:
            outcome = self._kind.run(actor, self._behaviour, message, state, asked.at_us)
        after = state if outcome.failure is not None else outcome.state
        if self._env.ids != before:  # the hub made others
            self.made_up = True
            return after, ANY
        return after, Answer(value=outcome.result, failure=outcome.failure)


@attrs.frozen
class Rest:
    """Nothing is left to do: the step at which that was so, and the state that the entity had then."""

    step: int
    state: bytes | None


def judge(
    app: App, entity: str, operations: Iterable[EntityOperation], *, at_rest: bool, rest: Rest | None = None
) -> Linearizability:
    """Whether one entity is linearizable. At rest, what was accepted one-way has happened, and led to `rest.state`.

    An operation that uses the time cannot be judged; one that makes up an id is believed.
    """
    asked = [operation for operation in operations if not _timed_out(operation)]
    history = [_interval(operation, at_rest, rest) for operation in asked]
    if rest is not None:
        looked = EntityOperation(entity, LOOK, None, "at rest", rest.step + 1, 0)
        history.append(Interval(looked, looked.invoked, FOREVER, Answer(value=rest.state)))
    model = Model(app, entity)
    if linearization(history, None, model.apply, _agree) is not None or model.made_up:
        return Linearizability()
    return Linearizability(entity, tuple(str(operation) for operation in asked))


def _timed_out(operation: EntityOperation) -> bool:
    """Time decides that, and not the state, which it leaves as it was: it fits everywhere."""
    failure = None if operation.answer is None else operation.answer.failure
    return failure is not None and failure.type == type_name(OperationTimeout)


def _interval(operation: EntityOperation, at_rest: bool, rest: Rest | None) -> Interval[EntityOperation, Answer]:
    begin, returned = operation.invoked + _SENT, operation.returned
    if operation.one_way:
        end = FOREVER if rest is None else max(begin, float(rest.step))
        return Interval(operation, begin, end, None, at_rest and returned is not None)
    end = FOREVER if returned is None else max(returned, begin)
    return Interval(operation, begin, end, operation.answer, operation.answer is not None)


def _agree(one: Answer, other: Answer) -> bool:
    if one is ANY:
        return True
    if one.failure is None or other.failure is None:
        return bool(one.failure is other.failure and one.value == other.value)
    return (one.failure.type, one.failure.message) == (other.failure.type, other.failure.message)
