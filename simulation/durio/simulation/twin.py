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
import traceback
from collections.abc import Callable, Iterable, Sequence
from functools import reduce
from types import CodeType, ModuleType, TracebackType
from typing import Any, Final

from durio.simulation.errors import NotDeterministic, TwinFailed
from durio.simulation.plan import Plan

_UNORDERED: Final = frozenset({"set", "frozenset", "hash"})
_NAMES: Final = frozenset({"LOAD_GLOBAL", "LOAD_NAME"})  # an attribute called `set` is somebody's method
_SET_OPERATIONS: Final = frozenset({"BUILD_SET", "SET_ADD", "SET_UPDATE"})

_SERVING: Final = "DURIO_SIMULATION_TWIN"
"""In the environment of the other process: it runs what it is sent, and no simulation by itself."""

BETWEEN_SEEDS: Final = "two processes with different hash seeds"
BETWEEN_RUNS: Final = "two runs"


def looks_unordered(functions: Iterable[Callable[..., Any]]) -> bool:
    """Whether one of them uses sets, so that what it does may come from the hash seed."""
    codes = [getattr(function, "__code__", None) for function in functions]
    return any(_uses_sets(code) for code in codes if code is not None)


def is_twin() -> bool:
    """Whether this is the other process."""
    return _SERVING in os.environ


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
            env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": path, _SERVING: "1"},
        )
        try:
            self._ask(json.dumps({"module": module, "file": file, "name": name}))
        except BaseException:
            self._process.communicate()
            raise

    def __enter__(self) -> Twin:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate()

    def trace(self, plan: Plan) -> list[str]:
        """The trace of a plan, over there."""
        return self._ask(plan.encode())

    def _ask(self, line: str) -> list[str]:
        assert self._process.stdin is not None and self._process.stdout is not None, "pipes"
        try:
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            raise TwinFailed("it has ended")
        found: dict[str, Any] = json.loads(answer)
        if "error" in found:
            raise TwinFailed(found["error"])
        lines: list[str] = found["lines"]
        return lines


def main() -> None:
    """Serve the process that started this one."""
    answers, sys.stdout = sys.stdout, sys.stderr  # the code under test may print
    test: Any = None
    for line in sys.stdin:
        try:
            if test is None:
                found = json.loads(line)
                test = reduce(getattr, found["name"].split("."), _module(found["module"], found["file"]))
                answer: dict[str, Any] = {"lines": []}
            else:
                answer = {"lines": test.simulated.trace(Plan.decode(line.strip()))}
        except Exception:
            answer = {"error": traceback.format_exc()}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


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
    for found in dis.get_instructions(code):
        if found.opname in _SET_OPERATIONS or (found.opname in _NAMES and found.argval in _UNORDERED):
            return True
    if any(isinstance(constant, frozenset) for constant in code.co_consts):  # a set of constants
        return True
    return any(_uses_sets(inner) for inner in code.co_consts if isinstance(inner, CodeType))
