"""G31: bad input is refused at the call with an error that says what to do; nothing is changed or lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import pytest

from durio.entities import (
    AlreadyRegistered,
    EntityContext,
    EntityId,
    EntityOperationFailed,
    NotRegistered,
    PayloadError,
    VirtualEnv,
)
from durio.orchestration import App, Client, OrchestrationContext, TaskFailedError, open_hub
from durio.storage import HubInUse
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


@app.entity
def open_minded(ctx: EntityContext) -> None:
    ctx.set_result(object())


@app.activity
async def gives_object() -> object:
    return object()


@app.activity
async def wants_int(number: int) -> int:
    return number


@app.orchestration
async def waits(ctx: OrchestrationContext, value: Any = None) -> Any:
    return await ctx.wait_for_external_event("go")


@app.orchestration
async def returns_object(ctx: OrchestrationContext) -> object:
    return object()


@app.orchestration
async def wants_text(ctx: OrchestrationContext, text: str) -> str:
    return text


async def assert_unharmed(client: Client) -> None:
    """The hub works, and nothing of what was refused is there."""
    await client.start_new("waits", "unharmed")
    await client.raise_event("unharmed", "go", 1)
    assert await output(client, "unharmed") == 1


async def test_unknown_names(tmp_path: Path, autojump_clock: object) -> None:
    """G31: an unknown orchestrator, version or entity is refused with the names that are known."""
    async with hub(tmp_path, app) as client:
        for name, version in (("waitz", None), ("gives_object", None), ("waits", "2")):
            with pytest.raises(NotRegistered, match=r"no orchestration named .* is registered .registered: .*waits"):
                await client.start_new(name, "x", version=version)
        with pytest.raises(NotRegistered, match=r"no entity named 'talli' is registered .registered: .*tally"):
            await client.signal_entity(EntityId("talli", "k"), "add", 1)
        with pytest.raises(NotRegistered, match=r"decorate the function with @app\.entity"):
            await client.call_entity(EntityId("talli", "k"), "add", 1)
        assert not await client.get_status("x")
        await assert_unharmed(client)


async def test_unknown_operations(tmp_path: Path, autojump_clock: object) -> None:
    """G31: an unknown operation is an error with the names that the entity has; a signal of it changes nothing."""
    async with hub(tmp_path, app) as client:
        with pytest.raises(EntityOperationFailed, match=r"has no operation 'ad' .it has: add, delete"):
            await client.call_entity(K, "ad", 1)
        await client.signal_entity(K, "ad", 1)
        assert not (await client.read_entity_state(K)).entity_exists


@app.orchestration
async def uses_unknown(ctx: OrchestrationContext) -> list[str]:
    said = []
    for call in (
        lambda: ctx.call_activity("wants_imt", 1),
        lambda: ctx.call_activity(waits, 1),  # type: ignore[arg-type]  # the mistake under test
        lambda: ctx.call_sub_orchestrator("waitz"),
        lambda: ctx.call_entity(EntityId("talli", "k"), "add", 1),
        lambda: ctx.signal_entity(EntityId("talli", "k"), "add", 1),
    ):
        try:
            call()
        except NotRegistered as error:
            said.append(str(error))
    try:
        await ctx.call_entity(K, "ad", 1)
    except TaskFailedError as error:
        said.append(str(error))
    return said


async def test_unknown_names_in_an_orchestrator(tmp_path: Path, autojump_clock: object) -> None:
    """G31: the context refuses unknown names at the call; an unknown operation fails the task."""
    async with hub(tmp_path, app, activations_max=0) as client:
        await client.start_new(uses_unknown, "x")
        said = await output(client, "x")
        kinds = ["activity", "activity", "orchestration", "entity", "entity"]
        assert [text.partition(" named")[0] for text in said[:5]] == [f"no {kind}" for kind in kinds]
        assert "has no operation 'ad' (it has: add, delete)" in said[5]


@app.orchestration
async def takes_object(ctx: OrchestrationContext) -> str:
    try:
        await ctx.call_activity(gives_object)
    except TaskFailedError as error:
        return error.failure.message
    return "no error"


async def test_results_that_are_not_json(tmp_path: Path, autojump_clock: object) -> None:
    """G31, G33: a result that is not JSON fails the activity, the operation or the instance, with its type."""
    async with hub(tmp_path, app) as client:
        await client.start_new(takes_object, "x")
        assert "result of activity 'gives_object' (object): object has no JSON form" in await output(client, "x")
        await client.start_new(returns_object, "y")
        status = await finished(client, "y")
        assert status.runtime_status == "Failed"
        assert "result of orchestration 'returns_object' (object)" in status.output
        with pytest.raises(EntityOperationFailed, match="object has no JSON form"):
            await client.call_entity(EntityId("open_minded", "k"), "any")


async def test_inputs_that_are_not_json(tmp_path: Path, autojump_clock: object) -> None:
    """G31, G33: an input that is not JSON is refused at the client's call."""
    async with hub(tmp_path, app) as client:
        for bad in (object(), float("nan"), "\udcff", {1, object()}):
            for call in (
                lambda bad=bad: client.start_new(waits, "x", bad),
                lambda bad=bad: client.start_new(waits, "x", events=[("go", bad)]),
                lambda bad=bad: client.raise_event("x", "go", bad),
                lambda bad=bad: client.signal_entity(K, "add", bad),
                lambda bad=bad: client.call_entity(K, "add", bad),
            ):
                with pytest.raises(PayloadError):
                    await call()
        assert not await client.get_status("x")
        await assert_unharmed(client)


