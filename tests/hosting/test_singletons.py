"""Many start one singleton over HTTP at once (G15): one of them starts it."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest
import trio

from tests.hosting.helpers import Answer
from tests.hosting.served import served
from tests.hosting.server import server
from tests.hosting.sockets import ask
from tests.hosting.town import app

CALLERS = 200
BASE = "/runtime/webhooks/durabletask"


async def all_at_once(port: int, target: str, callers: int = CALLERS) -> dict[int, Answer]:
    """Start with each caller's number as the input; answers of those who got one."""
    answers: dict[int, Answer] = {}

    async def call(number: int) -> None:
        with suppress(OSError):  # the server was killed
            answers[number] = await ask(port, "POST", target, number)

    async with trio.open_nursery() as nursery:
        for number in range(callers):
            nursery.start_soon(call, number)
    return answers


async def started_once(port: int, name: str) -> int:
    """Who started it: it was started once, whatever happened."""
    status = await ask(port, "GET", f"{BASE}/instances/{name}?showHistory=true")
    assert status.json["runtimeStatus"] in ("Running", "Pending")
    begun = [event["Input"] for event in status.json["historyEvents"] if event["EventType"] == "ExecutionStarted"]
    assert begun in ([], [status.json["input"]])
    listed = await ask(port, "GET", f"{BASE}/instances?instanceIdPrefix={name}")
    assert len(listed.json) == 1
    return int(status.json["input"])


def check(answers: dict[int, Answer], name: str, winner: int, other: int) -> None:
    """Nobody but the winner was told that it started it; the others got a conflict, or the running one."""
    for number, answer in answers.items():
        if number == winner:
            assert answer.status == 202
        elif other == 409:
            assert (answer.status, answer.text) == (409, f"An instance with ID '{name}' already exists.")
        else:
            assert (answer.status, answer.json["id"]) == (200, name)


async def rounds(port: int, count: int) -> None:
    for number in range(count):
        for query, other in (("", 409), ("?ifRunning=return", 200)):
            name = f"single-{number}-{other}"
            answers = await all_at_once(port, f"/api/orchestrators/Approval/{name}{query}")
            assert Counter(answer.status for answer in answers.values()) == {202: 1, other: CALLERS - 1}
            check(answers, name, await started_once(port, name), other)


async def killed(hub: Path, seed: int, callers: int = CALLERS) -> tuple[int, int]:
    """One round in which the server is killed amid the starts; how many were answered before, and who was told."""
    random = Random(seed)
    name, other = f"single-{seed}", random.choice((200, 409))
    target = f"/api/orchestrators/Approval/{name}" + ("?ifRunning=return" if other == 200 else "")
    answers: dict[int, Answer] = {}
    async with server(hub) as (process, port):

        async def kill() -> None:
            await trio.sleep(random.uniform(0.0, 0.25))
            process.kill()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(kill)
            answers = await all_at_once(port, target, callers)
    told = [number for number, answer in answers.items() if answer.status == 202]
    assert len(told) <= 1
    async with server(hub) as (_, port):
        later = await all_at_once(port, target, callers)
        winner = await started_once(port, name)
        assert len(later) == callers
        check(answers, name, winner, other)
        if [number for number, answer in later.items() if answer.status == 202]:
            assert not answers, "it was started again"
            check(later, name, winner, other)
        else:
            assert {answer.status for answer in later.values()} == {other}
        assert told in ([], [winner])
    return len(answers), len(told)


async def test_two_hundred_starts_of_a_singleton(tmp_path: Path) -> None:
    """200 at once: one 202, the rest 409, or 200 and the running one with `ifRunning=return`."""
    async with served(app, tmp_path / "hub") as api:
        await rounds(api.port, 1)


async def test_a_singleton_is_started_once_across_a_kill(tmp_path: Path) -> None:
    """The server is killed amid 60 starts, and started again: who was told 202 is the one, nothing starts twice."""
    await killed(tmp_path / "hub", 1, 60)


@pytest.mark.heavy
async def test_two_hundred_starts_of_a_singleton_twenty_times(tmp_path: Path) -> None:
    """Twenty rounds of each kind."""
    async with served(app, tmp_path / "hub") as api:
        await rounds(api.port, 20)


@pytest.mark.heavy
async def test_a_singleton_is_started_once_across_forty_kills(tmp_path: Path) -> None:
    """Forty rounds of 200 starts, a kill -9 in the middle of each; in some nobody was told yet, in some one was."""
    found = [await killed(tmp_path / "hub", seed) for seed in range(40)]
    print(found)
    assert len({told for _, told in found}) == 2
