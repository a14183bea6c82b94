"""Starters: the routes that start orchestrations, and wait for them if asked to."""

from __future__ import annotations

import logging
from typing import Any, Final

from starlette.responses import PlainTextResponse, Response

import durio.hosting.waiting as waiting
from durio.hosting.call import NO_BODY, Call
from durio.hosting.problems import BadRequest
from durio.hosting.table import JSON_OR_TEXT, Param, Route
from durio.orchestration import InstanceAlreadyExists, Started

logger = logging.getLogger("durio.hosting")

VERSION: Final = Param("version", "string", "The version of the orchestration; the newest, if there is none.")
INPUT: Final = "The input: JSON, plain text with content type text/plain, or nothing."
STARTED: Final = "Started: the links of the instance, `Location` of its status, and `Retry-After`."


async def start(call: Call) -> Response:
    """Start an orchestration; with `timeout` and `pollingInterval` wait for its end."""
    timeout_s = waiting.time_if_asked(call)
    return await waiting.answer(call, await _start(call), timeout_s)


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
    timeout_s = waiting.time_or_default(call)
    try:
        started = await _start(call)
    except InstanceAlreadyExists as error:
        return PlainTextResponse(f"An instance with ID '{error.instance_id}' already exists.", 409)
    return await waiting.answer(call, started, timeout_s)


async def _start(call: Call, **options: Any) -> Started:
    name, instance_id = call.path["name"], call.path.get("id")
    version = call.text("version")
    found = call.app.registry.orchestration(name, version)
    value = await call.json_body(text_type=found.input_type is str)
    started = await call.client.start_new(
        name, instance_id, None if value is NO_BODY else value, version=version, **options
    )
    if started.created:
        logger.info("Started orchestration with ID = '%s'.", started.instance_id)
    return started


_IF_RUNNING: Final = Param(
    "ifRunning", "string", "`raise` (409 for an instance that runs; the default) or `return` (200, with its links)."
)
_CONFLICT: Final = "An instance with this id runs."

MANAGED: Final = tuple(
    Route(
        "POST",
        path,
        start,
        "Start an orchestration.",
        {
            202: STARTED,
            200: f"With `timeout` and `pollingInterval`: {waiting.ENDED}",
            409: _CONFLICT,
            500: waiting.FAILED,
        },
        (VERSION, waiting.TIMEOUT, waiting.POLLING, waiting.ON_FAILURE),
        INPUT,
        JSON_OR_TEXT,
        {202: "Links", 200: "Value", 409: "Problem", 500: "Status"},
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
            {200: waiting.ENDED, 202: STARTED, 409: _CONFLICT, 500: waiting.FAILED},
            (VERSION, waiting.TIMEOUT, waiting.RETRY, waiting.ON_FAILURE),
            INPUT,
            JSON_OR_TEXT,
            {202: "Links", 200: "Value", 409: "Text", 500: "Status"},
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
            JSON_OR_TEXT,
            {202: "Links", 200: "Links", 409: "Text"},
        )
        for path in ("orchestrators/{name}", "orchestrators/{name}/{id}")
    ),
)
"""Those under `/api`, as the samples of Azure's pages have them. An instance cannot be called `wait` there."""
