"""Which app a simulation runs when the test does not say it."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from durio.orchestration import App, OrchestrationContext
from durio.simulation import Ask, NoApp, Sim, call, raise_event, signal, simulate, start, terminate
from durio.simulation.discovery import app_for


@attrs.define
class Counter:
    """Counts."""

    value: int = 0

    def add(self, amount: int) -> int:
        self.value += amount
        return self.value


@attrs.define
class Other:
    """Nobody's."""

    value: int = 0

    def add(self, amount: int) -> int:
        raise AssertionError("it is not asked")


async def greet(ctx: OrchestrationContext, name: str) -> str:
    return f"Hello {name}!"


def total(context: Any) -> None:
    """An entity that is a function."""
    context.set_result(7)


def with_code(*things: Any) -> App:
    """An app that knows these."""
    app = App()
    for thing in things:
        if isinstance(thing, type) or thing is total:
            app.entity(thing)
        else:
            app.orchestration(thing)
    return app


class Outer:
    """Holds an entity class that no module knows by its name."""

    @attrs.define
    class Inner:
        """Nested."""

        value: int = 0

        def add(self, amount: int) -> int:
            return amount


def test_the_one_app_that_knows_the_code_is_taken() -> None:
    """Of several apps in a module the one with all that is asked for, under however many names."""
    right, wrong = with_code(Counter, greet), with_code(Counter)
    namespace = {"wrong": wrong, "right": right, "again": right, "number": 5}
    assert app_for([call(Counter.add), start(greet)], namespace) is right
    assert app_for([call("add", entity="counter"), start("greet")], namespace) is right
    assert app_for([start(greet), raise_event("a", "go"), terminate("a")], namespace) is right


def test_an_app_of_another_name_is_an_app() -> None:
    """The name `app` means nothing here."""
    only = with_code(total)
    assert app_for([signal("add", 1, entity=total)], {"__name__": "x", "shop": only}) is only


@pytest.mark.parametrize(
    ("apps", "found", "text"),
    [
        ([with_code(greet), with_code(greet, Counter)], 2, r"2 apps of the test's module knows? greet; name the one"),
        ([with_code(Counter)], 0, r"no app of the test's module knows greet; name the one to run: app=\.\.\."),
    ],
)
def test_no_app_or_several_are_refused(apps: list[App], found: int, text: str) -> None:
    """G31: what cannot be told is not guessed."""
    with pytest.raises(NoApp, match=text) as caught:
        app_for([start(greet)], {f"app{number}": app for number, app in enumerate(apps)})
    assert (caught.value.what, caught.value.found) == ("greet", found)


def test_what_is_asked_for_is_named() -> None:
    """The error names everything that the app would have to know, each once."""
    with pytest.raises(NoApp) as caught:
        app_for([start("nobody"), call(Counter.add), call(Counter.add)], {"app": with_code(Counter)})
    assert caught.value.what == "Counter.add, nobody"


def test_without_any_app_one_is_made() -> None:
    """Classes and orchestrators of a small example need none."""
    made = app_for([call(Counter.add), start(greet), signal("add", 1, entity=total), start(greet)], {})
    assert made.registry.entities.get("counter").has(Counter)
    assert made.registry.entities.get("total").has(total)
    assert made.registry.orchestration(greet).name == "greet"


@pytest.mark.parametrize(
    "ask", [call("add", entity="counter"), start("greet"), call(Outer.Inner.add, 1), signal("add", 1)]
)
def test_an_app_cannot_be_made_of_names(ask: Ask) -> None:
    """Text names no code, and a method's class must be one of its module: say which app."""
    with pytest.raises(NoApp, match="name the one to run: app="):
        app_for([ask], {})


def test_a_nested_class_can_be_named() -> None:
    """`entity=` says what the name of a method does not."""
    made = app_for([call(Outer.Inner.add, 1, entity=Outer.Inner)], {})
    assert made.registry.entities.get("inner").has(Outer.Inner)


@simulate(call(Counter.add, 1), start(greet, "you"), max_calls=2)
def test_this_module_has_no_app(sim: Sim) -> None:
    """The example as a user writes it: a class, an `async def`, no app at all."""
    assert sim.linearizable()
    assert {status.output for status in sim.instances.values()} <= {"Hello you!", None}


def test_a_wrong_test_is_refused_when_it_is_decorated() -> None:
    """The error comes at import, where the line is, and not in the middle of a run."""
    with pytest.raises(NoApp):
        simulate(start("nobody"))(lambda sim: None)
