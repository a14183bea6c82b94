"""The routes of the HTTP API, as the official clients call them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trio
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from durio.entities import EntityId
from durio.hosting import serve
from tests.hosting.helpers import Answer, Web, web
from tests.hosting.town import app

BASES = ("/runtime/webhooks/durabletask", "/durabletask", "/admin/extensions/DurableTaskExtension")
BASE = BASES[0]


async def ended(api: Web, instance_id: str) -> Answer:
    await api.client.wait_for_completion(instance_id)
    return await api.get(f"{BASE}/instances/{instance_id}")


@pytest.mark.parametrize("base", BASES)
async def test_a_life_over_each_base(autojump_clock: object, base: str) -> None:
    """Start, status, event, end and purge, with codes, headers and bodies as the real host has them."""
    async with web(app) as api:
        began = await api.post(f"{base}/orchestrators/Approval/my-id", {"city": "서울"})
        assert began.status == 202
        links = began.json
        assert links["id"] == "my-id"
        assert began.headers["retry-after"] == "10"
        assert began.headers["location"] == links["statusQueryGetUri"]
        assert links["statusQueryGetUri"] == (
            f"http://127.0.0.1:7071{BASE}/instances/my-id?taskHub=durio&connection=Storage"
        )
        assert links["sendEventPostUri"].partition("?")[0].endswith("/instances/my-id/raiseEvent/{eventName}")
        assert "terminate?reason={text}&taskHub=durio" in links["terminatePostUri"]
        running = await api.get(f"{base}/INSTANCES/my-id?showinput=TRUE")
        assert running.status == 202
        assert running.headers["retry-after"] == "5"
        assert running.headers["location"].endswith(f"{base}/INSTANCES/my-id?showinput=TRUE")
        told = running.json
        for name in ("createdTime", "lastUpdatedTime"):
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", told[name])
        told = {name: value for name, value in told.items() if name not in ("createdTime", "lastUpdatedTime")}
        assert told == {
            "name": "Approval",
            "instanceId": "my-id",
            "runtimeStatus": "Running",
            "input": {"city": "서울"},
            "customStatus": {"waits": "for approval"},
            "output": None,
            "historyEvents": None,
        }
        assert (await api.post(f"{base}/instances/my-id/raiseEvent/ApprovalEvent", True)).status == 202
        done = await ended(api, "my-id")
        assert (done.status, done.json["runtimeStatus"], done.json["output"]) == (200, "Completed", True)
        assert (await api.post(f"{base}/instances/my-id/raiseEvent/x", 1)).status == 410
        assert (await api.delete(f"{base}/instances/my-id")).json == {"instancesDeleted": 1}
        gone = await api.get(f"{base}/instances/my-id")
        assert (gone.status, gone.body) == (404, b"")
        assert (await api.delete(f"{base}/instances/my-id")).status == 404


async def test_control(autojump_clock: object) -> None:
    """202 for who runs, 410 for who has ended, 404 for who is not there; cancel, suspend, resume, restart."""
    async with web(app) as api:
        for word in ("suspend", "resume", "cancel", "terminate"):
            await api.post(f"{BASE}/orchestrators/Approval/{word}")
            url = f"{BASE}/instances/{word}/{word}?reason=found%20a%20bug%20%26%20more"
            assert (await api.post(url)).status == 202, word
            assert (await api.post(f"{BASE}/instances/nobody/{word}")).status == 404, word
        assert (await ended(api, "terminate")).json["output"] == "found a bug & more"
        assert (await ended(api, "cancel")).json["runtimeStatus"] == "Canceled"
        assert (await api.post(f"{BASE}/instances/terminate/terminate")).status == 410
        again = await api.post(f"{BASE}/instances/terminate/restart")
        assert again.status == 202
        assert again.json["id"] != "terminate"
        same = await api.post(f"{BASE}/instances/terminate/restart?restartWithNewInstanceId=FALSE")
        assert same.json["id"] == "terminate"
        unknown = await api.post(f"{BASE}/instances/nobody/restart")
        assert unknown.status == 400
        assert unknown.json["ExceptionMessage"] == "InstanceId does not match a valid orchestration instance."
        assert (await api.delete(f"{BASE}/instances/suspend")).json == {"instancesDeleted": 0}


async def test_rewind(autojump_clock: object) -> None:
    """G27: 202 for what has failed; 400 for who runs, 410 for who ended otherwise, 404 for who is not there."""
    async with web(app) as api:
        for name, instance_id in (("Fails", "failed"), ("Approval", "runs"), ("Echo", "over")):
            await api.client.start_new(name, instance_id)
        for instance_id in ("failed", "over"):
            await api.client.wait_for_completion(instance_id)
        codes = {
            name: (await api.post(f"{BASE}/instances/{name}/rewind?reason=try+again")).status
            for name in ("failed", "runs", "over", "nobody")
        }
        assert codes == {"failed": 202, "runs": 400, "over": 410, "nobody": 404}
        told = (await ended(api, "failed")).json
        assert told["runtimeStatus"] == "Failed"
        events = (await api.get(f"{BASE}/instances/failed?showHistory=true")).json["history"]
        assert [event["EventType"] for event in events].count("ExecutionRewound") == 1


async def test_events_reach_every_state(autojump_clock: object) -> None:
    """G16: an event for a Pending, a Suspended, a finished and an unknown instance."""
    async with web(app) as api:
        later = datetime.now(UTC) + timedelta(hours=1)
        await api.client.start_new("Approval", "pending", start_at=later)
        await api.client.start_new("Approval", "held")
        await api.client.suspend("held")
        await api.client.start_new("Echo", "over")
        await api.client.wait_for_completion("over")
        codes = {
            name: (await api.post(f"{BASE}/instances/{name}/raiseEvent/ApprovalEvent", name)).status
            for name in ("pending", "held", "over", "nobody")
        }
        assert codes == {"pending": 202, "held": 202, "over": 410, "nobody": 404}
        assert (await api.get(f"{BASE}/instances/pending")).json["runtimeStatus"] == "Pending"
        await api.post(f"{BASE}/instances/held/resume")
        for name in ("pending", "held"):
            assert (await ended(api, name)).json["output"] == name


async def test_lists_and_purging(autojump_clock: object) -> None:
    """G17, G18: filters, pages by token, and how many were purged."""
    async with web(app) as api:
        for number in range(5):
            await api.client.start_new("Echo" if number % 2 else "Approval", f"i{number}", number)
        await api.client.wait_for_completion("i1")
        await api.client.wait_for_completion("i3")

        async def listed(query: str, **options: Any) -> list[str]:
            found = await api.get(f"{BASE}/instances{query}", **options)
            assert found.status == 200, found.text
            return [one["instanceId"] for one in found.json]

        assert await listed("/") == await listed("") == ["i0", "i1", "i2", "i3", "i4"]
        assert await listed("?runtimeStatus=Completed,Failed") == ["i1", "i3"]
        assert await listed("?runtimeStatus=Completed&runtimeStatus=running&instanceIdPrefix=i1") == ["i1"]
        assert await listed("?createdTimeFrom=2000-01-01T00:00:00.000000Z&createdTimeTo=2001-01-01T00:00:00Z") == []
        first = await api.get(f"{BASE}/instances?top=3")
        assert [one["input"] for one in first.json] == [None, None, None]
        token = first.headers["x-ms-continuation-token"]
        assert await listed("?top=3", headers={"x-ms-continuation-token": token}) == ["i3", "i4"]
        last = await api.get(f"{BASE}/instances?top=3", headers={"x-ms-continuation-token": token})
        assert last.headers["x-ms-continuation-token"] == ""
        missing = await api.delete(f"{BASE}/instances/")
        assert (missing.status, missing.text) == (400, "Please provide value for 'createdTimeFrom' parameter.")
        every = f"{BASE}/instances/?createdTimeFrom=2000-01-01T00:00:00Z&runtimeStatus=Completed,Running"
        assert (await api.delete(every)).json == {"instancesDeleted": 2}
        assert (await api.delete(every)).status == 404


async def test_entities(autojump_clock: object) -> None:
    """Signals, states that are the JSON itself, deletion and lists."""
    async with web(app) as api:
        for key, amount in (("k1", 5), ("k2", 7)):
            assert (await api.post(f"{BASE}/entities/Counter/{key}?op=add&connectionName=C", amount)).status == 202
        assert await api.client.call_entity(EntityId("Counter", "k1"), "add", 0) == 5
        assert await api.client.call_entity(EntityId("Counter", "k2"), "add", 0) == 7
        assert (await api.get(f"{BASE}/entities/Counter/k1")).json == {"value": 5}
        assert (await api.get(f"{BASE}/entities/Counter/none")).status == 404
        found = await api.get(f"{BASE}/entities/counter?fetchState=true&top=1")
        assert [(one["entityId"], one["state"]) for one in found.json] == [
            ({"name": "counter", "key": "k1"}, {"value": 5})
        ]
        token = found.headers["x-ms-continuation-token"]
        rest = await api.get(f"{BASE}/entities/counter?top=1", headers={"x-ms-continuation-token": token})
        assert [one["entityId"]["key"] for one in rest.json] == ["k2"]
        assert (await api.delete(f"{BASE}/entities/Counter/k1")).status == 202
        await trio.testing.wait_all_tasks_blocked()
        assert [one["entityId"]["key"] for one in (await api.get(f"{BASE}/entities")).json] == ["k2"]
        assert (await api.post(f"{BASE}/entities/Nobody/k1?op=add", 1)).status == 400


async def test_history_is_that_of_azures_host(autojump_clock: object) -> None:
    """Names, order and compaction of the events; results and inputs only when asked for."""
    async with web(app) as api:
        await api.client.start_new("Fails", "f")
        await api.client.wait_for_completion("f")
        plain = (await api.get(f"{BASE}/instances/f?showHistory=True&showInput=False")).json
        assert plain["history"] == plain["historyEvents"]
        told = [{key: value for key, value in event.items() if key != "Details"} for event in plain["historyEvents"]]
        for event in told:
            assert event.pop("Timestamp").endswith("Z")
        assert told[1].pop("FireAt").endswith("Z")
        assert told[2].pop("ScheduledTime").endswith("Z")
        reason = "durio.orchestration.errors.TaskFailedError: activity 'breaks' failed: ValueError: broken"
        assert told == [
            {"EventType": "ExecutionStarted", "FunctionName": "Fails"},
            {"EventType": "TimerFired"},
            {"EventType": "TaskFailed", "FunctionName": "breaks", "Reason": "ValueError: broken"},
            {"EventType": "ExecutionCompleted", "OrchestrationStatus": "Failed", "Reason": reason},
        ]
        assert (await api.get(f"{BASE}/instances/f?returnInternalServerErrorOnFailure=true")).status == 500
        await api.client.start_new("E1_HelloSequence", "h")
        await api.client.wait_for_completion("h")
        full = (await api.get(f"{BASE}/instances/h?showHistory=true&showHistoryOutput=true")).json["historyEvents"]
        assert [event.get("Result") for event in full] == [
            None,
            "Hello Tokyo!",
            "Hello Seattle!",
            "Hello London!",
            ["Hello Tokyo!", "Hello Seattle!", "Hello London!"],
        ]
        assert [event.get("Input") for event in full[1:4]] == ["Tokyo", "Seattle", "London"]


async def test_starters(autojump_clock: object) -> None:
    """G15: the routes of the samples: 202, 409 with their body, the running one if asked for; and waiting."""
    async with web(app) as api:
        assert (await api.post("/api/orchestrators/Approval/one", 1)).status == 202
        taken = await api.post("/api/orchestrators/Approval/one", 1)
        assert (taken.status, taken.text) == (409, "An instance with ID 'one' already exists.")
        found = await api.post("/api/orchestrators/Approval/one?ifRunning=return", 1)
        assert (found.status, found.json["id"]) == (200, "one")
        assert (await api.post("/api/orchestrators/Echo/one?ifRunning=return", 1)).status == 409
        assert (await api.post("/api/orchestrators/Echo/one?ifRunning=maybe", 1)).status == 400
        done = await api.post("/api/orchestrators/E1_HelloSequence/wait?timeout=2&retryInterval=0.5")
        assert (done.status, done.json) == (200, ["Hello Tokyo!", "Hello Seattle!", "Hello London!"])
        assert done.headers["content-type"] == "application/json"
        began = trio.current_time()
        late = await api.post("/api/orchestrators/Approval/wait?timeout=2.5&retryInterval=0.5")
        assert trio.current_time() - began == pytest.approx(2.5, abs=0.1)
        assert (late.status, late.headers["retry-after"]) == (202, "10")
        assert late.headers["location"] == late.json["statusQueryGetUri"]
        assert (await api.post("/api/orchestrators/Echo/wait?timeout=1&retryInterval=2")).status == 400
        failed = await api.post("/api/orchestrators/Fails/wait")
        assert (failed.status, failed.json["runtimeStatus"]) == (200, "Failed")
        waited = await api.post(f"{BASE}/orchestrators/Echo?timeout=5&pollingInterval=1", [1])
        assert (waited.status, waited.json) == (200, [1])


async def test_a_start_is_logged(autojump_clock: object, caplog: pytest.LogCaptureFixture) -> None:
    """As in the samples: the id of what was started, and nothing for one that ran already."""
    async with web(app) as api:
        with caplog.at_level("INFO", "durio.hosting"):
            for _ in range(2):
                await api.post("/api/orchestrators/Approval/one?ifRunning=return")
    assert [record.message for record in caplog.records] == ["Started orchestration with ID = 'one'."]


@pytest.mark.parametrize(
    ("sent", "python", "others"),
    [
        ({"city": "x"}, {"city": "x"}, {"city": "x"}),
        ('{"city": "x"}', {"city": "x"}, '{"city": "x"}'),
        ("5", 5, "5"),
        ('"5"', "5", '"5"'),
        ("hello", "hello", "hello"),
        ("", None, None),  # the JavaScript client without an input
    ],
)
async def test_both_clients_mean_the_same(autojump_clock: object, sent: Any, python: Any, others: Any) -> None:
    """Azure's Python client encodes twice, which is undone; what others send is what they mean, text too."""
    aiohttp = {"user-agent": "Python/3.11 aiohttp/3.14.5"}
    async with web(app) as api:
        for instance_id, headers, seen in (("p", aiohttp, python), ("o", {"user-agent": "axios/1.7"}, others)):
            await api.post(f"/durabletask/orchestrators/Echo/{instance_id}", sent, headers=headers)
            assert (await ended(api, instance_id)).json["output"] == seen
            await api.post(f"/durabletask/orchestrators/Approval/e{instance_id}")
            url = f"/durabletask/instances/e{instance_id}/raiseEvent/ApprovalEvent"
            assert (await api.post(url, sent, headers=headers)).status == 202
            assert (await ended(api, f"e{instance_id}")).json["output"] == seen
        await api.post("/api/orchestrators/Echo/x", sent, headers=aiohttp)
        assert (await ended(api, "x")).json["output"] == sent
    async with web(app, unwrap_json_strings=False) as api:
        await api.post("/durabletask/orchestrators/Echo/x", sent, headers=aiohttp)
        assert (await ended(api, "x")).json["output"] == sent
    async with web(app, unwrap_json_strings=True) as api:
        await api.post("/durabletask/orchestrators/Echo/x", sent)
        assert (await ended(api, "x")).json["output"] == python


