"""How fast every planted bug is found: `python -m tests.simulation.planted.report [NAME...]` prints a table.

With names only of the modules (`user_money`), without them of all.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.simulation.planted.harness import Finding, Planted, find

HEADINGS = ("bug", "found after examples", "seconds", "with shrinking", "steps")


def modules() -> list[str]:
    """The modules beside this one that may have planted bugs."""
    names = [found.name for found in pkgutil.iter_modules([str(Path(__file__).parent)])]
    return sorted(name for name in names if name.startswith(("user_", "kernel_")))


def planted(names: Iterable[str]) -> Iterator[Planted]:
    """All planted bugs of some modules."""
    for name in names:
        yield from getattr(importlib.import_module(f"tests.simulation.planted.{name}"), "PLANTED", ())


def row(bug: Planted, found: Finding) -> tuple[str, ...]:
    """One line of the table."""
    return bug.name, f"{found.examples:,}", f"{found.found_s:.2f}", f"{found.shrunk_s:.2f}", str(found.steps)


def line(cells: Iterable[str]) -> str:
    """A line, with columns that stand under each other."""
    name, *numbers = cells
    return f"{name:<44}" + "".join(f"{number:>22}" for number in numbers).rstrip()


def main(names: list[str]) -> None:
    """Find them all, one after the other."""
    write = sys.stdout.write
    write(line(HEADINGS) + "\n")
    for bug in planted(names or modules()):
        try:
            write(line(row(bug, find(bug))) + "\n")
        except AssertionError as error:
            write(f"{bug.name:<44}  {str(error).splitlines()[0]}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
