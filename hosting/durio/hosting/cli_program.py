"""The user's program: imported by name, and what is said when it cannot be; its logs."""

from __future__ import annotations

import importlib
import logging
import os
import sys
import sysconfig
import traceback
from types import ModuleType
from typing import Final

from durio.hosting.cli_errors import UsageError
from durio.hosting.cli_settings import Settings
from durio.orchestration import App

LOG_FORMAT: Final = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"


def start_logging(level: str) -> None:
    """Logs of durio and of the app go to standard error."""
    logging.basicConfig(level=level.upper(), format=LOG_FORMAT)


def load_app(settings: Settings) -> App:
    """The `App` object that `MODULE:APP` names; `APP` may be left out if it is called `app`. Raises `UsageError`."""
    named = settings.require_app()
    module_name, _, attribute = named.partition(":")
    if not module_name or module_name.startswith(".") or module_name.endswith(".py") or "/" in module_name:
        raise UsageError(f"--app {named}: write package.module:app, a module as Python imports it, not a file")
    module = _imported(module_name, settings.root)
    found: object = module
    for name in (attribute or "app").split("."):
        found = getattr(found, name, None)
    if isinstance(found, App):
        return found
    there = [name for name, value in vars(module).items() if isinstance(value, App)]
    hint = f"it has {', '.join(f'{module_name}:{name}' for name in there)}" if there else "it has none"
    raise UsageError(f"--app {named}: {attribute or 'app'} is no App of module {module_name!r}; {hint}")


def _imported(name: str, root: str) -> ModuleType:
    for folder in (root, os.getcwd()):
        if folder not in sys.path:
            sys.path.insert(0, folder)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(error.name + ".")):
            raise UsageError(f"--app {name}: there is no module {error.name!r} in {root}, nor installed") from error
        raise UsageError(_told(name, error)) from error
    except (Exception, SystemExit) as error:
        raise UsageError(_told(name, error)) from error


def _told(name: str, error: BaseException) -> str:
    """The user's own error, with the line where it is."""
    said = "".join(traceback.format_exception_only(error)).strip().splitlines()[-1]
    return f"app {name!r} cannot be imported: {_place(error)}{said}"


def _place(error: BaseException) -> str:
    if isinstance(error, SyntaxError) and error.filename:
        return f"{_short(error.filename)}:{error.lineno}: "
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith("<")]
    frames = [
        frame for frame in frames if frame.filename != __file__ and os.sep + "importlib" + os.sep not in frame.filename
    ]
    libraries = tuple(sysconfig.get_path(kind) + os.sep for kind in ("purelib", "platlib", "stdlib"))
    own = [frame for frame in frames if not frame.filename.startswith(libraries)] or frames
    return f"{_short(own[-1].filename)}:{own[-1].lineno}: " if own else ""


def _short(path: str) -> str:
    relative = os.path.relpath(path)
    return path if relative.startswith("..") else relative
