"""Workloads over processes: how long until a new one has a result, and what a killed one costs."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import trio

from benchmarks.scale import Scale
from benchmarks.speech import heard

PROJECT: Final = Path(__file__).resolve().parent.parent


@asynccontextmanager
async def child(side: str, mode: str, folder: Path, count: int) -> AsyncIterator[dict[str, float]]:
    """A child process; inside the block it has said its line. Leaving the block kills it with SIGKILL."""
    command = [sys.executable, "-m", f"benchmarks.{side}_child", mode, str(folder), str(count)]
    process = await trio.lowlevel.open_process(command, stdout=subprocess.PIPE, cwd=PROJECT)
    try:
        assert process.stdout is not None, "a pipe"
        line = b""
        while not line.endswith(b"\n"):
            chunk = await process.stdout.receive_some()
            if not chunk:
                raise RuntimeError(f"the child process for {side} {mode!r} ended without a result")
            line += chunk
        yield heard(line)
    finally:
        process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()


async def _first(side: str, folder: Path) -> dict[str, float]:
    began = time.perf_counter()
    async with child(side, "first", folder, 1):
        return {"time": time.perf_counter() - began}


async def first_result(folder: Path, scale: Scale) -> dict[str, float]:
    return await _first("durio", folder)


async def bare_first_result(folder: Path, scale: Scale) -> dict[str, float]:
    return await _first("bare", folder)


async def _reopen(side: str, folder: Path, scale: Scale) -> dict[str, float]:
    """The first process has instances that wait, and is killed; the second lets them go on."""
    async with child(side, "wait", folder, scale.waiting) as figures:
        pass
    began = time.perf_counter()
    async with child(side, "resume", folder, scale.waiting) as resumed:
        return {**figures, **resumed, "with process start": time.perf_counter() - began}


async def reopen(folder: Path, scale: Scale) -> dict[str, float]:
    return await _reopen("durio", folder, scale)


async def bare_reopen(folder: Path, scale: Scale) -> dict[str, float]:
    return await _reopen("bare", folder, scale)