async def test_text_is_an_input(autojump_clock: object) -> None:
    """A body of plain text is the text itself, also if it looks like JSON; bytes that are no UTF-8 are refused."""
    async with web(app) as api:
        kind = {"content-type": "text/plain; charset=utf-8"}
        for data in ("서울", "5", '{"a": 1}'):
            found = await api.post("/api/orchestrators/Echo/wait", raw=data.encode(), headers=kind)
            assert (found.status, found.json) == (200, data)
        assert (await api.post("/api/orchestrators/Echo", raw=b"\xff", headers=kind)).status == 400


BAD: list[tuple[str, str, dict[str, Any], int, str]] = [
    ("POST", "/orchestrators/Nobody", {}, 400, "no orchestration named 'Nobody'"),
    ("POST", "/orchestrators/Echo/@x", {}, 400, "@"),
    ("POST", "/orchestrators/Echo/" + "x" * 300, {}, 400, "256"),
    ("POST", "/orchestrators/Echo/a%00b", {}, 400, "control"),
    ("POST", "/orchestrators/Echo/a%FFb", {}, 400, "UTF-8"),
    (
        "POST",
        "/orchestrators/Echo",
        {"raw": b"{", "headers": {"content-type": "application/json"}},
        400,
        "Invalid JSON",
    ),
    ("POST", "/orchestrators/Echo", {"raw": b"NaN"}, 400, "NaN is no JSON"),
    ("POST", "/orchestrators/Echo", {"raw": b"\xff"}, 400, "no UTF-8"),
    ("POST", "/orchestrators/Echo", {"raw": b"[" * 100_000}, 400, "Invalid JSON"),
    ("POST", "/orchestrators/Echo?timeout=-1&pollingInterval=1", {}, 400, "timeout='-1'"),
    ("POST", "/orchestrators/Echo?timeout=nan&pollingInterval=1", {}, 400, "timeout='nan'"),
    ("POST", "/orchestrators/Echo?version=9", {}, 400, "9"),
    (
        "POST",
        "/instances/x/raiseEvent/e",
        {"raw": b"1"},
        400,
        "Only application/json request content is supported, not ''",
    ),
    ("GET", "/instances/x?showHistory=perhaps", {}, 400, "showHistory='perhaps'"),
    ("GET", "/instances?top=0", {}, 400, "top='0'"),
    ("GET", "/instances?runtimeStatus=Sleeping", {}, 400, "Sleeping"),
    ("GET", "/instances?createdTimeFrom=yesterday", {}, 400, "createdTimeFrom='yesterday'"),
    ("GET", "/instances?top=1", {"headers": {"x-ms-continuation-token": "?"}}, 400, "continuation token"),
    ("GET", "/entities/Counter/" + "k" * 300, {}, 400, "256"),
    ("PUT", "/instances/x", {}, 404, f"there is no PUT {BASE}/instances/x; DELETE and GET can be asked there"),
    ("POST", "/entities/Counter", {}, 404, "; GET can be asked there; /openapi.json lists what there is"),
    ("GET", "/nothing", {}, 404, f"there is no GET {BASE}/nothing; /openapi.json lists"),
    ("GET", "", {}, 404, ""),
]


