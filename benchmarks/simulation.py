"""How many scenarios the test kit runs on one core: fixed plans, and plans that Hypothesis draws and the kit judges.

Nothing waits here, so time is that of the processor: other programs on the machine make no difference.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import hypothesis
import msgspec
from hypothesis import HealthCheck, Phase

from benchmarks.apps import Counter, app, fan
from benchmarks.scale import Scale
from durio.entities import EntityId
from durio.simulation import Faults, Plan, Request, Sim, call, simulate, start
from durio.simulation.asking import Ask
from durio.simulation.drawing import plans
from durio.simulation.subject import Subject
from durio.storage import MemoryDisk, MemoryStore, When, WriteSet

CLIENTS: Final = 3
CALLS: Final = 6
FANNED: Final = 2
COUNTERS: Final = ("a", "b")
MOMENTS: Final[tuple[When, When]] = ("before", "after")
ASKS: Final[Sequence[Ask]] = (call(Counter.add, 1), call(Counter.add, 2), start(fan, FANNED))
FAULTS: Final = Faults(crashes=1)


async def calls(folder: Path, scale: Scale) -> dict[str, float]:
    """Six calls of two counters by three clients."""
    return _run(_fixed_plans(scale.scenarios, calls=CALLS, fans=0))


async def bare_calls(folder: Path, scale: Scale) -> dict[str, float]:
    return _run_bare(_fixed_plans(scale.scenarios, calls=CALLS, fans=0))


async def activities(folder: Path, scale: Scale) -> dict[str, float]:
    """An orchestration with two activities, and two calls beside it."""
    return _run(_fixed_plans(scale.scenarios, calls=2, fans=1))


async def bare_activities(folder: Path, scale: Scale) -> dict[str, float]:
    return _run_bare(_fixed_plans(scale.scenarios, calls=2, fans=1))


async def drawn(folder: Path, scale: Scale) -> dict[str, float]:
    """As a user has it: Hypothesis draws, the kit runs, and judges whether that was linearizable."""
    steps: list[int] = []

    def holds(sim: Sim) -> None:
        steps.append(len(sim.trace.steps))
        assert sim.linearizable()

    options: dict[str, Any] = {"app": app, "keys": COUNTERS, "clients": CLIENTS, "max_calls": CALLS, "faults": FAULTS}
    test = simulate(*ASKS, settings=_settings(scale), hash_seeds=False, **options)(holds)
    began = time.process_time()
    test()
    return _rates(steps, began)


async def bare_drawn(folder: Path, scale: Scale) -> dict[str, float]:
    """Hypothesis draws the same plans, and nothing runs them."""
    choices: list[int] = []
    strategy = plans(app, ASKS, FAULTS, keys=COUNTERS, clients=CLIENTS, calls_max=CALLS)

    def look(plan: Plan) -> None:
        choices.append(len(plan.schedule))

    test: Any = _settings(scale)(hypothesis.given(plan=strategy)(look))
    began = time.process_time()
    test()
    return _rates(choices, began)


def _run(todo: Sequence[Plan]) -> dict[str, float]:
    subject = Subject(app)
    steps: list[int] = []
    began = time.process_time()
    for plan in todo:
        sim = Sim(subject, plan)
        sim.run()
        steps.append(len(sim.trace.steps))
        sim.close()
    return _rates(steps, began)


def _run_bare(todo: Sequence[Plan]) -> dict[str, float]:
    """The requests alone: decode, call the method, encode, commit to the same store in memory."""
    commits: list[int] = []
    began = time.process_time()
    for plan in todo:
        store, counter = MemoryStore(MemoryDisk()), Counter()
        for request in plan.requests:
            answer = counter.add(msgspec.json.decode(request.input))
            row = msgspec.msgpack.encode(msgspec.json.encode(answer))
            store.commit(WriteSet(((request.target.encode(), row),)))
        commits.append(len(plan.requests))
    return _rates(commits, began)


def _rates(counts: Sequence[int], began_s: float) -> dict[str, float]:
    took_s = time.process_time() - began_s
    return {"scenarios": len(counts) / took_s, "steps": sum(counts) / took_s}


def _fixed_plans(count: int, *, calls: int, fans: int) -> list[Plan]:
    """Plans of about twenty steps each, the same ones in every run. The process dies in every second one."""
    dice = random.Random(7)
    return [_fixed_plan(dice, calls, fans, crashes=number % 2 == 0) for number in range(count)]


def _fixed_plan(dice: random.Random, calls: int, fans: int, *, crashes: bool) -> Plan:
    counters = [str(EntityId("Counter", dice.choice(COUNTERS))) for _ in range(calls)]
    requests = [Request(dice.randrange(CLIENTS), "start", f"fan-{n}", "fan", str(FANNED)) for n in range(fans)]
    requests += [Request(dice.randrange(CLIENTS), "call", found, "add", str(dice.randrange(9))) for found in counters]
    return Plan(
        tuple(requests),
        schedule=tuple(dice.randrange(16) for _ in range(20)),
        crashes=((dice.randint(1, 3), dice.choice(MOMENTS)),) if crashes else (),
    )


def _settings(scale: Scale) -> hypothesis.settings:
    return hypothesis.settings(
        max_examples=scale.scenarios,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=[HealthCheck.too_slow],
    )
