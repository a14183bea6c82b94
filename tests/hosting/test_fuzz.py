"""Requests of every kind: each gets an answer that the OpenAPI document names, and none is a fault of durio's (G31)."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from trio.testing import MockClock

from durio.entities import EntityId
from durio.hosting.http import MANAGEMENT, STARTERS
from durio.hosting.links import WEBHOOKS
from durio.hosting.openapi import document
from tests.hosting.asking import Asked, requests
from tests.hosting.helpers import Answer, web
from tests.hosting.town import app

DOCUMENT = document({WEBHOOKS: MANAGEMENT, "/api": STARTERS}, keys=False)
RESPONSES: dict[str, dict[str, Any]] = {
    operation["operationId"]: operation["responses"]
    for found in DOCUMENT["paths"].values()
    for operation in found.values()
}
EVERY = {code for responses in RESPONSES.values() for code in responses}
REQUESTS = 25
LONGEST_S = 10_000.0  # virtual; the longest wait that can be asked for is 3600


def check(asked: Asked, answer: Answer) -> None:
    """The document names this answer."""
    named = EVERY if asked.operation is None else set(RESPONSES[asked.operation])
    assert str(answer.status) in named, (asked, answer)
    is_json = answer.headers.get("content-type") == "application/json"
    if answer.status == 500:
        assert answer.json["runtimeStatus"] == "Failed", (asked, answer)
    elif answer.status >= 400 and is_json:
        assert answer.json["ExceptionMessage"], (asked, answer)
    if asked.operation is not None:
        content = RESPONSES[asked.operation][str(answer.status)].get("content", {})
        schema = content.get("application/json", {}).get("schema")
        kind = answer.headers.get("content-type", "").partition(";")[0]
        assert (kind in content) if answer.body else (kind in ("", *content)), (asked, answer)
        if is_json:
            assert schema is not None, (asked, answer)
            Draft202012Validator(schema | {"components": DOCUMENT["components"]}).validate(answer.json)


async def ask_all(asked: list[Asked]) -> None:
    """Ask one hub, one after the other."""
    async with web(app) as api:
        for instance_id, name in (("one", "Approval"), ("two", "Echo"), ("x", "Fails"), ("a/b", "Approval")):
            await api.client.start_new(name, instance_id)
        await api.client.signal_entity(EntityId("Counter", "k1"), "add", 1)
        for one in asked:
            with trio.fail_after(LONGEST_S):
                answer = await api.ask(one.method, one.target, raw=one.data, headers=dict(one.headers))
            check(one, answer)
        assert (await api.get("/health/ready")).status == 200


def fuzz(examples: int) -> Any:
    """The property, over so many hubs."""

    @settings(
        max_examples=examples,
        phases=[Phase.generate],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(data=st.data())
    def checked(data: st.DataObject) -> None:
        asked = [data.draw(requests(DOCUMENT)) for _ in range(REQUESTS)]
        trio.run(ask_all, asked, clock=MockClock(autojump_threshold=0))

    return checked


def test_every_request_gets_an_answer_that_is_documented() -> None:
    """300 requests: no 500, no hang, no status or body that the document does not name."""
    fuzz(12)()


@pytest.mark.heavy
def test_ten_thousand_requests_get_answers_that_are_documented() -> None:
    """10,000 requests: no 500, no hang, no status or body that the document does not name."""
    fuzz(400)()
