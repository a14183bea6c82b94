"""G32: the disk of an open hub fails under load; nothing that was acknowledged is lost."""

from __future__ import annotations

import errno
from collections import Counter
from pathlib import Path

import pytest

from durio.entities import EntityId
from durio.orchestration import open_hub
from tests.crash.fault_worker import Total, app
from tests.storage.faults import FaultyProcess

WORKER = Path(__file__).with_name("fault_worker.py")
BREAKING = ("HubBroken", "Ambiguous")


@pytest.mark.parametrize(
    ("call", "how", "skip"),
    [
        ("write", "before", 0),
        ("write", "short", 3),
        ("fdatasync", "before", 1),
        ("fdatasync", "after", 0),
        ("meta", "before", 0),
        ("meta", "stuck", 2),
    ],
)
async def test_a_hub_whose_disk_fails_closes_and_the_next_owner_has_all_that_was_acknowledged(
    tmp_path: Path, call: str, how: str, skip: int
) -> None:
    """G5, G32: a failed write or sync ends the hub with an error; every answer given before is on disk."""
    acknowledged: Counter[str] = Counter()
    value = ""
    with FaultyProcess(WORKER, str(tmp_path / "hub"), files="data.mdb") as owner:
        while min(acknowledged["call"], acknowledged["end"]) < 5:
            kind, value = owner.read().split()
            acknowledged[kind] = int(value)
        owner.fail(call, errno.EIO, how, skip=skip)
        while line := owner.read():
            kind, value = line.split()
            if kind == "broken":
                break
            acknowledged[kind] = int(value)
        assert value in BREAKING
    async with open_hub(tmp_path / "hub", app) as client:
        for kind, entity in (("call", "calls"), ("end", "ends")):
            total = await client.call_entity(EntityId("Total", entity), Total.look)
            # One call of each was in flight: it may be on disk, and only its answer is lost.
            assert acknowledged[kind] <= total <= acknowledged[kind] + 2
