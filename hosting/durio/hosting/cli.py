"""The command line `durio`: all commands, and what becomes of their errors."""

from __future__ import annotations

import inspect
import os
import sys
import traceback
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any, Final

import trio
from cyclopts import App, CycloptsError, Group, UnknownCommandError, UnknownOptionError, UnusedCliTokensError

from durio.hosting import (
    cli_care,
    cli_control,
    cli_doctor,
    cli_entities,
    cli_history,
    cli_init,
    cli_instances,
    cli_letters,
    cli_list,
    cli_rewind,
    cli_running,
    cli_top,
)
from durio.hosting.cli_errors import Exit, UsageError, exit_code_of, single_error, told
from durio.hosting.cli_output import clean
from durio.hosting.cli_settings import Common
from durio.hosting.cli_signals import awaited, sigterm_as_interrupt

EPILOGUE: Final = (
    "Which hub and which app: --hub and --app, else DURIO_HUB and DURIO_APP, else hub and app in durio.toml or under "
    "[tool.durio] in pyproject.toml, in this folder or the nearest one above.\n\n"
    "Exit codes: 0 done, 1 not so (not found, refused, failed), 2 wrong usage, 3 no owner answers, 4 the hub cannot be "
    "used, 5 not yet, 130 interrupted."
)


def command_line() -> App:
    """The parser with all commands."""
    app = App(
        name="durio",
        help="Durable entities and orchestrations: run a hub, and look after what is in it.",
        help_epilogue=EPILOGUE,
        help_format="plaintext",
        version=version("durio"),
    )
    add = _adder(app, Group("A program", sort_key=0))
    add(cli_init.init)
    add(cli_running.run)
    add(cli_running.serve)
    add = _adder(app, Group("Instances", sort_key=1))
    add(cli_instances.start)
    add(cli_instances.status)
    add(cli_list.list_, "list")
    add(cli_history.history)
    add(cli_control.raise_event)
    add(cli_control.suspend)
    add(cli_control.resume)
    add(cli_control.cancel)
    add(cli_control.terminate)
    add(cli_rewind.rewind)
    add(cli_control.restart)
    add(cli_control.purge)
    add = _adder(app, Group("Entities", sort_key=2))
    add(cli_entities.entities)
    add(cli_entities.signal)
    add(cli_entities.call)
    add(cli_entities.locks)
    add = _adder(app, Group("The hub", sort_key=3))
    letters = App(name="dead-letters", help="List the messages that were parked; retry or drop them.")
    letters.default(cli_letters.list_letters)
    letters.command(cli_letters.list_letters, name="list")
    letters.command(cli_letters.retry, name="retry")
    letters.command(cli_letters.drop, name="drop")
    add(cli_top.top)
    add(letters)
    add(cli_doctor.doctor)
    add(cli_care.backup)
    add(cli_care.replay)
    add(cli_care.upgrade)
    app.register_install_completion_command(help="Install completion for your shell.")
    return app


def _adder(app: App, group: Group) -> Any:
    def add(command: Any, name: str | None = None) -> None:
        if isinstance(command, App):
            command.group = (group,)
            app.command(command)
        else:
            app.command(command, name=name, group=group, help_epilogue="")

    return add


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; gives its exit code. `arguments`: those of the process if none are given."""
    with sigterm_as_interrupt() as terminated:
        code = _run(sys.argv[1:] if arguments is None else list(arguments))
    return Exit.TERMINATED if terminated.came and code == Exit.INTERRUPTED else code


def _run(arguments: list[str]) -> int:
    show_traceback = False
    try:
        command, bound, _ = command_line().parse_args(arguments, exit_on_error=False, print_error=False)
        show_traceback = any(isinstance(value, Common) and value.traceback for value in bound.arguments.values())
        done = command(*bound.args, **bound.kwargs)
        if inspect.iscoroutine(done):
            done = trio.run(awaited, done)
        sys.stdout.flush()
        return int(done) if isinstance(done, int) else Exit.OK
    except CycloptsError as error:
        return _refused(UsageError(misread(error, arguments)))
    except BaseException as error:
        found = single_error(error)
        ended_by_rich = isinstance(found, SystemExit) and isinstance(found.__context__, BrokenPipeError)
        if isinstance(found, BrokenPipeError) or ended_by_rich:
            return _left_alone()
        code = exit_code_of(found)
        if code is None or show_traceback:
            traceback.print_exception(error)
            return Exit.NO if code is None else code
        return _refused(found, code)


def misread(error: CycloptsError, arguments: Sequence[str]) -> str:
    """What is wrong with a command line, and how to write it."""
    if isinstance(error, UnusedCliTokensError):
        left = " ".join(map(str, error.unused_tokens or ()))
        return f"{left}: that is one word too many, or several; a value with spaces stands in quotes. See --help."
    if isinstance(error, UnknownCommandError) and arguments and arguments[0].startswith("-"):
        return f"{arguments[0]}: options stand behind the command, as durio list --json. See --help."
    dash = " An id that begins with a dash comes behind --." if isinstance(error, UnknownOptionError) else ""
    return f"{error} See --help.{dash}"


def _refused(error: BaseException, code: Exit = Exit.USAGE) -> Exit:
    if not isinstance(error, KeyboardInterrupt):
        sys.stderr.write(f"durio: {clean(' '.join(told(error).split()))}\n")
    return code


def _left_alone() -> Exit:
    """Nobody reads any more, which is no error: what Python still wants to write at its end goes nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return Exit.OK