async def test_keys_of_every_kind(autojump_clock: object) -> None:
    """Percent-encoded slashes, `$` and other letters are keys of entities."""
    async with web(app) as api:
        for number, (encoded, key) in enumerate((("a%2Fb", "a/b"), ("$", "$"), ("%C3%BC%20%25", "ü %"))):
            assert (await api.post(f"{BASE}/entities/Counter/{encoded}?op=add", number)).status == 202
            assert await api.client.call_entity(EntityId("Counter", key), "add", 10) == number + 10
            assert (await api.get(f"{BASE}/entities/Counter/{encoded}")).json == {"value": number + 10}


@pytest.mark.parametrize(("method", "target", "options", "code", "words"), BAD)
async def test_bad_requests(
    autojump_clock: object, method: str, target: str, options: dict[str, Any], code: int, words: str
) -> None:
    """G31: a clear 4xx that names what was wrong, never a 500."""
    async with web(app) as api:
        found = await api.ask(method, f"{BASE}{target}", **options)
        assert found.status == code, found.text
        assert words in (found.json["ExceptionMessage"] if words else found.text)


async def test_who_gets_400_has_started_nothing(autojump_clock: object) -> None:
    """Wrong parameters of waiting are told before anything is started."""
    async with web(app) as api:
        for target in (
            f"{BASE}/orchestrators/Echo/x?timeout=1&pollingInterval=2",
            f"{BASE}/orchestrators/Echo/x?timeout=soon",
            f"{BASE}/orchestrators/Echo/x?returnInternalServerErrorOnFailure=perhaps",
            "/api/orchestrators/Echo/x/wait?timeout=1&retryInterval=2",
        ):
            assert (await api.post(target)).status == 400, target
        assert (await api.get(f"{BASE}/instances/x")).status == 404
        assert (await api.post(f"{BASE}/orchestrators/Echo/x", 1)).status == 202
        await api.client.wait_for_completion("x")
        assert (await api.post(f"{BASE}/instances/x/restart?timeout=soon")).status == 400
        again = await api.post(f"{BASE}/instances/x/restart?timeout=9&pollingInterval=1")
        assert (again.status, again.json) == (200, 1)
        assert len((await api.get(f"{BASE}/instances")).json) == 2


