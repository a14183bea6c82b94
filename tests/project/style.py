"""The rules of tidiness, each a function from a parsed file to the lines that break it."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from typing import TypeAlias

Rule: TypeAlias = Callable[[ast.Module], Iterator[tuple[int, str]]]
Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef

FUNCTION_LINES_MAX = 60
FORBIDDEN_MODULES = frozenset({"pickle", "cPickle", "dill", "cloudpickle", "shelve", "marshal"})
FORBIDDEN_CALLS = frozenset({"eval", "exec", "print"})
MUTABLE_TYPES = frozenset(
    {"list", "dict", "set", "bytearray", "defaultdict", "deque", "OrderedDict", "Counter", "count"}
    | {"WeakSet", "WeakKeyDictionary", "WeakValueDictionary"}
)
MUTABLE_NODES = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp)
TIME_WORDS = frozenset({"timeout", "interval", "delay", "duration", "lease"})
UNITS = ("_s", "_ms", "_us", "_ns")
NO_TIMES = ("_count", "_id")
FIXED_BY_AZURE = frozenset(
    {
        "first_retry_interval_in_milliseconds",
        "max_retry_interval_in_milliseconds",
        "retry_timeout_in_milliseconds",
        "timeout_in_milliseconds",
        "retry_interval_in_milliseconds",
    }
)


def _called(node: ast.AST) -> str:
    """The last part of the name of what is called: `deque` in `collections.deque(...)`."""
    match node:
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)):
            return name
    return ""


def functions(tree: ast.Module) -> Iterator[Function]:
    """Every function of a file, methods and inner ones too."""
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def long_functions(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Functions that have too many lines besides their docstring."""
    for function in functions(tree):
        lines = (function.end_lineno or 0) - function.lineno + 1
        if ast.get_docstring(function) is not None:
            first = function.body[0]
            lines -= (first.end_lineno or 0) - first.lineno + 1
        if lines > FUNCTION_LINES_MAX:
            yield function.lineno, f"{function.name} has {lines} lines"


def forbidden_code(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Serializers that run code, code from data, and printing."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                modules = [alias.name.split(".")[0] for alias in names]
            case ast.ImportFrom(module=str(name)):
                modules = [name.split(".")[0]]
            case _:
                modules = []
        for module in FORBIDDEN_MODULES.intersection(modules):
            yield node.lineno, module  # type: ignore[attr-defined]  # an import has a line
        match node:
            case ast.Call(func=ast.Name(id=name)) if name in FORBIDDEN_CALLS:
                yield node.lineno, f"{name}("


def module_state(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Mutable values at the top level of a file, and `global`: two hubs in one process would share them."""
    for node in tree.body:
        match node:
            case ast.Assign(targets=[target, *_], value=value) | ast.AnnAssign(target=target, value=value):
                name = ast.unparse(target)
                if name != "__all__" and (isinstance(value, MUTABLE_NODES) or _called_type(value)):
                    yield node.lineno, f"{name} is mutable: use a tuple, a frozenset or a MappingProxyType"
    for inner in ast.walk(tree):
        if isinstance(inner, ast.Global):
            yield inner.lineno, "global " + ", ".join(inner.names)


def _called_type(value: ast.expr | None) -> bool:
    return value is not None and _called(value) in MUTABLE_TYPES


def waiting(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Calls and imports of `time.sleep`."""
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id="time"), attr="sleep"):
                yield node.lineno, "time.sleep"
            case ast.ImportFrom(module="time", names=names) if any(alias.name == "sleep" for alias in names):
                yield node.lineno, "from time import sleep"


def unitless_times(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Numbers in public parameters and attributes that are times by their name, but have no unit in it."""
    for line, name, annotation, default in _public_names(tree.body):
        is_time = not TIME_WORDS.isdisjoint(name.lower().split("_"))
        if is_time and _numeric(annotation, default) and not name.endswith(UNITS + NO_TIMES):
            if name not in FIXED_BY_AZURE:
                yield line, f"{name} has no unit: {', '.join(UNITS)}"


def _public_names(
    body: list[ast.stmt],
) -> Iterator[tuple[int, str, ast.expr | None, ast.expr | None]]:
    """Line, name, annotation and default of the parameters and attributes that users see."""
    for node in body:
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                if name == "__init__" or not name.startswith("_"):
                    yield from _parameters(node.args)
            case ast.ClassDef(name=name) if not name.startswith("_"):
                yield from _public_names(node.body)
                for field in node.body:
                    match field:
                        case ast.AnnAssign(target=ast.Name(id=attribute)) if not attribute.startswith("_"):
                            yield field.lineno, attribute, field.annotation, field.value


def _parameters(
    arguments: ast.arguments,
) -> Iterator[tuple[int, str, ast.expr | None, ast.expr | None]]:
    positional = arguments.posonlyargs + arguments.args
    unset: list[ast.expr | None] = [None] * (len(positional) - len(arguments.defaults))
    defaults = [*unset, *arguments.defaults, *arguments.kw_defaults]
    for argument, default in zip(positional + arguments.kwonlyargs, defaults, strict=True):
        yield argument.lineno, argument.arg, argument.annotation, default


def _numeric(annotation: ast.expr | None, default: ast.expr | None) -> bool:
    """Whether it holds a number: by its annotation (`float | None`), or without one by its default."""
    if annotation is None:
        return isinstance(default, ast.Constant) and type(default.value) in (int, float)
    words = set(re.split(r"[\s|\[\],'\"]+", ast.unparse(annotation))) - {""}
    return words <= {"int", "float", "None", "Optional", "Final"} and not words.isdisjoint({"int", "float"})


def silent_tests(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Tests whose docstring does not begin with a sentence."""
    for function in functions(tree):
        if function.name.startswith("test_"):
            claim = (ast.get_docstring(function) or "").split("\n\n")[0].strip()
            if not claim.endswith("."):
                yield function.lineno, f"{function.name} does not say in a sentence what it claims"
