"""A payload above `payload_bytes_max` is refused where it is given, by whomever (G31)."""

from __future__ import annotations

import pickle
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

from durio.entities import EntityContext, EntityId, EntityOperationFailed, PayloadTooLarge
from durio.orchestration import App, Client, OrchestrationContext, RetryOptions, open_hub
from tests.orchestration.helpers import finished, hub, in_memory, output

LIMIT = 1000
FITS, LARGE = "x" * (LIMIT - 2), "x" * (LIMIT - 1)
app = App()
BOX = EntityId("box", "k")


@app.entity
@attrs.define
class Box:
    """Keeps text, too much of it if told so."""

    text: str = ""

    def fill(self, text: str) -> None:
        self.text = text

    def swell(self) -> None:
        self.text = LARGE

    def tell(self) -> str:
        return LARGE

    def send(self) -> None:
        EntityContext.current().signal_entity(BOX, "fill", LARGE)


@app.activity
async def swells(text: str) -> str:
    return text + "x"


@app.orchestration
async def echo(ctx: OrchestrationContext, text: str = "") -> Any:
    return text or await ctx.wait_for_external_event("go")


@app.orchestration
async def refused(ctx: OrchestrationContext) -> list[str]:
    """Tries everything that takes a payload."""
    child = "child"
    tries: list[Callable[[], Any]] = [
        lambda: ctx.call_activity(swells, LARGE),
        lambda: ctx.call_sub_orchestrator(echo, LARGE, child),
        lambda: ctx.call_entity(BOX, "fill", LARGE),
        lambda: ctx.signal_entity(BOX, "fill", LARGE),
        lambda: ctx.send_event("echo", "go", LARGE),
    ]
    if not ctx.is_replaying:  # these two are no actions, so history has no place for their refusal
        tries += [lambda: ctx.set_custom_status(LARGE), lambda: ctx.continue_as_new(LARGE)]
    words: list[str] = []
    for attempt in tries:
        try:
            words.append(f"took {attempt()}")
        except PayloadTooLarge as error:
            words.append(f"{error.size} > {error.limit}: {error.what}")
    await ctx.wait_for_external_event("go")
    return words


@app.orchestration
async def returns_too_much(ctx: OrchestrationContext) -> str:
    return LARGE


@app.orchestration
async def activity_gives_too_much(ctx: OrchestrationContext) -> str:
    return await ctx.call_activity_with_retry(swells, RetryOptions(1000, 5), FITS)


ASKED: dict[str, Callable[[Client, str], Awaitable[Any]]] = {
    "start_new": lambda client, text: client.start_new(echo, "started", text),
    "events of start_new": lambda client, text: client.start_new("echo", "with", events=[("go", text)]),
    "raise_event": lambda client, text: client.raise_event("echo", "go", text),
    "signal_entity": lambda client, text: client.signal_entity(BOX, "fill", text),
    "call_entity": lambda client, text: client.call_entity(BOX, "fill", text),
}


@pytest.mark.parametrize("asked", ASKED)
async def test_a_client_is_refused_at_the_call(asked: str, autojump_clock: object) -> None:
    """G31: what is just too large is refused with size and limit, and nothing is changed; what just fits goes."""
    async with in_memory(app, payload_bytes_max=LIMIT + 15) as client:
        await client.start_new(echo, "echo")
        slack = "x" * 15
        with pytest.raises(PayloadTooLarge) as caught:
            await ASKED[asked](client, LARGE + slack)
        assert (caught.value.size, caught.value.limit) == (LIMIT + 16, LIMIT + 15)
        for changed in ("started", "with"):
            assert not await client.get_status(changed)
        assert not (await client.read_entity_state(BOX)).entity_exists
        await ASKED[asked](client, FITS)


@pytest.mark.parametrize("reopened", [False, True])
async def test_an_orchestrator_is_refused_at_the_call_and_history_keeps_it(
    reopened: bool, tmp_path: Path, autojump_clock: object
) -> None:
    """G31, G19: every call of the context raises there; under a larger limit the replay is refused as it was."""
    async with hub(tmp_path, app, payload_bytes_max=LIMIT) as client:
        await client.start_new(refused, "r")
        if not reopened:
            await client.raise_event("r", "go")
            await finished(client, "r")
    async with hub(tmp_path, app) as client:
        if reopened:
            await client.raise_event("r", "go")
        words = await output(client, "r")
    assert [word.split(": ")[0] for word in words] == [f"{LIMIT + 1} > {LIMIT}"] * (5 if reopened else 7)
    assert words[0].endswith("input of activity 'swells'")


@pytest.mark.parametrize(
    ("name", "reason"),
    [("returns_too_much", "result of orchestration"), ("activity_gives_too_much", "result of activity")],
)
async def test_too_large_a_result_is_a_failure(name: str, reason: str, autojump_clock: object) -> None:
    """G31: too large a result fails its activity, without retries, or its orchestration, and says so."""
    async with in_memory(app, payload_bytes_max=LIMIT) as client:
        await client.start_new(name, "r")
        status = await finished(client, "r")
        assert status.runtime_status == "Failed"
        assert reason in str(status.output)
        assert "PayloadTooLarge" in str(status.output)
        history = str((await client.get_status("r", show_history=True)).history)
        assert history.count("ActivityScheduled") == (name == "activity_gives_too_much")


@pytest.mark.parametrize("operation", ["swell", "tell", "send"])
async def test_an_entity_is_refused_and_rolled_back(operation: str, autojump_clock: object) -> None:
    """G31, G10: too large a state, result or signal fails its operation; the state is as it was."""
    async with in_memory(app, payload_bytes_max=LIMIT) as client:
        await client.signal_entity(BOX, "fill", "before")
        with pytest.raises(EntityOperationFailed, match="PayloadTooLarge"):
            await client.call_entity(BOX, operation)
        assert (await client.read_entity_state(BOX, Box)).entity_state == Box("before")


async def test_what_lies_there_is_read_under_a_smaller_limit(tmp_path: Path, autojump_clock: object) -> None:
    """G31: a smaller limit refuses new payloads only."""
    async with hub(tmp_path, app) as client:
        await client.start_new(echo, "e")
        await client.raise_event("e", "go", LARGE)
        await finished(client, "e")
    async with hub(tmp_path, app, payload_bytes_max=10) as client:
        assert await output(client, "e") == LARGE
        with pytest.raises(PayloadTooLarge):
            await client.start_new(echo, "f", LARGE)


@pytest.mark.parametrize("limit", [0, -1, 1.5, True, None])
def test_a_limit_that_is_none_is_refused(limit: Any) -> None:
    """G31: the limit is a whole number of bytes."""
    with pytest.raises(ValueError, match="payload_bytes_max"):
        open_hub("nowhere", app, payload_bytes_max=limit)


def test_the_error_survives_pickling() -> None:
    """G31: the error can cross to another process whole."""
    error = PayloadTooLarge("input", "str", 11, 10)
    back = pickle.loads(pickle.dumps(error))
    assert (back.what, back.type_name, back.size, back.limit) == ("input", "str", 11, 10)
    assert str(back) == str(error)
    assert "11 bytes, at most 10 are allowed" in str(back)
