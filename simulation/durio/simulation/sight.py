"""Sight: what tests can see of a simulated hub."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar, overload

from durio.entities import STATE, EntityId, View, from_us, is_entity
from durio.entities import keys as entity_keys
from durio.orchestration import DeadLetter, DurableOrchestrationStatus, EntityLock
from durio.orchestration.history import HistoryEvent
from durio.orchestration.instance import Decoders, load, read_history
from durio.orchestration.limits import LOCKS_MAX
from durio.orchestration.lock_status import list_locks
from durio.orchestration.records import ALIVE
from durio.simulation.asking import Ask, entity_name
from durio.simulation.calls import Call
from durio.simulation.errors import SimulationOver
from durio.simulation.linearizability import Linearizability
from durio.simulation.model import Rest, judge
from durio.simulation.operations import EntityOperation
from durio.simulation.process import Process, Surroundings
from durio.simulation.recording import ActivityRun
from durio.simulation.subject import Subject
from durio.simulation.trace import Trace
from durio.simulation.world import World

T = TypeVar("T")


class Sight:
    """The half of a simulation that looks and changes nothing. It sees the last commit, as a client does.

    A hub that is dead is opened again to look.
    """

    def __init__(self, subject: Subject, around: Surroundings, world: World) -> None:
        self._subject = subject
        self._around = around
        self._world = world
        self._effects = subject.effects.happened
        self._decoders = Decoders()

    @overload
    def state(self, entity: type[T], key: str = ...) -> T: ...
    @overload
    def state(self, entity: str | Callable[..., Any], key: str = ...) -> Any: ...
    def state(self, entity: Any, key: str = "k") -> Any:
        """The state of an entity at the last commit. A class that has no state yet gives what it begins with."""
        app = self._subject.app
        name = entity_name(app, Ask("call", "", entity=entity))
        state = self._encoded(str(EntityId(name, key)))
        if state is None:
            return entity() if isinstance(entity, type) else None
        return self._process.payloads.decode(state, entity if isinstance(entity, type) else Any, f"state of {name!r}")

    def exists(self, entity: type | str | Callable[..., Any], key: str = "k") -> bool:
        """Whether an entity exists at the last commit."""
        name = entity_name(self._subject.app, Ask("call", "", entity=entity))
        return self._encoded(str(EntityId(name, key))) is not None

    def status(self, instance_id: str) -> DurableOrchestrationStatus:
        """The status of an instance at the last commit; falsy if there is none."""
        _ = self._process  # a hub that is dead is opened again to look
        coroutine = self._world.client.get_status(instance_id)
        try:
            coroutine.send(None)
        except StopIteration as stop:
            found: DurableOrchestrationStatus = stop.value
            return found
        raise AssertionError("reading a status waits for nothing")

    @property
    def locks(self) -> list[EntityLock]:
        """The locked entities at the last commit: who holds them, and who waits."""
        process = self._process
        return list_locks(View(process.store), process.env.now_us(), LOCKS_MAX)

    @property
    def dead_letters(self) -> list[DeadLetter]:
        """The dead letters at the last commit."""
        _ = self._process  # a hub that is dead is opened again to look
        coroutine = self._world.client.list_dead_letters()
        try:
            coroutine.send(None)
        except StopIteration as stop:
            found: list[DeadLetter] = stop.value
            return found
        raise AssertionError("reading dead letters waits for nothing")

    def history(self, instance_id: str) -> list[HistoryEvent]:
        """The history of an instance's current execution at the last commit."""
        instance = load(View(self._process.store), instance_id, self._decoders)
        return [event for part in read_history(instance, self._decoders) for event in part]

    @property
    def instances(self) -> dict[str, DurableOrchestrationStatus]:
        """Every instance at the last commit, by id."""
        return {address: self.status(address) for address in self._addresses() if not is_entity(address)}

    @property
    def results(self) -> tuple[Call, ...]:
        """Everything that clients asked, and how it went: first what the plan has, then what the test asked."""
        return tuple(self._world.calls)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.counted}>"

    @property
    def counted(self) -> str:
        """How many steps, commits and crashes there were, in words."""
        counts = [(len(self.trace.steps), "step", "s"), (self.commits, "commit", "s"), (self.crashes, "crash", "es")]
        return ", ".join(f"{number} {word}{'' if number == 1 else many}" for number, word, many in counts)

    @property
    def world(self) -> Any:
        """What `world=` made for this run."""
        return self._subject.effects.world

    def effects(self, activity: str | Callable[..., Any]) -> list[Any]:
        """The inputs of all runs of an activity, in order, over all crashes: what happened to the world outside."""
        return [run.input for run in self.runs(activity)]

    def runs(self, activity: str | Callable[..., Any]) -> list[ActivityRun]:
        """All runs of an activity, in order, over all crashes."""
        name = self._subject.app.registry.activity(activity).name
        return [run for run in self._effects if run.name == name]

    def linearizable(self, *entities: type | str | Callable[..., Any]) -> Linearizability:
        """Whether all that was asked of each entity could have happened one after the other, at one moment each.

        The model is the entity's own code, run sequentially. Without `entities` all of them are looked at.
        """
        app = self._subject.app
        names = {entity_name(app, Ask("call", "", entity=entity)) for entity in entities}
        at_rest = self.at_rest
        by_entity: dict[str, list[EntityOperation]] = {}
        for operation in self.operations:
            if not names or EntityId.parse(operation.entity).name in names:
                by_entity.setdefault(operation.entity, []).append(operation)
        for entity, operations in by_entity.items():
            rest = Rest(len(self.trace.steps), self._encoded(entity)) if at_rest else None
            verdict = judge(app, entity, operations, at_rest=at_rest, rest=rest)
            if not verdict:
                return verdict
        return Linearizability()

    @property
    def operations(self) -> list[EntityOperation]:
        """All that was asked of entities: by clients, orchestrations and other entities."""
        return list(self._around.log)

    @property
    def at_rest(self) -> bool:
        """Whether nothing is left to do."""
        with self._around.inside():
            return not self._world.enabled()

    @property
    def settled(self) -> bool:
        """Whether nothing is left to do, every client has its answer, and every instance has ended."""
        return self.at_rest and not self.deadlocked

    @property
    def deadlocked(self) -> list[str]:
        """What waits for ever: the instances and the requests that nothing can help any more. Empty while it runs."""
        if not self.at_rest:
            return []
        stuck = [address for address in self._addresses() if self._alive(address)]
        return stuck + [str(asked) for asked in self._world.calls if asked.pending and not asked.lost]

    @property
    def trace(self) -> Trace:
        """What happened, step by step; `str(sim.trace)` is for people."""
        return self._around.trace

    @property
    def now(self) -> datetime:
        """The wall clock of the simulation."""
        return from_us(self._around.clock.wall_us)

    @property
    def commits(self) -> int:
        """How many commits there were."""
        return self._world.commits

    @property
    def crashes(self) -> int:
        """How often the process died."""
        return self._world.crashes

    @property
    def widths(self) -> tuple[int, ...]:
        """At each choice of the schedule: how many steps were enabled."""
        return tuple(self._world.widths)

    @property
    def _process(self) -> Process:
        if self._world.over:
            raise SimulationOver
        if self._world.process is None:
            with self._around.inside():
                self._world.restart()
        assert self._world.process is not None, "a restart is the only step then"
        return self._world.process

    def _encoded(self, entity: str) -> bytes | None:
        data = self._process.store.get(entity_keys.actor(entity) + STATE)
        return None if data is None else self._process.entities.decode_row(data).state

    def _addresses(self) -> list[str]:
        store = self._process.store
        found: list[str] = []
        start, stop = entity_keys.ACTOR, entity_keys.stop_of(entity_keys.ACTOR)
        while rows := store.scan(start, stop, limit=1):
            found.append(entity_keys.address_of(rows[0][0]))
            start = entity_keys.stop_of(entity_keys.actor(found[-1]))
        return found

    def _alive(self, address: str) -> bool:
        return not is_entity(address) and self.status(address).runtime_status in (*ALIVE, "Suspended")
