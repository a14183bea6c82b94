"""The layers, and the one order of the files in each."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from tests.project.imports import PROJECT, Order, cycle, layers_of, modules_of, problems

# A layer imports only from the layers named here.
ABOVE = {
    "storage": (),
    "entities": ("storage",),
    "orchestration": ("storage", "entities"),
    "hosting": ("storage", "entities", "orchestration"),
    "simulation": ("storage", "entities", "orchestration"),  # hosting and simulation do not know each other
}

# A file imports only from those before it in its own layer. `__init__` is always the last and is not listed.
FILES: dict[str, tuple[str, ...]] = {
    "storage": (
        "errors",
        "limits",
        "codec",
        "keys",
        "writes",
        "notes",
        "api",
        "mounts",
        "ballast",
        "lock",
        "folder",
        "meta",
        "datafile",
        "closing",
        "environment",
        "shared",
        "fifo",
        "reading",
        "report",
        "child",
        "checker",
        "inbox_rows",
        "inbox_checker",
        "verify",
        "opening",
        "copier",
        "backup",
        "upgrade",
        "store",
        "reader",
        "inbox",
        "memory",
    ),
    "entities": (
        "limits",
        "errors",
        "groups",
        "gathering",
        "failures",
        "guard",
        "address",
        "clock",
        "env",
        "messages",
        "commands",
        "keys",
        "blobs",
        "blob_check",
        "changes",
        "mailbox",
        "converters",
        "payloads",
        "context",
        "registry",
        "requests",
        "posts",
        "settlement",
        "locks",
        "poison",
        "kinds",
        "letters",
        "jobs",
        "entity",
        "timers",
        "tombstones",
        "runqueue",
        "catalog",
        "parking",
        "kernel",
        "waiters",
        "intake",
        "operations",
        "switching",
        "ticker",
        "shortage",
        "taking",
        "runtime",
    ),
    "orchestration": (
        "limits",
        "errors",
        "history",
        "messages",
        "decision",
        "refusals",
        "registry",
        "tasks",
        "waits",
        "choices",
        "retries",
        "causes",
        "recorder",
        "past_step",
        "sections",
        "engine",
        "calls",
        "calling",
        "driver",
        "context",
        "execution",
        "records",
        "index",
        "index_check",
        "rewind_plan",
        "instance",
        "late",
        "planning",
        "cycles",
        "locking",
        "needing",
        "acceptance",
        "endings",
        "performing",
        "rewinding",
        "parking",
        "settling",
        "directory",
        "doorman",
        "kind",
        "activities",
        "app",
        "names",
        "waiting",
        "replay",
        "link",
        "asking",
        "lock_status",
        "entity_client",
        "dead_letters",
        "checker",
        "verifying",
        "upgrading",
        "backups",
        "control",
        "status",
        "queries",
        "entity_list",
        "query_client",
        "missing_code",
        "diagnosing",
        "retention",
        "client",
        "session",
        "remote",
        "connection",
        "looking",
        "blocking",
        "aio",
        "standby",
        "hub",
    ),
    "hosting": (
        "limits",
        "links",
        "wire",
        "problems",
        "http_client",
        "call",
        "table",
        "waiting",
        "starters",
        "instance_routes",
        "entity_routes",
        "openapi",
        "access",
        "health",
        "metrics",
        "http",
        "connection",
        "listening",
        "serving",
        "cli_errors",
        "cli_signals",
        "cli_values",
        "cli_settings",
        "cli_program",
        "cli_session",
        "cli_output",
        "cli_table",
        "cli_instances",
        "cli_list",
        "cli_control",
        "cli_rewind",
        "cli_history",
        "cli_entities",
        "cli_letters",
        "cli_care",
        "cli_doctor",
        "cli_running",
        "cli_template",
        "cli_init",
        "cli_top",
        "cli",
    ),
    "simulation": (
        "errors",
        "plan",
        "trace",
        "calls",
        "clocks",
        "reality",
        "tasks",
        "wording",
        "operations",
        "watching",
        "process",
        "link",
        "world",
        "linearizability",
        "model",
        "asking",
        "recording",
        "subject",
        "sight",
        "sim",
        "discovery",
        "drawing",
        "exhaustive",
        "twin",
        "options",
        "simulate",
        "machine",
        "plugin",
    ),
}

LAYERS = [layer for layer in ABOVE if (PROJECT / layer).is_dir()]


@pytest.mark.parametrize("layer", LAYERS)
def test_files_of_a_layer_import_only_what_comes_before_them(layer: str) -> None:
    """Every file is listed, and imports only files before it and layers above it, in plain sight."""
    found = problems(PROJECT, layer, Order(ABOVE, FILES))
    assert not found, "\n".join(found)


def test_no_cycle() -> None:
    """No chain of imports leads back to where it began."""
    assert cycle(modules_of(PROJECT)) == []


def test_every_layer_has_a_place() -> None:
    """Every source folder is a layer of the list, and holds nothing but its own part of the namespace.

    Only `durio` and `python -m durio` begin outside of a layer: they must run, and say what is missing, when the
    libraries that hosting needs are not there.
    """
    assert layers_of(PROJECT) == sorted(LAYERS)
    for layer in LAYERS:
        inside = {path.name for path in (PROJECT / layer / "durio").iterdir()} - {"__pycache__"}
        begins = {"__main__.py"} if layer == "hosting" else set()
        assert inside == {layer} | begins, "durio is a namespace package: no __init__.py, no second part"


def test_pyproject_names_every_layer() -> None:
    """The wheel, the editable install, mypy and pyright know the same layers, in the same order."""
    tool = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))["tool"]
    wheel = tool["hatch"]["build"]["targets"]["wheel"]
    assert wheel["packages"] == [f"{layer}/durio" for layer in LAYERS]
    assert wheel["dev-mode-dirs"] == LAYERS
    assert tool["mypy"]["mypy_path"].split(":") == LAYERS
    assert tool["pyright"]["extraPaths"] == LAYERS
    assert tool["mypy"]["files"][: len(LAYERS)] == LAYERS
    assert tool["pyright"]["include"][: len(LAYERS)] == LAYERS


EXAMPLE = Order(
    {"storage": (), "entities": ("storage",), "hosting": ("storage",), "simulation": ("storage",)},
    {"storage": ("keys", "records"), "entities": ("turns",), "hosting": ("http",), "simulation": ("world",)},
)

WRONG = {
    "entities/turns: from durio.entities import turns": "comes not before",
    "entities/turns: from durio.hosting.http import x": "is no layer above",
    "entities/turns: from tests.project import imports": "sources import no tests",
    "hosting/http: import durio.simulation.world": "is no layer above",
    "storage/keys: from durio import entities": "there is no such module",
    "storage/keys: from durio.entities.turns import x": "is no layer above",
    "storage/keys: from durio.storage import records": "comes not before",
    "storage/keys: from durio.storage.gone import x": "there is no such module",
    "storage/keys: from . import records": "comes not before",
    "storage/keys: from .records import x": "comes not before",
    "storage/keys: from typing import TYPE_CHECKING": "TYPE_CHECKING",
    "storage/keys: def f():\n    import json": "not at the top level",
    "storage/keys: try:\n    import json\nexcept ImportError:\n    pass": "not at the top level",
    "storage/keys: import importlib\nimportlib.import_module('durio.entities')": "in disguise",
    "storage/extra: x = 1": "has no place in the list",
}

RIGHT = {
    "entities/turns: from durio.storage.keys import x",
    "entities/turns: from durio.storage import records",
    "storage/keys: import json",
    "storage/records: from durio.storage import keys",
    "storage/records: from .keys import x",
    "storage/__init__: from durio.storage.records import x",
}


def example(root: Path, change: str) -> str:
    """Lays out the example project with one file changed; the layer of that file."""
    for layer, names in EXAMPLE.files.items():
        folder = root / layer / "durio" / layer
        folder.mkdir(parents=True)
        for name in names:
            (folder / f"{name}.py").write_text("")
    where, source = change.split(": ", 1)
    layer, name = where.split("/")
    (root / layer / "durio" / layer / f"{name}.py").write_text(source)
    return layer


@pytest.mark.parametrize("change", sorted(WRONG))
def test_the_checker_sees_a_wrong_import(tmp_path: Path, change: str) -> None:
    """Every way around the order is found, with a message that says which."""
    layer = example(tmp_path, change)
    assert WRONG[change] in "\n".join(problems(tmp_path, layer, EXAMPLE))


@pytest.mark.parametrize("change", sorted(RIGHT))
def test_the_checker_lets_a_right_import_pass(tmp_path: Path, change: str) -> None:
    """What keeps the order is no problem."""
    layer = example(tmp_path, change)
    assert problems(tmp_path, layer, EXAMPLE) == []


def test_the_checker_sees_a_cycle_and_a_listed_file_that_is_missing(tmp_path: Path) -> None:
    """A cycle is found without the lists, and the lists are checked against the folder."""
    example(tmp_path, "storage/keys: import durio.storage.records")
    (tmp_path / "storage/durio/storage/records.py").write_text("from durio.storage.keys import x")
    assert set(cycle(modules_of(tmp_path))) == {"durio.storage.keys", "durio.storage.records"}
    (tmp_path / "entities/durio/entities/turns.py").unlink()
    assert problems(tmp_path, "entities", EXAMPLE) == ["entities: turns is listed, but there is no such file"]