async def test_a_location_is_where_others_can_ask(autojump_clock: object) -> None:
    """Behind a proxy, and with an id that has slashes, `Location` of a status is a URL that works."""
    async with web(app, base_url="https://front.example/durio") as api:
        await api.post(f"{BASE}/orchestrators/Approval/a%2Fb")
        found = await api.get(f"{BASE}/instances/a%2Fb?showInput=true")
        assert found.headers["location"] == f"https://front.example/durio{BASE}/instances/a%2Fb?showInput=true"


async def test_an_event_without_data(autojump_clock: object) -> None:
    """No body and no content type is an event that says nothing: `curl -X POST`, and the JavaScript client."""
    async with web(app) as api:
        await api.post(f"{BASE}/orchestrators/Approval/x")
        assert (await api.post(f"{BASE}/instances/x/raiseEvent/ApprovalEvent")).status == 202
        assert (await ended(api, "x")).json["output"] is None


async def test_ids_of_every_kind(autojump_clock: object) -> None:
    """Percent-encoded slashes, questions marks and other letters are parts of an id."""
    async with web(app) as api:
        for encoded, instance_id in (("a%2Fb", "a/b"), ("a%3Fb%23", "a?b#"), ("%C3%BC%20%25", "ü %"), ("a+b", "a+b")):
            assert (await api.post(f"{BASE}/orchestrators/Approval/{encoded}")).json["id"] == instance_id
            links = (await api.post(f"{BASE}/instances/{encoded}/restart")).json
            assert links["id"]
            found = await api.get(f"{BASE}/instances/{encoded}")
            assert found.json["instanceId"] == instance_id
            assert (await api.post(f"{BASE}/instances/{encoded}/raiseEvent/ApprovalEvent", 1)).status == 202


