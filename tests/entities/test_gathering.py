"""Calls side by side, and Ctrl-C."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from types import FrameType

import pytest
import trio

from durio.entities.gathering import gather


@pytest.fixture(autouse=True)
def hears() -> Iterator[None]:
    """Ctrl-C is heard, also where these tests run in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_does_not_leave_a_call_half_started() -> None:
    """Trio would wait for ever for a task that it has counted, but not begun: a purge of many did not end (G18)."""
    raised: list[str] = []
    sent: list[str] = []

    def interrupt(frame: FrameType, event: str, _: object) -> None:
        caller = frame.f_back.f_code.co_name if frame.f_back is not None else ""
        if not sent and (event, caller, frame.f_code.co_name) == ("call", "spawn_impl", "reschedule"):
            sent.append(event)
            try:
                signal.raise_signal(signal.SIGINT)
            except KeyboardInterrupt:
                raised.append(event)

    async def main() -> None:
        sys.setprofile(interrupt)
        try:
            await gather([trio.lowlevel.checkpoint for _ in range(3)])
        finally:
            sys.setprofile(None)

    if sys.getprofile() is not None:
        pytest.skip("somebody profiles")
    with pytest.raises(KeyboardInterrupt):
        trio.run(main)
    assert (sent, raised) == (["call"], [])
