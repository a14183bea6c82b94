"""G29: ids and UUIDs are deterministic, and unique over reuse and continue-as-new."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from durio.entities import check_instance_id
from durio.orchestration import App, OrchestrationContext
from tests.orchestration.helpers import Stepper, hub, output

app = App()


@app.orchestration
async def makes_ids(ctx: OrchestrationContext, made: list[str]) -> list[str]:
    """Makes ids in three executions, before and after an await."""
    made += [ctx.new_uuid(), ctx.execution_id]
    await ctx.wait_for_external_event("next")
    made += [ctx.new_uuid(), str(ctx.new_guid())]
    if len(made) < 12:
        ctx.continue_as_new(made)
    return made


@app.orchestration
async def child(ctx: OrchestrationContext, depth: int) -> list[str]:
    below = await ctx.call_sub_orchestrator(child, depth - 1) if depth else []
    return [ctx.instance_id, *below]


@pytest.mark.parametrize("evict", [False, True])
async def test_uuids_are_unique_over_lives_and_executions(tmp_path: Path, autojump_clock: object, evict: bool) -> None:
    """G29: no UUID and no execution id comes twice, over executions, lives and instances, replayed or not."""
    seen: list[str] = []
    async with hub(tmp_path, app, activations_max=0 if evict else 100) as client:
        for instance_id in ("x", "x", "y"):
            await client.start_new(makes_ids, instance_id, [])
            for _ in range(3):
                await client.raise_event(instance_id, "next")
            seen.extend(await output(client, instance_id))
    assert len(seen) == 3 * 3 * 4
    assert len(set(seen)) == len(seen)


@pytest.mark.parametrize("root", ["root", "r" * 256, "ü" * 128])
async def test_child_ids_are_never_nested_and_always_fit(tmp_path: Path, autojump_clock: object, root: str) -> None:
    """G29: the ids of descendants start with the top-most ancestor's id, cut if it is long, and are valid ids."""
    async with hub(tmp_path, app) as client:
        await client.start_new(child, root, 4)
        ids = await output(client, root)
        assert len(set(ids)) == 5
        shared = ids[1].partition(":")[0]
        assert shared == root or (len(shared.encode()) <= 100 and root.startswith(shared.partition("~")[0]))
        for child_id in ids[1:]:
            check_instance_id(child_id)
            assert child_id.count(":") == 2
            assert child_id.startswith(shared + ":")
            assert (await client.get_status(child_id)).runtime_status == "Completed"


def test_ids_of_long_roots_differ() -> None:
    """G29: two roots with the same first 100 bytes do not share child ids: a hash tells them apart."""
    hub = Stepper(app)
    roots = ["r" * 150 + tail for tail in "ab"]
    for root in roots:
        hub.start("child", root, 1)
    hub.settle()
    shared = [hub.output(root)[1].partition(":")[0] for root in roots]
    assert shared[0] != shared[1]


@app.orchestration
async def calls(ctx: OrchestrationContext, chain: list[str]) -> str:
    """Calls itself under the ids of the chain; shows what the last call was refused with."""
    try:
        answer: str = await ctx.call_sub_orchestrator(calls, chain[1:], chain[0]) if chain else "end"
    except ValueError as error:
        return str(error)
    return answer


@pytest.mark.parametrize("chain", [["x"], ["a", "x"], ["a", "b", "a"], ["a", "b", "x"]])
@pytest.mark.parametrize("evict", [False, True])
def test_an_ancestors_id_is_refused(chain: list[str], evict: bool) -> None:
    """G29: a child under its own or an ancestor's id would wait for itself: refused at the call, also in replay."""
    hub = Stepper(app, evict=evict)
    hub.start("calls", "x", chain)
    hub.settle()
    assert "it is the id of this instance or of an ancestor" in hub.output("x")


@app.orchestration
async def child_then(ctx: OrchestrationContext, child_id: str | None) -> list[Any]:
    first = await ctx.call_sub_orchestrator(child, 0, child_id)
    return [first, await ctx.call_sub_orchestrator(child, 0, child_id)]


async def test_a_chosen_child_id_can_be_used_again(tmp_path: Path, autojump_clock: object) -> None:
    """G29: a chosen id serves one child after the other; chosen by durio, each child has its own."""
    async with hub(tmp_path, app) as client:
        await client.start_new(child_then, "x", "kid")
        assert await output(client, "x") == [["kid"], ["kid"]]
        await client.start_new(child_then, "y", None)
        first, second = await output(client, "y")
        assert first != second
