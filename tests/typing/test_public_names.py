"""What each layer shows to the next one and to users: it is there, it is explained, it is typed."""

from __future__ import annotations

import ast
import importlib
import inspect
from collections.abc import Iterator
from types import FunctionType
from typing import Any, Protocol

import pytest

from tests.project.imports import PROJECT, layers_of, modules_of
from tests.typing import checkers

LAYERS = sorted(layers_of(PROJECT))


def explained(body: list[ast.stmt]) -> Iterator[tuple[str, bool]]:
    """Every name that the body of a module defines, and whether it has a docstring; constants have it behind them."""
    for node, after in zip(body, [*body[1:], None], strict=True):
        match node:
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name, ast.get_docstring(node) is not None
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                match after:
                    case ast.Expr(value=ast.Constant(value=str())):
                        yield name, True
                    case _:
                        yield name, False


@pytest.mark.parametrize("layer", LAYERS)
def test_public_names_exist(layer: str) -> None:
    """Every name in a layer's `__all__` can be imported, and stands there once."""
    package = importlib.import_module(f"durio.{layer}")
    assert [name for name in package.__all__ if not hasattr(package, name)] == []
    assert len(package.__all__) == len(set(package.__all__))


@pytest.mark.parametrize("layer", LAYERS)
def test_public_names_are_explained(layer: str) -> None:
    """Every name in a layer's `__all__` has a docstring where it is defined, which may be a layer above."""
    package = importlib.import_module(f"durio.{layer}")
    modules = [module.tree for module in modules_of(PROJECT).values()]
    found = {name for tree in modules for name, has_docstring in explained(tree.body) if has_docstring}
    assert [name for name in package.__all__ if name not in found] == []


def methods(cls: type[Any]) -> dict[str, str | None]:
    """The public methods and properties that a class itself defines, and their docstrings, inherited ones too."""
    kinds = (FunctionType, property, staticmethod, classmethod)
    shown = [name for name, value in vars(cls).items() if not name.startswith("_") and isinstance(value, kinds)]
    return {name: inspect.getdoc(getattr(cls, name)) for name in shown}


@pytest.mark.parametrize("layer", LAYERS)
def test_public_methods_are_explained(layer: str) -> None:
    """Every public method of a class in a layer's `__all__` has a docstring, or is one of a protocol that has it."""
    package = importlib.import_module(f"durio.{layer}")
    classes = [shown for name in package.__all__ if inspect.isclass(shown := getattr(package, name))]
    protocols = [cls for cls in classes if Protocol in cls.__bases__]
    of_protocols = {name for cls in protocols for name, text in methods(cls).items() if text}
    silent = {f"{cls.__name__}.{name}" for cls in classes for name, text in methods(cls).items() if not text}
    assert {name for name in silent if name.split(".")[1] not in of_protocols} == set()


@pytest.mark.parametrize("layer", LAYERS)
def test_public_names_are_typed(layer: str) -> None:
    """Pyright knows the type of everything that a layer shows, down to every parameter and attribute."""
    assert checkers.incomplete(f"durio.{layer}") == []
