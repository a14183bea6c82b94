"""One id started by many tasks of many processes at once, and clients that are stopped or killed at any moment."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from durio.entities import EntityId
from durio.orchestration import connect, open_hub
from durio.storage import HubReader
from tests.processes.town import app, owner

PROCESSES = 4
TASKS = 25
ROUNDS = 3
HEAVY_ROUNDS = 200
HEAVY_PARTS = 10
"""Each part on a hub of its own: a single test is given five minutes."""

STARTER = """
import json, os, sys, trio
from durio.orchestration import InstanceAlreadyExists, connect

async def start(client, instance_id, told):
    try:
        started = await client.start_new("waits", instance_id, os.getpid(), if_running="return")
        told.append("created" if started.created else "found")
    except InstanceAlreadyExists:
        told.append("exists")

async def main(hub, tasks):
    async with connect(hub, timeout_s=120) as client:
        print("ready", flush=True)
        while line := await trio.to_thread.run_sync(sys.stdin.readline):
            told = []
            async with trio.open_nursery() as nursery:
                for _ in range(tasks):
                    nursery.start_soon(start, client, line.strip(), told)
            print(json.dumps(told), flush=True)

trio.run(main, sys.argv[1], int(sys.argv[2]))
"""

LOADER = """
import os, sys, trio
from durio.entities import EntityId
from durio.orchestration import connect

async def count(client, key):
    while True:
        await client.signal_entity(EntityId("tally", key), "add", 1)
        os.write(1, b"s\\n")
        await client.call_entity(EntityId("tally", key), "add", 1)
        os.write(1, b"c\\n")
        await client.start_new("once", None, 1)
        await client.get_status(key)

async def main(hub, key):
    async with connect(hub, timeout_s=120) as client:
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(count, client, key)

