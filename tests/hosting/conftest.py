"""Fixtures of the tests of the ways in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hosting.cli_helpers import Cli, Owner


@pytest.fixture
def cli(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Runs commands in an empty folder, on a hub that is not there yet."""
    place = tmp_path / "place"
    place.mkdir()
    monkeypatch.chdir(place)
    for name in ("DURIO_HUB", "DURIO_APP", "COLUMNS", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    return Cli(tmp_path / "hub", capsys)


@pytest.fixture(params=["with an owner", "without an owner"])
def any_cli(request: pytest.FixtureRequest, cli: Cli) -> Iterator[Cli]:
    """Runs commands on a hub that another thread owns, and on one that nobody owns."""
    if request.param == "with an owner":
        with Owner(cli.hub):
            yield cli
    else:
        yield cli
