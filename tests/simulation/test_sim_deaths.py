"""Code that ends its process, in a simulation."""

from __future__ import annotations

import os

import attrs
import pytest
import trio

from durio.entities import EntityContext, EntityId, Poisoned
from durio.orchestration import App, OrchestrationContext
from durio.simulation import simulation

app = App()
LOG = EntityId("Log", "k")


@app.entity
@attrs.define
class Log:
    lines: list[str] = attrs.Factory(list)

    def write(self, line: str) -> None:
        self.lines.append(line)


@app.entity
@attrs.define
class Bomb:
    def go_off(self) -> None:
        EntityContext.current().signal_entity(LOG, Log.write, "going off")
        os._exit(1)

    async def go_off_later(self) -> None:
        await trio.lowlevel.checkpoint()
        os.abort()

    def is_whole(self) -> bool:
        return True


@app.activity
async def crash() -> None:
    os._exit(1)


@app.orchestration
async def crasher(ctx: OrchestrationContext) -> None:
    await ctx.call_activity(crash)


@app.orchestration
async def dies_in_a_step(ctx: OrchestrationContext) -> None:
    os._exit(1)


def test_an_operation_that_exits_crashes_the_simulated_process() -> None:
    """G6: it is parked as in a real process; nothing that it did has happened, and the entity goes on."""
    with simulation(app) as sim:
        for operation in (Bomb.go_off, Bomb.go_off_later):
            with pytest.raises(Poisoned):
                sim.call(operation)
        assert sim.call(Bomb.is_whole) is True
        assert sim.state(Log).lines == []
        assert [letter.what for letter in sim.dead_letters] == ["operation 'go_off'", "operation 'go_off_later'"]
        assert sim.crashes == 7
        assert "CRASH by its own code" in str(sim.trace)


def test_an_activity_that_exits_fails_at_the_tenth_time() -> None:
    """G24: as in a real process."""
    with simulation(app) as sim:
        sim.start(crasher, instance_id="it")
        sim.run()
        assert "ActivityCrashed" in sim.status("it").output
        assert sim.crashes == 10


def test_a_step_that_exits_fails_its_instance() -> None:
    """G6: as in a real process."""
    with simulation(app) as sim:
        with pytest.raises(Poisoned):
            sim.start(dies_in_a_step, instance_id="it")
        assert sim.status("it").runtime_status == "Failed"