trio.run(main, *sys.argv[1:3])
"""


@contextmanager
def starters(hub: Path) -> Iterator[list[subprocess.Popen[str]]]:
    """Processes that start what they are told, each with many tasks at once."""
    with ExitStack() as stack:
        found = []
        for _ in range(PROCESSES):
            command = [sys.executable, "-c", STARTER, str(hub), str(TASKS)]
            process = stack.enter_context(
                subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            )
            stack.callback(process.kill)
            found.append(process)
        for process in found:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        yield found


def start_at_once(processes: list[subprocess.Popen[str]], instance_id: str) -> None:
    """Tell all of them to start one id."""
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(instance_id + "\n")
        process.stdin.flush()


def told(processes: list[subprocess.Popen[str]]) -> Counter[str]:
    """What all their tasks were told."""
    answers: Counter[str] = Counter()
    for process in processes:
        assert process.stdout is not None
        answers.update(json.loads(process.stdout.readline()))
    return answers


def rounds(hub: Path, number: int) -> None:
    with owner(hub), starters(hub) as processes:
        for n in range(number):
            start_at_once(processes, f"x{n}")
            assert told(processes) == {"created": 1, "found": PROCESSES * TASKS - 1}, n


def rounds_with_kills(hub: Path, number: int, seed: int) -> None:
    """The owner is killed in every round, at a random moment after the starts were given; a standby takes over."""
    print(f"seed {seed}")
    chance = random.Random(seed)
    with ExitStack() as stack:
        owners = [stack.enter_context(owner(hub)), stack.enter_context(owner(hub, standby=True))]
        processes = stack.enter_context(starters(hub))
        for n in range(number):
            start_at_once(processes, f"x{n}")
            with trio_delay(chance.random() * 0.05):
                owners.pop(0).kill()
            owners.append(stack.enter_context(owner(hub, standby=True)))
            assert told(processes) == {"created": 1, "found": PROCESSES * TASKS - 1}, n


@contextmanager
def trio_delay(seconds: float) -> Iterator[None]:
    """A random moment: nothing is waited for."""
    trio.run(trio.sleep, seconds)
    yield


def test_one_creates_and_all_others_are_told(tmp_path: Path) -> None:
    """G15: 100 tasks in 4 processes start one id at the same moment: exactly one created it, every other found it."""
    rounds(tmp_path, ROUNDS)


def test_one_creates_though_the_owner_is_killed(tmp_path: Path) -> None:
    """G3, G15: the same with the owner killed in between: the answer of the first owner's commit is given by the
    next.
    """
    rounds_with_kills(tmp_path, ROUNDS, int.from_bytes(os.urandom(4), "big"))


@pytest.mark.heavy
@pytest.mark.parametrize("part", range(HEAVY_PARTS))
def test_one_creates_two_hundred_times(tmp_path: Path, part: int) -> None:
    """G15: 200 times over."""
    rounds(tmp_path, HEAVY_ROUNDS // HEAVY_PARTS)


@pytest.mark.heavy
@pytest.mark.parametrize("part", range(HEAVY_PARTS))
def test_one_creates_two_hundred_times_though_the_owner_is_killed(tmp_path: Path, part: int) -> None:
    """G3, G15: 200 times over, with 200 kills of the owner."""
    rounds_with_kills(tmp_path, HEAVY_ROUNDS // HEAVY_PARTS, int.from_bytes(os.urandom(4), "big"))


async def disturb(hub: Path, times: int, seed: int) -> None:
    """Clients under load are stopped and killed at random; the owner, here, answers all the time."""
    print(f"seed {seed}")
    chance = random.Random(seed)
    told: Counter[str] = Counter()
    slowest_s = 0.0

    async def ask(client: Any) -> None:
        nonlocal slowest_s
        before_s = trio.current_time()
        await client.call_entity(EntityId("tally", "mine"), "add", 1)
        slowest_s = max(slowest_s, trio.current_time() - before_s)

    async with open_hub(hub, app) as own:
        for n in range(times):
            key = f"k{n}"
            command = [sys.executable, "-c", LOADER, str(hub), key]
            process = await trio.lowlevel.open_process(command, stdout=subprocess.PIPE)
            assert process.stdout is not None
            said = b""
            lines = chance.randint(1, 30)
            while said.count(b"\n") < lines:
                said += await process.stdout.receive_some(4096)
            for _ in range(chance.randint(0, 2)):
                process.send_signal(signal.SIGSTOP)
                for _ in range(chance.randint(1, 20)):
                    await ask(own)
                process.send_signal(signal.SIGCONT)
                await ask(own)
            if chance.random() < 0.5:
                process.send_signal(signal.SIGSTOP)
                await ask(own)
            process.kill()
            while part := await process.stdout.receive_some(65536):
                said += part
            await process.wait()
            told[key] = said.count(b"\n")
        with trio.fail_after(60):
            async with connect(hub) as client:  # nobody is in the way of those who come later
                await ask(client)
        for key, count in told.items():
            total = await own.call_entity(EntityId("tally", key), "get")
            assert count <= total <= count + 3, "what was acknowledged, and what was under way"
    print(f"slowest answer of the owner: {slowest_s * 1000:.0f} ms, {sum(told.values())} acknowledged")
    assert HubReader.open(hub).path


async def test_clients_that_are_stopped_and_killed_never_stop_the_owner(tmp_path: Path) -> None:
    """G1, G3: while clients are stopped and killed at random the owner answers; what they were told stays."""
    with trio.fail_after(120):
        await disturb(tmp_path, 4, int.from_bytes(os.urandom(4), "big"))


@pytest.mark.heavy
@pytest.mark.parametrize("part", range(HEAVY_PARTS))
async def test_clients_that_are_stopped_and_killed_two_hundred_times(tmp_path: Path, part: int) -> None:
    """G1, G3: the same with two hundred clients."""
    await disturb(tmp_path, HEAVY_ROUNDS // HEAVY_PARTS, int.from_bytes(os.urandom(4), "big"))
