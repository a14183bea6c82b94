"""Starting the processes that read what may be damaged."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Final

from durio.storage.errors import HubBroken

LOOK_S: Final = 0.1


def run_child(
    module: str, *arguments: str, watch: Callable[[str], None] | None = None
) -> "subprocess.CompletedProcess[str]":
    """Run a module of durio in a process of its own, to its end. Raises `HubBroken` if it cannot be started.

    `watch` is called ten times a second with what the process has said so far, and at its end with all.
    """
    path = os.pathsep.join(filter(None, sys.path))
    try:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", module, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": path, "PYTHONFAULTHANDLER": ""},
        )
    except OSError as error:
        raise HubBroken(f"a process of its own is needed, and Python cannot be started: {error}") from error
    with process:
        try:
            while True:
                try:
                    out, err = process.communicate(timeout=None if watch is None else LOOK_S)
                    break
                except subprocess.TimeoutExpired as running:
                    said = running.output or b""
                    assert watch is not None, "only who watches looks again"
                    watch(said.decode(errors="replace") if isinstance(said, bytes) else said)
        except BaseException:
            process.kill()
            raise
    if watch is not None:
        watch(out)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def end_of(process: "subprocess.CompletedProcess[str]") -> str:
    """How a process ended, for people."""
    if process.returncode < 0:
        name = signal.Signals(-process.returncode).name
        return f"the process that read it was ended by {name}: it is cut or scribbled on"
    lines = process.stderr.strip().splitlines() or ["it said nothing"]
    return f"the process that read it failed with {process.returncode}: {lines[-1]}"
