"""The command line of the benchmarks."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import attrs

from benchmarks.compare import CompareFailed, compare
from benchmarks.growth import GROWTHS, Point, grow, growth_table
from benchmarks.machine import Machine, filesystem
from benchmarks.report import print_report, write_json
from benchmarks.rounds import measure
from benchmarks.scale import FULL, QUICK
from benchmarks.workloads import WORKLOADS

_ROUNDS: Final = 5
_IN_MEMORY: Final = frozenset(("tmpfs", "ramfs"))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measures durio and the bare ceiling.")
    names = [named.name for named in (*WORKLOADS, *GROWTHS)]
    parser.add_argument("--only", action="append", choices=names, metavar="NAME", help=f"one of {', '.join(names)}")
    parser.add_argument("--growth", action="store_true", help="only how cost grows with size, up to 1,000,000")
    parser.add_argument("--sizes", type=_sizes, metavar="N,N", help="sizes of what grows, instead of its own")
    parser.add_argument("--rounds", type=_positive, help=f"how often each is measured (default {_ROUNDS}; quick: 1)")
    parser.add_argument("--quick", action="store_true", help="a little of everything, only to see that it runs")
    parser.add_argument("--no-ceiling", action="store_true", help="leave the bare ceiling out")
    parser.add_argument("--dir", type=Path, default=Path(), help="where the hubs go: a disk, no tmpfs (default: here)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the values of all rounds there, too")
    parser.add_argument("--compare", metavar="REF", help="measure this tree against another git ref instead")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for; the exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.compare and (options.json or options.no_ceiling):
        parser.error("--compare prints ratios between two trees: it takes no --json and no --no-ceiling")
    growths = [growth for growth in GROWTHS if options.growth or growth.name in (options.only or ())]
    if options.compare and growths:
        parser.error("--compare takes no workloads that grow")
    if not options.dir.is_dir():
        parser.error(f"{options.dir} is no folder")
    plain = not growths or options.only
    workloads = [workload for workload in WORKLOADS if plain and workload.name in (options.only or _names())]
    rounds = options.rounds or (1 if options.quick else _ROUNDS)
    if filesystem(options.dir) in _IN_MEMORY:
        _tell(f"{options.dir.resolve()} is in memory: syncing costs nothing there, the figures say little")
    with TemporaryDirectory(prefix=".bench-", dir=options.dir.resolve()) as folder:
        place = Path(folder)
        if options.compare:
            try:
                print(compare(options.compare, workloads, rounds, place, quick=options.quick, tell=_tell))
            except CompareFailed as error:
                _tell(str(error))
                return 1
            return 0
        machine = Machine.here(place)
        scale = QUICK if options.quick else FULL
        results = [
            measure(workload, scale, rounds, place, ceiling=not options.no_ceiling, tell=_tell)
            for workload in workloads
        ]
        grown: dict[str, list[Point]] = {}
        for growth in growths:
            sizes = options.sizes or (growth.quick_sizes if options.quick else growth.sizes)
            grown[growth.name] = grow(growth, sizes, options.rounds or 1, place, _tell)
    print_report(machine, results, rounds, quick=options.quick)
    for growth in growths:
        print(growth_table(growth, grown[growth.name]))
    if options.json:
        write_json(options.json, machine, results, _plain(grown), quick=options.quick)
    return 0


def _plain(grown: dict[str, list[Point]]) -> dict[str, object]:
    return {name: [attrs.asdict(point) for point in points] for name, points in grown.items()}


def _names() -> tuple[str, ...]:
    return tuple(workload.name for workload in WORKLOADS)


def _sizes(text: str) -> tuple[int, ...]:
    return tuple(sorted(_positive(part) for part in text.split(",")))


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return value


def _tell(line: str) -> None:
    """How far it is; the results alone go to standard output."""
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
