"""The unmodified client of Azure's Python library drives every one of its calls against a served hub."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from inspect import getmembers
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import pytest
import trio
from azure.durable_functions import (  # type: ignore[import-untyped]
    DurableOrchestrationClient,
    EntityId,
    OrchestrationRuntimeStatus,
)
from azure.durable_functions.models.utils import http_utils  # type: ignore[import-untyped]

from tests.hosting.served import served
from tests.hosting.town import app

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
REQUEST = SimpleNamespace(url="https://front.example/api/start")


class Noted:
    """Azure's client, and which of its methods were called."""

    def __init__(self, binding: dict[str, object]) -> None:
        self._client = DurableOrchestrationClient(json.dumps(binding))
        self.called: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        self.called.add(name)
        return getattr(self._client, name)

    async def ended(self, instance_id: str) -> Any:
        """The status of an instance, when it has ended."""
        for _ in range(1000):
            status = await self._client.get_status(instance_id, show_input=True)
            if status.runtime_status not in (
                OrchestrationRuntimeStatus.Running,
                OrchestrationRuntimeStatus.Pending,
                OrchestrationRuntimeStatus.Suspended,
            ):
                return status
            await asyncio.sleep(0.01)
        raise AssertionError(f"{instance_id} does not end")

    async def becomes(self, instance_id: str, wanted: OrchestrationRuntimeStatus) -> None:
        """Wait for a status."""
        for _ in range(1000):
            if (await self._client.get_status(instance_id)).runtime_status == wanted:
                return
            await asyncio.sleep(0.01)
        raise AssertionError(f"{instance_id} does not become {wanted}")


async def start_new(client: Noted) -> None:
    generated = await client.start_new("E1_HelloSequence")
    status = await client.ended(generated)
    assert status.runtime_status == OrchestrationRuntimeStatus.Completed
    assert status.output == ["Hello Tokyo!", "Hello Seattle!", "Hello London!"]
    assert await client.start_new("Echo", "my-id", {"city": "서울"}) == "my-id"
    status = await client.ended("my-id")
    assert (status.name, status.input_, status.output) == ("Echo", {"city": "서울"}, {"city": "서울"})
    for number, value in enumerate((0, False, "", "text", "5", [1, [2]], None, 1.5)):
        await client.start_new("Echo", f"value-{number}", value)
        assert (await client.ended(f"value-{number}")).output == value
    assert (await client.ended(await client.start_new("Versioned", version="1.0 a"))).output == "one"
    assert (await client.ended(await client.start_new("Versioned"))).output == "two"
    with pytest.raises(Exception, match="no orchestration named 'Nobody'"):
        await client.start_new("Nobody")
    with pytest.raises(Exception, match="'Versioned version 9'"):
        await client.start_new("Versioned", version="9")
    await client.start_new("Approval", "single")
    with pytest.raises(Exception, match="single"):
        await client.start_new("Approval", "single")


async def get_status(client: Noted) -> None:
    assert not await client.get_status("nobody")
    await client.start_new("Approval", "a", "input")
    await client.becomes("a", OrchestrationRuntimeStatus.Running)
    await client.raise_event("a", "ApprovalEvent", True)
    await client.ended("a")
    plain = await client.get_status("a")
    assert plain
    assert (plain.name, plain.instance_id, plain.output) == ("Approval", "a", True)
    assert plain.custom_status == {"waits": "for approval"}
    assert plain.history is None
    assert plain.created_time >= LONG_AGO
    assert plain.last_updated_time >= plain.created_time
    full = await client.get_status("a", show_history=True, show_history_output=True, show_input=True)
    assert full.input_ == "input"
    assert [event["EventType"] for event in full.history] == ["ExecutionStarted", "EventRaised", "ExecutionCompleted"]
    assert full.history[-1]["Result"] is True
    hidden = await client.get_status("a", show_history=True)
    assert "Result" not in hidden.history[-1]
    await client.start_new("Fails", "f")
    failed = await client.ended("f")
    assert failed.runtime_status == OrchestrationRuntimeStatus.Failed
    assert "broken" in failed.output


async def get_status_all(client: Noted) -> None:
    assert await client.get_status_all() == []
    ids = [await client.start_new("Echo") for _ in range(3)]
    assert {status.instance_id for status in await client.get_status_all()} == set(ids)


async def get_status_by(client: Noted) -> None:
    await client.start_new("Approval", "abc-runs")
    await client.start_new("Echo", "abc-over")
    await client.start_new("Echo", "other")
    await client.ended("abc-over")
    await client.ended("other")

    async def found(**filters: Any) -> list[str]:
        return sorted(status.instance_id for status in await client.get_status_by(**filters))

    soon = datetime.now(UTC) + timedelta(hours=1)
    assert await found(created_time_from=LONG_AGO, created_time_to=soon) == ["abc-over", "abc-runs", "other"]
    assert await found(created_time_from=soon) == []
    assert await found(created_time_to=LONG_AGO) == []
    statuses = [OrchestrationRuntimeStatus.Running, OrchestrationRuntimeStatus.Pending]
    assert await found(runtime_status=statuses) == ["abc-runs"]
    assert await found(runtime_status=[*statuses, OrchestrationRuntimeStatus.Completed], instance_id_prefix="abc") == [
        "abc-over",
        "abc-runs",
    ]


