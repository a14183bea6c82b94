"""Decision: what an executor makes of the messages of a turn. The kernel alone carries it out."""

from __future__ import annotations

import attrs

from durio.entities import Failure
from durio.orchestration.history import Action, EventRaised


@attrs.frozen
class End:
    """How an execution ends: Completed with `output`, Failed with `failure`, Canceled or Terminated for a `reason`,
    or ContinuedAsNew.

    For continue-as-new `output` is the next input and `keep` are the events that the code has not observed.
    """

    status: str
    output: bytes | None = None
    failure: Failure | None = None
    keep: tuple[EventRaised, ...] = ()
    reason: str = ""
    causes: tuple[int, ...] = ()
    """The actions whose failures ended it (G27)."""


@attrs.frozen
class Needs:
    """What the code cannot go on without: the ids of `actions`, and those of them that call an entity from outside."""

    actions: tuple[int, ...]
    calls: tuple[tuple[int, str], ...]


@attrs.define(eq=False)
class Decision:
    """What the code wants after it saw some entries.

    `actions`: each with the index of the entry that caused it. `consumed`: how many of the entries it has seen; the
    others stay in the mailbox. `custom_status`: the new one, if `status_set`. `needs`: None if they are as before.
    """

    actions: list[tuple[int, Action]]
    consumed: int
    end: End | None = None
    status_set: bool = False
    custom_status: bytes | None = None
    needs: Needs | None = None
