"""Style that no linter knows, as tests: sizes, forbidden code, names with units, foreign places."""

from __future__ import annotations

import ast
import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.project import style
from tests.project.imports import PROJECT, layers_of

FILE_LINES_MAX = 400
SOURCES = sorted(path for layer in layers_of(PROJECT) for path in (PROJECT / layer).rglob("*.py"))
TESTS = sorted((PROJECT / "tests").rglob("*.py"))

# In pieces, so that this file does not hold what it looks for.
PLACES = [rf"(?<![\w.~*-])/{name}/" for name in ("work", "opt", "root")]
HOSTS = [re.escape(".".join(parts)) for parts in (("pypi", "org"), ("pythonhosted", "org"), ("npmjs", "org"))]
HOSTS += [re.escape(".".join(parts)) for parts in (("npmjs", "com"), ("debian", "org"))]
FOREIGN = re.compile("|".join(PLACES + HOSTS))


def broken(rule: style.Rule, paths: list[Path]) -> list[str]:
    """Where a rule is broken: `file:line: what`."""
    return [
        f"{path.relative_to(PROJECT)}:{line}: {what}"
        for path in paths
        for line, what in rule(ast.parse(path.read_text("utf-8"), str(path)))
    ]


def project_files() -> list[Path]:
    """Every file that git tracks or would track; without git every file outside of hidden folders."""
    command = ["git", "-C", str(PROJECT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        names = subprocess.run(command, check=True, capture_output=True).stdout.split(b"\0")
    except (OSError, subprocess.CalledProcessError):
        walked = (path.relative_to(PROJECT) for path in PROJECT.rglob("*"))
        names = [os.fsencode(path) for path in walked if not any(part.startswith(".") for part in path.parts)]
    paths = (PROJECT / os.fsdecode(name) for name in names if name)
    return [path for path in paths if path.is_file()]


def test_files_are_short() -> None:
    """No source file is longer than 400 lines."""
    lengths = {str(path): len(path.read_text("utf-8").splitlines()) for path in SOURCES}
    assert {path: lines for path, lines in lengths.items() if lines > FILE_LINES_MAX} == {}


def test_functions_are_short() -> None:
    """No function of the sources is longer than 60 lines without its docstring."""
    found = broken(style.long_functions, SOURCES)
    assert not found, "\n".join(found)


def test_no_forbidden_code() -> None:
    """The library never unpickles, evaluates or prints (G33)."""
    found = broken(style.forbidden_code, SOURCES)
    assert not found, "\n".join(found)


def test_no_module_state() -> None:
    """No source file keeps mutable state at its top level."""
    found = broken(style.module_state, SOURCES)
    assert not found, "\n".join(found)


def test_times_have_units() -> None:
    """Every public number that is a time says in its name in what unit, but for the names Azure fixed."""
    found = broken(style.unitless_times, SOURCES)
    assert not found, "\n".join(found)


def test_tests_never_wait() -> None:
    """No test sleeps with the wall clock."""
    found = broken(style.waiting, TESTS)
    assert not found, "\n".join(found)


def test_tests_are_claims() -> None:
    """Every test says in its docstring what it claims."""
    found = broken(style.silent_tests, TESTS)
    assert not found, "\n".join(found)


def test_layers_are_typed() -> None:
    """Every layer ships a py.typed, so that users' type checkers read its annotations."""
    layers = layers_of(PROJECT)
    assert [layer for layer in layers if not (PROJECT / layer / "durio" / layer / "py.typed").is_file()] == []


def test_nothing_names_this_machine() -> None:
    """No file of the project names a folder of one machine or the host of a package index."""
    found = [
        f"{path.relative_to(PROJECT)}:{number}: {line.strip()[:100]}"
        for path in project_files()
        for number, line in enumerate(path.read_bytes().decode("utf-8", "replace").splitlines(), 1)
        if FOREIGN.search(line)
    ]
    assert not found, "\n".join(found)


def test_scripts_stop_at_errors() -> None:
    """Every script can be started and stops at the first error."""
    for path in [*(PROJECT / "scripts").iterdir(), PROJECT / ".ci" / "run"]:
        assert os.access(path, os.X_OK), path
        assert "\nset -euo pipefail\n" in path.read_text("utf-8"), path


CAUGHT = [
    (style.long_functions, "def f():\n" + "    x = 1\n" * 60),
    (style.forbidden_code, "import pickle"),
    (style.forbidden_code, "from pickle import loads"),
    (style.forbidden_code, "def f(x): return eval(x)"),
    (style.forbidden_code, "print(1)"),
    (style.module_state, "CACHE = {}"),
    (style.module_state, "CACHE: dict[str, int] = dict()"),
    (style.module_state, "QUEUE: Final = collections.deque()"),
    (style.module_state, "NEXT = itertools.count()"),
    (style.module_state, "def f():\n    global x\n    x = 1"),
    (style.waiting, "import time\ntime.sleep(1)"),
    (style.waiting, "from time import sleep"),
    (style.unitless_times, "def f(timeout: float | None = None): ..."),
    (style.unitless_times, "def f(*, poll_interval=1.5): ..."),
    (style.unitless_times, "class A:\n    def __init__(self, delay: int): ..."),
    (style.unitless_times, "class A:\n    lease: float = 1.0"),
    (style.silent_tests, "def test_x(): ..."),
    (style.silent_tests, "async def test_x():\n    'No full stop'"),
]

ALLOWED = [
    (style.long_functions, 'def f():\n    """A\n' + "    a\n" * 90 + '    """\n' + "    x = 1\n" * 58),
    (style.forbidden_code, "def f(self): self.print(1)"),
    (style.module_state, "A: Final = (1, 2)\nB = frozenset({1})\nC = MappingProxyType({})\n__all__ = ['A']"),
    (style.module_state, "def f():\n    x = []\nclass A:\n    pass"),
    (style.waiting, "async def f(): await trio.sleep(0)"),
    (style.unitless_times, "def f(timeout_s: float, lease: Lease, lease_id: int, delay: timedelta): ..."),
    (style.unitless_times, "def f(first_retry_interval_in_milliseconds: int): ..."),
    (style.unitless_times, "def _f(timeout: float): ...\nclass _A:\n    timeout: float"),
    (style.silent_tests, "def test_x():\n    '''A claim.\n\n    And more'''"),
]


@pytest.mark.parametrize(("rule", "source"), CAUGHT)
def test_rule_catches(rule: style.Rule, source: str) -> None:
    """Every rule finds what it forbids."""
    assert list(rule(ast.parse(source)))


@pytest.mark.parametrize(("rule", "source"), ALLOWED)
def test_rule_allows(rule: style.Rule, source: str) -> None:
    """No rule forbids more than it says."""
    assert not list(rule(ast.parse(source)))
