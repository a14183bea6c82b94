"""G12 with real `kill -9` on a real hub on LMDB: a bank whose sum never changes and whose locks never leak."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import attrs
import pytest

from durio.entities import keys
from durio.storage import LmdbStore
from tests.crash.bank_worker import ACCOUNTS, OPENING, order_of

WORKER = Path(__file__).with_name("bank_worker.py")

TRANSFERS, KILLS = 80, 3
HEAVY_TRANSFERS, HEAVY_KILLS = 10_000, 50

TOTAL = len(ACCOUNTS) * OPENING


@attrs.define
class Parent:
    """Starts workers, kills them, and remembers what they said."""

    folder: Path
    transfers: int
    done: dict[int, tuple[str, Any]] = attrs.Factory(dict)
    final: list[Any] = attrs.Factory(list)

    def run(self, lines: int | None) -> None:
        """Run a worker until it has said so much and is killed, or to its end."""
        command = [sys.executable, str(WORKER), str(self.folder / "hub"), str(self.transfers)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as worker:
            assert worker.stdout is not None
            for count, line in enumerate(worker.stdout, 1):
                if count == lines:
                    worker.send_signal(signal.SIGKILL)
                if line.endswith("\n"):  # the last one may be cut: then nobody was told
                    self.note(*json.loads(line))
        assert worker.returncode in (0, -signal.SIGKILL)

    def note(self, what: str, *facts: Any) -> None:
        """One line of a worker. What was done once is done for ever."""
        if what == "final":
            self.final = list(facts)
            return
        number, status, output = facts
        assert self.done.setdefault(number, (status, output)) == (status, output)
        assert output is None or output == TOTAL, f"audit {number} saw a transfer half done: {output}"

    def check(self) -> None:
        """Nothing is missing, nothing too much: in the accounts, and among the locks."""
        assert len(self.done) == self.transfers
        balances, locks = self.final
        assert locks == []
        assert sum(balances) == TOTAL
        expected = [OPENING] * len(ACCOUNTS)
        for number in range(self.transfers):
            order, status = order_of(number), self.done[number][0]
            if number % 10 == 3:
                assert status == "Terminated"
            elif number % 10 == 7:
                assert status == "Completed"
            else:
                assert status == ("Failed" if order.fails else "Completed")
                expected[order.source] -= order.amount
                expected[order.target] += order.amount
        assert balances == expected, "every transfer was done once"
        store = LmdbStore.open(self.folder / "hub")
        try:
            assert list(store.scan(keys.LOCK, keys.stop_of(keys.LOCK))) == []
            left = [key for key, _ in store.scan(keys.ACTOR, keys.stop_of(keys.ACTOR)) if key.startswith(b"a@")]
            assert [key for key in left if key.split(b"\0", 1)[1][:1] == b"h"] == [], "no half of a request"
        finally:
            store.close()


def kill_and_check(folder: Path, transfers: int, kills: int, seed: int) -> None:
    print(f"seed {seed}")
    chance = random.Random(seed)
    parent = Parent(folder, transfers)
    for kill in range(kills):
        said = len(parent.done)
        left = transfers - said
        parent.run(said + chance.randint(1, max(1, 2 * left // (kills - kill + 1))))
    if not parent.final:
        parent.run(None)
    parent.check()


def test_the_sum_survives_kills(tmp_path: Path) -> None:
    """G12: transfers, audits, failures and terminations at the same time, and SIGKILLs: the sum stays, no lock is left,
    no audit sees a transfer half done, and every transfer is done once.
    """
    kill_and_check(tmp_path, TRANSFERS, KILLS, int.from_bytes(os.urandom(4), "big"))


@pytest.mark.heavy
def test_the_sum_survives_kills_of_ten_thousand_transfers(tmp_path: Path) -> None:
    """G12: the same with 10,000 transfers and 50 kills."""
    kill_and_check(tmp_path, HEAVY_TRANSFERS, HEAVY_KILLS, int.from_bytes(os.urandom(4), "big"))
