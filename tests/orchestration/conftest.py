"""Fixtures of the orchestration tests: hubs whose client is in the owner, or reaches it from outside."""

from __future__ import annotations

import pytest
from trio.testing import MockClock

from tests.orchestration.links import LINKS, Opened


@pytest.fixture(params=LINKS)
def link(request: pytest.FixtureRequest) -> str:
    """How the client of a test reaches the hub."""
    return str(request.param)


@pytest.fixture
def link_clock(link: str) -> MockClock | None:
    """Virtual time, where the client and the owner share a Trio loop; pytest-trio finds it by its type."""
    return MockClock(autojump_threshold=0) if LINKS[link].virtual else None


@pytest.fixture
def opened(link: str, link_clock: MockClock | None) -> Opened:
    """Opens a hub and gives a client over that link."""
    return Opened(LINKS[link])
