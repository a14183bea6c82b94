"""G27: sub-orchestrations of what is rewound: which life of an id a failure was that of, and who else rewinds it."""

from __future__ import annotations

import itertools
from datetime import timedelta
from typing import Any

import pytest

from durio.entities import CONTROL_LANE
from durio.orchestration import App, OrchestrationContext, TaskFailedError
from durio.orchestration.messages import Purge, Resume, Rewind, Suspend
from tests.orchestration.helpers import Stepper

app = App()
runs: list[str] = []
broken: set[str] = set()


@pytest.fixture(autouse=True)
def _fresh() -> None:
    runs.clear()
    broken.clear()


@app.activity
def work(name: str) -> str:
    runs.append(name)
    if name in broken:
        raise ValueError(f"{name} is broken")
    return name.upper()


@app.orchestration
async def leaf(ctx: OrchestrationContext, name: str) -> str:
    return await ctx.call_activity(work, name)


@app.orchestration
async def once(ctx: OrchestrationContext) -> str:
    return await ctx.call_sub_orchestrator(leaf, "a", "leaf")


@app.orchestration
async def sleeper(ctx: OrchestrationContext) -> str:
    await ctx.create_timer(timedelta(seconds=50))
    return "slept"


@app.orchestration
async def once_more(ctx: OrchestrationContext) -> str:
    """A second try under the same id, while the first failure is handled: both have ended it."""
    try:
        return await ctx.call_sub_orchestrator(leaf, "a", "child")
    except TaskFailedError:
        return await ctx.call_sub_orchestrator(leaf, "a", "child")


@app.orchestration
async def instead(ctx: OrchestrationContext) -> str:
    """Another life of the same id completes before the end."""
    try:
        return await ctx.call_sub_orchestrator(leaf, "a", "child")
    except TaskFailedError as error:
        await ctx.call_sub_orchestrator(leaf, "b", "child")
        raise RuntimeError("b does not help") from error


@app.orchestration
async def too_many(ctx: OrchestrationContext) -> list[str]:
    """Asks for a child under the id of one that goes on, and ends at once."""
    child = ctx.call_sub_orchestrator(sleeper, instance_id="child")
    try:
        first = await ctx.call_activity(work, "a")
    except TaskFailedError as error:
        ctx.call_sub_orchestrator(leaf, "b", "child")
        raise RuntimeError("over") from error
    return [first, await child]


@app.orchestration
async def waits(ctx: OrchestrationContext) -> None:
    await ctx.call_activity(work, "a")
    await ctx.wait_for_external_event("go")


@app.orchestration
async def goes_on(ctx: OrchestrationContext) -> None:
    """Takes the failure of its child, and waits for something else."""
    try:
        await ctx.call_sub_orchestrator(waits, instance_id="child")
    except TaskFailedError:
        await ctx.wait_for_external_event("go")


@app.orchestration
async def middle(ctx: OrchestrationContext) -> list[str]:
    try:
        return [await ctx.call_sub_orchestrator(leaf, "a", "leaf")]
    except TaskFailedError as error:
        await ctx.create_timer(timedelta(seconds=5))
        raise RuntimeError("caught, and raised anew") from error


@app.orchestration
async def top(ctx: OrchestrationContext) -> list[Any]:
    try:
        return [await ctx.call_sub_orchestrator(middle, instance_id="middle")]
    except TaskFailedError as error:
        raise ExceptionGroup("several", [error]) from None


def rewind(stepper: Stepper, *addresses: str) -> None:
    """Rewind some, all asked before any of them has its turn."""
    tokens = [stepper.submit(address, Rewind, CONTROL_LANE) for address in addresses]
    stepper.settle()
    stepper.pass_s(100)
    assert {stepper.refusal(token).rpartition(".")[2] for token in tokens} <= {"", "InstanceNotFailed"}


@pytest.mark.parametrize("evict", [False, True])
@pytest.mark.parametrize("name", ["once_more", "instead"])
def test_a_child_whose_id_had_another_life_since(name: str, evict: bool) -> None:
    """G27: the life of that id is another call's: the child is started again, and tells who waits for it now."""
    stepper = Stepper(app, evict=evict)
    broken.add("a")
    stepper.start(name, "x")
    stepper.settle()
    assert stepper.status("x") == "Failed"
    broken.clear()
    rewind(stepper, "x")
    assert stepper.output("x") == "A"


