"""What can go wrong with actors. Each docstring says who must act."""

from __future__ import annotations

from collections.abc import Iterable


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "nothing"


class DurioError(Exception):
    """Base of what durio raises about actors. The arguments of every error are its facts, so it survives pickling."""


class InvalidAddress(DurioError, ValueError):
    """An instance id or entity id cannot be used. The caller must choose another; nothing was changed."""

    def __init__(self, address: str, why: str) -> None:
        super().__init__(address, why)
        self.address = address
        self.why = why

    def __str__(self) -> str:
        return f"{self.address!r} cannot be an id: {self.why}"


class NotRegistered(DurioError, LookupError):
    """The app has no such orchestration, activity or entity. The developer must register it, or correct the name."""

    def __init__(self, kind: str, name: str, known: tuple[str, ...] = ()) -> None:
        super().__init__(kind, name, known)
        self.kind = kind
        self.name = name
        self.known = tuple(known)

    def __str__(self) -> str:
        return (
            f"no {self.kind} named {self.name!r} is registered (registered: {_listed(self.known)}); "
            f"decorate the function with @app.{self.kind} or correct the name"
        )


class AlreadyRegistered(DurioError, ValueError):
    """Two behaviours want one name (and version). The developer must rename one of them."""

    def __init__(self, kind: str, name: str) -> None:
        super().__init__(kind, name)
        self.kind = kind
        self.name = name

    def __str__(self) -> str:
        return f"{self.kind} {self.name!r} is registered already; give one of the two another name= or version="


class RequestIdReused(DurioError):
    """This request id came before with other content. The caller must take a new id for a new request."""

    def __init__(self, request_id: str) -> None:
        super().__init__(request_id)
        self.request_id = request_id

    def __str__(self) -> str:
        return f"request id {self.request_id!r} was used before for another request; use a new id for a new request"


class RequestExpired(DurioError):
    """The time inside this request id is older than answers are kept. The caller must look before it asks anew."""

    def __init__(self, request_id: str, age_s: float, kept_s: float) -> None:
        super().__init__(request_id, age_s, kept_s)
        self.request_id = request_id
        self.age_s = age_s
        self.kept_s = kept_s

    def __str__(self) -> str:
        return (
            f"request id {self.request_id!r} is {self.age_s:.0f} s old and answers are kept for {self.kept_s:.0f} s: "
            "it cannot be told whether it was done; look at the receiver, then use a new id"
        )


class NotDurable(DurioError):
    """Orchestrator or entity code used what cannot be replayed or rolled back. The developer must change that line."""

    def __init__(self, what: str, instead: str, where: str = "") -> None:
        super().__init__(what, instead, where)
        self.what = what
        self.instead = instead
        self.where = where

    def __str__(self) -> str:
        place = f" at {self.where}" if self.where else ""
        return f"{self.what}{place}: {self.instead}"


class AskInsideTurn(NotDurable):
    """A client was used inside a turn, where waiting for another turn would never end. Use the context instead."""


class EntityOperationFailed(DurioError):
    """An entity operation raised. Its state is as it was before; the caller decides what to do about it."""

    def __init__(self, entity_id: str, operation: str, error_type: str, message: str, stack: str = "") -> None:
        super().__init__(entity_id, operation, error_type, message, stack)
        self.entity_id = entity_id
        self.operation = operation
        self.error_type = error_type
        self.message = message
        self.stack = stack

    def __str__(self) -> str:
        return f"operation {self.operation!r} of {self.entity_id} failed: {self.error_type}: {self.message}"


class LockLost(DurioError):
    """A call from a critical section came when its lock was gone (a dead letter, retried): not done. Call it anew."""

    def __init__(self, entity_id: str, instance_id: str, owner: str = "") -> None:
        super().__init__(entity_id, instance_id, owner)
        self.entity_id = entity_id
        self.instance_id = instance_id
        self.owner = owner

    def __str__(self) -> str:
        now = f"locked by '{self.owner}'" if self.owner else "not locked"
        return f"instance '{self.instance_id}' has no lock on {self.entity_id} any more (it is {now}); nothing was done"


class Poisoned(DurioError):
    """A message was parked as a dead letter, since running it ended the process again and again, or since it cannot be
    decoded. The developer must repair the code; then an operator retries the dead letter, or drops it.
    """

    def __init__(self, address: str, what: str, why: str, letter_id: str = "") -> None:
        super().__init__(address, what, why, letter_id)
        self.address = address
        self.what = what
        self.why = why
        self.letter_id = letter_id

    def __str__(self) -> str:
        letter = f" is dead letter {self.letter_id}" if self.letter_id else " is not run again"
        return f"{self.what} of {self.address}{letter}: {self.why}"


class DeadLetterNotFound(DurioError, LookupError):
    """There is no dead letter with this id: it was retried or dropped, or never was. The caller must list them anew."""

    def __init__(self, letter_id: str) -> None:
        super().__init__(letter_id)
        self.letter_id = letter_id

    def __str__(self) -> str:
        return f"there is no dead letter {self.letter_id!r}; list_dead_letters() shows those there are"


class DeadLetterUnreadable(DurioError):
    """The dead letter cannot be decoded, so it was not retried. Retry it with a durio that knows it, or drop it."""

    def __init__(self, letter_id: str, why: str) -> None:
        super().__init__(letter_id, why)
        self.letter_id = letter_id
        self.why = why

    def __str__(self) -> str:
        return f"dead letter {self.letter_id!r} cannot be decoded: {self.why}"


class UnknownOperation(DurioError, LookupError):
    """The entity has no such operation. The caller must correct the name."""

    def __init__(self, entity_name: str, operation: str, known: tuple[str, ...] = ()) -> None:
        super().__init__(entity_name, operation, known)
        self.entity_name = entity_name
        self.operation = operation
        self.known = tuple(known)

    def __str__(self) -> str:
        return (
            f"entity {self.entity_name!r} has no operation {self.operation!r} (it has: {_listed(self.known)}); "
            "operations are the public methods of the class"
        )


class OperationTimeout(DurioError):
    """An `async def` operation took too long; it was cancelled and rolled back. Make it faster or raise `timeout_s`."""

    def __init__(self, operation: str, timeout_s: float) -> None:
        super().__init__(operation, timeout_s)
        self.operation = operation
        self.timeout_s = timeout_s

    def __str__(self) -> str:
        return f"operation {self.operation!r} took longer than {self.timeout_s} s; it was cancelled and rolled back"
