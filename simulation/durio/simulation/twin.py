"""A second process with another hash seed, which runs the same plans: what depends on the order of sets shows.

The other process runs `main`: it reads a JSON line that names a simulation, then plans, one a line, and answers each
with the lines of its trace.
"""

from __future__ import annotations

import dis
import importlib
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import reduce
from types import CodeType, ModuleType, TracebackType
from typing import Any, Final

from durio.simulation.errors import NotDeterministic
from durio.simulation.plan import Plan

_UNORDERED: Final = frozenset({"set", "frozenset", "hash"})
_SET_OPERATIONS: Final = frozenset({"BUILD_SET", "SET_ADD", "SET_UPDATE"})

BETWEEN_SEEDS: Final = "two processes with different hash seeds"
BETWEEN_RUNS: Final = "two runs"


def looks_unordered(functions: Iterable[Callable[..., Any]]) -> bool:
    """Whether one of them uses sets, so that what it does may come from the hash seed."""
    codes = [getattr(function, "__code__", None) for function in functions]
    return any(_uses_sets(code) for code in codes if code is not None)


def compare(first: Sequence[str], second: Sequence[str], between: str) -> None:
    """Raises `NotDeterministic` at the first line that differs."""
    for number in range(max(len(first), len(second))):
        one = first[number] if number < len(first) else "(its end)"
        other = second[number] if number < len(second) else "(its end)"
        if one != other:
            raise NotDeterministic(number + 1, one.strip(), other.strip(), between)


class Twin:
    """The other process. It costs one start of Python; leave the `with` block and it ends."""

    def __init__(self, module: str, file: str, name: str) -> None:
        seed = "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"
        path = os.pathsep.join(part for part in sys.path if part)
        self._process = subprocess.Popen(
            [sys.executable, "-c", "from durio.simulation.twin import main; main()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": path},
        )
        self._send(json.dumps({"module": module, "file": file, "name": name}))

    def __enter__(self) -> Twin:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate()

    def trace(self, plan: Plan) -> list[str]:
        """The trace of a plan, over there."""
        self._send(plan.encode())
        assert self._process.stdout is not None, "a pipe"
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the other process has ended; its error is above")
        lines: list[str] = json.loads(line)
        return lines

    def _send(self, line: str) -> None:
        assert self._process.stdin is not None, "a pipe"
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()


def main() -> None:
    """Serve the process that started this one."""
    found = json.loads(sys.stdin.readline())
    module = _module(found["module"], found["file"])
    test: Any = reduce(getattr, found["name"].split("."), module)
    for line in sys.stdin:
        sys.stdout.write(json.dumps(test.simulated.trace(Plan.decode(line.strip()))) + "\n")
        sys.stdout.flush()


def _module(name: str, file: str) -> ModuleType:
    """A module by its name, or by its file if it cannot be imported by name."""
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        spec = None
    if spec is not None and spec.origin is not None and os.path.samefile(spec.origin, file):
        return importlib.import_module(name)
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None and spec.loader is not None, "a file"
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _uses_sets(code: CodeType) -> bool:
    if not _UNORDERED.isdisjoint(code.co_names):
        return True
    if any(found.opname in _SET_OPERATIONS for found in dis.get_instructions(code)):
        return True
    if any(isinstance(constant, frozenset) for constant in code.co_consts):  # a set of constants
        return True
    return any(_uses_sets(inner) for inner in code.co_consts if isinstance(inner, CodeType))
