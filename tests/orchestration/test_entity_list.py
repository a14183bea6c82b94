"""Entities can be listed: those that have a state, in the order of their ids (G17)."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs
import pytest

from durio.entities import EntityId
from durio.orchestration import App, OrchestrationContext
from tests.orchestration.helpers import hub
from tests.orchestration.links import Opened

app = App()


@app.entity
@attrs.define
class Counter:
    value: int = 0

    def add(self, amount: int) -> int:
        self.value += amount
        return self.value


@app.entity
@attrs.define
class Count:
    """Its name is the beginning of another one's."""

    value: int = 0

    def add(self, amount: int) -> int:
        self.value += amount
        return self.value


@app.orchestration
async def holds(ctx: OrchestrationContext) -> None:
    async with await ctx.lock_entities([EntityId("Counter", "b")]):
        await ctx.wait_for_external_event("go")


async def test_by_name_key_and_time(opened: Opened, tmp_path: Path) -> None:
    """G17: pages are full and ordered; a deleted entity is not there; a locked one says by whom."""
    async with opened(tmp_path, app) as client:
        for key in ("b", "a", "ba", "c", "ü"):
            await client.call_entity(EntityId("Counter", key), "add", 1)
        await client.call_entity(EntityId("Count", "er@b"), "add", 7)
        await client.call_entity(EntityId("Counter", "c"), "delete")
        await client.start_new("holds", "holder")
        await client.call_entity(EntityId("Count", "er@b"), "add", 1)

        async def listed(*args: Any, **options: Any) -> list[str]:
            return [str(one.entity_id) for one in (await client.list_entities(*args, **options)).entities]

        assert await listed() == ["@count@er@b", "@counter@a", "@counter@b", "@counter@ba", "@counter@ü"]
        assert await listed("COUNTER") == ["@counter@a", "@counter@b", "@counter@ba", "@counter@ü"]
        assert await listed("counter", "b") == ["@counter@b", "@counter@ba"]
        assert await listed("nothing") == await listed("counter", "x" * 1000) == []
        first = await client.list_entities("counter", page_size=3, fetch_state=True)
        assert [(one.state, one.locked_by) for one in first.entities] == [
            ({"value": 1}, None),
            ({"value": 1}, "holder"),
            ({"value": 1}, None),
        ]
        rest = await client.list_entities("counter", page_size=3, continuation_token=first.continuation_token)
        assert ([str(one.entity_id) for one in rest.entities], rest.continuation_token) == (["@counter@ü"], None)
        last = first.entities[0].last_operation_time
        assert "@counter@a" in await listed(last_operation_time_from=last, last_operation_time_to=last)
        assert await listed(last_operation_time_to=datetime(2000, 1, 1, tzinfo=UTC)) == []


async def test_wrong_questions_are_refused(tmp_path: Path, autojump_clock: object) -> None:
    """G31: a key without a name, a naive time, a wrong size, a token of other entities."""
    async with hub(tmp_path, app) as client:
        for key in ("a", "b"):
            await client.call_entity(EntityId("Counter", key), "add", 1)
        token = (await client.list_entities("counter", page_size=1)).continuation_token
        wrong: list[tuple[dict[str, Any], str]] = [
            ({"key_prefix": "a"}, "needs the name"),
            ({"page_size": 0}, "page_size=0"),
            ({"last_operation_time_to": datetime(2026, 1, 1)}, "is naive"),  # noqa: DTZ001
            ({"continuation_token": "?"}, "no continuation token"),
            ({"name": "count", "continuation_token": token}, "no continuation token of these"),
        ]
        for options, words in wrong:
            with pytest.raises(ValueError, match=words):
                await client.list_entities(**options)
