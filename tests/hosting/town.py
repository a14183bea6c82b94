"""The program that the HTTP tests serve."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import attrs

from durio.orchestration import App, OrchestrationContext

app = App()


@app.entity
@attrs.define
class Counter:
    value: int = 0

    def add(self, amount: int) -> int:
        self.value += amount
        return self.value

    def set(self, value: Any) -> None:
        self.value = value

    def reset(self) -> None:
        self.value = 0


@app.activity
def say_hello(city: str) -> str:
    return f"Hello {city}!"


@app.activity
def breaks(_: Any) -> None:
    raise ValueError("broken")


@app.activity
def reads(path: str) -> str:
    return Path(path).read_text()


@app.orchestration(name="Reads")
async def read_file(ctx: OrchestrationContext, path: str) -> str:
    return await ctx.call_activity(reads, path)


@app.orchestration(name="E1_HelloSequence")
async def hello_sequence(ctx: OrchestrationContext) -> list[str]:
    return [await ctx.call_activity(say_hello, city) for city in ("Tokyo", "Seattle", "London")]


@app.orchestration(name="Echo")
async def echo(ctx: OrchestrationContext, value: Any = None) -> Any:
    return value


@app.orchestration(name="EchoText")
async def echo_text(ctx: OrchestrationContext, value: str) -> str:
    return value


@app.orchestration(name="Approval")
async def approval(ctx: OrchestrationContext, value: Any = None) -> Any:
    ctx.set_custom_status({"waits": "for approval"})
    return await ctx.wait_for_external_event("ApprovalEvent")


@app.orchestration(name="Fails")
async def fails(ctx: OrchestrationContext) -> None:
    await ctx.create_timer(timedelta(microseconds=1))
    await ctx.call_activity(breaks, "input")


@app.orchestration(name="Versioned", version="1.0 a")
async def versioned_1(ctx: OrchestrationContext) -> str:
    return "one"


@app.orchestration(name="Versioned", version="2")
async def versioned_2(ctx: OrchestrationContext) -> str:
    return "two"
