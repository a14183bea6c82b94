"""The command `init`: a new project that runs."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from durio.hosting.cli_errors import CliError
from durio.hosting.cli_output import Out
from durio.hosting.cli_settings import Common
from durio.hosting.cli_template import APP, IGNORE, PYPROJECT, README, TEST


def init(
    folder: Annotated[str, Parameter(help="A new folder, or an empty one.")] = ".", /, *, common: Common = Common()
) -> None:
    """Make a new project: a program, its tests, and the configuration that names its hub.

    Nothing is overwritten.
    """
    out = Out(common)
    place = Path(folder)
    title = place.resolve().name or "durio"
    files = {
        "app.py": APP,
        "test_app.py": TEST,
        "pyproject.toml": PYPROJECT.format(name=json.dumps(project_name(title))),
        ".gitignore": IGNORE,
        "README.md": README.format(title=title),
    }
    taken = sorted(name for name in files if (place / name).exists() or (place / name).is_symlink())
    if taken:
        raise CliError(f"{folder} has {', '.join(taken)} already: nothing was written; choose a new folder")
    place.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        with open(place / name, "x", encoding="utf-8") as file:
            file.write(text)
    if out.json:
        out.document({"folder": str(place.resolve()), "files": sorted(files)})
        return
    out.show(f"{folder}: {', '.join(files)}")
    step = "" if place.resolve() == Path.cwd() else f"cd {folder} && "
    out.note(f"now: {step}durio run, and in another terminal: {step}durio start hello --input '[\"Tokyo\"]' --wait")


def project_name(title: str) -> str:
    """A name that a package may have."""
    name = re.sub(r"[^A-Za-z0-9]+", "-", title).strip("-").lower()
    return name or "project"