async def test_inputs_that_do_not_fit(tmp_path: Path, autojump_clock: object) -> None:
    """G33: an input that does not fit the annotation fails what it was for, with the path inside the value."""
    async with hub(tmp_path, app) as client:
        await client.start_new("wants_text", "x", {"not": "text"})
        status = await finished(client, "x")
        assert status.runtime_status == "Failed"
        assert "input of orchestration 'wants_text' (str)" in status.output
        with pytest.raises(EntityOperationFailed, match="input of 'add'"):
            await client.call_entity(K, "add", "one")


async def test_options_that_do_not_exist(tmp_path: Path, autojump_clock: object) -> None:
    """G31: policies that do not exist, too many tags and reasons that are no text are refused."""
    async with hub(tmp_path, app) as client:
        with pytest.raises(ValueError, match="if_running='reuse' must be one of"):
            await client.start_new(waits, "x", if_running="reuse")  # type: ignore[call-overload]  # on purpose
        with pytest.raises(ValueError, match="if_finished='return' must be one of"):
            await client.start_new(waits, "x", if_finished="return")  # type: ignore[call-overload]  # on purpose
        with pytest.raises(ValueError, match="at most 64 tags, not 65"):
            await client.start_new(waits, "x", tags={str(n): "" for n in range(65)})
        with pytest.raises(TypeError, match="tag"):
            await client.start_new(waits, "x", tags={"a": 1})  # type: ignore[dict-item]  # the mistake under test
        with pytest.raises(TypeError, match="reason is a str"):
            await client.terminate("x", 5)  # type: ignore[arg-type]  # the mistake under test
        assert not await client.get_status("x")


async def test_a_second_owner(tmp_path: Path, autojump_clock: object) -> None:
    """G1, G31: a hub has one owner; the second is told which process has it."""
    async with hub(tmp_path, app) as client:
        with pytest.raises(HubInUse):
            async with open_hub(tmp_path / "hub", app, env=VirtualEnv()):
                pass
        await assert_unharmed(client)


def test_what_cannot_be_registered() -> None:
    """G31: functions of the wrong kind or shape, and names taken twice, are refused at registration."""
    other = App()
    other.activity(wants_int)
    other.orchestration(waits)
    for register, said in (
        (lambda: other.orchestration(wants_int_plainly), "must be an async def or a generator function"),
        (lambda: other.orchestration(no_context), "takes the context and at most one input, not 0"),
        (lambda: other.activity(two_inputs), "takes at most one input, not 2"),
        (lambda: other.activity(generates), "not a generator"),
        (lambda: other.activity(limit=0, name="other")(wants_int), "must be at least 1"),
        (lambda: other.entity(Plain), "must be an attrs class or a dataclass"),
    ):
        with pytest.raises((TypeError, ValueError), match=said):
            register()
    for again in (lambda: other.activity(wants_int), lambda: other.orchestration(waits)):
        with pytest.raises(AlreadyRegistered):
            again()


def wants_int_plainly(ctx: OrchestrationContext) -> None: ...
async def no_context() -> None: ...
def two_inputs(a: int, b: int) -> None: ...
def generates() -> Any:
    yield


class Plain:
    """No state to be seen."""
