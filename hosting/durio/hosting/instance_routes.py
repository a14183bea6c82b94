"""The routes of instances: status, lists, events, control, purging."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any, Final

from starlette.responses import JSONResponse, PlainTextResponse, Response

import durio.hosting.waiting as waiting
from durio.hosting.call import NO_BODY, Call
from durio.hosting.limits import PAGE_SIZE_MAX
from durio.hosting.problems import BadRequest, values_of_the_caller
from durio.hosting.table import Param, Route
from durio.hosting.wire import status_object
from durio.orchestration import InstanceNotFinished, InstanceNotFound, OrchestrationRuntimeStatus

PAGE_SIZE: Final = 100
TOKEN: Final = "x-ms-continuation-token"
RETRY_AFTER_S: Final = "5"


async def status(call: Call) -> Response:
    """The status of an instance."""
    show_input = call.flag("showInput", True)
    found = await call.client.get_status(
        call.path["id"],
        show_history=call.flag("showHistory"),
        show_history_output=call.flag("showHistoryOutput"),
        show_input=show_input,
    )
    if not found:
        return Response(status_code=404)
    told = status_object(found, call.client.plain, show_input=show_input)
    if not found.is_finished:
        return JSONResponse(told, 202, {"Location": call.client.url_of(call.request), "Retry-After": RETRY_AFTER_S})
    failed = found.runtime_status == OrchestrationRuntimeStatus.Failed
    return JSONResponse(told, 500 if failed and call.flag("returnInternalServerErrorOnFailure") else 200)


async def statuses(call: Call) -> Response:
    """A page of the instances that match."""
    show_input = call.flag("showInput")
    every = call.text("top") is None and not call.request.headers.get(TOKEN)
    told: list[Any] = []
    token: str | None = call.request.headers.get(TOKEN) or None
    while True:
        size = call.number("top", PAGE_SIZE_MAX) or PAGE_SIZE
        with values_of_the_caller():
            page = await call.client.get_status_page(size, token, show_input=show_input, **_filter(call))
        told += [status_object(found, call.client.plain, show_input=show_input) for found in page.statuses]
        token = page.continuation_token
        if token is None or not every:
            return JSONResponse(told, headers={TOKEN: token or ""})


async def raise_event(call: Call) -> Response:
    """Send an event to an instance."""
    value = await call.json_body(strict=True)
    await call.client.raise_event(call.path["id"], call.path["event"], None if value is NO_BODY else value)
    return Response(status_code=202)


async def terminate(call: Call) -> Response:
    """End an instance."""
    await call.client.terminate(call.path["id"], call.text("reason") or "")
    return Response(status_code=202)


async def cancel(call: Call) -> Response:
    """Ask an instance to end."""
    await call.client.cancel(call.path["id"], call.text("reason") or "")
    return Response(status_code=202)


async def rewind(call: Call) -> Response:
    """Take a failed instance back to its failures."""
    await call.client.rewind(call.path["id"], call.text("reason") or "")
    return Response(status_code=202)


async def suspend(call: Call) -> Response:
    """Hold an instance."""
    await call.client.suspend(call.path["id"], call.text("reason") or "")
    return Response(status_code=202)


async def resume(call: Call) -> Response:
    """Let a suspended instance go on."""
    await call.client.resume(call.path["id"], call.text("reason") or "")
    return Response(status_code=202)


async def restart(call: Call) -> Response:
    """Start an orchestration again with what it was started with."""
    timeout_s = waiting.time_if_asked(call)
    try:
        started = await call.client.restart(call.path["id"], call.flag("restartWithNewInstanceId", True))
    except InstanceNotFound:
        raise BadRequest("InstanceId does not match a valid orchestration instance.") from None
    return await waiting.answer(call, started, timeout_s)


async def purge(call: Call) -> Response:
    """Forget an instance that has ended."""
    try:
        purged = await call.client.purge_instance_history(call.path["id"])
    except InstanceNotFinished:
        return JSONResponse({"instancesDeleted": 0})
    if purged.instances_deleted == 0:
        return Response(status_code=404)
    return JSONResponse({"instancesDeleted": purged.instances_deleted})


async def purge_by(call: Call) -> Response:
    """Forget all instances that match and have ended."""
    wanted = _filter(call)
    if wanted.get("created_time_from") is None:
        return PlainTextResponse("Please provide value for 'createdTimeFrom' parameter.", 400)
    with values_of_the_caller():
        purged = await call.client.purge_instance_history_by(**wanted)
    if purged.instances_deleted == 0:
        return Response(status_code=404)
    return JSONResponse({"instancesDeleted": purged.instances_deleted})


async def make_primary(call: Call) -> Response:
    """Nothing: there is one owner. For tools that ask."""
    return Response(status_code=200)


def _filter(call: Call) -> dict[str, Any]:
    statuses = [one.strip() for value in call.texts("runtimeStatus") for one in value.split(",") if one.strip()]
    wanted = {
        "created_time_from": call.time("createdTimeFrom"),
        "created_time_to": call.time("createdTimeTo"),
        "runtime_status": statuses or None,
        "instance_id_prefix": call.text("instanceIdPrefix"),
    }
    return {name: value for name, value in wanted.items() if value is not None}


_REASON: Final = (Param("reason", "string", "Why; it is kept."),)
_ACCEPTED: Final = "Accepted."
_UNKNOWN: Final = "There is no such instance."
_OVER: Final = "It has ended."
_PROBLEMS: Final = MappingProxyType({404: "Problem", 410: "Problem"})
_SHOW_INPUT: Final = Param("showInput", "boolean", "Whether the input is shown.")
_FROM: Final = Param("createdTimeFrom", "date-time", "Created at this time or later.")
_FILTERS: Final = (
    Param("createdTimeTo", "date-time", "Created at this time or earlier."),
    Param("runtimeStatus", "string", "One of these statuses: a list with commas; may be repeated."),
    Param("instanceIdPrefix", "string", "The id begins so."),
)
_PAGING: Final = Param("top", "integer", "How many at most; without it, and without a token, all.")


def _control(word: str, handler: Any, what: str) -> Route:
    return Route(
        "POST",
        f"instances/{{id}}/{word}",
        handler,
        what,
        {202: _ACCEPTED, 404: _UNKNOWN, 410: _OVER},
        _REASON,
        shows=_PROBLEMS,
    )


ROUTES: Final = (
    Route(
        "GET",
        "instances/{id}",
        status,
        "The status of an instance.",
        {
            200: "It has ended.",
            202: "It has not ended; `Location` and `Retry-After` say where and when to ask again.",
            404: _UNKNOWN,
            500: "It has failed (only with `returnInternalServerErrorOnFailure`).",
        },
        (
            Param("showHistory", "boolean", "Whether the history is shown."),
            Param("showHistoryOutput", "boolean", "Whether the history has results."),
            _SHOW_INPUT,
            Param("returnInternalServerErrorOnFailure", "boolean", "Whether Failed is answered with 500."),
        ),
        shows={200: "Status", 202: "Status", 500: "Status"},
    ),
    Route(
        "GET",
        "instances",
        statuses,
        "The instances that match, in the order of their creation.",
        {200: f"A list of statuses; the header `{TOKEN}` has the token of the next page, if there is one."},
        (_FROM, *_FILTERS, _SHOW_INPUT, _PAGING),
        shows={200: "Statuses"},
    ),
    Route(
        "POST",
        "instances/{id}/raiseEvent/{event}",
        raise_event,
        "Send an event to an instance.",
        {202: _ACCEPTED, 404: _UNKNOWN, 410: _OVER},
        body="The data of the event: JSON, with content type application/json.",
        shows=_PROBLEMS,
    ),
    _control("terminate", terminate, "End an instance, and its sub-orchestrations."),
    _control("cancel", cancel, "Ask an instance to end; it may clean up first."),
    _control("rewind", rewind, "Take a failed instance back to what failed, and let it go on."),
    _control("suspend", suspend, "Hold an instance."),
    _control("resume", resume, "Let a suspended instance go on."),
    Route(
        "POST",
        "instances/{id}/restart",
        restart,
        "Start an orchestration again with the input it had.",
        {
            202: "Started: its links.",
            200: f"With `timeout` and `pollingInterval`: {waiting.ENDED}",
            409: "It still runs, and the same id was asked for.",
            500: waiting.FAILED,
        },
        (
            Param("restartWithNewInstanceId", "boolean", "Whether it gets a fresh id (the default)."),
            waiting.TIMEOUT,
            waiting.POLLING,
            waiting.ON_FAILURE,
        ),
        shows={202: "Links", 200: "Value", 409: "Problem", 500: "Status"},
    ),
    Route(
        "DELETE",
        "instances/{id}",
        purge,
        "Forget an instance that has ended.",
        {200: "How many were deleted: `instancesDeleted`, 0 if it runs.", 404: _UNKNOWN},
        shows={200: "Deleted"},
    ),
    Route(
        "DELETE",
        "instances",
        purge_by,
        "Forget all instances that match and have ended.",
        {
            200: "How many were deleted: `instancesDeleted`.",
            400: "Something about the request cannot be understood, or `createdTimeFrom` is missing.",
            404: "None matched.",
        },
        (Param("createdTimeFrom", "date-time", "Created at this time or later.", True), *_FILTERS),
        shows={200: "Deleted", 400: "Problem|Text"},
    ),
    Route(
        "POST", "makeprimary", make_primary, "For tools that ask for it: does nothing.", {200: "There is one owner."}
    ),
)
