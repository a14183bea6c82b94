"""The routes of entities: signals, states, lists."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from starlette.responses import JSONResponse, Response

from durio.entities import EntityId
from durio.hosting.call import NO_BODY, Call
from durio.hosting.instance_routes import PAGE_SIZE, TOKEN
from durio.hosting.limits import PAGE_SIZE_MAX
from durio.hosting.problems import values_of_the_caller
from durio.hosting.table import JSON_OR_TEXT, Param, Route
from durio.hosting.wire import entity_object


async def signal(call: Call) -> Response:
    """Signal an entity."""
    value = await call.json_body()
    operation = call.text("op") or ""
    await call.client.signal_entity(_entity(call), operation, None if value is NO_BODY else value)
    return Response(status_code=202)


async def delete(call: Call) -> Response:
    """Delete an entity."""
    await call.client.signal_entity(_entity(call), "delete")
    return Response(status_code=202)


async def state(call: Call) -> Response:
    """The state of an entity."""
    found = await call.client.read_entity_state(_entity(call))
    return JSONResponse(found.entity_state) if found.entity_exists else Response(status_code=404)


async def entities(call: Call) -> Response:
    """A page of the entities that have a state."""
    fetch_state = call.flag("fetchState")
    with values_of_the_caller():
        page = await call.client.list_entities(
            call.path.get("name"),
            last_operation_time_from=call.time("lastOperationTimeFrom"),
            last_operation_time_to=call.time("lastOperationTimeTo"),
            fetch_state=fetch_state,
            page_size=call.number("top", PAGE_SIZE_MAX) or PAGE_SIZE,
            continuation_token=call.request.headers.get(TOKEN) or None,
        )
    told = [entity_object(entity, fetch_state) for entity in page.entities]
    return JSONResponse(told, headers={TOKEN: page.continuation_token or ""})


def _entity(call: Call) -> EntityId:
    return EntityId(call.path["name"], call.path["key"])


_LIST: Final = (
    Param("lastOperationTimeFrom", "date-time", "Changed at this time or later."),
    Param("lastOperationTimeTo", "date-time", "Changed at this time or earlier."),
    Param("fetchState", "boolean", "Whether the states are shown."),
    Param("top", "integer", "How many at most (100)."),
)
_PAGE: Final = f"A list of entities; the header `{TOKEN}` has the token of the next page, if there is one."
_SHOWS: Final = MappingProxyType({200: "Entities"})

ROUTES: Final = (
    Route(
        "POST",
        "entities/{name}/{key}",
        signal,
        "Signal an entity: it does the operation when its turn comes.",
        {202: "The signal is on disk."},
        (Param("op", "string", "The operation."),),
        "The input of the operation: JSON, plain text with content type text/plain, or nothing.",
        JSON_OR_TEXT,
    ),
    Route("DELETE", "entities/{name}/{key}", delete, "Delete an entity.", {202: "The signal is on disk."}),
    Route(
        "GET",
        "entities/{name}/{key}",
        state,
        "The state of an entity.",
        {200: "The state.", 404: "It has none."},
        shows={200: "Value"},
    ),
    Route("GET", "entities/{name}", entities, "The entities of a name, in order.", {200: _PAGE}, _LIST, shows=_SHOWS),
    Route("GET", "entities", entities, "All entities, in the order of their ids.", {200: _PAGE}, _LIST, shows=_SHOWS),
)
