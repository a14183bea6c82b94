"""Runs commands in this process, and owners beside them."""

from __future__ import annotations

import io
import json
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import attrs
import pytest
import trio

from durio.hosting.cli import main
from durio.orchestration import App, open_hub
from tests.hosting.cli_program import APP, app


@attrs.frozen
class Result:
    """What a command gave."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one JSON document on standard output."""
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        """JSON lines."""
        return [json.loads(line) for line in self.out.splitlines()]


@attrs.frozen
class Cli:
    """Runs commands on one hub with the app of the tests."""

    hub: Path
    capsys: pytest.CaptureFixture[str]

    def __call__(self, *arguments: str, app: str | None = APP, hub: Path | None = None) -> Result:
        """Run a command; options for hub and app come before a `--`."""
        options = ["--hub", str(hub or self.hub), *([] if app is None else ["--app", app])]
        where = arguments.index("--") if "--" in arguments else len(arguments)
        return self.plainly(*arguments[:where], *options, *arguments[where:])

    def plainly(self, *arguments: str) -> Result:
        """Run a command as it is."""
        self.capsys.readouterr()
        code = main(arguments)
        out, err = self.capsys.readouterr()
        return Result(code, out, err)

    def ok(self, *arguments: str) -> Result:
        """Run a command that must succeed."""
        result = self(*arguments)
        assert result.code == 0, result.err
        return result


class Owner(threading.Thread):
    """An owner of a hub, in a thread with a Trio loop of its own."""

    def __init__(self, hub: Path, program: App = app) -> None:
        super().__init__()
        self._hub = hub
        self._program = program
        self._opened = threading.Event()
        self._leave = trio.Event()
        self._token: trio.lowlevel.TrioToken | None = None

    async def _main(self) -> None:
        self._token = trio.lowlevel.current_trio_token()
        async with open_hub(self._hub, self._program):
            self._opened.set()
            await self._leave.wait()

    def run(self) -> None:
        trio.run(self._main)

    def __enter__(self) -> Self:
        self.start()
        assert self._opened.wait(60)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._token is not None
        self._token.run_sync_soon(self._leave.set)
        self.join()


class Terminal(io.StringIO):
    """A file that says that it is a terminal."""

    def isatty(self) -> bool:
        return True
