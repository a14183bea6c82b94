"""The OpenAPI document of the HTTP API."""

from __future__ import annotations

from openapi_spec_validator import OpenAPIV31SpecValidator

from durio.hosting.http import MANAGEMENT, STARTERS
from durio.hosting.links import WEBHOOKS
from durio.hosting.table import EVERYWHERE
from tests.hosting.helpers import web
from tests.hosting.town import app


async def test_the_document_is_valid_and_complete(autojump_clock: object) -> None:
    """It is OpenAPI 3.1, has every route of the tables, and names every status that a route may have."""
    async with web(app) as api:
        found = await api.get("/openapi.json")
        assert (found.status, found.headers["content-type"]) == (200, "application/json")
        told = found.json
    OpenAPIV31SpecValidator(told).validate()
    named = {
        (method.upper(), path): {int(code) for code in operation["responses"]}
        for path, operations in told["paths"].items()
        for method, operation in operations.items()
    }
    assert named == {
        (route.method, f"{base}/{route.path}"): {*route.answers, *EVERYWHERE}
        for base, table in ((WEBHOOKS, MANAGEMENT), ("/api", STARTERS))
        for route in table
    }
    assert told["security"] == []


async def test_the_document_needs_no_key(autojump_clock: object) -> None:
    """It says how to give one, and nothing about the hub."""
    async with web(app, keys=["s3cret"]) as api:
        told = (await api.get("/openapi.json")).json
        assert told["security"] == [{"query": []}, {"header": []}]
        assert "s3cret" not in str(told)
        assert "Approval" not in str(told)
