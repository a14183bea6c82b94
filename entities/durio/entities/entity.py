"""Entities as actors: the ActorKind that runs their operations."""

from __future__ import annotations

import logging
import time
from typing import Final

import attrs
import msgspec
import trio

import durio.entities.keys as keys
from durio.entities.address import EntityId
from durio.entities.blobs import is_blob, payload_size
from durio.entities.changes import View
from durio.entities.context import CURRENT_OPERATION, Directory, EntityContext
from durio.entities.errors import LockLost, Poisoned
from durio.entities.failures import Failure, refusal_of
from durio.entities.guard import Guard
from durio.entities.kinds import Deferred, Taken
from durio.entities.limits import SLOW_STEP_MS, TURN_BYTES_MAX
from durio.entities.locks import Lock, Locks, find_lock
from durio.entities.mailbox import Mail, Mailbox
from durio.entities.messages import (
    Answer,
    Answered,
    EntityMessage,
    LockRequest,
    Message,
    Operation,
    Refuse,
    Release,
    Unreadable,
    entity_messages,
    refuse,
)
from durio.entities.payloads import Payloads
from durio.entities.registry import Behaviour, EntityRegistry
from durio.entities.settlement import Settlement, answer_operation
from durio.storage import Notes

logger = logging.getLogger("durio.entities")

STATE: Final = b"s"
"""Where the state of an entity lies among its rows."""

_OPERATION_BYTES: Final = 64  # about what a message weighs besides its input


