"""What newcomers do wrong first, and what they are told (G31)."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import attrs
import pytest
from trio.testing import MockClock

from durio.entities import VirtualEnv
from durio.orchestration import App, OrchestrationContext, RetryOptions, open_hub
from durio.storage import MemoryDisk, MemoryStore


def test_asyncio_is_refused_by_name(tmp_path: Path) -> None:
    """G31: a program that runs on asyncio is told that durio runs on Trio."""

    async def main() -> None:
        async with open_hub(tmp_path / "hub", App()):
            pass

    with pytest.raises(RuntimeError, match=r"trio\.run\(main\)"):
        asyncio.run(main())
    assert not (tmp_path / "hub").exists()


@pytest.mark.parametrize("kind", ["orchestration", "activity", "entity"])
def test_a_name_is_no_function_to_decorate(kind: str) -> None:
    """G31: `@app.activity("Foo")`, as other libraries write it, is told how to name a function here."""
    with pytest.raises(TypeError, match=rf"@app\.{kind}\(name='Foo'\)"):
        getattr(App(), kind)("Foo")


def test_a_hub_needs_an_app_and_a_place() -> None:
    """G31: the class instead of an object, or a number instead of a path, is refused before anything is made."""
    wrong: Any = App
    with pytest.raises(TypeError, match="app is an App object"):
        open_hub("hub", wrong)
    wrong = 5
    with pytest.raises(TypeError, match="hub is a path or a Store"):
        open_hub(wrong, App())


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ((3,), "retry_options is a RetryOptions, not 3"),
        ((5, RetryOptions(1000, 3)), "retry_options is a RetryOptions, not 5"),
    ],
)
async def test_options_in_the_wrong_place_are_refused(
    autojump_clock: MockClock, arguments: tuple[Any, ...], error: str
) -> None:
    """G31: retry options that are none, or that stand where the input belongs, are refused at the call."""
    app = App()

    @app.activity
    async def ok(value: int | None) -> int | None:
        return value

    @app.orchestration
    async def runs(ctx: OrchestrationContext) -> object:
        call: Any = ctx.call_activity_with_retry
        return await call(ok, *arguments)

    async with open_hub(MemoryStore(MemoryDisk()), app, env=VirtualEnv()) as client:
        await client.start_new(runs, "x")
        status = await client.wait_for_completion("x")
        assert status.failure is not None
        assert error in status.failure.message


def test_entities_that_can_never_begin_are_not_registered() -> None:
    """G31: a field without a default, or a generator, is refused where it is registered, not at the first call."""

    @attrs.define
    class Account:
        owner: str
        balance: int = 0

    def steps(context: object) -> Any:
        yield context

    with pytest.raises(TypeError, match="without a default: owner"):
        App().entity(Account)
    with pytest.raises(TypeError, match="not a generator"):
        App().entity(steps)
