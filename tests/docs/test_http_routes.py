"""docs/http-api.md has every route, with its query and its answers."""

from __future__ import annotations

from tests.docs.http_routes import PAGE, refreshed


def test_the_page_has_the_routes_of_the_code() -> None:
    """Routes, parameters and status codes are those that requests are looked up in."""
    text = PAGE.read_text("utf-8")
    assert refreshed(text) == text, "run: python -m tests.docs.refresh"
    assert text.count("| `POST instances/{id}/raiseEvent/{event}`") == 1
    assert text.count("| `POST orchestrators/{name}/wait`") == 1
