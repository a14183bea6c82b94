"""Whether what clients saw of an entity could have come from one operation after the other (Wing and Gong, with memo).

The model is the entity's own code, run sequentially. Source: J. Wing and C. Gong, Testing and Verifying Concurrent
Objects (1993); the memo over (done, state) is G. Lowe's (2017).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Generic, TypeVar

import attrs

S = TypeVar("S")
O = TypeVar("O")  # noqa: E741  # an operation
A = TypeVar("A")

FOREVER: Final = float("inf")


@attrs.frozen
class Interval(Generic[O, A]):
    """An operation, the times between which it took effect, and what it answered.

    `answer` is None when nobody knows it. `required` is False for one that may not have happened at all.
    """

    operation: O
    begin: float
    end: float
    answer: A | None
    required: bool = True


def linearization(
    history: Sequence[Interval[O, A]],
    initial: S,
    apply: Callable[[S, O], tuple[S, A]],
    agrees: Callable[[A, A], bool],
) -> list[Interval[O, A]] | None:
    """An order in which the operations, one after the other, give the answers that were seen; None if there is none.

    States must be hashable. The order contains every required operation, and of the others those that it needs.
    """
    required = sum(1 << n for n, interval in enumerate(history) if interval.required)
    seen: set[tuple[int, S]] = set()
    applied: dict[tuple[int, S], tuple[S, A]] = {}
    order: list[int] = []

    def candidates(done: int) -> list[int]:
        left = [n for n in range(len(history)) if not done >> n & 1]
        horizon = min((history[n].end for n in left if history[n].required), default=FOREVER)
        latest = max((history[n].begin for n in range(len(history)) if done >> n & 1), default=-FOREVER)
        fitting = (n for n in left if history[n].begin <= horizon and history[n].end >= latest)
        return sorted(fitting, key=lambda n: history[n].end)

    frames = [(0, initial, iter(candidates(0)))]
    if not required:
        return []
    while frames:
        done, state, choices = frames[-1]
        for number in choices:
            interval = history[number]
            if (number, state) not in applied:
                applied[number, state] = apply(state, interval.operation)
            after, answer = applied[number, state]
            if interval.answer is not None and not agrees(answer, interval.answer):
                continue
            now = done | 1 << number
            if (now, after) in seen:
                continue
            seen.add((now, after))
            order.append(number)
            if now & required == required:
                return [history[n] for n in order]
            frames.append((now, after, iter(candidates(now))))
            break
        else:
            frames.pop()
            if order:
                order.pop()
    return None


@attrs.frozen
class Linearizability:
    """The verdict on some entities; true if every one of them is linearizable. Its text shows the first that is not."""

    violated: str = ""
    history: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return not self.violated

    def __repr__(self) -> str:
        if not self.violated:
            return "linearizable"
        lines = "\n".join(f"  {line}" for line in self.history)
        return f"{self.violated} is not linearizable: no order of these operations gives these answers\n{lines}"
