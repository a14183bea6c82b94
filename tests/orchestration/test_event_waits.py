"""G22: random trees of waits against a brute-force model of the rules."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st

from durio.orchestration import App, OrchestrationContext, Task
from tests.orchestration.helpers import PAYLOADS, Stepper

app = App()


@attrs.frozen
class Program:
    """What the orchestrator does: makes leaves and composites, then awaits some of them.

    A leaf is the name of an event, or "!" for an activity. A composite is "all" or "any" of earlier nodes.
    """

    leaves: list[str]
    composites: list[tuple[str, list[int]]]
    awaits: list[int]


@app.activity
def work(number: int) -> str:
    return f"done {number}"


@app.orchestration
def runs_program(ctx: OrchestrationContext, program: Program) -> Generator[Task[Any], Any, list[Any]]:
    """Awaits what the program says and shows what it got after each await."""
    tasks: list[Task[Any]] = []
    for number, leaf in enumerate(program.leaves):
        tasks.append(ctx.call_activity(work, number) if leaf == "!" else ctx.wait_for_external_event(leaf))
    for kind, members in program.composites:
        made = [tasks[member] for member in members]
        tasks.append(ctx.task_all(made) if kind == "all" else ctx.task_any(made))

    def shown(value: Any) -> Any:
        if isinstance(value, Task):
            return {"task": tasks.index(value), "value": shown(value.result)}
        return [shown(inner) for inner in value] if isinstance(value, list) else value

    seen: list[Any] = []
    ctx.set_custom_status(seen)
    for node in program.awaits:
        value = yield tasks[node]
        seen.append(shown(value))
        ctx.set_custom_status(seen)
    return seen


class Model:
    """The rules of G22, as slowly and plainly as they can be said."""

    def __init__(self, program: Program, timeline: list[str | int]) -> None:
        self.program = program
        self.size = len(program.leaves) + len(program.composites)
        self.timeline = timeline
        self.values: dict[int, Any] = {}  # of observed nodes
        self.since: dict[int, int] = {}  # when finished nodes became ready: position in the timeline
        self.taken: set[int] = set()  # positions of observed events

    def trace(self) -> list[Any]:
        """What the code has got after the whole timeline."""
        seen: list[Any] = []
        for node in self.program.awaits:
            for now in range(-1, len(self.timeline)):
                if self.ready(node, now):
                    break
            else:
                return seen
            seen.append(self.values[node])
        return seen

    def members(self, node: int) -> list[int]:
        composite = node - len(self.program.leaves)
        return self.program.composites[composite][1] if composite >= 0 and node not in self.since else []

    def is_any(self, node: int) -> bool:
        return self.program.composites[node - len(self.program.leaves)][0] == "any"

    def ready(self, root: int, now: int) -> bool:
        """Whether an await of `root` returns once the timeline has come to `now`; if so, observe it."""
        since: dict[int, int] = {}  # nodes inside the awaited task, and when each became ready
        winners: dict[int, int] = {}
        offers: dict[int, int] = {}
        for moment in range(-1, now + 1):
            offers = self.offers(root, winners, moment)
            while root not in since:
                new = self.newly_ready(root, since, winners, offers, moment)
                if new is None:  # what this message caused is done; a choice that fell may free events for others
                    before, offers = offers, self.offers(root, winners, moment)
                    if offers == before:
                        break
                    continue
                since[new] = moment
                for parent in self.inside(root):
                    if new in self.members(parent) and self.is_any(parent) and parent not in winners:
                        winners[parent] = new
            if root in since:
                self.observe(root, since, winners, self.offers(root, winners, moment))
                return True
        return False

    def inside(self, root: int) -> list[int]:
        found = [root]
        for node in found:
            found.extend(member for member in self.members(node) if member not in found)
        return found

    def mattering(self, root: int, winners: dict[int, int]) -> list[int]:
        found = [root]
        for node in found:
            only = winners.get(node)
            found.extend(m for m in self.members(node) if m not in found and only in (None, m))
        return found

    def offers(self, root: int, winners: dict[int, int], moment: int) -> dict[int, int]:
        """The k-th waiter of a name that matters, by creation, is offered the k-th unobserved event."""
        offers: dict[int, int] = {}
        free = [p for p in range(moment + 1) if isinstance(self.timeline[p], str) and p not in self.taken]
        for leaf in sorted(self.mattering(root, winners)):
            if leaf < len(self.program.leaves) and self.program.leaves[leaf] != "!" and leaf not in self.since:
                for position in free:
                    if self.timeline[position] == self.program.leaves[leaf]:
                        offers[leaf] = position
                        free.remove(position)
                        break
        return offers

    def newly_ready(
        self, root: int, since: dict[int, int], winners: dict[int, int], offers: dict[int, int], moment: int
    ) -> int | None:
        """A node that became ready now: of several, one that others wait for comes first."""
        for node in sorted(self.inside(root)):
            if node in since:
                continue
            if node in self.since:
                is_ready = self.since[node] <= moment
            elif node < len(self.program.leaves):
                done = node in self.timeline[: moment + 1]
                is_ready = done if self.program.leaves[node] == "!" else node in offers
            elif self.is_any(node):
                is_ready = node in winners
            else:
                is_ready = all(member in since for member in self.members(node))
            if is_ready:
                return node
        return None

    def observe(self, node: int, since: dict[int, int], winners: dict[int, int], offers: dict[int, int]) -> None:
        if node in self.since:
            return
        if node < len(self.program.leaves):
            if self.program.leaves[node] == "!":
                self.values[node] = f"done {node}"
                self.since[node] = self.timeline.index(node)
            else:
                self.taken.add(offers[node])
                self.values[node] = offers[node]
                self.since[node] = offers[node]
            return
        members = self.members(node)
        if self.is_any(node):
            winner = winners[node]
            self.observe(winner, since, winners, offers)
            self.values[node] = {"task": winner, "value": self.values[winner]}
        else:
            for member in members:
                self.observe(member, since, winners, offers)
            self.values[node] = [self.values[member] for member in members]
        self.since[node] = since[node]


@st.composite
def programs(draw: st.DrawFn) -> Program:
    """Small programs: few names, so that waiters compete; no node is a member of two composites."""
    leaves = draw(st.lists(st.sampled_from(["a", "a", "a", "b", "!"]), min_size=1, max_size=7))
    free = list(range(len(leaves)))
    composites: list[tuple[str, list[int]]] = []
    for kind in draw(st.lists(st.sampled_from(["all", "any"]), max_size=5)):
        members = draw(st.lists(st.sampled_from(free), min_size=1, max_size=3, unique=True))
        composites.append((kind, members))
        free = [node for node in free if node not in members] + [len(leaves) + len(composites) - 1]
    nodes = range(len(leaves) + len(composites))
    first = draw(st.sampled_from([nodes[-1], *free]))  # mostly what holds the others
    return Program(leaves, composites, [first, *draw(st.lists(st.sampled_from(nodes), max_size=4))])


@st.composite
def stories(draw: st.DrawFn) -> tuple[Program, list[str | int], list[bool]]:
    """A program, what happens while it runs, and after which happenings the hub has nothing left to do."""
    program = draw(programs())
    works = [number for number, leaf in enumerate(program.leaves) if leaf == "!"]
    events = draw(st.lists(st.sampled_from(["a", "a", "b"]), max_size=8))
    timeline: list[str | int] = draw(st.permutations([*events, *works]))
    return program, timeline, draw(st.lists(st.booleans(), min_size=len(timeline), max_size=len(timeline)))


@given(story=stories(), evict=st.booleans())
@settings(max_examples=300)
def test_waits_follow_the_rules(story: tuple[Program, list[str | int], list[bool]], evict: bool) -> None:
    """G22, G30: whatever is nested in what, batched or not, replayed or not, each await gives what the rules say."""
    program, timeline, settles = story
    hub = Stepper(app, evict=evict)
    hub.hold_jobs = True
    hub.start("runs_program", "x", attrs.asdict(program))
    hub.settle()
    for moment, happening in enumerate(timeline):
        if isinstance(happening, str):
            if hub.instance("x").alive:
                hub.raise_event("x", happening, moment)
        else:
            hub.finish_job("x", happening)
        if settles[moment]:
            hub.settle()
    hub.settle()
    head = hub.instance("x").head
    assert head is not None
    assert head.custom_status is not None
    assert PAYLOADS.decode(head.custom_status) == Model(program, timeline).trace()