async def test_keys(autojump_clock: object) -> None:
    """With keys nothing is answered without one, but health; links carry the first."""
    async with web(app, keys=["s3cret&", "other"]) as api:
        for target in (f"{BASE}/instances", "/durabletask/instances", "/api/orchestrators/Echo"):
            assert (await api.post(target)).status == 401
        assert (await api.get(f"{BASE}/instances?code=wrong")).status == 401
        assert (await api.get(f"{BASE}/instances?CODE=other")).status == 200
        assert (await api.get(f"{BASE}/instances", headers={"X-Functions-Key": "s3cret&"})).status == 200
        assert (await api.post("/api/orchestrators/Approval/one?code=other")).status == 202
        links = (await api.post(f"{BASE}/orchestrators/Approval?code=other")).json
        del links["id"]
        query = "taskHub=durio&connection=Storage&code=s3cret%26"
        assert [name for name, link in links.items() if not link.endswith(query)] == []
        assert (await api.get("/health/live")).status == 200
        assert (await api.get("/health/ready")).json == {"status": "ready"}


async def test_pages_of_others_get_nothing(autojump_clock: object) -> None:
    """A page of another origin, and a name that was made to resolve to this machine, are refused; CORS is an option."""
    async with web(app, hosts=["127.0.0.1", "localhost"]) as api:
        evil = {"origin": "http://evil.example"}
        assert (await api.post(f"{BASE}/orchestrators/Echo", 1, headers=evil)).status == 403
        assert (await api.get(f"{BASE}/instances", headers={"host": "evil.example"})).status == 403
        assert (await api.get(f"{BASE}/instances", headers={"origin": "http://127.0.0.1:7071"})).status == 200
        assert (await api.get(f"{BASE}/instances", headers={"host": "localhost:1"})).status == 200
    async with web(app, cors_origins=["http://good.example"]) as api:
        good = {"origin": "http://good.example"}
        found = await api.get(f"{BASE}/instances", headers=good)
        assert (found.status, found.headers["access-control-allow-origin"]) == (200, "http://good.example")
        asked = await api.ask(
            "OPTIONS", f"{BASE}/instances/x", headers=good | {"access-control-request-method": "DELETE"}
        )
        assert asked.status == 200