async def raise_event(client: Noted) -> None:
    for number, value in enumerate(({"ok": True}, None, True, "text", "5", [1])):
        instance_id = await client.start_new("Approval", f"i{number}")
        await client.raise_event(instance_id, "ApprovalEvent", value, "Hub2", "Conn2")
        assert (await client.ended(instance_id)).output == value
    with pytest.raises(Exception, match="Instance with ID i0 is gone"):
        await client.raise_event("i0", "ApprovalEvent", 1)
    with pytest.raises(Exception, match="No instance with ID nobody found"):
        await client.raise_event("nobody", "ApprovalEvent", 1)
    with pytest.raises(ValueError, match="non-empty"):
        await client.raise_event("i0", "")


async def terminate(client: Noted) -> None:
    await client.start_new("Approval", "t")
    await client.terminate("t", "found a bug & more")
    status = await client.ended("t")
    assert (status.runtime_status, status.output) == (OrchestrationRuntimeStatus.Terminated, "found a bug & more")
    await client.terminate("t", "again")  # 410: all the same to this client
    with pytest.raises(Exception, match="No instance with ID 'nobody' found"):
        await client.terminate("nobody", "x")


async def suspend(client: Noted) -> None:
    await client.start_new("Approval", "s")
    await client.suspend("s", "need to pause")
    await client.becomes("s", OrchestrationRuntimeStatus.Suspended)
    await client.raise_event("s", "ApprovalEvent", 1)
    await client.resume("s", "go on")
    assert (await client.ended("s")).output == 1
    await client.suspend("s", "over")
    with pytest.raises(Exception, match="No instance with ID 'nobody' found"):
        await client.suspend("nobody", "x")


async def resume(client: Noted) -> None:
    await suspend(client)
    await client.resume("s", "over")
    with pytest.raises(Exception, match="No instance with ID 'nobody' found"):
        await client.resume("nobody", "x")


async def rewind(client: Noted) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        await client.start_new("Reads", "w", str(path))
        assert (await client.ended("w")).runtime_status == OrchestrationRuntimeStatus.Failed
        path.write_text("there now")
        await client.rewind("w", "the file is there", "Hub2", "Conn2")
        await client.becomes("w", OrchestrationRuntimeStatus.Completed)
        assert (await client.get_status("w")).output == "there now"
    with pytest.raises(Exception, match="only supported on failed"):
        await client.rewind("w", "again")
    with pytest.raises(Exception, match="No instance with ID nobody found"):
        await client.rewind("nobody", "x")
    await client.start_new("Approval", "runs")
    with pytest.raises(Exception, match="400"):
        await client.rewind("runs", "x")


async def restart(client: Noted) -> None:
    await client.start_new("Echo", "r", [1])
    await client.ended("r")
    # This client gives back the whole answer, where its documentation says the id.
    answer: Any = await client.restart("r")
    assert answer["id"] != "r"
    assert (await client.ended(answer["id"])).output == [1]
    again: Any = await client.restart("r", restart_with_new_instance_id=False)
    assert again["id"] == "r"
    assert (await client.ended("r")).output == [1]
    with pytest.raises(Exception, match="unexpected status code 400"):
        await client.restart("nobody")


async def purge_instance_history(client: Noted) -> None:
    await client.start_new("Echo", "p")
    await client.ended("p")
    assert (await client.purge_instance_history("p")).instances_deleted == 1
    assert (await client.purge_instance_history("p")).instances_deleted == 0
    assert not await client.get_status("p")
    await client.start_new("Approval", "runs")
    assert (await client.purge_instance_history("runs")).instances_deleted == 0
    assert await client.get_status("runs")


async def purge_instance_history_by(client: Noted) -> None:
    for number in range(3):
        await client.start_new("Echo", f"p{number}")
        await client.ended(f"p{number}")
    await client.start_new("Fails", "failed")
    await client.ended("failed")
    with pytest.raises(ValueError, match="created_time_from is required"):
        await client.purge_instance_history_by()
    soon = datetime.now(UTC) + timedelta(hours=1)
    nothing = await client.purge_instance_history_by(soon)
    assert nothing.instances_deleted == 0
    completed = [OrchestrationRuntimeStatus.Completed]
    assert (await client.purge_instance_history_by(LONG_AGO, soon, completed)).instances_deleted == 3
    assert [status.instance_id for status in await client.get_status_all()] == ["failed"]


async def signal_entity(client: Noted) -> None:
    entity = EntityId("Counter", "k1")
    await client.signal_entity(entity, "add", 5)
    await client.signal_entity(entity, "add", 2, "Hub2", "Conn2")
    await until_state(client, entity, {"value": 7})
    # Input that is false is not sent by this client; `reset` wants none.
    await client.signal_entity(entity, "reset", 0)
    await until_state(client, entity, {"value": 0})
    await client.signal_entity(entity, "set", 9)
    await until_state(client, entity, {"value": 9})
    with pytest.raises(Exception, match="unexpected status code 400"):
        await client.signal_entity(EntityId("Nobody", "k"), "add", 1)


