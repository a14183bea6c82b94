"""DurableOrchestrationClient: the methods by which a program answers its own HTTP requests, as in Azure's Python."""

from __future__ import annotations

import json
from typing import Any

import pytest
import trio
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from durio.entities import VirtualEnv
from durio.hosting import DurableOrchestrationClient, Links
from durio.orchestration import ActivityContext, App, InstanceNotFound, OrchestrationContext, open_hub
from durio.storage import MemoryDisk, MemoryStore
from tests.hosting.helpers import web
from tests.hosting.town import app

HOST = "http://127.0.0.1:7071"


async def waits(request: Request) -> Response:
    """The trigger of the page on managing instances: starts, and waits for a while."""
    client: DurableOrchestrationClient = request.app.state.client
    started = await client.start_new(request.path_params["name"])
    timeout_ms, interval_ms = (float(request.query_params.get(name, "1000")) for name in ("timeout", "interval"))
    return await client.wait_for_completion_or_create_check_status_response(request, started, timeout_ms, interval_ms)


async def singleton(request: Request) -> Response:
    """The trigger of the page on singletons: looks, then starts, or says that it runs."""
    client: DurableOrchestrationClient = request.app.state.client
    instance_id = request.path_params["id"]
    existing = await client.get_status(instance_id)
    if not existing or existing.is_finished:
        await client.start_new(request.path_params["name"], instance_id, await request.json())
        return client.create_check_status_response(request, instance_id)
    return JSONResponse(f"An instance with ID '{instance_id}' already exists.", 409)


ROUTES = [Route("/own/{name}", waits, methods=["POST"]), Route("/own/{name}/{id}", singleton, methods=["POST"])]


async def test_waiting_answers_as_azures(autojump_clock: object) -> None:
    """200 and the output, 500 and the status of a failure, 202 and the links after the time-out."""
    async with web(app, routes=ROUTES) as api:
        done = await api.post("/own/E1_HelloSequence")
        assert (done.status, done.json) == (200, ["Hello Tokyo!", "Hello Seattle!", "Hello London!"])
        failed = await api.post("/own/Fails")
        assert (failed.status, failed.json["runtimeStatus"]) == (500, "Failed")
        late = await api.post("/own/Approval")
        assert (late.status, late.headers["retry-after"]) == (202, "10")
        assert late.headers["location"] == late.json["statusQueryGetUri"]
        await api.client.terminate(late.json["id"], "enough")
        client = DurableOrchestrationClient(api.client, Links(HOST))
        ended = await client.wait_for_completion_or_create_check_status_response(None, late.json["id"])
        assert (ended.status_code, json.loads(bytes(ended.body))["output"]) == (200, "enough")
        began = trio.current_time()
        waiting = (await api.client.start_new("Approval")).instance_id
        late_too = await client.wait_for_completion_or_create_check_status_response(None, waiting)
        assert (late_too.status_code, json.loads(bytes(late_too.body))["id"]) == (202, waiting)
        assert trio.current_time() - began == pytest.approx(10, abs=0.1), "the default"
        with pytest.raises(ValueError, match="is longer than"):
            await client.wait_for_completion_or_create_check_status_response(None, "x", 10, 20)
        with pytest.raises(InstanceNotFound):
            await client.wait_for_completion_or_create_check_status_response(None, "nobody")


async def test_the_singleton_trigger_of_the_samples(autojump_clock: object) -> None:
    """Look, then start: 202 with the links, then 409 with the words of the page, until it has ended."""
    async with web(app, routes=ROUTES) as api:
        began = await api.post("/own/Approval/one", {"a": 1})
        assert (began.status, began.json["id"]) == (202, "one")
        assert began.headers["location"] == began.json["statusQueryGetUri"]
        assert began.headers["retry-after"] == "10"
        again = await api.post("/own/Approval/one", {"a": 1})
        assert (again.status, again.json) == (409, "An instance with ID 'one' already exists.")
        await api.client.raise_event("one", "ApprovalEvent")
        await api.client.wait_for_completion("one")
        assert (await api.post("/own/Approval/one", {"a": 1})).status == 202


async def test_links_in_an_activity(autojump_clock: object) -> None:
    """An activity stores the links of its instance for a system outside, which raises the event by them."""
    program = App()
    stored: list[dict[str, str]] = []
    clients: list[DurableOrchestrationClient] = []

    @program.activity
    async def store_links() -> None:
        stored.append(clients[0].create_http_management_payload(ActivityContext.current().instance_id))

    @program.orchestration
    async def order(ctx: OrchestrationContext) -> Any:
        await ctx.call_activity(store_links)
        return await ctx.wait_for_external_event("approved")

    async with web(program) as api:
        clients.append(DurableOrchestrationClient(api.client, Links("https://shop.example/durio", code="k")))
        await api.client.start_new(order, "o 1")
        while not stored:
            await api.client.get_status("o 1")
        links = stored[0]
        assert links["id"] == "o 1"
        base = "https://shop.example/durio/runtime/webhooks/durabletask/instances/o%201"
        query = "taskHub=durio&connection=Storage&code=k"
        assert links["sendEventPostUri"] == f"{base}/raiseEvent/{{eventName}}?{query}"
        assert links["rewindPostUri"] == f"{base}/rewind?reason={{text}}&{query}"
        target = links["sendEventPostUri"].removeprefix("https://shop.example/durio").replace("{eventName}", "approved")
        assert (await api.post(target, True)).status == 202
        assert (await api.client.wait_for_completion("o 1")).output is True


async def test_links_need_a_place(autojump_clock: object) -> None:
    """Without a request and without a `base_url` nobody knows where the API is."""
    async with open_hub(MemoryStore(MemoryDisk()), app, env=VirtualEnv()) as client:
        with pytest.raises(ValueError, match="base_url"):
            DurableOrchestrationClient(client).create_http_management_payload("x")
