"""Clients in other processes while the owner's disk is full (G32)."""

from __future__ import annotations

import tempfile
from pathlib import Path

import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from durio.entities import EntityId, VirtualEnv
from durio.orchestration import connect, open_hub
from durio.storage import LmdbStore, NoSpace, WriteSet
from tests.entities.helpers import run_virtual
from tests.processes.town import app

TALLY = EntityId("tally", "k")
ASKS = 4


class FullLmdbStore(LmdbStore):
    """Has no room at some commits, counted with the failed ones."""

    full: frozenset[int] = frozenset()
    attempts = 0

    def commit(self, writes: WriteSet) -> int:
        self.attempts += 1
        if self.attempts in self.full:
            raise NoSpace(self.path)
        return super().commit(writes)


@settings(max_examples=12)
@given(st.frozensets(st.integers(1, 25), max_size=12))
def test_what_others_ask_while_the_disk_is_full_is_done_once(full: frozenset[int]) -> None:
    """G3, G13, G32: what another process asked or told is taken in again from the inbox after a void, and done once."""
    answers: list[int] = []

    async def main() -> None:
        with tempfile.TemporaryDirectory() as folder, trio.fail_after(1000):
            store = FullLmdbStore.open(Path(folder) / "hub")
            store.full = full
            async with (
                open_hub(store, app, env=VirtualEnv()) as own,
                connect(store.path, timeout_s=600, env=VirtualEnv(seed=1)) as client,
            ):

                async def ask(lane: int) -> None:
                    for number in range(ASKS):
                        answers.append(await client.call_entity(TALLY, "add", 1))
                        await client.signal_entity(TALLY, "add", 100)
                        name = f"{lane}-{number}"
                        assert (await client.start_new("once", name, number)).created
                        await client.wait_for_completion(name)

                async with trio.open_nursery() as nursery:
                    for lane in range(3):
                        nursery.start_soon(ask, lane)
                while (await own.read_entity_state(TALLY)).entity_state != 3 * ASKS * 101:
                    await trio.sleep(1)
        assert len({answer % 100 for answer in answers}) == 3 * ASKS, "each call got its own answer"

    run_virtual(main)
