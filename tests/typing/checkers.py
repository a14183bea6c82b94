"""Runs mypy and pyright over the files of this folder, as users' editors do, and reads what they say."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import attrs

from tests.project.imports import PROJECT

HERE = PROJECT / "tests" / "typing"
READ = ("program.py", "use.py", "misuse.py")
MARK = re.compile(r"  # type: ignore\[([a-z-]+)\]")


@attrs.frozen
class Error:
    """What a checker said about a line. `code`: mypy's error code or pyright's rule."""

    file: str
    line: int
    code: str
    message: str


def marks() -> dict[int, str]:
    """The marked lines of misuse.py, with the codes they name."""
    lines = (HERE / "misuse.py").read_text("utf-8").splitlines()
    return {number: mark[1] for number, line in enumerate(lines, 1) if (mark := MARK.search(line))}


def unmarked(folder: Path) -> None:
    """Write what is checked to `folder`, under the names it has in the project, without its marks."""
    (folder / "tests" / "typing").mkdir(parents=True)
    for name in READ:
        text = MARK.sub("", (HERE / name).read_text("utf-8"))
        (folder / "tests" / "typing" / name).write_text(text, "utf-8")


def mypy(folder: Path) -> list[Error]:
    """What `mypy --strict` says."""
    command = [sys.executable, "-m", "mypy", "--strict", "--output=json", f"--cache-dir={os.devnull}"]
    for name in READ:
        command += ["--shadow-file", f"tests/typing/{name}", str(folder / "tests" / "typing" / name)]
    command += [f"tests/typing/{name}" for name in READ]
    said = [json.loads(line) for line in _output(command, PROJECT).splitlines()]
    return [
        Error(Path(entry["file"]).name, entry["line"], entry["code"], entry["message"])
        for entry in said
        if entry["severity"] == "error"
    ]


def pyright(folder: Path) -> list[Error]:
    """What pyright says, with the project's own settings."""
    settings = {"extends": os.path.relpath(PROJECT / "pyproject.toml", folder), "include": ["tests"]}
    (folder / "pyrightconfig.json").write_text(json.dumps(settings), "utf-8")
    command = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "--outputjson"]
    said = json.loads(_output(command, folder))
    assert said["summary"]["filesAnalyzed"] == len(READ), said
    return [
        Error(Path(entry["file"]).name, entry["range"]["start"]["line"] + 1, entry.get("rule", ""), entry["message"])
        for entry in said["generalDiagnostics"]
        if entry["severity"] == "error"
    ]


def incomplete(package: str) -> list[str]:
    """What of a package's public types `pyright --verifytypes` does not know.

    An attribute that `__init__` sets from an annotated parameter counts as known.
    """
    # With --verifytypes pyright looks for packages with the first Python on the path, whatever --pythonpath says.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    command = [sys.executable, "-m", "pyright", "--verifytypes", package, "--ignoreexternal", "--outputjson"]
    said = json.loads(_output(command, PROJECT, PATH=path))
    symbols = said["typeCompleteness"]["symbols"]
    assert len(symbols) > 100, said["generalDiagnostics"]
    return [symbol["name"] for symbol in symbols if not symbol["isTypeKnown"] and not symbol["isTypeAmbiguous"]]


def _output(command: list[str], folder: Path, **environment: str) -> str:
    """What a checker printed. It ends with 0 or 1; anything else means that it did not come to an answer."""
    quiet = {"PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"}
    done = subprocess.run(
        command, cwd=folder, env=os.environ | quiet | environment, capture_output=True, text=True, check=False
    )
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return done.stdout
