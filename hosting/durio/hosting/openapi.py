"""openapi: the OpenAPI 3.1 document of the HTTP API, made from the tables of routes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from types import MappingProxyType
from typing import Any, Final

from durio.hosting.table import EVERYWHERE, Param, Route, Table

Json = dict[str, Any]

_KINDS: Final[Mapping[str, Json]] = MappingProxyType(
    {
        "string": {"type": "string"},
        "boolean": {"type": "boolean"},
        "integer": {"type": "integer", "minimum": 1},
        "number": {"type": "number", "minimum": 0, "maximum": 3600},
        "date-time": {"type": "string", "format": "date-time"},
    }
)
_TEXT: Final[Mapping[str, str]] = MappingProxyType({"type": "string"})
_STATUSES: Final = (
    "Running",
    "Completed",
    "ContinuedAsNew",
    "Failed",
    "Canceled",
    "Terminated",
    "Pending",
    "Suspended",
)
_LINKS: Final = (
    "statusQueryGetUri",
    "sendEventPostUri",
    "terminatePostUri",
    "rewindPostUri",
    "purgeHistoryDeleteUri",
    "restartPostUri",
    "suspendPostUri",
    "resumePostUri",
)
_PROBLEM: Final = ("Message", "ExceptionMessage", "ExceptionType", "StackTrace")


def _object(properties: Json, required: Iterable[str] = ()) -> Json:
    return {"type": "object", "properties": properties, "required": sorted(required)}


def _schemas() -> Json:
    """The kinds of bodies that answers have."""
    text, time = dict(_TEXT), _KINDS["date-time"]
    status = {
        "name": {"type": ["string", "null"]},
        "instanceId": text,
        "runtimeStatus": {"enum": list(_STATUSES)},
        "input": {},
        "customStatus": {},
        "output": {},
        "createdTime": time,
        "lastUpdatedTime": time,
        "historyEvents": {"type": ["array", "null"], "items": {"type": "object"}},
    }
    entity_id = _object({"name": text, "key": text}, ("name", "key"))
    entity = {"entityId": entity_id, "lastOperationTime": time, "state": {}}
    return {
        "Links": _object({"id": text, **dict.fromkeys(_LINKS, text)}, ("id", *_LINKS)),
        "Status": _object(status, status),
        "Statuses": {"type": "array", "items": {"$ref": "#/components/schemas/Status"}},
        "Entity": _object(entity, ("entityId", "lastOperationTime")),
        "Entities": {"type": "array", "items": {"$ref": "#/components/schemas/Entity"}},
        "Deleted": _object({"instancesDeleted": {"type": "integer"}}, ("instancesDeleted",)),
        "Problem": _object(dict.fromkeys(_PROBLEM, text), _PROBLEM),
        "Value": {"description": "Any JSON value."},
    }


def document(tables: Mapping[str, Table], *, keys: bool) -> Json:
    """The document. `tables`: each with the base that its paths have; `keys`: whether requests need one."""
    paths: dict[str, Json] = {}
    for base, table in tables.items():
        for route in table:
            path = f"{base}/{route.path}"
            paths.setdefault(path, {})[route.method.lower()] = operation(base, route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "durio",
            "version": version("durio"),
            "summary": "Durable orchestrations and entities of one hub.",
            "description": "The management API of Azure Durable Functions. Words of paths and names of query "
            "parameters are compared in any case; a slash at the end of a path changes nothing.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": _schemas(),
            "securitySchemes": {
                "query": {"type": "apiKey", "in": "query", "name": "code"},
                "header": {"type": "apiKey", "in": "header", "name": "x-functions-key"},
            },
        },
        "security": [{"query": []}, {"header": []}] if keys else [],
    }


def operation(base: str, route: Route) -> Json:
    """What the document says about one route."""
    words = [part.strip("{}") for part in (*base.split("/")[-1:], *route.segments)]
    told: Json = {
        "operationId": "_".join([route.method.lower(), *words]),
        "summary": route.what,
        "tags": [route.segments[0]],
        "parameters": [*_path_parameters(route), *(_query_parameter(param) for param in route.query)],
        "responses": {
            **{str(code): _response(what, route.shows.get(code)) for code, what in sorted(route.answers.items())},
            **{str(code): _response(what, "Problem") for code, what in EVERYWHERE.items() if code not in route.answers},
        },
    }
    if route.body:
        told["requestBody"] = {
            "description": route.body,
            "content": {kind: {"schema": {}} for kind in route.body_types},
        }
    return told


def _path_parameters(route: Route) -> list[Json]:
    names = re.findall(r"\{(\w+)\}", route.path)
    return [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]


def _query_parameter(param: Param) -> Json:
    return {
        "name": param.name,
        "in": "query",
        "description": param.what,
        "required": param.required,
        "schema": _KINDS[param.kind],
    }


def _response(what: str, shown: str | None) -> Json:
    content: Json = {}
    for schema in shown.split("|") if shown else ():
        if schema == "Text":
            content["text/plain"] = {"schema": dict(_TEXT)}
        else:
            content["application/json"] = {"schema": {"$ref": f"#/components/schemas/{schema}"}}
    return {"description": what, "content": content} if content else {"description": what}
