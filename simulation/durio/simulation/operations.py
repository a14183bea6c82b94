"""What was asked of entities, by whom and when: the history that has to be linearizable."""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from durio.entities import Answer, Answered, Mail, Operation
from durio.simulation.wording import text, told_outcome


@attrs.define(eq=False)
class EntityOperation:
    """One operation that somebody asked for. Times are numbers of steps.

    `returned` and `answer` are None as long as nobody knows how it went: it may have happened or not. One-way
    operations have no answer.
    """

    entity: str
    name: str
    input: bytes | None
    who: str
    invoked: int
    at_us: int
    returned: int | None = None
    answer: Answer | None = None
    one_way: bool = False

    def __str__(self) -> str:
        end = "?" if self.returned is None else str(self.returned)
        shown = "" if self.answer is None else f" -> {show(self.answer)}"
        return f"[{self.invoked}..{end}] {self.who}: {self.name}({text(self.input)}){shown}"


def show(answer: Answer) -> str:
    """An answer in a few words."""
    return told_outcome(answer.failure, answer.value)


class OperationLog:
    """The operations that clients, orchestrations and entities asked of entities.

    Guarantee: what the process sent or took but had not made durable when it died is forgotten with it.
    """

    def __init__(self) -> None:
        self._operations: list[EntityOperation] = []
        self._calls: dict[tuple[str, str, int], EntityOperation] = {}
        self._asked: dict[str, EntityOperation] = {}
        self._sent: dict[int, list[EntityOperation]] = {}
        self._answered: dict[int, list[tuple[EntityOperation, int, Answer]]] = {}

    def __iter__(self) -> Iterator[EntityOperation]:
        return iter(self._operations)

    def sent(self, batch: int, step: int, entity: str, message: Operation) -> None:
        """An actor sent an operation."""
        caller = message.caller
        operation = EntityOperation(
            entity, message.name, message.input, message.sender, step, message.at_us, one_way=caller is None
        )
        self._sent.setdefault(batch, []).append(operation)
        if caller is not None:
            self._calls[caller.address, caller.execution, caller.action] = operation

    def asked(self, batch: int, step: int, who: str, token: str, entity: str, message: Operation) -> None:
        """A client's operation was taken in."""
        operation = EntityOperation(
            entity, message.name, message.input, who, step, message.at_us, one_way=not message.reply
        )
        self._sent.setdefault(batch, []).append(operation)
        self._asked[token] = operation

    def answered(self, token: str, step: int, answer: Answer) -> None:
        """A client gets its answer."""
        operation = self._asked.get(token)
        if operation is not None and not operation.one_way and operation.returned is None:
            operation.returned, operation.answer = step, answer

    def taken(self, batch: int, step: int, address: str, mails: list[Mail]) -> None:
        """An actor took messages, answers among them."""
        for _, message in mails:
            if isinstance(message, Answered):
                operation = self._calls.get((address, message.execution, message.action))
                if operation is not None:
                    answer = Answer(value=message.result, failure=message.failure)
                    self._answered.setdefault(batch, []).append((operation, step, answer))

    def durable(self, batch: int) -> None:
        """A batch is on disk."""
        for operation in self._sent.pop(batch, ()):
            if operation.one_way:
                operation.returned = operation.invoked  # accepted: it will happen
            self._operations.append(operation)
        for operation, step, answer in self._answered.pop(batch, ()):
            if operation.returned is None:
                operation.returned, operation.answer = step, answer

    def lost(self) -> None:
        """The process died: what was not durable never was."""
        self._sent.clear()
        self._answered.clear()
