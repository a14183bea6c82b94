"""G31: ids and text that cannot be stored are refused at the call; the hub stays whole."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import attrs
import pytest

from durio.entities import EntityId, InvalidAddress
from durio.orchestration import App, Client, OrchestrationContext
from tests.orchestration.helpers import finished, hub, output

app = App()
K = EntityId("tally", "k")


@app.entity
@attrs.define
class Tally:
    """Counts."""

    value: int = 0

    def add(self, amount: int) -> int:
        self.value += amount
        return self.value


@app.activity
async def wants_int(number: int) -> int:
    return number


@app.orchestration
async def waits(ctx: OrchestrationContext, value: Any = None) -> Any:
    return await ctx.wait_for_external_event("go")


BAD_IDS = [
    ("", "it is empty"),
    ("@counter@clicks", "kept for entities"),
    ("x" * 257, "257 bytes long, the limit is 256"),
    ("ü" * 129, "258 bytes long"),
    ("a\nb", "control characters"),
    ("a\0b", "control characters"),
    ("a\x7f", "control characters"),
    ("a\x85", "control characters"),
    ("a\udcff", "lone surrogates"),
    (7, "an instance id is a str"),
]

CALLS: dict[str, Callable[[Client, Any], Awaitable[Any]]] = {
    "start_new": lambda client, id_: client.start_new(waits, id_),
    "raise_event": lambda client, id_: client.raise_event(id_, "go"),
    "terminate": lambda client, id_: client.terminate(id_),
    "suspend": lambda client, id_: client.suspend(id_),
    "resume": lambda client, id_: client.resume(id_),
    "get_status": lambda client, id_: client.get_status(id_),
    "wait_for_completion": lambda client, id_: client.wait_for_completion(id_),
}


async def assert_unharmed(client: Client) -> None:
    """The hub works, and nothing of what was refused is there."""
    await client.start_new("waits", "unharmed")
    await client.raise_event("unharmed", "go", 1)
    assert await output(client, "unharmed") == 1


@pytest.mark.parametrize(("bad", "why"), BAD_IDS)
async def test_unusable_instance_ids(tmp_path: Path, autojump_clock: object, bad: Any, why: str) -> None:
    """G31: an id that is empty, too long, an entity's, or holds what cannot be stored is refused by every call."""
    async with hub(tmp_path, app) as client:
        for call in CALLS.values():
            with pytest.raises(InvalidAddress, match=why):
                await call(client, bad)
        await assert_unharmed(client)


@app.orchestration
async def child_of(ctx: OrchestrationContext, child_id: str) -> list[str]:
    said = []
    for call in (
        lambda: ctx.call_sub_orchestrator(waits, instance_id=child_id),
        lambda: ctx.send_event(child_id, "go"),
    ):
        try:
            call()
        except ValueError as error:
            said.append(str(error))
    await ctx.create_timer(timedelta(seconds=1))
    return said


@pytest.mark.parametrize(("bad", "why"), [bad for bad in BAD_IDS if isinstance(bad[0], str) and "\udcff" not in bad[0]])
async def test_unusable_ids_in_an_orchestrator(tmp_path: Path, autojump_clock: object, bad: str, why: str) -> None:
    """G31: the context refuses the same ids at the call."""
    async with hub(tmp_path, app, activations_max=0) as client:
        await client.start_new(child_of, "x", bad)
        said = await output(client, "x")
        assert len(said) == 2
        assert all(why in text for text in said)


BAD_TEXT = "x\udcff"


@app.orchestration
async def uses_bad_text(ctx: OrchestrationContext) -> list[str]:
    said = []
    for call in (
        lambda: ctx.call_activity(BAD_TEXT),
        lambda: ctx.call_activity(wants_int, 1, tags={"a": BAD_TEXT}),
        lambda: ctx.call_activity(wants_int, 1, tags={"a": 1}),  # type: ignore[dict-item]  # the mistake under test
        lambda: ctx.call_activity(wants_int, 1, timeout_s=1e30),
        lambda: ctx.call_activity(wants_int, 1, timeout_s=float("inf")),
        lambda: ctx.call_activity(wants_int, 1, timeout_s=0),
        lambda: ctx.call_sub_orchestrator(BAD_TEXT),
        lambda: ctx.call_sub_orchestrator(waits, instance_id=BAD_TEXT),
        lambda: ctx.call_sub_orchestrator(waits, tags={BAD_TEXT: "a"}),
        lambda: ctx.send_event("y", BAD_TEXT),
        lambda: ctx.send_event(BAD_TEXT, "go"),
        lambda: ctx.signal_entity(K, BAD_TEXT),
        lambda: ctx.call_entity(K, BAD_TEXT),
        lambda: ctx.wait_for_external_event(BAD_TEXT),
        lambda: ctx.wait_for_external_event(""),
        lambda: ctx.wait_for_external_event("x" * 2000),
        lambda: ctx.set_custom_status(BAD_TEXT),
    ):
        try:
            call()
        except Exception as error:
            said.append(type(error).__name__)
        else:
            said.append("taken")
    await ctx.wait_for_external_event("go")
    raise ValueError(BAD_TEXT)


async def test_text_that_utf8_cannot_store_in_an_orchestrator(tmp_path: Path, autojump_clock: object) -> None:
    """G31: names, tags, ids and errors that cannot be stored are refused or made storable; the hub stays whole."""
    async with hub(tmp_path, app, activations_max=0) as client:
        await client.start_new(uses_bad_text, "x")
        await client.raise_event("x", "go")
        status = await finished(client, "x")
        assert status.output == "ValueError: x\\udcff"
        await assert_unharmed(client)


async def test_text_that_utf8_cannot_store_from_a_client(tmp_path: Path, autojump_clock: object) -> None:
    """G31: a client's names, reasons and tags that cannot be stored are refused at the call."""
    async with hub(tmp_path, app) as client:
        await client.start_new(waits, "x")
        for call in (
            lambda: client.raise_event("x", BAD_TEXT),
            lambda: client.raise_event("x", ""),
            lambda: client.terminate("x", BAD_TEXT),
            lambda: client.suspend("x", BAD_TEXT),
            lambda: client.resume("x", BAD_TEXT),
            lambda: client.start_new(waits, "y", tags={"a": BAD_TEXT}),
            lambda: client.start_new(waits, "y", events=[(BAD_TEXT, 1)]),
            lambda: client.signal_entity(K, BAD_TEXT),
            lambda: client.call_entity(K, BAD_TEXT),
            lambda: client.start_new(waits, "y", request_id=BAD_TEXT),
        ):
            with pytest.raises(ValueError, match=r"store|cannot be|surrogates"):
                await call()
        assert (await client.get_status("x")).runtime_status == "Running"
        await assert_unharmed(client)