class EntityRow(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An entity on disk."""

    state: bytes
    modified_us: int


@attrs.define(eq=False)
class Entity:
    """An entity in memory."""

    entity_id: EntityId
    behaviour: Behaviour | None
    state: bytes | None
    guard: Guard
    view: View | None = None
    """What its lock messages look into; None outside of a hub."""
    lock: Lock | None = None
    """Who holds it: as long as somebody does, it takes the control lane only (G12)."""
    warned: bool = False


@attrs.define(eq=False)
class Outcome:
    """What one operation did: its new state, its result, what it sends; or why it failed."""

    state: bytes | None
    result: bytes | None = None
    failure: Failure | None = None
    sent: list[tuple[str, Message, int | None]] = attrs.Factory(list)


class EntityKind:
    """Runs entities: synchronous operations in batches on the loop, `async def` operations one a turn, outside.

    Guarantees: an operation that raises leaves state and outbox as they were (G10); each operation sees the state
    that the one before it left, freshly decoded; while an entity is locked it takes nothing but what the holder of the
    lock sends, all other mail waits at its place (G12).
    """

    def __init__(
        self, registry: EntityRegistry, payloads: Payloads, directory: Directory, notes: Notes | None = None
    ) -> None:
        self._notes = notes or Notes()
        self._registry = registry
        self._payloads = payloads
        self._directory = directory
        self.locks = Locks()
        self._messages = entity_messages()
        self._rows = msgspec.msgpack.Decoder(EntityRow)

    def decode(self, data: bytes) -> Message:
        return self._messages.decode(data)

    def load(self, view: View, address: str) -> Entity:
        entity_id = EntityId.parse(address)
        group = keys.actor(address)
        row = view.get(group, group + STATE, self._rows)
        state = None if row is None else row.state
        lock = find_lock(view, address)
        return Entity(entity_id, self._registry.find(entity_id.name), state, Guard(), view, lock)

    def decode_row(self, data: bytes) -> EntityRow:
        """An entity's row as it lies on disk."""
        return self._rows.decode(data)

    def prepare(self, actor: Entity) -> bool:
        return self._payloads.ready(actor.state)

    def take(self, actor: Entity, mailbox: Mailbox, messages_max: int) -> Taken[list[EntityMessage]] | None:
        behaviour = actor.behaviour
        if behaviour is None:
            if not actor.warned:
                actor.warned = True
                logger.error("%s is held: no entity of that name is registered", actor.entity_id)
            return None
        if mailbox.peek_control() is not None:
            mail = mailbox.pop_control()
            return Taken([mail], [_of_entity(mail[1])])
        if actor.lock is not None:
            return None  # what waits has its turn after the release
        taken: Taken[list[EntityMessage]] = Taken([], [])
        size = 0
        while len(taken.mails) < messages_max and size < TURN_BYTES_MAX and (waiting := mailbox.peek()) is not None:
            message = _of_entity(waiting[1])
            if taken.mails and is_blob(getattr(message, "input", None)):
                break  # it begins a turn: what is large is loaded before
            if not isinstance(message, Operation) or behaviour.is_async(message.name):
                if taken.mails:
                    break  # it is a turn of its own
                return Taken([mailbox.pop()], [message])
            taken.mails.append(mailbox.pop())
            taken.work.append(message)
            size += payload_size(message.input) + _OPERATION_BYTES
        taken.full = size >= TURN_BYTES_MAX
        return taken if taken.mails else None

    def decide(self, actor: Entity, taken: Taken[list[EntityMessage]], now_us: int) -> list[Outcome] | Deferred:
        behaviour = actor.behaviour
        assert behaviour is not None, "taken only with code"
        outcomes: list[Outcome] = []
        state, note = actor.state, self._notes.note
        for (key, _), message in zip(taken.mails, taken.work, strict=True):
            if not isinstance(message, Operation):
                return []
            lost = _lost(actor, message)
            if lost is not None:
                outcome = Outcome(state, failure=refusal_of(lost))
            elif behaviour.is_async(message.name):
                return Deferred()
            else:
                note(key)
                outcome = self._timed(actor, behaviour, message, state, now_us)
            outcomes.append(outcome)
            state = outcome.state
        self._notes.rest()
        return outcomes

    def settle(
        self, actor: Entity, taken: Taken[list[EntityMessage]], decision: list[Outcome], settlement: Settlement
    ) -> None:
        first = taken.work[0]
        if isinstance(first, Operation):
            self._operate(actor, taken, decision, settlement)
            return
        assert actor.view is not None, "in a hub"
        if isinstance(first, LockRequest):
            actor.lock = self.locks.request(actor.view, first, settlement)
        elif isinstance(first, Release):
            actor.lock = self.locks.release(actor.view, actor.lock, first, settlement)
        else:
            self._refuse(actor, actor.view, first, settlement)
        settlement.consume(taken.mails[0][0])

    def _refuse(self, actor: Entity, view: View, message: Refuse, settlement: Settlement) -> None:
        waiting = view.get(keys.mailbox(settlement.address), message.key, self._messages)
        if waiting is not None:
            self.locks.refuse(view, message, waiting, settlement)
            settlement.consume(message.key)
            settlement.rewind = True  # it may be in the window of the mailbox

    def _operate(
        self, actor: Entity, taken: Taken[list[EntityMessage]], decision: list[Outcome], settlement: Settlement
    ) -> None:
        before = actor.state
        for (key, _), operation, outcome in zip(taken.mails, taken.work, decision, strict=True):
            assert isinstance(operation, Operation), "lock messages are turns of their own"
            settlement.consume(key)
            if outcome.failure is None:
                actor.state = outcome.state
            for address, message, due_us in outcome.sent:
                if due_us is None:
                    settlement.send(address, message)
                else:
                    settlement.schedule(due_us, address, message)
            self._answer(actor, operation, outcome, settlement)
        if actor.state is None:
            if before is not None:
                settlement.delete(STATE)
        elif self._payloads.same(actor.state, before):
            actor.state = before
        else:
            settlement.put(STATE, EntityRow(actor.state, settlement.now_us))

    def object_to(self, view: View, address: str, message: Message) -> Answer | None:
        return None

    def stop(self, actor: Entity) -> None:
        return None

    def park(self, actor: Entity, mail: Mail | None, error: Poisoned, settlement: Settlement) -> None:
        message = None if mail is None else mail[1]
        if message is None or not isinstance(message, Operation | Unreadable):
            return
        caller = message.caller
        if caller is not None:
            failure = refusal_of(error)
            settlement.send(
                caller.address,
                Answered(at_us=settlement.now_us, execution=caller.execution, action=caller.action, failure=failure),
            )
        settlement.answer(message.reply, refuse(error))

    def drop(self, actor: Entity) -> None:
        return None

    def _timed(
        self, actor: Entity, behaviour: Behaviour, operation: Operation, state: bytes | None, now_us: int
    ) -> Outcome:
        started = time.perf_counter()
        outcome = self.run(actor, behaviour, operation, state, now_us)
        took_ms = (time.perf_counter() - started) * 1000
        if took_ms > SLOW_STEP_MS:
            logger.warning("operation %r of %s took %.0f ms on the loop", operation.name, actor.entity_id, took_ms)
        return outcome

    def run(
        self, actor: Entity, behaviour: Behaviour, operation: Operation, state: bytes | None, now_us: int
    ) -> Outcome:
        """Run one synchronous operation on `state`; changes nothing but what it returns."""
        context = self._context(actor, operation, state, now_us)
        guard = actor.guard
        guard.offence = None
        try:
            guard.run(self._perform, behaviour, context)
        except Exception as error:
            return Outcome(state, failure=Failure.of(guard.offence or error))
        except KeyboardInterrupt:
            raise  # the person at the keyboard wants the program to stop, not the operation to fail
        except BaseException as error:  # e.g. SystemExit: it would stop the hub at every open
            return Outcome(state, failure=Failure.of(error))
        if guard.offence is not None:
            return Outcome(state, failure=Failure.of(guard.offence))
        return Outcome(context.state, context.result, None, context.sent)

    async def run_async(self, actor: Entity, operation: Operation, now_us: int) -> Outcome:
        """Run an `async def` operation to its end, as a Trio task of its own."""
        behaviour = actor.behaviour
        assert behaviour is not None, "taken only with code"
        context = self._context(actor, operation, actor.state, now_us)
        CURRENT_OPERATION.set(context)
        try:
            state, call = behaviour.bind(context, self._payloads)
            behaviour.finish(context, self._payloads, state, await call())
        except (KeyboardInterrupt, trio.Cancelled):
            raise
        except BaseException as error:  # e.g. SystemExit: it would stop the hub at every open
            if isinstance(error, BaseExceptionGroup) and error.subgroup((KeyboardInterrupt, trio.Cancelled)):
                raise
            return Outcome(actor.state, failure=Failure.of(error))
        return Outcome(context.state, context.result, None, context.sent)

    def timeout_s(self, actor: Entity) -> float | None:
        """The limit of the entity's operations."""
        return None if actor.behaviour is None else actor.behaviour.timeout_s

    def _perform(self, behaviour: Behaviour, context: EntityContext) -> None:
        CURRENT_OPERATION.set(context)
        found, call = behaviour.bind(context, self._payloads)
        behaviour.finish(context, self._payloads, found, call())

    def _context(self, actor: Entity, operation: Operation, state: bytes | None, now_us: int) -> EntityContext:
        return EntityContext(actor.entity_id, operation, state, now_us, self._payloads, self._directory)

    def _answer(self, actor: Entity, operation: Operation, outcome: Outcome, settlement: Settlement) -> None:
        failure = outcome.failure
        if not answer_operation(operation, outcome.result, failure, settlement) and failure is not None:
            settlement.count("signals failed")
            logger.error(
                "signal %r to %s failed: %s: %s", operation.name, actor.entity_id, failure.type, failure.message
            )


def _of_entity(message: Message) -> EntityMessage:
    assert isinstance(message, EntityMessage), "others are never sent to entities"
    return message


def _lost(actor: Entity, operation: Operation) -> LockLost | None:
    """Why an operation from a critical section must not run; None if it may. It runs under its grant or not at all."""
    if not operation.grant or (actor.lock is not None and actor.lock.request == operation.grant):
        return None
    return LockLost(str(actor.entity_id), operation.sender, "" if actor.lock is None else actor.lock.owner)
