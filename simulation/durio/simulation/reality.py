"""Keeps the real world out: inside a simulation time and randomness are virtual, threads and sockets refused."""

from __future__ import annotations

import logging
import os
import random
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, NoReturn

import trio

from durio.simulation.clocks import SimClock
from durio.simulation.errors import NotSimulated

_REPLAY_SHIFT_US: Final = 90_061_000_001
"""A replay happens at another time: by 25 hours, a minute, a second and a microsecond."""

_FAKE: Final = "give a fake: simulate(..., activities={your_activity: fake})"

_LOGGERS: Final = ("durio.entities", "durio.orchestration")


class ProcessDied(BaseException):
    """Inside the simulated process only: it is dead, and whatever code still runs in it changes nothing."""


class Reality:
    """Virtual stand-ins for what `time`, `random` and `os.urandom` give.

    Guarantees: two runs of one plan see the same times and random numbers; a replay sees others, so code that uses
    them in an orchestrator shows. `os._exit` and `os.abort` end the simulated process. Not
    covered: `datetime.now()`, names imported from these modules, `id()`, files.
    """

    def __init__(self, clock: SimClock) -> None:
        self._clock = clock
        self._random = random.Random(0)
        self._dice = random.Random(0).getstate()
        self._shift_us = 0
        self._offence: NotSimulated | None = None
        self.died = False
        """Whether code under test has ended its process."""
        self.at_death: Callable[[], None] | None = None
        """Called then, at once."""

    def check(self) -> None:
        """Raise what was refused, even if the code under test has swallowed it."""
        if self._offence is not None:
            raise self._offence

    @contextmanager
    def replaced(self) -> Iterator[None]:
        """While the block runs this thread sees the virtual world. Other threads share nothing but `random`."""
        thread = threading.get_ident()
        kept = [(owner, name, getattr(owner, name), stand_in) for owner, name, stand_in in self._stand_ins()]
        loggers = [(logger, logger.disabled) for logger in map(logging.getLogger, _LOGGERS)]
        state = random.getstate()
        for owner, name, real, stand_in in kept:
            setattr(owner, name, _here(thread, real, stand_in))
        for logger, _ in loggers:
            logger.disabled = True  # the trace says it all, once
        random.setstate(self._dice)
        try:
            yield
        finally:
            self._dice = random.getstate()
            for owner, name, real, _ in kept:
                setattr(owner, name, real)
            for logger, disabled in loggers:
                logger.disabled = disabled
            random.setstate(state)

    @contextmanager
    def shifted(self) -> Iterator[None]:
        """While the block runs it is another time, and the dice fall differently: a replay happens later."""
        state = random.getstate()
        self._shift_us = _REPLAY_SHIFT_US
        random.seed(1)
        try:
            yield
        finally:
            self._shift_us = 0
            random.setstate(state)

    def _stand_ins(self) -> tuple[tuple[Any, str, Callable[..., Any]], ...]:
        return (
            (time, "time", lambda: self._now_us() / 1_000_000),
            (time, "time_ns", lambda: self._now_us() * 1000),
            (time, "sleep", self._refuse_sleep),
            (os, "urandom", self._random.randbytes),
            (os, "_exit", self._die),
            (os, "abort", self._die),
            (threading.Thread, "start", self._refuse_thread),
            (trio.to_thread, "run_sync", self._refuse_thread),
            (socket.socket, "connect", self._refuse_socket),
            (subprocess.Popen, "__init__", self._refuse_process),
        )

    def _now_us(self) -> int:
        return self._clock.wall_us + self._shift_us

    def _die(self, *_: object) -> NoReturn:
        self.died = True
        if self.at_death is not None:
            self.at_death()
        raise ProcessDied

    def _refuse(self, what: str, instead: str) -> NoReturn:
        error = NotSimulated(what, instead)
        self._offence = self._offence or error
        raise error

    def _refuse_sleep(self, *_: object) -> NoReturn:
        self._refuse("time.sleep was called", "use `await trio.sleep` in an async activity")

    def _refuse_thread(self, *_: object, **__: object) -> NoReturn:
        self._refuse("a thread was started", _FAKE)

    def _refuse_socket(self, *_: object) -> NoReturn:
        self._refuse("a socket was connected", _FAKE)

    def _refuse_process(self, *_: object, **__: object) -> NoReturn:
        self._refuse("a process was started", _FAKE)


def _here(thread: int, real: Callable[..., Any], stand_in: Callable[..., Any]) -> Callable[..., Any]:
    """A function that is `stand_in` in one thread, and `real` in all others."""

    def either(*args: Any, **options: Any) -> Any:
        return (stand_in if threading.get_ident() == thread else real)(*args, **options)

    return either
