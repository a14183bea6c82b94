"""Real `kill -9` on a real hub on LMDB."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import attrs
import pytest

from durio.entities import keys
from durio.storage import LmdbStore
from tests.crash.worker import CREATED, EVENTS, LANES, SINGLETON

WORKER = Path(__file__).with_name("worker.py")

KILLS = 44
HEAVY_KILLS = 1000
HEAVY_PARTS = 10
LINES_MAX = 300
"""Most lines that the parent reads before it kills."""


@attrs.define
class Parent:
    """Starts workers, kills them, and remembers every answer that came out of them."""

    folder: Path
    answers: dict[str, Any] = attrs.Factory(dict)
    finals: list[list[Any]] = attrs.Factory(list)

    @property
    def ledger(self) -> Path:
        """Where activities write that they ran."""
        return self.folder / "ledger"

    def first(self) -> dict[str, int]:
        """For each lane the number of the first request without an answer."""
        counts = Counter(request_id.rpartition("-")[0] for request_id in self.answers)
        return dict(counts)

    def run(self, mode: str, lines: int | None) -> None:
        """Run a worker, until it has written `lines` lines and is killed, or to its end."""
        firsts = self.folder / "first.json"
        firsts.write_text(json.dumps(self.first()))
        command = [sys.executable, str(WORKER), str(self.folder / "hub"), str(self.ledger), mode, str(firsts)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as worker:
            assert worker.stdout is not None
            for count, line in enumerate(worker.stdout, 1):
                if count == lines:
                    worker.send_signal(signal.SIGKILL)
                if line.endswith("\n"):  # the last one may be cut: then nobody was told
                    self.note(json.loads(line))
        assert worker.returncode == (0 if lines is None else -signal.SIGKILL)

    def note(self, said: list[Any]) -> None:
        """One line of a worker."""
        if len(said) == 2:
            request_id, answer = said
            assert request_id not in self.answers, "it is asked on from the first without an answer"
            self.answers[request_id] = answer
        else:
            self.finals.append(said)

    def check(self) -> None:
        """Compare what clients were told with what the hub holds at the end."""
        first = self.first()
        totals = {key: value for _, key, value in self.of("total")}
        chains = [number for lane in range(LANES) for number in range(first[f"chain-{lane}"])]
        assert all(self.answers[name] is True for name in self.answers if name.startswith("chain-"))
        assert {output for _, _, output in self.of("output")} == {number + 2 for number in chains}
        assert len(self.of("output")) == len(chains)
        assert totals[CREATED] == totals["chains"] == len(chains), "each start created one life, which ended once"
        assert totals["signals"] == sum(first[f"signal-{lane}"] for lane in range(LANES))
        calls = [answer for name, answer in self.answers.items() if name.startswith("call-")]
        assert sorted(calls) == list(range(1, len(calls) + 1)), "every call was done once and got its own answer"
        assert totals["calls"] == len(calls)
        created = [answer for name, answer in self.answers.items() if name.startswith("singleton-")]
        assert totals[SINGLETON] == sum(created), "as many lives as starts were told that they created one"
        assert len(self.of("items")) == LANES
        for lane, (_, taken, items) in enumerate(self.of("items")):
            assert items == list(range(first[f"event-{lane}"])), f"{EVENTS}-{lane}: each event once and in order"
            assert taken == len(items)
        runs = Counter(self.ledger.read_text().splitlines())
        assert len(runs) == 2 * len(chains), "every activity ran"

    def check_nothing_is_counted(self) -> None:
        """A healthy load that is killed parks nothing, and leaves no count behind."""
        with LmdbStore.open(self.folder / "hub") as store:
            assert not store.scan(keys.LETTER, keys.stop_of(keys.LETTER))
            assert not store.scan(keys.POISON, keys.stop_of(keys.POISON))

    def of(self, what: str) -> list[list[Any]]:
        """The final lines of one kind."""
        return [said for said in self.finals if said[0] == what]


def kill_and_check(folder: Path, kills: int, seed: int) -> None:
    chance = random.Random(seed)
    print(f"seed {seed}")
    parent = Parent(folder)
    for _ in range(kills):
        parent.run("load", chance.randint(1, LINES_MAX))
    parent.run("finish", None)
    parent.check()
    parent.check_nothing_is_counted()
    print(f"{len(parent.answers)} answers")


@pytest.mark.parametrize("part", range(2))
def test_killed_again_and_again(tmp_path: Path, part: int) -> None:
    """G2, G3, G5, G6, G9, G15, G16, G23, G24: after dozens of SIGKILLs nothing acknowledged is lost, nothing is done
    twice but activities, and nothing is parked.
    """
    kill_and_check(tmp_path, KILLS // 2, int.from_bytes(os.urandom(4), "big"))


@pytest.mark.heavy
@pytest.mark.parametrize("part", range(HEAVY_PARTS))
def test_killed_a_thousand_times(tmp_path: Path, part: int) -> None:
    """G2, G3, G5, G6, G9, G15, G16, G23, G24: the same with a thousand kills, a hundred of each hub."""
    kill_and_check(tmp_path, HEAVY_KILLS // HEAVY_PARTS, int.from_bytes(os.urandom(4), "big"))
