"""The benchmarks run and report. How fast anything is, no test says."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.figures import Spread, percentile
from benchmarks.growth import GROWTHS, Point, exponent
from benchmarks.machine import filesystem
from benchmarks.report import number, spread, table
from benchmarks.workloads import WORKLOADS
from tests.project.imports import PROJECT


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """`python -m benchmarks`, as scripts/bench runs it."""
    command = [sys.executable, "-m", "benchmarks", *arguments]
    return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)


def test_a_quick_run_reports_every_figure_of_every_workload(tmp_path: Path) -> None:
    """A quick run gives, for every figure, a value of durio and of the ceiling, as JSON and in the table."""
    done = run("--quick", "--dir", str(tmp_path), "--json", str(tmp_path / "figures.json"))
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads((tmp_path / "figures.json").read_text("utf-8"))["workloads"]
    assert list(found) == [workload.name for workload in WORKLOADS]
    for workload in WORKLOADS:
        assert f"  {workload.name}  " in done.stdout
        assert list(found[workload.name]) == [figure.name for figure in workload.figures]
        for name, figure in found[workload.name].items():
            assert len(figure["durio"]) == 1, name
            assert len(figure["bare"]) == (0 if name == "memory" else 1), name
    assert [path.name for path in tmp_path.iterdir()] == ["figures.json"], "nothing stays behind"


def test_only_measures_what_is_named(tmp_path: Path) -> None:
    """`--only` picks workloads, `--rounds` says how often, `--no-ceiling` leaves the ceiling out."""
    output = tmp_path / "figures.json"
    done = run(
        "--quick", "--only", "call", "--rounds", "2", "--no-ceiling", "--dir", str(tmp_path), "--json", str(output)
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(output.read_text("utf-8"))["workloads"]
    assert list(found) == ["call"]
    assert len(found["call"]["p50"]["durio"]) == 2
    assert found["call"]["p50"]["bare"] == []


def test_what_grows_is_measured_in_every_size(tmp_path: Path) -> None:
    """`--growth` runs each large workload in several sizes, and says of every criterion whether it is met."""
    output = tmp_path / "figures.json"
    done = run("--quick", "--growth", "--dir", str(tmp_path), "--json", str(output))
    assert done.returncode == 0, done.stderr
    found = json.loads(output.read_text("utf-8"))
    assert found["workloads"] == {}
    assert list(found["growth"]) == [growth.name for growth in GROWTHS]
    for growth in GROWTHS:
        points = found["growth"][growth.name]
        assert [point["count"] for point in points] == list(growth.quick_sizes)
        assert {"time", "cpu", "memory"} <= set(points[0]["figures"])
        for criterion in growth.criteria:
            assert re.search(rf"  {re.escape(criterion.text)}: .*: (met|MISSED)\n", done.stdout), criterion.text
    assert [path.name for path in tmp_path.iterdir()] == ["figures.json"], "nothing stays behind"


def test_exponents() -> None:
    """What grows with the square of its size has the exponent 2, what stays has 0."""
    points = [Point(count, {"square": count**2, "flat": 7.0}) for count in (10, 100, 1000)]
    assert exponent(points, "square") == pytest.approx(2)
    assert exponent(points, "flat") == pytest.approx(0)


WRONG = [
    ("--only", "nothing"),
    ("--rounds", "0"),
    ("--sizes", "0"),
    ("--compare", "HEAD", "--no-ceiling"),
    ("--compare", "HEAD", "--growth"),
]


@pytest.mark.parametrize("arguments", WRONG)
def test_wrong_arguments_are_refused(arguments: tuple[str, ...]) -> None:
    """What makes no sense ends at once with a usage error."""
    done = run(*arguments)
    assert done.returncode == 2
    assert "error:" in done.stderr


def test_an_unknown_ref_is_a_clear_error(tmp_path: Path) -> None:
    """`--compare` with something that is no ref says so and leaves nothing behind."""
    done = run("--quick", "--only", "call", "--dir", str(tmp_path), "--compare", "no-such-ref")
    assert done.returncode == 1
    assert "no-such-ref" in done.stderr or "git" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_spread_and_percentiles() -> None:
    """A spread is lowest, median and highest; a percentile is one of the values."""
    assert Spread.of([3.0, 1.0, 2.0]) == Spread(1.0, 2.0, 3.0)
    assert percentile([4.0, 1.0, 3.0, 2.0], 50) == 3.0
    assert percentile([1.0, 2.0], 99) == 2.0


def test_numbers_keep_three_digits() -> None:
    """The table shows what counts and no more."""
    assert [number(value) for value in (0.0, 0.01234, 1.2345, 123.4, 12345.6)] == [
        "0",
        "0.0123",
        "1.23",
        "123",
        "12,346",
    ]
    assert spread([]) == "-"
    assert spread([1.0]) == "1"
    assert spread([2.0, 1.0, 3.0]) == "2 (1 .. 3)"
    assert table([("a heading",), ("1", "2")], ("one", "two")).splitlines()[1:] == ["---  ---", "a heading", "1    2"]


def test_the_file_system_of_a_folder_is_found() -> None:
    """The report says on what the hubs were."""
    assert filesystem(Path("/proc")) == "proc"
