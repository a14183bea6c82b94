"""Random scripts of clients over a few instances and entities, random crashes, and a model of what must come out."""

from __future__ import annotations

from typing import Any

import attrs
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from durio.entities import EntityId
from durio.orchestration import App, Client, OrchestrationContext, Started
from tests.crash.town import Items, Total
from tests.crash.world import Call, Crash, Session, World

Op = tuple[str, str, int]
"""What, on which instance or entity, and a number that says more."""

INSTANCES = ("i", "j")
TOTALS = ("t", "u")
POLICIES = (("raise", "start"), ("return", "start"), ("replace", "start"), ("raise", "raise"))


def build(world: World) -> App:
    app = App()
    app.entity(Total)
    app.entity(Items)

    @app.activity
    async def check(value: int) -> int:
        world.effect()
        await trio.sleep(0.1)
        return value

    @app.orchestration
    async def keeper(ctx: OrchestrationContext) -> str:
        """Logs items; some are checked by an activity first, some begin a new execution, some are the last."""
        value = await ctx.wait_for_external_event("item", int)
        if value % 3 == 0:
            value = await ctx.call_activity(check, value)
        ctx.signal_entity(EntityId("Items", ctx.instance_id), "append", value)
        if value % 7:
            ctx.continue_as_new()
        return "over"

    return app


@attrs.define
class Model:
    """An instance as it must look from outside."""

    status: str = ""
    held: list[int] = attrs.Factory(list)
    log: list[int] = attrs.Factory(list)

    @property
    def absent(self) -> str:
        """The refusal of what needs a life."""
        return {"": "InstanceNotFound", "Running": "", "Suspended": ""}.get(self.status, "InstanceFinished")

    def apply(self, what: str, number: int) -> object:
        """Do one operation; returns the answer, a refusal as the name of its class."""
        if what == "start":
            return self._start(*POLICIES[number % len(POLICIES)])
        if self.absent:
            return self.absent
        if what == "raise":
            self._items([number])
        elif what == "suspend":
            self.status = "Suspended"
        elif what == "resume":
            self.status, held, self.held = "Running", self.held, []
            self._items(held)
        else:
            self.status, self.held = "Terminated", []
        return None

    def _start(self, if_running: str, if_finished: str) -> object:
        alive = self.status in ("Running", "Suspended")
        if alive and if_running == "return":
            return False
        if (alive and if_running == "raise") or (not alive and self.status and if_finished == "raise"):
            return "InstanceAlreadyExists"
        self.status, self.held = "Running", []
        return True

    def _items(self, items: list[int]) -> None:
        for item in items:
            if self.status == "Suspended":
                self.held.append(item)
            elif self.status == "Running":
                self.log.append(item)
                self.status = "Completed" if item % 7 == 0 else "Running"


def call_of(session: Session, name: str, op: Op) -> Call:
    what, target, number = op
    entity = EntityId("Total", target)
    if_running, if_finished = POLICIES[number % len(POLICIES)]
    at = session.later(name, 0.5) if what == "later" else None
    calls: dict[str, Any] = {
        "start": lambda c, r: c.start_new(
            "keeper", target, if_running=if_running, if_finished=if_finished, request_id=r
        ),
        "raise": lambda c, r: c.raise_event(target, "item", number, request_id=r),
        "suspend": lambda c, r: c.suspend(target, request_id=r),
        "resume": lambda c, r: c.resume(target, request_id=r),
        "terminate": lambda c, r: c.terminate(target, request_id=r),
        "add": lambda c, r: c.call_entity(entity, "add", number, request_id=r),
        "signal": lambda c, r: c.signal_entity(entity, "add", number, request_id=r),
        "later": lambda c, r: c.signal_entity(entity, "add", number, signal_time=at, request_id=r),
    }
    found: Call = calls[what]
    return found


def plain(answer: object) -> object:
    """An answer as the model gives it."""
    if isinstance(answer, Started):
        return answer.created
    return answer.partition(":")[0] if isinstance(answer, str) else answer


async def state_of(client: Client, entity: EntityId, field: str) -> Any:
    state = (await client.read_entity_state(entity)).entity_state
    return None if state is None else state[field]


on_instances = st.tuples(
    st.sampled_from(["start", "start", "raise", "raise", "raise", "suspend", "resume", "terminate"]),
    st.sampled_from(INSTANCES),
    st.integers(0, 30),
)
on_totals = st.tuples(st.sampled_from(["add", "signal", "later"]), st.sampled_from(TOTALS), st.integers(1, 9))
step = st.lists(on_instances | on_totals, min_size=1, max_size=3, unique_by=lambda op: op[1])
"""What is asked at the same time, of different actors."""
a_crash = st.tuples(st.integers(1, 25), st.sampled_from(["before", "after"]))


@settings(max_examples=250)
@given(st.lists(step, min_size=3, max_size=12), st.lists(a_crash, max_size=4), st.sampled_from([1, 10_000]))
def test_any_script_with_any_crashes_fits_its_model(
    steps: list[list[Op]], crashes: list[Crash], activations_max: int
) -> None:
    """G2, G3, G9, G15, G16, G23, G26: whatever clients ask and wherever the process dies, answers and ends are the
    model's.
    """
    models = {name: Model() for name in INSTANCES}
    totals: dict[str, int] = dict.fromkeys(TOTALS, 0)
    expected: dict[str, object] = {}
    for number, ops in enumerate(steps):
        for what, target, value in ops:
            name = f"{number}-{target}"
            if target in models:
                expected[name] = models[target].apply(what, value)
            else:
                totals[target] += value
                expected[name] = totals[target] if what == "add" else None

    async def script(session: Session) -> None:
        for number, ops in enumerate(steps):
            async with trio.open_nursery() as nursery:
                for op in ops:
                    name = f"{number}-{op[1]}"
                    nursery.start_soon(session.do, name, call_of(session, name, op))
            await trio.sleep(1)  # what was asked has its effects before the next step
        await session.ask_again()
        client = session.client
        for name, model in models.items():
            status = await client.get_status(name)
            assert (status.runtime_status or "") == model.status
            assert await state_of(client, EntityId("Items", name), "items") == (model.log or None)
        for name, total in totals.items():
            assert await state_of(client, EntityId("Total", name), "value") == (total or None)

    world = World(build, activations_max=activations_max)
    world.live(script, crashes, idle=bool(len(crashes) % 2))
    assert {name: plain(answer) for name, answer in world.answers.items()} == expected
    assert world.violations == []
