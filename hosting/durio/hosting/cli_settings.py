"""Which hub and which app: from options, the environment, or the nearest configuration file, in that order."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import attrs
from cyclopts import Group, Parameter

from durio.hosting.cli_errors import UsageError

COMMON: Final = Group("Common", sort_key=100)
KEYS: Final = ("app", "hub")
CONFIGURATION: Final = (("durio.toml", ()), ("pyproject.toml", ("tool", "durio")))
"""Files that may hold `hub` and `app`, and in which table. The first one in a folder wins."""


@Parameter(name="*", group=COMMON)
@attrs.frozen
class Common:
    """Options of every command."""

    hub: Annotated[str | None, Parameter(group=COMMON, help="Folder of the hub [DURIO_HUB].", metavar="DIR")] = None
    app: Annotated[
        str | None,
        Parameter(group=COMMON, help="The program, as package.module:app [DURIO_APP].", metavar="MODULE:APP"),
    ] = None
    json: Annotated[
        bool, Parameter(group=COMMON, negative="", show_default=False, help="JSON on standard output, for programs.")
    ] = False
    traceback: Annotated[
        bool, Parameter(group=COMMON, negative="", show_default=False, help="Show where an error comes from.")
    ] = False


@attrs.frozen
class Settings:
    """What was found. `hub`: a path. `app`: `MODULE:APP`. `root`: from where the app is imported."""

    hub: str | None
    app: str | None
    root: str

    def require_hub(self) -> str:
        """The path of the hub. Raises `UsageError` if nobody said which one."""
        if self.hub is None:
            raise UsageError(
                'which hub? say --hub DIR, set DURIO_HUB, or put hub = "DIR" under [tool.durio] into pyproject.toml'
            )
        return self.hub

    def require_app(self) -> str:
        """`MODULE:APP`. Raises `UsageError` if nobody said which one."""
        if self.app is None:
            raise UsageError(
                "which app? say --app MODULE:APP, set DURIO_APP, "
                'or put app = "MODULE:APP" under [tool.durio] into pyproject.toml'
            )
        return self.app


def settings_of(common: Common, environ: Mapping[str, str] = os.environ, start: str | None = None) -> Settings:
    """Options first, then DURIO_HUB and DURIO_APP, then the configuration. Raises `UsageError` for a wrong file."""
    folder = Path(start or os.getcwd())
    root, configured = _configuration(folder)
    hub, app = common.hub or environ.get("DURIO_HUB") or None, common.app or environ.get("DURIO_APP") or None
    app_root = str(folder) if app is not None else str(root or folder)
    if hub is None and root is not None and "hub" in configured:
        hub = str(root / configured["hub"])
    return Settings(hub, app or configured.get("app"), app_root)


def _configuration(folder: Path) -> tuple[Path | None, dict[str, str]]:
    """The nearest folder that configures durio, and what it says."""
    for place in (folder, *folder.parents):
        for file, table in _tables(place):
            return place, _checked(file, table)
    return None, {}


def _tables(place: Path) -> Iterator[tuple[Path, Any]]:
    for name, keys in CONFIGURATION:
        file = place / name
        try:
            found: Any = tomllib.loads(file.read_text("utf-8"))
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            continue
        except (OSError, ValueError) as error:
            raise UsageError(f"{file} cannot be read: {error}") from error
        for key in keys:
            found = found.get(key) if isinstance(found, dict) else None
        if found is not None:
            yield file, found


def _checked(file: Path, table: Any) -> dict[str, str]:
    if not isinstance(table, dict):
        raise UsageError(f"{file}: [tool.durio] is a table with {' and '.join(KEYS)}")
    for key, value in table.items():
        if key not in KEYS:
            raise UsageError(f"{file}: durio has no setting {key!r}; there are {' and '.join(KEYS)}")
        if not isinstance(value, str) or not value:
            raise UsageError(f"{file}: {key} is text, not {value!r}")
    return dict(table)
