"""Real `kill -9` of three processes at one hub: two that may own it, and a client."""

from __future__ import annotations

import json
import os
import random
import selectors
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import IO, Any

import attrs
import pytest

from durio.orchestration import verify
from durio.storage import LmdbStore
from tests.crash.three_worker import ACCOUNTS, BALANCE, ROLES, asks
from tests.crash.worker import CREATED, SINGLETON

PROJECT = Path(__file__).parents[2]
ROUNDS = 2
HEAVY_ROUNDS = 334
HEAVY_PARTS = 28
LINES_MAX = 150
"""Most lines that the parent reads before it kills the next one."""
SILENCE_S = 0.05
"""So long the client may go on after both owners are dead."""


@attrs.define
class Parent:
    """Starts three processes, kills them one after the other, and remembers every answer that came out of them."""

    folder: Path
    chance: random.Random
    answers: dict[str, Any] = attrs.Factory(dict)
    finals: dict[tuple[str, str], Any] = attrs.Factory(dict)
    kills: int = 0

    def start(self, role: str) -> subprocess.Popen[str]:
        """A process that goes on where the last one of its role was killed."""
        firsts = self.folder / f"first-{role}.json"
        firsts.write_text(json.dumps(self.first()))
        where = [str(self.folder / "hub"), str(self.folder / "ledger"), str(firsts)]
        command = [sys.executable, "-m", "tests.crash.three_worker", role, *where]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=PROJECT)

    def first(self) -> dict[str, int]:
        """For each lane the number of the first request without an answer."""
        return dict(Counter(request_id.rpartition("-")[0] for request_id in self.answers))

    def round(self) -> None:
        """Three processes, killed at random moments in a random order."""
        processes = {role: self.start(role) for role in ROLES}
        with selectors.DefaultSelector() as selector:
            for process in processes.values():
                assert process.stdout is not None
                selector.register(process.stdout, selectors.EVENT_READ)
            for role in self.chance.sample(ROLES, len(ROLES)):
                owned = any(other in processes for other in ("a", "b"))
                self.read(selector, self.chance.randint(1, LINES_MAX) if owned else 0)
                killed = processes.pop(role)
                killed.send_signal(signal.SIGKILL)
                self.kills += 1
                assert killed.stdout is not None
                selector.unregister(killed.stdout)
                self.drain(killed.stdout)
                assert killed.wait() == -signal.SIGKILL
                killed.stdout.close()

    def read(self, selector: selectors.BaseSelector, lines: int) -> None:
        """Read so many lines, from whoever writes; 0: nobody answers any more."""
        if lines == 0:
            selector.select(SILENCE_S)
        while lines > 0:
            for key, _ in selector.select():
                stream: Any = key.fileobj
                line = stream.readline()
                assert line, "a process ended that nobody killed"
                self.note(line)
                lines -= 1

    def drain(self, stream: IO[str]) -> None:
        for line in stream:
            self.note(line)

    def note(self, line: str) -> None:
        """One line of a process; the last one may be cut: then nobody was told."""
        if not line.endswith("\n"):
            return
        said = json.loads(line)
        if len(said) == 2:
            request_id, answer = said
            assert request_id not in self.answers, "it is asked on from the first without an answer"
            self.answers[request_id] = answer
        elif len(said) == 3:
            what, name, value = said
            self.finals[what, name] = value

    def finish(self) -> None:
        """The last process runs to its end."""
        process = self.start("finish")
        assert process.stdout is not None
        self.drain(process.stdout)
        assert process.wait() == 0
        process.stdout.close()

    def check(self) -> None:
        """Compare what clients were told with what the hub holds at the end."""
        first = self.first()
        total = {name: value for (what, name), value in self.finals.items() if what == "total"}
        answers = {role: {kind: self.of(kind, role) for kind in ("call", "singleton", "transfer")} for role in ROLES}
        chains = sum(first[f"chain-{role}"] for role in ROLES)
        outputs = [value for (what, _), value in self.finals.items() if what == "output"]
        assert total[CREATED] == total["chains"] == len(outputs) == chains
        assert total["signals"] == sum(first[f"signal-{role}"] for role in ROLES)
        calls = sorted(answer for role in ROLES for answer in answers[role]["call"])
        assert calls == list(range(1, total["calls"] + 1)), "every call was done once and got its own answer"
        assert total[SINGLETON] == sum(answer for role in ROLES for answer in answers[role]["singleton"])
        for role in ROLES:
            assert self.finals["items", role] == list(range(first[f"event-{role}"])), "each event once, in order"
            assert self.finals["taken", role] == first[f"event-{role}"]
            assert all(answers[role]["transfer"]), "nobody saw half a transfer"
        moved = sum(n % 7 != 0 for role in ROLES for n in range(first[f"transfer-{role}"]))
        assert total["transfers"] == moved
        assert sum(self.finals["balance", str(n)] for n in range(ACCOUNTS)) == ACCOUNTS * BALANCE
        assert self.finals["locks", ""] == 0, "no lock is left"
        assert self.finals["parked", ""] == 0, "nothing of a healthy load is parked"
        runs = Counter((self.folder / "ledger").read_text().splitlines())
        assert len(runs) == 2 * chains, "every activity ran"

    def of(self, kind: str, role: str) -> list[Any]:
        """The answers of one lane."""
        return [answer for name, answer in self.answers.items() if name.rpartition("-")[0] == f"{kind}-{role}"]


def kill_and_check(folder: Path, rounds: int) -> None:
    seed = int.from_bytes(os.urandom(4), "big")
    print(f"seed {seed}")
    parent = Parent(folder, random.Random(seed))
    LmdbStore.open(folder / "hub").close()  # a client may come before the first owner
    for _ in range(rounds):
        parent.round()
        report = verify(folder / "hub")
        assert not report.findings, report
    parent.finish()
    parent.check()
    assert {name.rpartition("-")[0] for name in parent.answers} == {name for role in ROLES for name in asks(role)}
    print(f"{parent.kills} kills, {len(parent.answers)} answers")


def test_three_processes_killed_again_and_again(tmp_path: Path) -> None:
    """G1, G2, G3, G5, G6, G9, G12, G15, G16, G23, G24, G32: an owner, a standby and a client are killed at random
    moments: nothing acknowledged is lost, nothing is done twice but activities, and the hub verifies every time.
    """
    kill_and_check(tmp_path, ROUNDS)


@pytest.mark.heavy
@pytest.mark.parametrize("part", range(HEAVY_PARTS))
def test_three_processes_killed_a_thousand_times(tmp_path: Path, part: int) -> None:
    """G1, G2, G3, G5, G6, G9, G12, G15, G16, G23, G24, G32: the same with a thousand kills in all."""
    kill_and_check(tmp_path, -(-HEAVY_ROUNDS // HEAVY_PARTS))
