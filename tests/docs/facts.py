"""What the code knows and the pages repeat: errors, limits, and which tests name a guarantee."""

from __future__ import annotations

import ast
import inspect
import re
from collections import Counter
from functools import cache
from pathlib import Path
from types import ModuleType

import durio.entities
import durio.entities.limits
import durio.hosting.limits
import durio.orchestration
import durio.orchestration.limits
import durio.simulation
import durio.storage
import durio.storage.limits
from tests.docs.pages import PROJECT, rows_of
from tests.project.style import functions

FACES: tuple[ModuleType, ...] = (durio.storage, durio.entities, durio.orchestration, durio.simulation)
LIMITS = {
    name: value
    for module in (durio.storage.limits, durio.entities.limits, durio.orchestration.limits, durio.hosting.limits)
    for name, value in vars(module).items()
    if name.isupper()
}


def errors() -> dict[str, type[BaseException]]:
    """Every error that a layer shows to users."""
    return {
        name: value
        for face in FACES
        for name in face.__all__
        if isinstance(value := getattr(face, name), type) and issubclass(value, BaseException)
    }


def error_rows() -> list[list[str]]:
    """A row for each error: its name, the layer that shows it, its attributes, what its docstring says."""
    return [_error_row(name, error) for name, error in errors().items()]


def _error_row(name: str, error: type[BaseException]) -> list[str]:
    layer = next(face.__name__ for face in FACES if name in face.__all__)
    init = error.__init__ if error.__init__ is not BaseException.__init__ else None
    parameters = [] if init is None else list(inspect.signature(init).parameters.values())[1:]
    facts = [f"`{p.name}`" for p in parameters if p.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD]
    says = " ".join((inspect.getdoc(error) or "").replace("``", "`").split())
    return [f"`{name}`", f"`{layer}`", ", ".join(facts) or "none", says]


def written(name: str, value: float) -> str:
    """A limit as the pages write it: whole TiB, MiB and KiB for bytes, thousands with commas."""
    if "BYTES" in name and value >= 1024:
        for size, unit in ((1024**4, "TiB"), (1024**2, "MiB"), (1024, "KiB")):
            if value % size == 0:
                return f"{value // size:,.0f} {unit}"
    return f"{value:,.0f}" if value == int(value) else f"{value:,}"


@cache
def _named_in_tests() -> dict[str, Counter[int]]:
    """How many tests of each file name each guarantee in their docstring."""
    found: dict[str, Counter[int]] = {}
    for path in (PROJECT / "tests").rglob("test_*.py"):
        count = found[str(path.relative_to(PROJECT))] = Counter()
        for function in functions(ast.parse(path.read_text("utf-8"))):
            if function.name.startswith("test_"):
                count.update({int(n) for n in re.findall(r"\bG(\d+)\b", ast.get_docstring(function) or "")})
    return found


def files_naming(number: int) -> list[str]:
    """The test files that name a guarantee, those with the most such tests first."""
    counts = {path: count[number] for path, count in _named_in_tests().items() if count[number]}
    return sorted(counts, key=lambda path: (-counts[path], path))


def guarantee_rows(page: Path) -> dict[int, list[str]]:
    """The rows of a page's tables that begin with a guarantee."""
    rows = ((re.match(r"\[?G(\d+)\b", row[0]), row) for row in rows_of(page))
    return {int(found[1]): row for found, row in rows if found}
