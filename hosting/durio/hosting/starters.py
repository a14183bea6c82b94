"""Starters: the routes that start orchestrations, and wait for them if asked to."""

from __future__ import annotations

from typing import Any, Final

from starlette.responses import JSONResponse, PlainTextResponse, Response

from durio.hosting.call import NO_BODY, Call
from durio.hosting.problems import BadRequest
from durio.hosting.table import Param, Route
from durio.hosting.wire import status_object
from durio.orchestration import InstanceAlreadyExists, OrchestrationRuntimeStatus, Started

WAIT_S: Final = 10.0
INTERVAL_S: Final = 1.0

VERSION: Final = Param("version", "string", "The version of the orchestration; the newest, if there is none.")
INPUT: Final = "The input: JSON, plain text with content type text/plain, or nothing."
STARTED: Final = "Started: the links of the instance, `Location` of its status, and `Retry-After`."


async def start(call: Call) -> Response:
    """Start an orchestration; with `timeout` and `pollingInterval` wait for its end."""
    started = await _start(call)
    timeout_s, interval_s = call.span_s("timeout"), call.span_s("pollingInterval")
    if timeout_s is None or interval_s is None:
        return call.client.create_check_status_response(call.request, started)
    return await _wait(call, started, timeout_s, interval_s)


async def start_single(call: Call) -> Response:
    """Start an orchestration for the world outside: a running instance is a conflict, or what the caller is given."""
    choice = (call.text("ifRunning") or "raise").lower()
    if choice not in ("raise", "return"):
        raise BadRequest(f"ifRunning={choice!r} must be raise or return")
    try:
        started = await _start(call, if_running=choice)
    except InstanceAlreadyExists as error:
        return PlainTextResponse(f"An instance with ID '{error.instance_id}' already exists.", 409)
    return call.client.create_check_status_response(call.request, started, status_code=202 if started.created else 200)


async def start_and_wait(call: Call) -> Response:
    """Start an orchestration and wait for its end."""
    timeout_s, interval_s = call.span_s("timeout"), call.span_s("retryInterval")
    timeout_s = WAIT_S if timeout_s is None else timeout_s
    interval_s = min(INTERVAL_S, timeout_s) if interval_s is None else interval_s
    _check_interval(timeout_s, interval_s)
    try:
        started = await _start(call)
    except InstanceAlreadyExists as error:
        return PlainTextResponse(f"An instance with ID '{error.instance_id}' already exists.", 409)
    return await _wait(call, started, timeout_s, interval_s)


async def _start(call: Call, **options: Any) -> Started:
    name, instance_id = call.path["name"], call.path.get("id")
    version = call.text("version")
    found = call.app.registry.orchestration(name, version)
    value = await call.json_body(text_type=found.input_type is str)
    return await call.client.start_new(
        name, instance_id, None if value is NO_BODY else value, version=version, **options
    )


async def _wait(call: Call, started: Started, timeout_s: float, interval_s: float) -> Response:
    _check_interval(timeout_s, interval_s)
    status = await call.client.ended_within(started, timeout_s)
    if status is None:
        return call.client.create_check_status_response(call.request, started)
    if status.runtime_status == OrchestrationRuntimeStatus.Completed:
        return JSONResponse(call.client.plain(status.output))
    failed = status.runtime_status == OrchestrationRuntimeStatus.Failed
    code = 500 if failed and call.flag("returnInternalServerErrorOnFailure") else 200
    return JSONResponse(status_object(status, call.client.plain), code)


def _check_interval(timeout_s: float, interval_s: float) -> None:
    if interval_s > timeout_s:
        raise BadRequest(
            f"the interval between two looks ({interval_s:g} s) is longer than the time-out ({timeout_s:g} s)"
        )


_TIMEOUT: Final = Param("timeout", "number", "How long to wait for the end, in seconds; fractions are allowed.")
_POLLING: Final = Param(
    "pollingInterval", "number", "Seconds between two looks; at most `timeout`. The end is told at once."
)
_RETRY: Final = Param(
    "retryInterval", "number", "Seconds between two looks; at most `timeout`. The end is told at once."
)
_ON_FAILURE: Final = Param("returnInternalServerErrorOnFailure", "boolean", "Whether Failed is answered with 500.")
_IF_RUNNING: Final = Param(
    "ifRunning", "string", "`raise` (409 for an instance that runs; the default) or `return` (200, with its links)."
)
_ENDED: Final = "It has ended: its output; if it did not complete, its status."
_CONFLICT: Final = "An instance with this id runs."
_FAILED: Final = "It has failed (only with `returnInternalServerErrorOnFailure`): its status."

MANAGED: Final = tuple(
    Route(
        "POST",
        path,
        start,
        "Start an orchestration.",
        {202: STARTED, 200: f"With `timeout` and `pollingInterval`: {_ENDED}", 409: _CONFLICT, 500: _FAILED},
        (VERSION, _TIMEOUT, _POLLING, _ON_FAILURE),
        INPUT,
    )
    for path in ("orchestrators/{name}", "orchestrators/{name}/{id}")
)
"""Those of the management API."""

OUTSIDE: Final = (
    *(
        Route(
            "POST",
            path,
            start_and_wait,
            "Start an orchestration and wait for its end (10 seconds, if no time is given).",
            {200: _ENDED, 202: STARTED, 409: _CONFLICT, 500: _FAILED},
            (VERSION, _TIMEOUT, _RETRY, _ON_FAILURE),
            INPUT,
        )
        for path in ("orchestrators/{name}/wait", "orchestrators/{name}/{id}/wait")
    ),
    *(
        Route(
            "POST",
            path,
            start_single,
            "Start an orchestration; with an id it is a singleton.",
            {202: STARTED, 200: "With `ifRunning=return`: the links of the one that runs.", 409: _CONFLICT},
            (VERSION, _IF_RUNNING),
            INPUT,
        )
        for path in ("orchestrators/{name}", "orchestrators/{name}/{id}")
    ),
)
"""Those under `/api`, as the samples of Azure's pages have them. An instance cannot be called `wait` there."""
