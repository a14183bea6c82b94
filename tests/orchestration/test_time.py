"""G28: durable timers and the clock of an instance."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from durio.entities import EntityContext, EntityId, VirtualEnv
from durio.orchestration import App, Client, OrchestrationContext
from tests.orchestration.helpers import Stepper, hub, output

app = App()
START = datetime(2026, 1, 1, tzinfo=UTC)
notes: list[str] = []


@pytest.fixture(autouse=True)
def _fresh() -> None:
    notes.clear()


class JumpingEnv(VirtualEnv):
    """A wall clock that somebody sets: it is Trio's, and an offset."""

    clock_read_s = 30.0

    def __init__(self) -> None:
        super().__init__()
        self.offset_us = 0

    def now_us(self) -> int:
        return super().now_us() + self.offset_us


@app.orchestration
async def naps(ctx: OrchestrationContext, seconds: list[float]) -> list[list[str]]:
    """Sleeps several times; gives for each when it was due and when it woke."""
    woken: list[list[str]] = []
    for nap in seconds:
        due = ctx.current_utc_datetime + timedelta(seconds=nap)
        await ctx.create_timer(due)
        woken.append([due.isoformat(), ctx.current_utc_datetime.isoformat()])
    return woken


async def test_timers_fire_at_their_time(tmp_path: Path, autojump_clock: MockClock) -> None:
    """G28: a timer never fires early, and the time that the code sees then is at least the due time."""
    async with hub(tmp_path, app) as client:
        naps_s = [0.0, -5.0, 0.000001, 1.5, 3600.0]
        await client.start_new(naps, "x", naps_s)
        assert all(woke >= due for due, woke in await output(client, "x"))
        assert trio.current_time() >= 3601.5


async def test_a_clock_that_jumps_forward_is_seen_within_30_s(tmp_path: Path, autojump_clock: object) -> None:
    """G28: the wall clock is read again at least every 30 s, so a timer that became due by a jump fires then."""
    env = JumpingEnv()
    async with hub(tmp_path, app, env=env) as client:
        await client.start_new(naps, "x", [86_400.0])
        await trio.sleep(1)
        env.offset_us = 86_400_000_000
        began = trio.current_time()
        assert all(woke >= due for due, woke in await output(client, "x"))
        assert trio.current_time() - began <= 30


async def test_a_clock_that_jumps_back_never_shows(tmp_path: Path, autojump_clock: object) -> None:
    """G28: after a jump back the time that the code sees stands still, and timers wait for their time."""
    env = JumpingEnv()
    async with hub(tmp_path, app, env=env, activations_max=0) as client:
        await client.start_new(naps, "x", [10.0, 0.0, 10.0])
        await trio.sleep(5)
        env.offset_us = -3_600_000_000
        woken = await output_within(client, 2 * 3600 + 60)
        assert trio.current_time() >= 3610
        times = [datetime.fromisoformat(text) for pair in woken for text in pair]
        assert times == sorted(times)


async def output_within(client: Client, seconds: float) -> list[list[str]]:
    """The output of "x", which may take longer than other tests wait."""
    with trio.fail_after(seconds):
        status = await client.wait_for_completion("x")
    found: list[list[str]] = status.output
    return found


async def test_the_clock_does_not_go_back_over_a_restart(tmp_path: Path, autojump_clock: object) -> None:
    """G28: an instance that goes on in a process whose clock is behind does not see an earlier time."""
    async with hub(tmp_path, app, env=VirtualEnv(start_us=2_000_000_000_000_000)) as client:
        await client.start_new(naps, "x", [0.0, 100.0])
        await trio.sleep(50)
    async with hub(tmp_path, app, env=VirtualEnv(start_us=1_999_999_990_000_000)) as client:
        times = [datetime.fromisoformat(text) for pair in await output(client, "x") for text in pair]
        assert times == sorted(times)


@app.orchestration
async def wakes(ctx: OrchestrationContext, after_s: int) -> None:
    await ctx.create_timer(timedelta(seconds=after_s))
    if not ctx.is_replaying:
        notes.append(ctx.instance_id)