def test_a_child_that_goes_on_is_not_ended_for_one_that_never_was() -> None:
    """G26, G27: what is asked for behind the failure under the id of a running child is taken back without it."""
    stepper = Stepper(app)
    broken.add("a")
    stepper.start("too_many", "x")
    for address in ("x", "child"):
        stepper.kernel.run_turn(address)
    stepper.commit()
    stepper.kernel.run_turn("x")
    assert stepper.status("x") == "Failed"
    broken.clear()
    stepper.submit("x", Rewind, CONTROL_LANE)
    while "x" in stepper.kernel.waiting:
        stepper.kernel.run_turn("x")  # before the child has refused the second start
    stepper.settle()
    stepper.pass_s(100)
    assert stepper.output("x") == ["A", "slept"]


@pytest.mark.parametrize("order", list(itertools.permutations(["leaf", "middle", "x"])))
@pytest.mark.parametrize("repaired", [True, False])
def test_all_of_a_family_are_rewound_at_once(order: tuple[str, ...], repaired: bool) -> None:
    """G27: whoever is rewound first, by its parent or by somebody else, all end alike; and may be rewound again."""
    stepper = Stepper(app)
    broken.add("a")
    stepper.start("top", "x")
    stepper.settle()
    stepper.pass_s(10)
    if repaired:
        broken.clear()
    rewind(stepper, *order)
    if not repaired:
        assert {stepper.status(address) for address in order} == {"Failed"}
        broken.clear()
        rewind(stepper, "x")
    assert stepper.output("x") == [["A"]]
    assert [stepper.status(address) for address in order] == ["Completed"] * 3


@pytest.mark.parametrize("evict", [False, True])
@pytest.mark.parametrize("suspended", [False, True])
def test_a_child_that_somebody_rewinds_does_not_escape(suspended: bool, evict: bool) -> None:
    """G26, G27: its parent goes on without it, and who ends the parent ends it, too."""
    stepper = Stepper(app, evict=evict)
    broken.add("a")
    for address in ("x", "y"):
        stepper.start("goes_on", address)
        stepper.settle()
        broken.clear()
        if suspended:
            stepper.submit(address, Suspend, CONTROL_LANE)
        rewind(stepper, "child")
        assert stepper.status("child") == "Running"
        if address == "x":
            stepper.terminate("x", "enough")
        else:
            stepper.cancel("y")
            stepper.submit("y", Resume, CONTROL_LANE)
        stepper.settle()
        assert stepper.status("child") == ("Terminated" if address == "x" else "Canceled")
        broken.add("a")


def test_a_child_of_a_parent_that_has_ended_may_be_rewound() -> None:
    """G27: it goes on by itself, and tells nobody."""
    stepper = Stepper(app)
    broken.add("a")
    stepper.start("goes_on", "x")
    stepper.settle()
    stepper.terminate("x")
    stepper.settle()
    broken.clear()
    rewind(stepper, "child")
    stepper.raise_event("child", "go")
    stepper.settle()
    assert (stepper.status("x"), stepper.status("child")) == ("Terminated", "Completed")


@pytest.mark.parametrize("evict", [False, True])
def test_a_failure_that_a_rewind_takes_back_is_not_heard_behind_it(evict: bool) -> None:
    """G27: somebody has rewound the child, and it fails again just before its parent's rewind reaches it."""
    stepper = Stepper(app, evict=evict)
    broken.add("a")
    stepper.start("once", "x")
    stepper.settle()
    stepper.submit("leaf", Rewind, CONTROL_LANE)
    stepper.hold_jobs = True
    stepper.settle()
    stepper.run_jobs()  # it is going to fail again
    stepper.submit("x", Rewind, CONTROL_LANE)
    stepper.kernel.run_turn("leaf")
    broken.clear()
    stepper.hold_jobs = False
    stepper.settle()
    stepper.pass_s(100)
    assert (stepper.status("x"), stepper.status("leaf")) == ("Completed", "Completed")


@pytest.mark.parametrize("evict", [False, True])
def test_the_result_of_a_child_that_is_gone_is_taken(evict: bool) -> None:
    """G3, G27: somebody has rewound the child, it has completed and was forgotten: it is not done once more."""
    stepper = Stepper(app, evict=evict)
    broken.add("a")
    stepper.start("once", "x")
    stepper.settle()
    broken.clear()
    rewind(stepper, "leaf")
    stepper.submit("leaf", Purge, CONTROL_LANE)
    stepper.settle()
    assert stepper.status("leaf") == ""
    rewind(stepper, "x")
    assert (stepper.output("x"), runs, stepper.status("leaf")) == ("A", ["a", "a"], "")
