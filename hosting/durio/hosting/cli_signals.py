"""Ctrl-C and SIGTERM: where they may end a command, so that it leaves everything in order."""

from __future__ import annotations

import signal
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TypeVar

import attrs
import trio

T = TypeVar("T")


@attrs.define
class Terminated:
    """Whether SIGTERM came."""

    came: bool = False

    def hear(self, _: int, frame: FrameType | None) -> None:
        """Do as Ctrl-C does: whatever a command does then, it does at SIGTERM, too."""
        self.came = True
        interrupt = signal.getsignal(signal.SIGINT)
        if callable(interrupt):
            interrupt(signal.SIGINT, frame)
        else:  # Ctrl-C is ignored, as in the background of a script
            raise KeyboardInterrupt


@contextmanager
def sigterm_as_interrupt() -> Iterator[Terminated]:
    """SIGTERM ends the block as Ctrl-C does. Commands with a way of their own to end hear it themselves meanwhile."""
    terminated = Terminated()
    if threading.current_thread() is not threading.main_thread():
        yield terminated
        return
    before = signal.signal(signal.SIGTERM, terminated.hear)
    try:
        yield terminated
    finally:
        signal.signal(signal.SIGTERM, before)


@trio.lowlevel.enable_ki_protection
async def awaited(command: Awaitable[T]) -> T:
    """Run a command. Ctrl-C is raised where it waits, or in user code.

    Raised anywhere, it can come while Trio starts a task: half started, that one never ends, and Trio waits for it.
    """
    return await command


@trio.lowlevel.disable_ki_protection
def typed(read: Callable[[], str]) -> str:
    """What is typed at the terminal: nothing else goes on meanwhile, and Ctrl-C is raised at once."""
    return read()