async def read_entity_state(client: Noted) -> None:
    entity = EntityId("Counter", "k1")
    assert not (await client.read_entity_state(entity)).entity_exists
    await client.signal_entity(entity, "add", 5)
    await until_state(client, entity, {"value": 5})
    assert (await client.read_entity_state(entity, "Hub2", "Conn2")).entity_state == {"value": 5}


async def until_state(client: Noted, entity: EntityId, wanted: Any) -> None:
    for _ in range(1000):
        found = await client.read_entity_state(entity)
        if found.entity_exists and found.entity_state == wanted:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"{entity} does not become {wanted}")


async def wait_for_completion_or_create_check_status_response(client: Noted) -> None:
    wait = client.wait_for_completion_or_create_check_status_response
    await client.start_new("Echo", "done", [1])
    done = await wait(REQUEST, "done", 10_000, 10)
    assert (done.status_code, json.loads(done.get_body())) == (200, [1])
    await client.start_new("Fails", "failed")
    failed = await wait(REQUEST, "failed", 10_000, 10)
    assert (failed.status_code, json.loads(failed.get_body())["runtimeStatus"]) == (500, "Failed")
    await client.start_new("Approval", "ended")
    await client.terminate("ended", "enough")
    ended = await wait(REQUEST, "ended", 10_000, 10)
    assert (ended.status_code, json.loads(ended.get_body())["output"]) == (200, "enough")
    await client.start_new("Approval", "runs")
    late = await wait(REQUEST, "runs", 50, 10)
    assert (late.status_code, late.headers["Retry-After"]) == (202, "10")
    assert late.headers["Location"].startswith("https://front.example/runtime/webhooks/durabletask/instances/runs?")
    with pytest.raises(Exception, match="should be bigger"):
        await wait(REQUEST, "runs", 10, 50)


async def create_check_status_response(client: Noted) -> None:
    await client.start_new("Approval", "i")
    answer = client.create_check_status_response(REQUEST, "i")
    links = json.loads(answer.get_body())
    assert (answer.status_code, answer.headers["Location"]) == (202, links["statusQueryGetUri"])
    assert links["id"] == "i"


async def create_http_management_payload(client: Noted) -> None:
    """Its links work: the client's library itself asks for them."""
    await client.start_new("Approval", "i")
    links = client.create_http_management_payload("i")
    status, told = await http_utils.get_async_request(links["statusQueryGetUri"])
    assert (status, told["runtimeStatus"]) in ((202, "Running"), (202, "Pending"))
    for name, text in (("suspendPostUri", "hold"), ("resumePostUri", "go on")):
        assert (await http_utils.post_async_request(links[name].replace("{text}", text)))[0] == 202, name
    event = links["sendEventPostUri"].replace("{eventName}", "ApprovalEvent")
    assert (await http_utils.post_async_request(event, json.dumps({"ok": 1})))[0] == 202
    assert (await client.ended("i")).output == {"ok": 1}
    assert (await http_utils.post_async_request(links["terminatePostUri"].replace("{text}", "late")))[0] == 410
    assert (await http_utils.post_async_request(links["restartPostUri"]))[0] == 202
    assert await http_utils.delete_async_request(links["purgeHistoryDeleteUri"]) == [200, {"instancesDeleted": 1}]


async def get_client_response_links(client: Noted) -> None:
    here = client.get_client_response_links(None, "i")
    there = client.get_client_response_links(REQUEST, "i")
    assert set(here) == set(there)
    for name, link in there.items():
        if name != "id":
            assert link.startswith("https://front.example/runtime/webhooks/durabletask/instances/i"), name


SCRIPTS: dict[str, Callable[[Noted], Awaitable[None]]] = {
    script.__name__: script
    for script in (
        start_new,
        get_status,
        get_status_all,
        get_status_by,
        raise_event,
        terminate,
        suspend,
        resume,
        rewind,
        restart,
        purge_instance_history,
        purge_instance_history_by,
        signal_entity,
        read_entity_state,
        wait_for_completion_or_create_check_status_response,
        create_check_status_response,
        create_http_management_payload,
        get_client_response_links,
    )
}


def test_no_method_is_left_out() -> None:
    """Every public method of the client has a script below."""
    public = {name for name, _ in getmembers(DurableOrchestrationClient, callable) if not name.startswith("_")}
    assert public == set(SCRIPTS)


@pytest.mark.parametrize("method", sorted(SCRIPTS))
async def test_azures_client(tmp_path: Path, method: str) -> None:
    """The method means over a served hub what it means over Azure's."""
    async with served(app, tmp_path / "hub") as server:
        client = Noted(server.binding())

        async def scripted() -> None:
            try:
                await SCRIPTS[method](client)
            finally:
                await http_utils._close_session()

        await trio.to_thread.run_sync(asyncio.run, scripted())
    assert method in client.called
