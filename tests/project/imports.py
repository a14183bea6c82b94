"""Reads who imports whom out of the sources, and says what breaks the order of layers and files."""

from __future__ import annotations

import ast
import graphlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

PROJECT = Path(__file__).parents[2]
NOT_FOR_SOURCES = ("tests", "benchmarks", "examples")
DYNAMIC = ("__import__", "import_module")

Files = Mapping[str, Sequence[str]]
"""Layer -> the names of its modules; each may import those before it."""


class Order(NamedTuple):
    """Which layers a layer may import, and the order of the files in each."""

    above: Mapping[str, Sequence[str]]
    files: Files


class Module(NamedTuple):
    """One source file: `durio.storage.keys` is `keys` in `storage`; the layer's `__init__` has that name."""

    layer: str
    name: str
    path: Path
    tree: ast.Module

    @property
    def dotted(self) -> str:
        """The name it is imported by."""
        package = f"durio.{self.layer}"
        return package if self.name == "__init__" else f"{package}.{self.name}"

    @property
    def place(self) -> str:
        """The file, for messages: `storage/keys.py`."""
        return f"{self.layer}/{self.path.name}"


def layers_of(root: Path) -> list[str]:
    """The layers that exist: every top-level folder with a folder `durio` in it."""
    return sorted(folder.parent.name for folder in root.glob("*/durio"))


def modules_of(root: Path) -> dict[str, Module]:
    """Every source file of every layer, by dotted name."""
    found: dict[str, Module] = {}
    for layer in layers_of(root):
        top = root / layer / "durio" / layer
        for path in sorted(top.rglob("*.py")):
            parts = path.relative_to(top).with_suffix("").parts
            if len(parts) > 1 and parts[-1] == "__init__":
                parts = parts[:-1]
            module = Module(layer, ".".join(parts), path, ast.parse(path.read_text("utf-8"), str(path)))
            found[module.dotted] = module
    return found


def targets(node: ast.Import | ast.ImportFrom, module: Module, known: Mapping[str, Module]) -> Iterator[str]:
    """The dotted names that one import statement needs: a module where there is one, else its package."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
        return
    base = node.module or ""
    if node.level:
        is_package = module.path.name == "__init__.py"
        parts = module.dotted.split(".")
        package = parts[: len(parts) - node.level + is_package]
        base = ".".join([*package, base] if base else package)
    for alias in node.names:
        full = f"{base}.{alias.name}"
        yield full if full in known or base == "durio" else base


def all_imports(module: Module, known: Mapping[str, Module]) -> Iterator[tuple[int, str]]:
    """Line and target of every import in a file, wherever it stands."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            for target in targets(node, module, known):
                yield node.lineno, target


def hidden_imports(module: Module) -> Iterator[str]:
    """Imports that are not plain statements at the top of the file: late, conditional or dynamic ones."""
    plain = set(module.tree.body)
    for node in ast.walk(module.tree):
        match node:
            case ast.Import() | ast.ImportFrom() if node not in plain:
                yield f"{module.place}:{node.lineno}: an import that is not at the top level of the file"
            case ast.Name(id="TYPE_CHECKING") | ast.Attribute(attr="TYPE_CHECKING") | ast.alias(name="TYPE_CHECKING"):
                yield f"{module.place}:{node.lineno}: TYPE_CHECKING hides a cycle"
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name), args=[ast.Constant(), *_]) if (
                name in DYNAMIC
            ):
                yield f"{module.place}:{node.lineno}: {name}() of a fixed name is an import in disguise"


def misplaced_imports(module: Module, known: Mapping[str, Module], order: Order) -> Iterator[str]:
    """Imports that go upward or sideways, to nothing, or to tests."""
    for line, target in all_imports(module, known):
        where = f"{module.place}:{line}: {module.dotted} imports {target}"
        top = target.split(".")[0]
        if top in NOT_FOR_SOURCES:
            yield f"{where}: sources import no {top}"
        elif top != "durio":
            continue
        elif target not in known:
            yield f"{where}: there is no such module"
        else:
            other = known[target]
            if other.layer != module.layer and other.layer not in order.above.get(module.layer, ()):
                yield f"{where}: {other.layer} is no layer above {module.layer}"
            elif other.layer == module.layer and not _before(other, module, order):
                yield f"{where}: {other.name} comes not before {module.name} in the list of {module.layer}"


def _before(first: Module, second: Module, order: Order) -> bool:
    """Whether one file of a layer may be imported by another; `__init__` is always the last.

    A file without a place in the list is a problem of its own, told once and not for each import.
    """
    files = [*order.files.get(first.layer, ()), "__init__"]
    if first.name not in files or second.name not in files:
        return True
    return files.index(first.name) < files.index(second.name)


def misplaced_files(known: Mapping[str, Module], layer: str, order: Order) -> Iterator[str]:
    """Files that are missing from the list of their layer, and names in it that have no file."""
    listed = list(order.files.get(layer, ()))
    present = [module.name for module in known.values() if module.layer == layer and module.name != "__init__"]
    yield from (f"{layer}: {name} has no place in the list of files" for name in present if name not in listed)
    yield from (f"{layer}: {name} is listed, but there is no such file" for name in listed if name not in present)
    yield from (f"{layer}: {name} is listed twice" for name in sorted(set(listed)) if listed.count(name) > 1)


def cycle(known: Mapping[str, Module]) -> list[str]:
    """One cycle of imports, if there is one: found from the imports alone, whatever the lists say."""
    graph = {
        name: {target for _, target in all_imports(module, known) if target in known} for name, module in known.items()
    }
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return list(error.args[1])
    return []


def problems(root: Path, layer: str, order: Order) -> list[str]:
    """Everything that is wrong with the imports of one layer."""
    known = modules_of(root)
    found = list(misplaced_files(known, layer, order))
    for module in known.values():
        if module.layer == layer:
            found += hidden_imports(module)
            found += dict.fromkeys(misplaced_imports(module, known, order))  # each once, in order
    return found
