"""What the command line says about simulations: how many runs, or which one."""

from __future__ import annotations

import contextvars
from typing import Final

import attrs


@attrs.frozen
class Options:
    """`runs`: how many examples each simulation tries, instead of its own number. `replay`: the one plan to run.

    `test`: how pytest names the test that runs.
    """

    runs: int | None = None
    replay: str = ""
    test: str = ""


OPTIONS: Final[contextvars.ContextVar[Options]] = contextvars.ContextVar("durio_simulation", default=Options())  # noqa: B039  # it is frozen
"""Set by the pytest plugin around every test."""