async def test_a_large_body_is_refused(autojump_clock: object) -> None:
    """G31: 413 with both sizes, before anything is started."""
    async with web(app, request_bytes_max=100) as api:
        found = await api.post(f"{BASE}/orchestrators/Echo/x", "x" * 200)
        assert found.status == 413
        assert "more than 100 bytes (request_bytes_max)" in found.json["ExceptionMessage"]
        assert (await api.get(f"{BASE}/instances/x")).status == 404


async def test_own_routes_are_behind_the_same_gate(autojump_clock: object) -> None:
    """A page of another origin cannot ask a route of the program either; who may finds the client there."""

    async def go(request: Request) -> JSONResponse:
        started = await request.app.state.client.start_new("Echo", client_input=1)
        return JSONResponse(started.created)

    async with web(app, hosts=["127.0.0.1"], routes=[Route("/go", go, methods=["POST"])]) as api:
        assert (await api.post("/go", headers={"origin": "http://evil.example"})).status == 403
        assert (await api.post("/go", headers={"host": "evil.example"})).status == 403
        assert len((await api.get(f"{BASE}/instances")).json) == 0
        assert (await api.post("/go")).json is True


async def test_clients_on_this_machine_need_no_key_if_it_is_not_published(autojump_clock: object) -> None:
    """Azure's Python client sends no key: under its path it needs none, unless a proxy passes the request on."""
    async with web(app, keys=["k"], local_rpc=True) as api:
        assert (await api.get("/durabletask/instances")).status == 200
        assert (await api.get("/durabletask/instances", headers={"x-forwarded-for": "1.2.3.4"})).status == 401
        assert (await api.get(f"{BASE}/instances")).status == 401


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"host": "0.0.0.0"}, ValueError, "host='0.0.0.0' can be reached by others"),
        ({"host": "127.evil.example"}, ValueError, "can be reached by others"),
        ({"base_url": "https://shop.example"}, ValueError, "https://shop.example can be reached by others"),
        ({"trust_forwarded": True}, ValueError, "what stands behind a proxy .* can be reached by others"),
        ({"base_url": "shop.example"}, ValueError, "base_url='shop.example' is no URL in front of paths"),
        ({"base_url": "http://[::1/"}, ValueError, "is no URL"),
        ({"base_url": "http://localhost/?a=1"}, ValueError, "is no URL"),
        ({"keys": "secret"}, TypeError, "a list of keys"),
        ({"keys": [""]}, ValueError, "must be text that is not empty"),
    ],
)
async def test_what_others_reach_needs_keys(
    tmp_path: Path, options: dict[str, Any], error: type[Exception], words: str
) -> None:
    """A server that is not for this machine alone does not begin without keys; nothing is opened."""
    with pytest.raises(error, match=words):
        await serve(app, tmp_path / "hub", **options)
    assert not (tmp_path / "hub").exists()
