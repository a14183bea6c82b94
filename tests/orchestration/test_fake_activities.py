"""`App.with_activities`: the same program with fakes behind some activities, which keep their names and types."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any
from unittest.mock import AsyncMock, Mock

import attrs
import pytest
import trio

from durio.entities import EntityContext, EntityId, NotRegistered, Payloads
from durio.orchestration import ActivityContext, App, OrchestrationContext
from durio.simulation import simulation
from tests.orchestration.helpers import finished, in_memory, output

Instead = Mapping[str | Callable[..., Any], Callable[..., Any]]


@attrs.frozen
class Parcel:
    """What activities take and give."""

    weight: int


app = App()


@app.activity
async def pack(parcel: Parcel) -> Parcel:
    await trio.sleep(1)
    return Parcel(parcel.weight + 1)


@app.activity(name="send it", limit=1)
def send(parcel: Parcel) -> list[Parcel]:
    return [parcel]


@app.activity
def look(number: int = 5) -> int:
    return number


@app.activity
async def rest() -> str:
    return "really"


@app.entity
def tally(context: EntityContext) -> None:
    context.set_state(context.get_state(int) + 1)


@app.orchestration
async def ship(ctx: OrchestrationContext, how: str) -> list[Any]:
    """Calls by function or by name, and says what classes came."""
    ctx.signal_entity(EntityId("tally", "k"), "add")
    packed: Any = await ctx.call_activity(pack if how == "function" else "pack", Parcel(1))
    sent: Any = await ctx.call_activity(send if how == "function" else "send it", packed)
    classes = [type(packed).__name__, type(sent[0]).__name__]
    return [*classes, sent[0].weight]


@app.orchestration
async def few(ctx: OrchestrationContext) -> list[Any]:
    return [await ctx.call_activity(look), await ctx.call_activity(look, 7), await ctx.call_activity(rest)]


@app.orchestration
async def many(ctx: OrchestrationContext) -> int:
    return len(await ctx.task_all([ctx.call_activity(send, Parcel(number)) for number in range(5)]))


async def outcome(program: App, name: str, *inputs: Any) -> Any:
    """What an orchestration of a program returns, or why it failed."""
    async with in_memory(program) as client:
        await client.start_new(name, "x", *inputs)
        return (await finished(client, "x")).output


def heavy(parcel: Any) -> Any:
    """A plain fake for an `async def`."""
    return Parcel(parcel.weight + 100)


async def late(parcel: Any) -> Any:
    """An `async def` fake for a plain function."""
    await trio.sleep(30)
    return [Parcel(parcel.weight + 1000)]


@pytest.mark.parametrize("how", ["function", "name"])
@pytest.mark.parametrize("keys", [(pack, send), ("pack", "send it"), (pack, "send it")])
async def test_fakes_run_instead_and_keep_names_and_types(autojump_clock: object, how: str, keys: Any) -> None:
    """A plain fake for an `async def` and the reverse, without annotations: inputs and results have their classes."""
    fakes = app.with_activities({keys[0]: heavy, keys[1]: late})
    assert await outcome(fakes, "ship", how) == ["Parcel", "Parcel", 1101]
    assert await outcome(app, "ship", how) == ["Parcel", "Parcel", 2]


async def test_a_result_of_another_shape_is_decoded_as_the_activity_says(autojump_clock: object) -> None:
    """What a fake gives is JSON; the caller gets what the activity's annotations make of it, or their error."""
    fakes = app.with_activities({pack: lambda parcel: {"weight": 50}, "send it": lambda parcel: [{"weight": 9}]})
    for how in ("function", "name"):
        assert await outcome(fakes, "ship", how) == ["Parcel", "Parcel", 9]
    wrong = app.with_activities({pack: lambda parcel: "no parcel"})
    for how in ("function", "name"):
        assert "PayloadError" in await outcome(wrong, "ship", how)


async def test_annotations_of_a_fake_do_not_count(autojump_clock: object) -> None:
    """A fake that says it takes and gives something else gets and gives what the activity does."""
    seen: list[object] = []

    def fake(parcel: dict[str, int]) -> str:
        seen.append(parcel)
        return Parcel(3)  # type: ignore[return-value]

    fakes = app.with_activities({pack: fake})
    assert await outcome(fakes, "ship", "name") == ["Parcel", "Parcel", 3]
    assert seen == [Parcel(1)]


async def test_fakes_may_take_less(autojump_clock: object) -> None:
    """A fake without a parameter, one with another default, and mocks stand in for an activity with an input."""
    mock, async_mock = Mock(return_value=1), AsyncMock(return_value=Parcel(4))
    assert await outcome(app.with_activities({look: lambda: 3, rest: lambda: "no"}), "few") == [3, 3, "no"]
    assert await outcome(app.with_activities({look: mock}), "few") == [1, 1, "really"]
    mock.assert_called_with(7)
    assert await outcome(app.with_activities({pack: async_mock}), "ship", "name") == ["Parcel", "Parcel", 4]
    async_mock.assert_awaited_once_with(Parcel(1))


