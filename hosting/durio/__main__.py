"""`durio`, and `python -m durio`: the command line, or which extra it needs."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pkgutil import resolve_name
from typing import Final

NEEDED: Final = ("cyclopts", "rich", "starlette", "hypercorn")


def main() -> None:
    """Run the command line, and end with its exit code."""
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        sys.stderr.write(f"durio: the command line needs {', '.join(missing)}: pip install 'durio[cli]'\n")
        raise SystemExit(2)
    raise SystemExit(resolve_name("durio.hosting.cli:main")())


if __name__ == "__main__":
    main()
