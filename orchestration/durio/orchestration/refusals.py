"""Refusals: durio's own errors as data, so that a client in another turn, or a replay, gets the same error again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from durio.entities import (
    DeadLetterNotFound,
    DeadLetterUnreadable,
    DurioError,
    Failure,
    InvalidAddress,
    LockLost,
    NotRegistered,
    PayloadError,
    PayloadTooLarge,
    Poisoned,
    RequestExpired,
    RequestIdReused,
    type_name,
)
from durio.orchestration.errors import (
    ActionRefused,
    InstanceAlreadyExists,
    InstanceFinished,
    InstanceNotFailed,
    InstanceNotFinished,
    InstanceNotFound,
    LockCycle,
    LockingRulesViolation,
    NonDeterminismError,
    TurnTooLong,
)

REBUILT: Final[Mapping[str, Callable[..., Exception]]] = MappingProxyType(
    {
        type_name(cls): cls
        for cls in (
            InvalidAddress,
            LockLost,
            LockCycle,
            LockingRulesViolation,
            NotRegistered,
            PayloadError,
            PayloadTooLarge,
            Poisoned,
            DeadLetterNotFound,
            DeadLetterUnreadable,
            RequestExpired,
            RequestIdReused,
            InstanceAlreadyExists,
            InstanceFinished,
            InstanceNotFailed,
            InstanceNotFinished,
            InstanceNotFound,
        )
    }
    | {"ValueError": ValueError, "TypeError": TypeError}
)


def rebuild(failure: Failure) -> Exception:
    """The error that `refusal_of` was given; `ActionRefused` for a class that durio does not know."""
    cls = REBUILT.get(failure.type)
    if cls is None:
        return ActionRefused(failure.type, failure.message)
    facts = [failure.properties[str(n)] for n in range(len(failure.properties))]
    arguments = [tuple(fact) if isinstance(fact, list) else fact for fact in facts]
    return cls(*arguments)


def is_refusal(error: BaseException) -> bool:
    """Whether an error at a call is a refusal that history records (G19)."""
    return isinstance(error, DurioError | ValueError | TypeError) and not isinstance(
        error, NonDeterminismError | TurnTooLong
    )
