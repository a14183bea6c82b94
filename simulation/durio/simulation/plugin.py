"""The pytest plugin: `pytest_plugins = ["durio.simulation.plugin"]` in the top-level `conftest.py`.

Gives `--sim-runs=N` (how many examples every simulation tries, for the night), `--sim-replay=TEXT` (run one plan),
the marker `simulation` (on every test that `simulate` made, so `-m simulation` picks them), and the fixture `sim`.
"""

from __future__ import annotations

import argparse
from collections.abc import Generator, Iterator

import pytest

from durio.orchestration import App
from durio.simulation.options import OPTIONS, Options
from durio.simulation.sim import Sim, simulation


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("durio", "durio simulations")
    group.addoption("--sim-runs", type=_positive, metavar="N", help="how many examples each simulation tries")
    group.addoption("--sim-replay", default="", metavar="TEXT", help="run only the plan that a failure printed")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "simulation(app): a durio simulation; the app that the fixture `sim` runs")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if isinstance(item, pytest.Function) and hasattr(item.obj, "simulated"):
            item.add_marker("simulation")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    options = Options(item.config.getoption("--sim-runs"), item.config.getoption("--sim-replay") or "", item.nodeid)
    token = OPTIONS.set(options)
    try:
        return (yield)
    finally:
        OPTIONS.reset(token)


@pytest.fixture
def sim(request: pytest.FixtureRequest) -> Iterator[Sim]:
    """A simulated hub for a test that says itself what happens.

    It runs the app of the marker `@pytest.mark.simulation(app)`, else the `app` of the test's module.
    """
    marker = request.node.get_closest_marker("simulation")
    app = marker.args[0] if marker is not None and marker.args else getattr(request.module, "app", None)
    if not isinstance(app, App):
        raise pytest.UsageError(
            f"the fixture `sim` of {request.node.name} knows no app: name it, @pytest.mark.simulation(app), "
            "or call it `app` in the module"
        )
    with simulation(app) as running:
        yield running


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of runs: give one of at least 1")
    return int(text)
