"""Comparing this tree with another git ref: rounds in turns, each in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from benchmarks.processes import PROJECT
from benchmarks.report import spread, table
from benchmarks.workloads import Workload

HEADERS: Final = ("workload", "figure", "this tree", "the other", "this/other", "")


class CompareFailed(Exception):
    """The other ref could not be measured."""


@contextmanager
def worktree(ref: str, place: Path) -> Iterator[Path]:
    """The files of `ref` in a folder of its own."""
    folder = place / "other"
    _git("worktree", "add", "--quiet", "--detach", str(folder), ref)
    try:
        yield folder
    finally:
        _git("worktree", "remove", "--force", str(folder))


def compare(
    ref: str, workloads: Sequence[Workload], rounds: int, place: Path, *, quick: bool, tell: Callable[[str], None]
) -> str:
    """Measure the sources of this tree, as they are on disk, and those of `ref`, with the benchmarks of this tree.

    Ratios are those of neighbouring rounds. Raises `CompareFailed`.
    """
    this: dict[str, dict[str, list[float]]] = {}
    other: dict[str, dict[str, list[float]]] = {}
    with worktree(ref, place) as folder:
        sides = [(PROJECT, this), (folder, other)]
        for number in range(rounds):
            for tree, values in sides if number % 2 == 0 else reversed(sides):
                tell(f"round {number + 1} of {rounds}: {'this tree' if tree == PROJECT else ref}")
                _collect(values, _one_round(tree, workloads, place, quick))
    return table(list(_rows(workloads, this, other)), HEADERS)


def _rows(
    workloads: Sequence[Workload],
    this: dict[str, dict[str, list[float]]],
    other: dict[str, dict[str, list[float]]],
) -> Iterator[Sequence[str]]:
    for workload in workloads:
        yield (f"{workload.title}:",)
        for figure in workload.figures:
            ours, theirs = this[workload.name][figure.name], other[workload.name][figure.name]
            ratios = [a / b for a, b in zip(ours, theirs, strict=True) if b]
            yield (
                f"  {workload.name}",
                f"{figure.name}, {figure.unit}",
                spread(ours),
                spread(theirs),
                spread(ratios),
                _verdict(ratios, more_is_better=figure.more_is_better),
            )


def _verdict(ratios: Sequence[float], *, more_is_better: bool) -> str:
    """A word only where every single round says the same."""
    if len(ratios) < 3:
        return ""
    if min(ratios) > 1:
        return "better" if more_is_better else "worse"
    if max(ratios) < 1:
        return "worse" if more_is_better else "better"
    return ""


def _one_round(tree: Path, workloads: Sequence[Workload], place: Path, quick: bool) -> dict[str, Any]:
    output = place / "round.json"
    command = [sys.executable, "-m", "benchmarks", "--rounds", "1", "--no-ceiling", "--json", str(output)]
    command += ["--dir", str(place), *(["--quick"] if quick else [])]
    for workload in workloads:
        command += ["--only", workload.name]
    roots = [str(root.parent) for root in sorted(tree.glob("*/durio")) if root.is_dir()]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(roots)}  # comes before what is installed
    done = subprocess.run(command, cwd=PROJECT, env=env, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise CompareFailed(f"the benchmarks fail with the sources in {tree}:\n{done.stderr}")
    found: dict[str, Any] = json.loads(output.read_text("utf-8"))
    if Path(found["machine"]["sources"]) != tree.resolve():
        raise CompareFailed(f"meant to measure {tree}, measured {found['machine']['sources']}")
    return found


def _collect(values: dict[str, dict[str, list[float]]], found: dict[str, Any]) -> None:
    for workload, figures in found["workloads"].items():
        for figure, measured in figures.items():
            values.setdefault(workload, {}).setdefault(figure, []).extend(measured["durio"])


def _git(*arguments: str) -> None:
    done = subprocess.run(["git", "-C", str(PROJECT), *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise CompareFailed(f"git {' '.join(arguments)}: {done.stderr.strip()}")
