"""The machine and the disk that the figures belong to."""

from __future__ import annotations

import os
import platform
import statistics
import time
from pathlib import Path
from typing import Final

import attrs

import durio.storage

_SYNCS: Final = 50


@attrs.frozen
class Machine:
    """Where the figures come from: without it they mean nothing."""

    python: str
    cpus: int
    load: float
    """Average number of running processes over the last minute, before the benchmark began."""
    filesystem: str
    sync_ms: float
    """Median of writing 4 KiB and syncing it, nothing else."""
    sources: str
    """The folder of the measured durio."""

    @classmethod
    def here(cls, folder: Path) -> Machine:
        """This machine, with hubs in `folder`."""
        return cls(
            python=platform.python_version(),
            cpus=os.cpu_count() or 1,
            load=round(os.getloadavg()[0], 2),
            filesystem=filesystem(folder),
            sync_ms=_sync_ms(folder),
            sources=str(Path(durio.storage.__file__).resolve().parents[3]),
        )

    def __str__(self) -> str:
        return (
            f"Python {self.python}, {self.cpus} CPUs (load {self.load}), {self.filesystem}, "
            f"4 KiB synced in {self.sync_ms:.2f} ms"
        )


def filesystem(folder: Path) -> str:
    """The type of the file system that holds `folder`."""
    best, found = -1, "unknown"
    for line in Path("/proc/self/mounts").read_text("utf-8").splitlines():
        _, mount, kind, *_ = line.split()
        mount = mount.replace("\\040", " ")
        if folder.resolve().is_relative_to(mount) and len(mount) >= best:
            best, found = len(mount), kind
    return found


def _sync_ms(folder: Path) -> float:
    took_ms: list[float] = []
    path = folder / "sync"
    with path.open("wb") as file:
        for _ in range(_SYNCS):
            began = time.perf_counter()
            file.write(bytes(4096))
            file.flush()
            os.fdatasync(file.fileno())
            took_ms.append((time.perf_counter() - began) * 1000)
    path.unlink()
    return round(statistics.median(took_ms), 3)
