"""A plan: all that decides a simulated run, as plain data. The same plan gives the same run."""

from __future__ import annotations

import base64
import binascii
from typing import Any, Final, Literal

import attrs
import msgspec

from durio.simulation.errors import UnusableReplay

Kind = Literal["call", "signal", "start", "event", "terminate", "cancel", "suspend", "resume", "rewind"]

Moment = Literal["before", "after", "running"]
"""When a process dies: before or after a commit is durable, or while a task is running."""

FORMAT: Final = 1


@attrs.frozen
class Request:
    """What a client will ask: of whom, for what, with which input (JSON text, empty for none)."""

    client: int
    kind: Kind
    target: str
    name: str = ""
    input: str = ""
    options: tuple[tuple[str, Any], ...] = ()

    def __str__(self) -> str:
        shown = self.input if len(self.input) <= 60 else self.input[:60] + "…"
        options = "".join(f", {name}={value!r}" for name, value in self.options)
        if self.kind in ("call", "signal"):
            return f"{self.kind} {self.target} {self.name}({shown}){options}"
        if self.kind == "start":
            return f"start {self.name}({shown}) as {self.target!r}{options}"
        if self.kind == "event":
            return f"raise event {self.name!r}({shown}) for {self.target!r}"
        return f"{self.kind} {self.target!r}{options}"


@attrs.frozen(repr=False)
class Plan:
    """What clients ask, and the choices of one run.

    `schedule`: at each step which of the enabled steps comes next, modulo their number; 0, the default, when the list
    has ended. `crashes`: the numbers of commits at which the process dies, before or after they are durable; and of the
    steps of tasks (activities, `async def` operations) behind which it dies while they are "running".
    `duplicates`: the numbers of the activity results that come twice. `retries`: the numbers of the requests that are
    sent again while they wait. `abandoned`: those that are not sent again after a crash. `jumps`: by how many seconds
    the wall clock jumps before a step. `evict`: whether actors leave memory after every commit.
    """

    requests: tuple[Request, ...] = ()
    schedule: tuple[int, ...] = ()
    crashes: tuple[tuple[int, Moment], ...] = ()
    duplicates: tuple[int, ...] = ()
    retries: tuple[int, ...] = ()
    abandoned: tuple[int, ...] = ()
    jumps: tuple[tuple[int, float], ...] = ()
    evict: bool = False

    def __repr__(self) -> str:
        return f"Plan.decode({self.encode()!r})"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self))  # Hypothesis would print every field

    def encode(self) -> str:
        """The plan as one word, for `--sim-replay`, `simulation(replay=...)` and the `replay` of a simulated test."""
        rows = [attrs.astuple(request, recurse=False) for request in self.requests]
        facts = [FORMAT, rows, *attrs.astuple(self, recurse=False)[1:]]
        return base64.urlsafe_b64encode(msgspec.json.encode(facts)).decode().rstrip("=")

    @classmethod
    def decode(cls, text: str) -> Plan:
        """The plan that `encode` gave. Raises `UnusableReplay`."""
        try:
            data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
            form, *facts = msgspec.json.decode(data)
            if form != FORMAT:
                raise UnusableReplay(text, f"its format is {form}, this version reads {FORMAT}")
            return msgspec.convert(facts, _Facts).plan()
        except (binascii.Error, msgspec.MsgspecError, ValueError, TypeError, UnicodeError) as error:
            if isinstance(error, UnusableReplay):
                raise
            raise UnusableReplay(text, f"it cannot be read ({error})") from None


class _Request(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    client: int
    kind: Kind
    target: str
    name: str
    input: str
    options: list[tuple[str, Any]]


class _Facts(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """A plan as it is encoded; checks the kinds of all values."""

    requests: list[_Request]
    schedule: tuple[int, ...]
    crashes: tuple[tuple[int, Moment], ...]
    duplicates: tuple[int, ...]
    retries: tuple[int, ...]
    abandoned: tuple[int, ...]
    jumps: tuple[tuple[int, float], ...]
    evict: bool

    def plan(self) -> Plan:
        requests = tuple(Request(r.client, r.kind, r.target, r.name, r.input, tuple(r.options)) for r in self.requests)
        return Plan(
            requests,
            self.schedule,
            self.crashes,
            self.duplicates,
            self.retries,
            self.abandoned,
            self.jumps,
            self.evict,
        )