async def test_what_became_due_while_closed_fires_once_in_order(tmp_path: Path, autojump_clock: object) -> None:
    """G28: timers that became due while the hub was closed fire at open, once, in the order of their due times."""
    numbers = [7, 3, 9, 1, 5, 2, 8, 6, 4]
    async with hub(tmp_path, app) as client:
        for number in numbers:
            await client.start_new(wakes, f"w{number}", number * 100)
    await trio.sleep(10_000)
    for _ in range(2):
        async with hub(tmp_path, app) as client:
            for number in numbers:
                await output(client, f"w{number}")
    assert notes == [f"w{number}" for number in sorted(numbers)]


@app.orchestration
async def far_away(ctx: OrchestrationContext) -> str:
    never = ctx.create_timer(datetime.max.replace(tzinfo=UTC))
    soon = ctx.create_timer(timedelta(days=40_000))
    winner = await ctx.task_any([never, soon])
    never.cancel()
    return "soon" if winner is soon else "never"


def test_timers_in_the_far_future() -> None:
    """G28: a timer may be as far away as a datetime can be."""
    by_hand = Stepper(app)
    by_hand.start("far_away", "x")
    by_hand.settle()
    by_hand.pass_s(40_000 * 86_400 - 1)
    assert by_hand.status("x") == "Running"
    by_hand.pass_s(1)
    assert by_hand.output("x") == "soon"
    assert by_hand.kernel.timers.next_due_us is None


@app.orchestration
async def bad_times(ctx: OrchestrationContext) -> list[str]:
    errors = []
    for fire_at in (datetime(2026, 1, 1), timedelta.max, timedelta(days=-999_999_999), "soon"):  # noqa: DTZ001
        try:
            _ = ctx.create_timer(fire_at)  # type: ignore[arg-type]  # the mistake under test
        except (TypeError, ValueError) as error:
            errors.append(f"{type(error).__name__}: {str(error)[:20]}")
    await ctx.create_timer(timedelta(seconds=1))
    return errors


async def test_times_that_name_no_moment_are_refused(tmp_path: Path, autojump_clock: object) -> None:
    """G28, G31: naive datetimes, times out of range and other types are refused at the call."""
    async with hub(tmp_path, app, activations_max=0) as client:
        await client.start_new(bad_times, "x")
        errors = await output(client, "x")
        assert [error.partition(":")[0] for error in errors] == ["ValueError", "ValueError", "ValueError", "TypeError"]
        assert "naive" in errors[0] or "fire_at" in errors[0]
        with pytest.raises(ValueError, match="naive"):
            await client.start_new(bad_times, "y", start_at=datetime(2026, 1, 1))  # noqa: DTZ001  # on purpose


async def test_start_at_waits_also_over_a_restart(tmp_path: Path, autojump_clock: object) -> None:
    """G14, G28: a scheduled instance is Pending until its time, which may come while the hub is closed."""
    async with hub(tmp_path, app) as client:
        await client.start_new(wakes, "x", 0, start_at=START + timedelta(hours=2))
        status = await client.get_status("x")
        assert (status.runtime_status, status.input_) == ("Pending", 0)
        await trio.sleep(3600)
        assert (await client.get_status("x")).runtime_status == "Pending"
    await trio.sleep(7200)
    async with hub(tmp_path, app) as client:
        await output(client, "x")
    assert notes == ["x"]


@app.entity
def clock(ctx: EntityContext) -> None:
    notes.append(ctx.operation_name)


@app.orchestration
async def signals_later(ctx: OrchestrationContext) -> None:
    at = ctx.current_utc_datetime
    for seconds in (30, 10, 20):
        ctx.signal_entity(EntityId("clock", "k"), f"after {seconds}", signal_time=at + timedelta(seconds=seconds))


async def test_scheduled_signals_take_their_place_when_due(tmp_path: Path, autojump_clock: object) -> None:
    """G4, G28: scheduled signals of an orchestration arrive by due time, also when it has long returned."""
    async with hub(tmp_path, app) as client:
        await client.start_new(signals_later, "x")
        await output(client, "x")
        await trio.sleep(15)
        assert notes == ["after 10"]
        await trio.sleep(20)
    assert notes == ["after 10", "after 20", "after 30"]


async def test_times_of_other_zones(tmp_path: Path, autojump_clock: object) -> None:
    """G28: due times may be given in any zone; inside they are UTC."""
    async with hub(tmp_path, app) as client:
        zone = START.astimezone().tzinfo
        await client.start_new(wakes, "x", 0, start_at=(START + timedelta(seconds=9)).astimezone(zone))
        await output(client, "x")
        created = (await client.get_status("x")).created_time
        assert created is not None
        assert created.utcoffset() == timedelta(0)