async def test_callables_without_a_signature_may_stand_in(autojump_clock: object) -> None:
    """What Python cannot tell the parameters of is called with the input."""
    assert await outcome(app.with_activities({look: partial(max, 6)}), "few") == [6, 7, "really"]
    assert await outcome(app.with_activities({look: int}), "few") == [5, 7, "really"]


async def test_a_fake_sees_the_default_of_the_activity(autojump_clock: object) -> None:
    """Called without an input, a fake that needs one gets the activity's default."""
    assert await outcome(app.with_activities({look: lambda number: number + 1}), "few") == [6, 8, "really"]
    assert await outcome(app.with_activities({look: lambda number=90: number + 1}), "few") == [6, 8, "really"]


async def test_a_fake_knows_which_activity_it_is(autojump_clock: object) -> None:
    """Inside a fake the `ActivityContext` has the activity's name; its failures are failures of the activity."""

    def named(parcel: Parcel) -> Parcel:
        raise LookupError(ActivityContext.current().name)

    text = await outcome(app.with_activities({send: named}), "ship", "function")
    assert "send it" in text
    assert "LookupError" in text


async def test_a_limit_stays(autojump_clock: object) -> None:
    """At most as many of a fake run at a time as of the activity."""
    running: list[int] = []

    async def fake(parcel: Parcel) -> list[Parcel]:
        running.append(1)
        assert len(running) == 1, "the limit of `send it` is one"
        await trio.sleep(1)
        running.pop()
        return []

    async with in_memory(app.with_activities({send: fake})) as client:
        await client.start_new(many, "x")
        assert await output(client, "x") == 5


async def test_fakes_of_fakes_replace_them(autojump_clock: object) -> None:
    """The last one runs, with the types of the activity, and with its input also where the fake between took none."""
    fakes = app.with_activities({pack: heavy, look: lambda: 1})
    again = fakes.with_activities({pack: lambda parcel: {"weight": parcel.weight + 7}, look: lambda number: number})
    assert await outcome(again, "ship", "function") == ["Parcel", "Parcel", 8]
    assert (await outcome(again, "few"))[1] == 7
    assert await outcome(fakes, "ship", "function") == ["Parcel", "Parcel", 101]


def wrong(which: object, function: object, error: type[Exception], text: str) -> Any:
    return pytest.param({which: function}, error, text, id=text)


def generator(parcel: Parcel) -> Any:
    yield parcel


@pytest.mark.parametrize(
    ("instead", "error", "text"),
    [
        wrong("pack it", heavy, NotRegistered, "no activity named 'pack it' is registered"),
        wrong("ship", heavy, NotRegistered, "no activity named 'ship' is registered"),
        wrong(
            heavy,
            heavy,
            NotRegistered,
            "no activity named 'heavy' is registered .registered: look, pack, rest, send it",
        ),
        wrong(ship, heavy, NotRegistered, "'ship'"),
        wrong("send", heavy, NotRegistered, "'send'"),
        wrong(pack, generator, TypeError, "activity 'pack' must be a function or an async def"),
        wrong(pack, 5, TypeError, "activity 'pack'"),
        wrong(pack, lambda one, two: one, TypeError, "cannot stand in for activity 'pack': it takes at most one"),
        wrong(pack, lambda *, parcel: parcel, TypeError, "cannot stand in for activity 'pack'"),
    ],
)
def test_what_cannot_stand_in_is_refused(instead: Instead, error: type[Exception], text: str) -> None:
    """An activity that is not there, and a fake that can be none, are errors at the call."""
    with pytest.raises(error, match=text):
        app.with_activities(instead)


def test_nothing_of_the_app_changes() -> None:
    """The app has its own activities after fakes were made; what is registered later in one is not in the other."""
    program = App()
    program.payloads = payloads = Payloads()
    program.activity(look)
    before = program.registry.activities
    fakes = program.with_activities({look: lambda number: 1})
    assert fakes.payloads is payloads
    assert program.registry.activities == before
    assert program.registry.activity("look").function is look
    assert fakes.registry.activity("look").function is not look
    fakes.orchestration(few)
    fakes.activity(rest)
    fakes.entity(tally)
    program.activity(pack)
    with pytest.raises(NotRegistered):
        program.registry.orchestration("few")
    with pytest.raises(NotRegistered):
        program.registry.activity("rest")
    assert program.registry.entities.find("tally") is None
    with pytest.raises(NotRegistered):
        fakes.registry.activity("pack")


def test_no_fakes_are_the_same_program() -> None:
    """An empty mapping gives a program with all that the app has."""
    same = app.with_activities({})
    assert same is not app
    assert same.registry.activities == app.registry.activities
    assert same.registry.orchestrations == app.registry.orchestrations
    assert same.registry.entities.name_of(tally) == "tally"


def test_a_simulation_counts_what_fakes_are_given() -> None:
    """`sim.effects` are the inputs of an activity, whatever stands in for it."""
    with simulation(app, activities={look: lambda: 2, "rest": AsyncMock(return_value="no")}) as sim:
        sim.start(few, instance_id="x")
        sim.run()
        assert sim.status("x").output == [2, 2, "no"]
        assert len(sim.effects(look)) == 2
        assert sim.effects(look)[1] == 7
        assert sim.effects("rest") == [None]
