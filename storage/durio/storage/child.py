"""Starting the processes that read what may be damaged."""

import os
import signal
import subprocess
import sys

from durio.storage.errors import HubBroken


def run_child(module: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run a module of durio in a process of its own, to its end. Raises `HubBroken` if it cannot be started."""
    path = os.pathsep.join(filter(None, sys.path))
    try:
        return subprocess.run(
            [sys.executable, "-P", "-m", module, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | {"PYTHONPATH": path, "PYTHONFAULTHANDLER": ""},
        )
    except OSError as error:
        raise HubBroken(f"a process of its own is needed, and Python cannot be started: {error}") from error


def end_of(process: "subprocess.CompletedProcess[str]") -> str:
    """How a process ended, for people."""
    if process.returncode < 0:
        name = signal.Signals(-process.returncode).name
        return f"the process that read it was ended by {name}: it is cut or scribbled on"
    lines = process.stderr.strip().splitlines() or ["it said nothing"]
    return f"the process that read it failed with {process.returncode}: {lines[-1]}"
