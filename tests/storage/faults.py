"""A process whose disk fails when it is told to: a C file, preloaded, makes its calls on a hub's data fail."""

from __future__ import annotations

import errno
import functools
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

SOURCE = Path(__file__).with_name("failing_disk.c")


@functools.cache
def shim() -> Path:
    """The compiled shim. Without a compiler the test is skipped."""
    compiler = next((path for name in ("cc", "gcc", "clang") if (path := shutil.which(name))), None)
    if compiler is None:
        pytest.skip("needs a C compiler (cc, gcc or clang) for the preloaded shim")
    made = Path(tempfile.mkdtemp(prefix="durio-shim-")) / "failing_disk.so"
    command = [compiler, "-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-o", str(made), str(SOURCE), "-ldl"]
    subprocess.run(command, check=True)
    return made


class FaultyProcess:
    """Runs `python WORKER ARGUMENTS`, a line in and a line out, on a disk that fails when told to."""

    def __init__(self, worker: Path, *arguments: str, files: str) -> None:
        """`files`: part of the path of what may fail."""
        self.control = Path(tempfile.mkdtemp(prefix="durio-faults-")) / "control"
        faults = {"FAILING_DISK": str(self.control), "FAILING_DISK_FILES": files, "LD_PRELOAD": str(shim())}
        self.process = subprocess.Popen(
            [sys.executable, str(worker), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | faults | {"PYTHONPATH": os.pathsep.join(sys.path)},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        shutil.rmtree(self.control.parent)
        self.process.kill()
        self.process.communicate()

    def fail(self, call: str, code: int = errno.EIO, how: str = "before", *, skip: int = 0) -> None:
        """From now on this call fails; what HOW may be is told in the C file."""
        fresh = self.control.with_suffix(".new")
        fresh.write_text(f"{call} {code} {how} {skip}\n")
        fresh.rename(self.control)

    def mend(self) -> None:
        """From now on everything works."""
        self.control.unlink(missing_ok=True)

    def ask(self, line: str) -> str:
        """Send a line, and read the answer."""
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.read()

    def read(self) -> str:
        """The next line; nothing at the end."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()
