"""The properties of this folder can fail: each finds the wrong part of durio that breaks what it claims."""

from __future__ import annotations

from typing import Any, Final

import attrs
import hypothesis
import pytest
from hypothesis import HealthCheck, Phase

from durio.orchestration.activities import ActivityRunner
from durio.simulation import NotDeterministic, Parts
from durio.simulation.options import OPTIONS, Options
from durio.simulation.simulate import Simulated, SimulatedTest
from durio.simulation.subject import Subject
from tests.simulation.guarantees import mending, wrong, wrong_rewinds
from tests.simulation.guarantees import test_actors as actors
from tests.simulation.guarantees import test_clients as clients
from tests.simulation.guarantees import test_orchestrations as orchestrations
from tests.simulation.guarantees import test_rewinding as rewinding
from tests.simulation.guarantees import test_time_and_names as time_and_names
from tests.simulation.guarantees.checked import CHECKED
from tests.simulation.guarantees.town import app

EXAMPLES_MAX: Final = 10_000
"""Far above what any of them needs: 1,400 at most over some seeds. Hypothesis draws constants of all modules that are
imported, too, so one and the same seed tries others in another test run.
"""


@attrs.frozen
class Broken:
    """A property, and the wrong parts with which it must fail."""

    test: SimulatedTest
    parts: dict[str, Any]
    program: dict[str, Any]
    """The app, and what is outside of it."""

    def __str__(self) -> str:
        return "-".join([self.test.simulated.test.__name__, *(part.__name__ for part in self.parts.values())])


def broken(test: SimulatedTest, **parts: Any) -> Broken:
    return Broken(test, parts, {"app": app})


def unmended(**parts: Any) -> Broken:
    """Rewinding has a program of its own."""
    program = {"app": mending.app, "world": mending.Outside, "activities": {mending.do: mending.Outside.do}}
    return Broken(rewinding.test_g27_a_rewound_life_ends_as_if_nothing_had_failed, parts, program)


BROKEN: Final = (
    broken(actors.test_g1_one_turn_at_a_time, kernel=wrong.TwoAtATime),
    broken(actors.test_g2_a_turn_is_all_or_nothing, kernel=wrong.TornTurns),
    broken(actors.test_g3_every_request_is_done_once, kernel=wrong.NoDedupe),
    broken(actors.test_g4_one_sender_one_receiver_one_order, kernel=wrong.Backwards),
    broken(actors.test_g4_scheduled_messages_come_by_time_then_by_order, kernel=wrong.LastDueFirst),
    broken(actors.test_g5_nothing_leaves_before_it_is_on_disk, kernel=wrong.OpenGate),
    broken(actors.test_g5_nothing_leaves_before_it_is_on_disk, kernel=wrong.EarlyWork),
    broken(actors.test_g9_everything_gets_its_turn, kernel=wrong.Forgetful),
    broken(clients.test_g10_an_operation_that_raises_has_not_happened, entities=wrong.SentAllTheSame),
    broken(clients.test_g11_none_deletes_and_every_other_value_is_state, entities=wrong.FalsyIsNothing),
    broken(clients.test_g11_an_entity_starts_what_does_not_run, instances=wrong.EveryStartWins),
    broken(clients.test_g13_what_was_answered_is_shown_by_the_next_read, kernel=wrong.HastyAnswers),
    broken(clients.test_g14_a_start_includes_the_first_step, instances=wrong.LazyStarts),
    broken(clients.test_g14_reads_show_the_last_commit, kernel=wrong.HastyCommits),
    broken(clients.test_g17_the_index_says_what_the_instances_say, instances=wrong.StaleIndex),
    broken(clients.test_g17_waiting_is_for_the_life_that_is_there, kernel=wrong.WaitsForTheId),
    broken(clients.test_g15_one_start_wins, instances=wrong.EveryStartWins),
    broken(clients.test_g26_control_is_decided_like_all_else, instances=wrong.SwallowsHeld),
    broken(orchestrations.test_g16_no_event_is_lost, kernel=wrong.DroppedAtTheBorder),
    broken(orchestrations.test_g16_no_event_is_lost, instances=wrong.SwallowsHeld),
    broken(orchestrations.test_g22_events_are_taken_when_they_are_seen, kernel=wrong.PushedBack),
    broken(orchestrations.test_g22_events_are_taken_when_they_are_seen, kernel=wrong.DroppedAtTheBorder),
    broken(orchestrations.test_g23_results_of_old_executions_are_dropped, kernel=wrong.AnyExecution),
    broken(
        orchestrations.test_g24_activities_run_at_least_once_and_count_once,
        kernel=wrong.ForgottenJobs,
        activities=ActivityRunner,
    ),
    broken(orchestrations.test_g25_cleanup_has_its_effect_once, instances=wrong.CleansUpWhenTerminated),
    broken(orchestrations.test_g26_terminate_reaches_every_child, instances=wrong.Orphans),
    broken(orchestrations.test_g26_cancel_reaches_every_child, instances=wrong.Escapees),
    broken(orchestrations.test_g26_suspended_holds_everything, instances=wrong.LeakySuspension),
    unmended(instances=wrong_rewinds.ForgetsKept),
    unmended(instances=wrong_rewinds.ForgetsLate),
    unmended(instances=wrong_rewinds.CallsAgain),
    broken(time_and_names.test_g19_memory_makes_no_difference, instances=wrong.ForgetfulLoads),
    broken(time_and_names.test_g28_timers_are_never_early_and_time_never_goes_back, kernel=wrong.EarlyTimers),
    broken(time_and_names.test_g28_timers_are_never_early_and_time_never_goes_back, instances=wrong.ClockGoesBack),
    broken(time_and_names.test_g29_ids_never_come_twice, instances=wrong.same_executions),
    broken(time_and_names.test_g30_all_and_any, instances=wrong.AnyOrder),
)


@pytest.mark.parametrize("planted", BROKEN, ids=str)
def test_each_property_finds_what_breaks_it(planted: Broken) -> None:
    """A wrong part of durio is found by the property of the guarantee that it breaks, as a failed assertion."""
    parts: Parts = attrs.evolve(CHECKED, **planted.parts)
    settings = hypothesis.settings(
        max_examples=EXAMPLES_MAX,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        report_multiple_bugs=False,
        suppress_health_check=[HealthCheck.too_slow],
    )
    simulated = planted.test.simulated
    setup = attrs.evolve(simulated.setup, subject=Subject(**planted.program, parts=parts), settings=settings)
    token = OPTIONS.set(Options())  # the command line speaks of other simulations
    try:
        with pytest.raises(AssertionError) as found:
            Simulated(setup, simulated.test).run({})
    finally:
        OPTIONS.reset(token)
    assert not isinstance(found.value, NotDeterministic), found.value
