"""Recorder: what the code of an execution asks for. Collected live, compared with the history in replay (G20)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple, TypeVar

import msgspec

from durio.entities import CURRENT_GUARD, Failure, Guard, NotDurable, caller_line, refusal_of
from durio.orchestration.causes import Causes
from durio.orchestration.errors import NonDeterminismError, TurnTooLong
from durio.orchestration.history import Action, HistoryEvent, describe, same_action
from durio.orchestration.limits import STEPS_MAX
from durio.orchestration.refusals import is_refusal, rebuild

ActionT = TypeVar("ActionT", bound=Action)

INSTEAD: Final = "a context belongs to the code it was given to; give others what they need as values"


class Segment(NamedTuple):
    """What history holds for a step behind a rewind of it: None for nothing yet. `begin` is called on the way to it."""

    expected: deque[HistoryEvent] | None
    begin: Callable[[], None]


class Recorder:
    """The actions of one execution.

    Guarantees: ids come in the order of the calls; a refusal is recorded, and in replay raised again from the record;
    the first difference is remembered, so swallowing its error does not hide it; once `dead`, and after an offence,
    nothing is recorded (G25).
    """

    def __init__(self, instance_id: str, guard: Guard) -> None:
        self.actions: list[Action] = []
        self.expected: deque[HistoryEvent] | None = None
        """In replay: what history holds for this step and the code has not asked for yet."""
        self.later: tuple[Segment, ...] = ()
        """What history holds for this step behind rewinds of it."""
        self.dead = False
        self.broken: Exception | None = None
        """Why the execution cannot go on: it differs from its history, or does not end its turn."""
        self.causes: Causes | None = None
        """What went wrong up to now."""
        self._instance_id = instance_id
        self._guard = guard
        self._ids = 0
        self._steps = 0

    @property
    def silent(self) -> bool:
        """Whether what the code asks for has no effect any more."""
        return self.dead or self._guard.offence is not None

    def next_id(self) -> int:
        """The id of the next action."""
        self._go_on()
        self._ids += 1
        return self._ids

    def new_input(self) -> None:
        """Something happened: steps and actions are counted from here (G8)."""
        self._steps = 0

    def count(self) -> None:
        """One step or action more."""
        self._steps += 1
        if self._steps > STEPS_MAX and self.broken is None:
            self.broken = TurnTooLong(self._instance_id, STEPS_MAX)

    def request(self, draft: ActionT, fill: Callable[[], ActionT]) -> ActionT:
        """Ask for an action. `draft` has its id and names; `fill()` completes it, or raises why it is refused."""
        recorded = self._expect(draft)
        if recorded is None:
            try:
                action = fill()
            except Exception as error:
                if not is_refusal(error):
                    raise
                failure = refusal_of(error)
                self._record(msgspec.structs.replace(draft, refused=failure))
                raise self._refusal(draft, failure) from error
            self._record(action)
            return action
        refused: Failure | None = getattr(recorded, "refused", None)
        if refused is not None:
            raise self._refusal(draft, refused)
        return recorded

    def blame(self, error: BaseException, actions: Iterable[int] = (), others: Iterable[BaseException] = ()) -> None:
        """`error` tells of the failure of `actions`, and of those that the `others` tell of (G27)."""
        if self.causes is None:
            self.causes = Causes()
        self.causes.note(error, actions, others)

    def _refusal(self, action: Action, failure: Failure) -> Exception:
        error = rebuild(failure)
        self.blame(error, (action.id,))
        return error

    def ask(self, action: ActionT) -> ActionT:
        """Ask for an action that is never refused; in replay the recorded one."""
        recorded = self._expect(action)
        if recorded is None:
            self._record(action)
            return action
        return recorded

    def differs(self, expected: str, actual: str, where: str) -> NonDeterminismError:
        """The code does something else than its history; gives the error to be raised."""
        error = NonDeterminismError(self._instance_id, expected, actual, where)
        if self.broken is None:
            self.broken = error
        return error

    def check_inside(self) -> None:
        """Refuse whoever is not this execution's own code: what they ask for would come elsewhere in a replay (G21)."""
        current = CURRENT_GUARD.get()
        if current is self._guard or self.dead:
            return
        error = NotDurable("the context of another execution was used", INSTEAD, caller_line())
        raise error if current is None else current.refuse(error)

    def _expect(self, action: ActionT) -> ActionT | None:
        self.check_inside()
        self._go_on()
        if self.dead or self.expected is None:
            return None
        if not self.expected:
            raise self.differs("nothing more", describe(action), caller_line())
        recorded = self.expected.popleft()
        if not same_action(recorded, action):
            raise self.differs(describe(recorded), describe(action), caller_line())
        return recorded  # type: ignore[return-value]  # same_action: the types are equal

    def rest(self) -> HistoryEvent | None:
        """What history holds for this step and the code did not ask for; the step is over."""
        left = self.expected[0] if self.expected else None
        later, self.later = self.later, ()
        for segment in later:
            segment.begin()
            if left is None and segment.expected:
                left = segment.expected[0]
        return left

    def _go_on(self) -> None:
        """The code has asked for all that it had asked for before it was rewound."""
        while self.later and self.expected is not None and not self.expected:
            segment, self.later = self.later[0], self.later[1:]
            segment.begin()
            self.expected = segment.expected

    def _record(self, action: Action) -> None:
        if self.silent:
            return
        self.count()
        if self.broken is not None:
            raise self.broken
        self.actions.append(action)
