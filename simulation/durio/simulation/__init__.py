"""The test kit: property-based concurrency tests of entities and orchestrations, in virtual time, with crashes.

`simulate` makes a test of what clients ask; `simulation` runs a hub that a test drives itself; `SimMachine` is a
Hypothesis state machine. All of them run durio's production kernel.
"""

from durio.orchestration import ReplayResult, replay_histories
from durio.simulation.asking import Ask, call, cancel, raise_event, resume, rewind, signal, start, suspend, terminate
from durio.simulation.calls import Call
from durio.simulation.drawing import Faults
from durio.simulation.errors import (
    NeverAtRest,
    NoApp,
    NotDeterministic,
    NotSimulated,
    SimulationError,
    SimulationOver,
    TooManyRuns,
    TwinFailed,
    Unanswered,
    UnusableReplay,
)
from durio.simulation.linearizability import Interval, Linearizability, linearization
from durio.simulation.machine import SimMachine
from durio.simulation.operations import EntityOperation
from durio.simulation.plan import Plan, Request
from durio.simulation.process import Parts
from durio.simulation.recording import ActivityRun
from durio.simulation.sim import Sim, simulation
from durio.simulation.simulate import SimulatedTest, simulate
from durio.simulation.trace import Trace

__all__ = [
    "ActivityRun",
    "Ask",
    "Call",
    "EntityOperation",
    "Faults",
    "Interval",
    "Linearizability",
    "NeverAtRest",
    "NoApp",
    "NotDeterministic",
    "NotSimulated",
    "Parts",
    "Plan",
    "ReplayResult",
    "Request",
    "Sim",
    "SimMachine",
    "SimulatedTest",
    "SimulationError",
    "SimulationOver",
    "TooManyRuns",
    "Trace",
    "TwinFailed",
    "Unanswered",
    "UnusableReplay",
    "call",
    "cancel",
    "linearization",
    "raise_event",
    "replay_histories",
    "resume",
    "rewind",
    "signal",
    "simulate",
    "simulation",
    "start",
    "suspend",
    "terminate",
]
