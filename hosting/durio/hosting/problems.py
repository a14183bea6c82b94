"""Problems: which status code and which words an error of durio becomes over HTTP. One table for all routes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from durio.entities import (
    EntityOperationFailed,
    InvalidAddress,
    NotRegistered,
    PayloadError,
    PayloadTooLarge,
    Poisoned,
    RequestExpired,
    RequestIdReused,
    type_name,
)
from durio.orchestration import (
    InstanceAlreadyExists,
    InstanceFinished,
    InstanceNotFailed,
    InstanceNotFinished,
    InstanceNotFound,
    NoOwner,
    OwnerSilent,
)
from durio.storage import Ambiguous, Fenced, HubBroken, HubClosed, NoSpace

RETRY_AFTER_S: Final = 5

CODES: Final[Mapping[type[Exception], int]] = MappingProxyType(
    {
        PayloadTooLarge: 413,
        PayloadError: 400,
        InvalidAddress: 400,
        NotRegistered: 400,
        RequestExpired: 400,
        RequestIdReused: 409,
        InstanceAlreadyExists: 409,
        InstanceNotFailed: 400,
        InstanceNotFinished: 409,
        InstanceNotFound: 404,
        InstanceFinished: 410,
        Poisoned: 409,
        EntityOperationFailed: 409,
        NoSpace: 507,
        NoOwner: 503,
        OwnerSilent: 503,
        HubClosed: 503,
        HubBroken: 503,
        Fenced: 503,
        Ambiguous: 503,
    }
)
"""The first class that fits an error decides. What is not in it is a bug of durio, and becomes 500."""


class BadRequest(Exception):
    """A request that cannot be understood. The caller must act: the message says what is wrong with which value."""

    def __init__(self, message: str, status_code: int = 400) -> None:
        super().__init__(message, status_code)
        self.message = message
        self.status_code = status_code

    def __str__(self) -> str:
        return self.message


@contextmanager
def values_of_the_caller() -> Iterator[None]:
    """What is wrong with a value inside is wrong with the request; elsewhere a `ValueError` is a bug of durio."""
    try:
        yield
    except ValueError as error:
        raise BadRequest(str(error)) from None


def code_of(error: Exception) -> int | None:
    """The status code of an error; None for one that nobody may have caused by a request."""
    if isinstance(error, BadRequest):
        return error.status_code
    return next((code for cls, code in CODES.items() if isinstance(error, cls)), None)


def problem(error: Exception, status_code: int) -> Response:
    """An error as the host of Azure's functions words it."""
    known = {400: "One or more of the arguments submitted is incorrect", 500: "Something went wrong in durio"}
    body = {
        "Message": known.get(status_code, str(error)),
        "ExceptionMessage": str(error),
        "ExceptionType": type_name(type(error)),
        "StackTrace": "",
    }
    retry = {"Retry-After": str(RETRY_AFTER_S)} if status_code in (503, 507) else {}
    return JSONResponse(body, status_code, retry)


async def refused(_: Request, error: Exception) -> Response:
    """Starlette's handler for a `BadRequest` outside of durio's own routes."""
    return problem(error, code_of(error) or 500)
