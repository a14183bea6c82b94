"""Waiting: the answers to starts that may wait for the end of what they started."""

from __future__ import annotations

from typing import Final

import trio
from starlette.responses import JSONResponse, Response

from durio.entities import single
from durio.hosting.call import Call
from durio.hosting.problems import BadRequest
from durio.hosting.table import Param
from durio.hosting.wire import status_object
from durio.orchestration import DurableOrchestrationStatus, OrchestrationRuntimeStatus, Started

WAIT_S: Final = 10.0
INTERVAL_S: Final = 1.0

TIMEOUT: Final = Param("timeout", "number", "How long to wait for the end, in seconds; fractions are allowed.")
POLLING: Final = Param(
    "pollingInterval", "number", "Seconds between two looks; at most `timeout`. The end is told at once."
)
RETRY: Final = Param(
    "retryInterval", "number", "Seconds between two looks; at most `timeout`. The end is told at once."
)
ON_FAILURE: Final = Param("returnInternalServerErrorOnFailure", "boolean", "Whether Failed is answered with 500.")
ENDED: Final = "It has ended: its output; if it did not complete, its status."
FAILED: Final = "It has failed (only with `returnInternalServerErrorOnFailure`): its status."


def time_if_asked(call: Call) -> float | None:
    """How long to wait, if both `timeout` and `pollingInterval` are there. Raises `BadRequest`.

    To be asked before anything is started: who gets 400 has started nothing.
    """
    timeout_s, interval_s = call.span_s("timeout"), call.span_s("pollingInterval")
    call.flag("returnInternalServerErrorOnFailure")
    if timeout_s is None or interval_s is None:
        return None
    _check_interval(timeout_s, interval_s)
    return timeout_s


def time_or_default(call: Call) -> float:
    """How long to wait, where waiting is what was asked for. Raises `BadRequest`."""
    timeout_s, interval_s = call.span_s("timeout"), call.span_s("retryInterval")
    call.flag("returnInternalServerErrorOnFailure")
    timeout_s = WAIT_S if timeout_s is None else timeout_s
    _check_interval(timeout_s, min(INTERVAL_S, timeout_s) if interval_s is None else interval_s)
    return timeout_s


async def answer(call: Call, started: Started, timeout_s: float | None) -> Response:
    """The end of an instance, if it comes in that time; its links, if not, and if nobody waits."""
    status = None if timeout_s is None else await _ended(call, started, timeout_s)
    if status is None:
        return call.client.create_check_status_response(call.request, started)
    if status.runtime_status == OrchestrationRuntimeStatus.Completed:
        return JSONResponse(call.client.plain(status.output))
    failed = status.runtime_status == OrchestrationRuntimeStatus.Failed
    code = 500 if failed and call.flag("returnInternalServerErrorOnFailure") else 200
    return JSONResponse(status_object(status, call.client.plain), code)


async def _ended(call: Call, started: Started, timeout_s: float) -> DurableOrchestrationStatus | None:
    """The end of an instance, if it comes in that time, and while somebody waits for it."""
    found: DurableOrchestrationStatus | None = None
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_until_left, call, nursery.cancel_scope)
            found = await call.client.ended_within(started, timeout_s)
            nursery.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        raise single(group) from None
    return found


async def _until_left(call: Call, scope: trio.CancelScope) -> None:
    while (await call.request.receive())["type"] != "http.disconnect":
        pass
    scope.cancel()


def _check_interval(timeout_s: float, interval_s: float) -> None:
    if interval_s > timeout_s:
        raise BadRequest(
            f"the interval between two looks ({interval_s:g} s) is longer than the time-out ({timeout_s:g} s)"
        )
